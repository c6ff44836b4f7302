#!/bin/sh
# Every C++ file is as clang-format (the pinned one of tests/requirements.txt) writes it.
#   scripts/check_format.sh CLANG_FORMAT
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.cpp' '*.hpp' | xargs "$1" --dry-run --Werror
