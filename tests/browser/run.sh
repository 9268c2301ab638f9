#!/usr/bin/env bash
# Drives the pages of `relay dev` in Chromium, the way people use them, and looks at each with axe.
#
#   tests/browser/run.sh                     builds the release binary and runs every file
#   EZPDS_RELAY=path tests/browser/run.sh    runs that binary
#
# Pictures of every page are in tests/browser/screenshots afterwards. harness.mjs names the other variables. Where Node or
# Chromium is missing it is skipped (77). Packages are installed on the first run, and again when their list changes.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

has_node() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 15) ? 0 : 1)'
}

has_node || { echo "SKIP browser: node 20.15 or later with npm is not installed"; exit 77; }
[ -x "${EZPDS_CHROMIUM:-/usr/bin/chromium}" ] ||
  { echo "SKIP browser: ${EZPDS_CHROMIUM:-/usr/bin/chromium} is not there (Debian: apt-get install chromium)"; exit 77; }
command -v openssl >/dev/null || { echo "SKIP browser: openssl is not installed"; exit 77; }

if [ -z "${EZPDS_RELAY:-}" ]; then
  (cd "$root" && cargo build --release --locked --bin relay) || exit 1
  EZPDS_RELAY=$target/release/relay
fi
EZPDS_RELAY=$(realpath "$EZPDS_RELAY") || exit 1
export EZPDS_RELAY

cd "$here" || exit 1
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && cp package-lock.json node_modules/.installed || exit 1
fi
# Every file starts its own server and browser, one after the other: a browser is not small.
node --test --test-reporter=spec --test-concurrency=1 "$@"
