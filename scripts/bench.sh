#!/bin/sh
# Runs bench/NAME (all of them when none is named); each prints its table and writes
# <build>/bench/NAME.json. One that fails does not keep the others from running; it is named at the
# end.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
mkdir -p "$build/bench"
found=no failed=
for script in bench/*.sh bench/*.py; do
  [ -e "$script" ] || continue
  name=$(basename "${script%.*}")
  [ -z "${2:-}" ] || [ "$2" = "$name" ] || continue
  found=yes
  echo "== $name"
  case $script in *.py) interpreter=python3 ;; *) interpreter=sh ;; esac
  "$interpreter" "$script" "$build" || failed="$failed $name"
done
[ "$found" = yes ] || { echo "bench: there is no bench/${2:-*}" >&2; exit 1; }
[ -z "$failed" ] || { echo "bench: failed:$failed" >&2; exit 1; }
