#!/bin/sh
# run.sh TEST HEDDLE SOURCE BUILD ARGUMENTS...: the variants of bench/heal on the models that the
# main job trained, or on ones trained for it.
set -eu
test=$1 heddle=$2 source=$3 build=$4
shift 4
project=$build/test-demo/flights
if [ ! -d "$project/.heddle/objects" ]; then
  project=$build/test-healing
  rm -rf "$project"
  cp -r "$source/examples/flights" "$project"
  ln -s "$build/data" "$project/data"
  printf '/.heddle/\n/data\n' > "$project/.gitignore"
  git -C "$project" init -q
  git -C "$project" add -A
  git -C "$project" -c user.name=t -c user.email=t@localhost -c commit.gpgsign=false \
    commit -q -m flights
  "$heddle" --project "$project" run
fi
exec "$test" "$project" "$heddle" "$source/bench/heal" "$@"
