#!/bin/sh
# Runs bench/NAME (all of them when none is named); each prints its table and writes <build>/bench/NAME.json.
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
mkdir -p "$build/bench"
found=no
for script in bench/*.sh bench/*.py; do
  [ -e "$script" ] || continue
  name=$(basename "${script%.*}")
  [ -z "${2:-}" ] || [ "$2" = "$name" ] || continue
  found=yes
  echo "== $name"
  case $script in *.py) python3 "$script" "$build" ;; *) sh "$script" "$build" ;; esac
done
[ "$found" = yes ] || { echo "bench: there is no bench/${2:-*}" >&2; exit 1; }
