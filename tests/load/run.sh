#!/usr/bin/env bash
# Measures the release binary and, where it was installed, the official PDS, side by side; see README.md.
#
#   tests/load/run.sh                         everything
#   tests/load/run.sh --only createRecord     some scenarios; --help for more
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --profile "${PROFILE:-release}" --locked -p relay --bin relay --example load
target=$(cargo metadata --no-deps --format-version 1 --offline | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
folder="$target/${PROFILE:-release}"
official=()
if [ -e tests/clients/official/node_modules/.installed ]; then
  official=(--official tests/clients/official)
else
  echo "the official PDS is not installed (tests/clients/official/install.sh); only relay is measured" >&2
fi
exec "$folder/examples/load" --relay "$folder/relay" "${official[@]}" "$@"
