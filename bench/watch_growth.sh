#!/bin/sh
# Memory and decisions of the watch at 1,000 rows a second. Thirty event days are 5.2e9 records:
# BENCH_DAYS shortens them.
set -eu
build=${1:-build}
cmake --build "$build" --target watch_growth > /dev/null
exec "$build/bench/watch_growth" "${BENCH_RATE:-1000}" "${BENCH_DAYS:-2}"
