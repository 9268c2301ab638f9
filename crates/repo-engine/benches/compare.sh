#!/usr/bin/env bash
# Runs the engine's benchmarks and sets their times beside those of baseline.txt.
#
#   crates/repo-engine/benches/compare.sh              all of them, a few minutes; ratios below 1 are faster than the baseline
#   crates/repo-engine/benches/compare.sh 'sign'       those with this in their name
#   crates/repo-engine/benches/compare.sh --update     writes the baseline; only on a quiet machine
#
# It fails for nothing: clocks differ between machines, and with what else these do. What fails is tests/instructions.
set -euo pipefail
cd "$(dirname "$0")/../../.."
baseline=crates/repo-engine/benches/baseline.txt
filter=${1:-}
[ "$filter" = --update ] && filter=
now=$(mktemp)
trap 'rm -f "$now"' EXIT
# "test tree of 1000/put, proof ... bench:      51,200 ns/iter (+/- 3,000)"
cargo bench --locked --quiet -p repo-engine --bench engine -- --output-format bencher --warm-up-time 1 --measurement-time 2 "$filter" |
  sed -n 's/^test \(.*\) \.\.\. bench: *\([0-9,]*\) ns\/iter.*/\2 \1/p' |
  sed ':more; s/^\([0-9]*\),/\1/; t more' | tee /dev/stderr >"$now"
[ -s "$now" ] || { echo "nothing was measured"; exit 1; }
if [ "${1:-}" = --update ]; then
  {
    echo "# nanoseconds, rustc $(rustc --version | cut -d' ' -f2), $(sed -n 's/^model name.*: //p' /proc/cpuinfo | sort -u | head -1)"
    cat "$now"
  } >"$baseline"
  exit
fi
awk '
  /^#/ { next }
  { name = $0; sub(/^[0-9]+ /, "", name) }
  NR == FNR { before[name] = $1; next }
  name in before { printf "%6.2f  %12d ns  %s\n", $1 / before[name], $1, name; next }
  { printf "     -  %12d ns  %s\n", $1, name }
' "$baseline" "$now"
