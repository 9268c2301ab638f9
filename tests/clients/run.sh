#!/usr/bin/env bash
# Drives `relay dev` with real, unmodified clients: the TypeScript packages of the network and its Python SDK.
#
#   tests/clients/run.sh                     builds the release binary and runs both suites
#   EZPDS_RELAY=path tests/clients/run.sh    runs that binary
#
# official/ brings the official PDS, for accounts to move from and to; EZPDS_OFFICIAL_START names another one.
# js/harness.mjs names the other variables. Where Node or Python is missing, its suite is skipped, unless CI=true.
# Packages are installed on the first run, and again when their lists change.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
failed=0

skip() {
  echo "SKIP $1"
  [ "${CI:-}" != true ] || failed=1
}

has_node() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 15) ? 0 : 1)'
}

has_python() {
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
}

install_js() {
  cmp -s package-lock.json node_modules/.installed && return
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed
}

# Where it cannot be had, only the move from and to it is not tested.
bring_official() {
  [ -z "${EZPDS_OFFICIAL_START:-}" ] || return 0
  if "$here/official/install.sh" >&2; then
    export EZPDS_OFFICIAL_START=$here/official/start.mjs
  else
    echo 'the official PDS could not be installed' >&2
    [ "${CI:-}" != true ]
  fi
}

run_js() {
  bring_official || return
  cd "$here/js" && install_js || return
  # Every file starts its own server, and stops it.
  node --test --test-reporter=spec || return
  # The identities once more, in the reference directory instead of the server's own.
  EZPDS_PLC=did-plc-server node --test --test-reporter=spec identity.test.mjs
}

install_python() {
  cmp -s requirements.txt "$venv/installed.txt" && "$venv/bin/python" -c '' 2>/dev/null && return
  python3 -m venv --clear "$venv" &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt &&
    cp requirements.txt "$venv/installed.txt"
}

run_python() {
  local venv="$target/clients-python"
  cd "$here/python" && install_python || return
  # The SDK warns about its own calls.
  PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -W ignore -m unittest -v
}

if [ -z "${EZPDS_RELAY:-}" ] && [ "${EZPDS_TARGET:-}" != official ]; then
  (cd "$root" && cargo build --release --locked --bin relay) || exit 1
  EZPDS_RELAY=$target/release/relay
fi
if [ -n "${EZPDS_RELAY:-}" ]; then
  # The suites run in other folders.
  EZPDS_RELAY=$(realpath "$EZPDS_RELAY") || exit 1
  export EZPDS_RELAY
fi

if has_node; then (run_js) || failed=1; else skip 'clients/js: node 20.15 or later with npm is not installed'; fi
if has_python; then (run_python) || failed=1; else skip 'clients/python: python 3.10 or later with venv is not installed'; fi
exit "$failed"
