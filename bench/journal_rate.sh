#!/bin/sh
# The journal at 20,000 rows a second beside accounts that flood, for BENCH_SECONDS; an hour says
# most.
set -eu
build=${1:-build}
cmake --build "$build" --target journal_rate > /dev/null
exec "$build/bench/journal_rate" "${BENCH_RATE:-20000}" "${BENCH_SECONDS:-120}"
