#!/usr/bin/env bash
# Runs the server in a small internet of its own: see README.md. EZPDS_RELAY names the program to test.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

export PATH="$PATH:/usr/sbin:/sbin"
[ "$(uname)" = Linux ] || { echo "SKIP network: network namespaces are a thing of Linux"; exit 77; }
for tool in ip nft unshare dnsmasq pebble caddy miniupnpd curl openssl python3; do
  command -v "$tool" >/dev/null || { echo "SKIP network: $tool is not installed"; exit 77; }
done
: "${EZPDS_RELAY:?names the program to test}"
EZPDS_RELAY=$(realpath "$EZPDS_RELAY")
export EZPDS_RELAY

# Namespaces of its own, which end with it and with all that runs in them; who is not root becomes root in there.
apart=(unshare --net --mount --pid --fork --kill-child --mount-proc)
[ "$(id -u)" = 0 ] || apart+=(--user --map-root-user)
"${apart[@]}" true 2>/dev/null || { echo "SKIP network: this machine lets nobody make namespaces"; exit 77; }
[ $# -gt 0 ] || set -- test_network test_setup
failed=0
# An internet of its own for each.
for tests in "$@"; do
  timeout --kill-after=10 600 "${apart[@]}" python3 -B -m unittest --verbose "$tests" || failed=1
done
exit $failed
