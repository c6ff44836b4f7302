#!/bin/sh
# clang-format and clang-tidy over the C++ files that differ from main (`--all`: every file), and the layer check.
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
command -v clang-format >/dev/null || { echo 'lint: `clang-format` is missing: apt-get install clang-format clang-tidy' >&2; exit 1; }
clang-format --dry-run $files
sources=$(echo "$files" | grep '\.cpp$' || true)
[ -z "$sources" ] || clang-tidy -p "$build" --quiet $sources
