#!/bin/sh
# Builds the unit tests of every module with a sanitizer and runs them; the first report fails its test.
#   scripts/sanitize.sh asan|tsan [BUILD]     BUILD has the libraries (`make deps`); the build goes into `BUILD-asan` or `BUILD-tsan`
# HEDDLE_JOBS: how many compilers at once (all processors).
set -eu
kind=${1:-}
case $kind in asan | tsan) ;; *) echo 'sanitize: `asan` or `tsan`?' >&2; exit 2 ;; esac
cd "$(dirname "$0")/.."
build=${2:-build}
case $build in /*) ;; *) build=$PWD/$build ;; esac
sanitized=$build-$kind
mkdir -p "$sanitized"
cmake --preset "$kind" -B "$sanitized" -DHEDDLE_VENV="$build/venv" > "$sanitized/configure.log" 2>&1 || { cat "$sanitized/configure.log" >&2; exit 1; }
cmake --build "$sanitized" -j "${HEDDLE_JOBS:-$(nproc)}" --target unit_tests
exec ctest --test-dir "$sanitized" --output-on-failure -L module
