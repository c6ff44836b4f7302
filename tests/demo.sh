#!/bin/sh
# tests/demo.sh HEDDLE SOURCE BUILD PYTHON: the main job from nothing, then its report against what it has to show.
set -eu
heddle=$1 source=$2 build=$3 python=$4
out=$build/test-demo
if [ ! -s "$build/data/flights-3m.parquet" ]; then
  echo "the flights are not in $build/data: run \`make deps\`" >&2
  exit 1
fi
"$heddle" dev demo --fresh --example "$source/examples/flights" --data "$build/data" --out "$out"
"$python" "$source/tests/check_report.py" "$out/report.json"
# The page needs nothing from anywhere else.
if grep -Eq '(src|href)="(https?:)?//' "$out/report.html"; then
  echo "report.html refers to something outside itself" >&2
  exit 1
fi
