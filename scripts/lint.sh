#!/bin/sh
# The layer and format checks, and clang-tidy over the C++ files that differ from main (`--all`:
# every file).
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
if [ "${2:-}" = --all ]; then files=$(git ls-files '*.cpp' '*.hpp'); else
  files=$( { git diff --name-only --diff-filter=d main -- '*.cpp' '*.hpp' 2>/dev/null
             git ls-files --others --exclude-standard '*.cpp' '*.hpp'; } | sort -u)
fi
[ ! -x scripts/check_layers.py ] || python3 scripts/check_layers.py
python3 scripts/check_files.py
[ -n "$files" ] || exit 0
scripts/check_format.sh "$build/test-venv/bin"
sources=$(echo "$files" | grep '\.cpp$' || true)
[ -n "$sources" ] || exit 0
# shellcheck disable=SC2086  # several files
python3 scripts/check_conversions.py "$build" $(echo "$sources" | grep '^src/' | grep -v '_test\.')
if ! command -v clang-tidy >/dev/null; then
  echo 'lint: `clang-tidy` is missing: apt-get install clang-tidy' >&2
  exit 1
fi
# The build's precompiled header is GCC's: clang reads the header itself.
# shellcheck disable=SC2086  # several files
clang-tidy -p "$build" --quiet --extra-arg=-Wno-ignored-gch \
  --extra-arg=-Wno-unknown-warning-option $sources
