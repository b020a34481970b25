#!/usr/bin/env bash
# All benchmarks, one after the other: each prints medians of what is measured in turn, and their ratios. Wants a
# machine with nothing else to do, and what `gymcheck setup` gets; the headline's also npm and Node. Takes a quarter
# of an hour; GYMCHECK_BENCH_PAIRS says how many pairs of the headline are measured.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo bench --locked --bench reading --bench gateway --bench probe --bench headline
