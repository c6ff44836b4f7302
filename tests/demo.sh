#!/bin/sh
# tests/demo.sh HEDDLE SOURCE BUILD PYTHON: the main job from nothing, then its report against what
# it has to show.
set -eu
heddle=$1 source=$2 build=$3 python=$4
out=$build/test-demo
if [ ! -s "$build/data/flights-3m.parquet" ]; then
  echo "the flights are not in $build/data: run \`make deps\`" >&2
  exit 1
fi
"$heddle" dev demo --fresh --example "$source/examples/flights" --data "$build/data" --out "$out"
"$python" "$source/tests/check_report.py" "$out/report.json"
"$python" "$source/tests/check_releases.py" "$heddle" "$out/flights"
# The page needs nothing from anywhere else.
if grep -Eq '(src|href)="(https?:)?//' "$out/report.html"; then
  echo "report.html refers to something outside itself" >&2
  exit 1
fi

# What the README says to try next, word for word.
demo_block='/^```/ { taken = 0 } /^cd build\/demo/ { taken = 1 } taken'
awk "$demo_block" "$source/README.md" |
  sed "s|build/demo|$out|; s|#.*||" > "$out/readme.sh"
test -s "$out/readme.sh"
if ! sh -eu "$out/readme.sh" > "$out/readme.log" 2>&1; then
  cat "$out/readme.log" >&2
  echo "the README's commands fail" >&2
  exit 1
fi
