#!/usr/bin/env bash
# Counts the instructions of the engine's work under callgrind and compares them with baseline.txt.
#
#   tests/instructions/run.sh             fails when anything takes over 5 % more than the baseline says
#   tests/instructions/run.sh --update    writes the baseline, to be committed with the change that moved it
#
# Counts hardly differ between machines: callgrind hides instructions for hashing, and the C library's choice by processor is
# switched off. They do differ between compilers: baseline.txt names the one that it was made with.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v valgrind >/dev/null || { echo "SKIP instructions: valgrind is not installed"; exit 77; }
[ "$(uname -sm)" = 'Linux x86_64' ] || { echo "SKIP instructions: the baseline is of Linux on x86_64"; exit 77; }

tolerance=5
baseline=tests/instructions/baseline.txt
cargo build --release --locked --quiet -p repo-engine --example instructions
target=$(cargo metadata --no-deps --format-version 1 --offline | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
program=$target/release/examples/instructions
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-ERMS,-FSRM

count() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*instructions::measured*' "$program" "$1" 2>&1 |
    sed -n 's/.*Collected : \([0-9]*\)$/\1/p'
}

compiler=$(rustc --version | cut -d' ' -f2)
now=$(mktemp)
trap 'rm -f "$now"' EXIT
echo "# instructions, rustc $compiler" >"$now"
for thing in $("$program"); do
  counted=$(count "$thing")
  [ "${counted:-0}" -gt 0 ] || { echo "nothing was counted for $thing"; exit 1; }
  printf '%-24s %s\n' "$thing" "$counted" >>"$now"
done

if [ "${1:-}" = --update ]; then
  cp "$now" "$baseline"
  cat "$baseline"
  exit
fi
made_with=$(sed -n 's/^# instructions, rustc //p' "$baseline")
[ "$made_with" = "$compiler" ] || echo "the baseline was made with rustc $made_with, this is $compiler: differences may be the compiler's"
awk -v tolerance=$tolerance '
  /^#/ { next }
  NR == FNR { before[$1] = $2; next }
  !($1 in before) { printf "%-24s %12d   not in the baseline\n", $1, $2; bad = 1; next }
  {
    change = 100 * ($2 - before[$1]) / before[$1]
    note = change > tolerance ? "   TOO MANY" : change < -tolerance ? "   better: update the baseline" : ""
    printf "%-24s %12d %+6.1f %%%s\n", $1, $2, change, note
    if (change > tolerance) bad = 1
  }
  END { if (bad) { print "tests/instructions/run.sh --update writes the new baseline, if this is as it should be"; exit 1 } }
' "$baseline" "$now"
