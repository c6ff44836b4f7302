#!/bin/sh
# Builds Heddle and the unit tests of every module with a sanitizer, and runs these and the
# scenarios. The first report fails its test; what a process of a scenario reports is in a file
# under `BUILD-asan/reports`, and fails all.
#   scripts/sanitize.sh asan|tsan [BUILD] [module|scenario]
# BUILD has the libraries and the tests' environments (`make test`); the build goes into
# `BUILD-asan` or `BUILD-tsan`. HEDDLE_JOBS: how many compilers at once (all processors).
set -eu
kind=${1:-}
case $kind in asan | tsan) ;; *) echo 'sanitize: `asan` or `tsan`?' >&2; exit 2 ;; esac
build=${2:-build}
labels=${3:-module|scenario}
cd "$(dirname "$0")/.."
case $build in /*) ;; *) build=$PWD/$build ;; esac
sanitized=$build-$kind
mkdir -p "$sanitized"
log=$sanitized/configure.log
if ! cmake --preset "$kind" -B "$sanitized" -DHEDDLE_VENV="$build/venv" > "$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
case $labels in module) targets=unit_tests ;; *) targets='unit_tests heddle heddle_extended' ;; esac
# shellcheck disable=SC2086  # several targets
cmake --build "$sanitized" -j "${HEDDLE_JOBS:-$(nproc)}" --target $targets
for environment in test-venv clients-venv trainers-venv files data; do
  [ ! -e "$build/$environment" ] || ln -sfn "$build/$environment" "$sanitized/$environment"
done
reports=$sanitized/reports
rm -rf "$reports"
mkdir "$reports"
# For the processes that scenarios start; the unit tests have options of their own.
asan=detect_stack_use_after_return=1:strict_string_checks=1
tsan=die_after_fork=0:second_deadlock_stack=1:suppressions=$PWD/tests/sanitizers/threads.txt
export ASAN_OPTIONS="$asan:log_path=$reports/asan"
export LSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/leaks.txt"
export UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/ubsan"
export TSAN_OPTIONS="$tsan:log_path=$reports/tsan"
# Arrow's allocator holds every lock of its own over a fork; the sanitizer counts to 64.
export JE_ARROW_MALLOC_CONF=narenas:1
failed=0
ctest --test-dir "$sanitized" --output-on-failure -L "$labels" || failed=1
for report in "$reports"/*; do
  [ ! -e "$report" ] || { echo "sanitize: a report in $report:"; cat "$report"; failed=1; }
done
exit $failed
