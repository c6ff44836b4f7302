#!/bin/sh
# Every C++ file is as clang-format writes it, and every Python file as black does (the pinned ones
# of tests/requirements.txt).
#   scripts/check_format.sh FOLDER      FOLDER has `clang-format` and `black`
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.cpp' '*.hpp' | xargs "$1/clang-format" --dry-run --Werror
git ls-files '*.py' | xargs "$1/black" --check --quiet
