#!/bin/sh
# One-row and 10,000-row scoring by our engine against XGBoost's C API.
set -eu
build=${1:-build}
cmake --build "$build" --target engine_bench > /dev/null
mkdir -p "$build/bench"
# One core for both sides, where the system lets us choose one.
pin=
command -v taskset > /dev/null && pin="taskset -c 0"
exec $pin "$build/bench/engine_bench" "$build/bench/engine.json"
