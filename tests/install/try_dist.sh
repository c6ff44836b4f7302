#!/bin/bash
# `make dist` twice gives the same bytes, and what it makes works in an empty folder, with the build
# folder out of sight.
#   tests/install/try_dist.sh BUILD SOURCE PYTHON
set -euo pipefail

fail() { echo "try_dist: $*" >&2; exit 1; }

# In a mount namespace of its own: as root, or as what a user namespace calls root. Where neither is
# allowed the files that the loader took are looked at all the same.
if [ "${1:-}" != --inside ]; then
  build=$(readlink -f "$1") source=$(readlink -f "$2")
  python=$("$3" -c 'import sys; print(sys.executable)')
  work=$(mktemp -d "${TMPDIR:-/tmp}/heddle-dist.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  "$python" "$source/scripts/dist.py" "$build" "$work/first"
  "$python" "$source/scripts/dist.py" "$build" "$work/second" > "$work/log"
  diff -r "$work/first" "$work/second" || fail "two runs of \`make dist\` gave different bytes"
  (cd "$work/first" && sha256sum --quiet -c SHA256SUMS)
  cp "$source/tests/scenario/small_project.py" "$work/"
  mkdir "$work/data"
  cp "$build/data/flights-3m.parquet" "$build/data/airports.csv" "$work/data/"
  apart=()
  if unshare -m true 2>/dev/null; then
    apart=(unshare -m)
  elif unshare -rm true 2>/dev/null; then
    apart=(unshare -rm)
  fi
  cd "$work"
  exec 3>&2
  "${apart[@]}" env -i PATH=/usr/local/bin:/usr/bin:/bin:/sbin HOME="$work" LANG=C.UTF-8 \
    "$BASH" "$source/tests/install/try_dist.sh" --inside \
    "$build" "$work" "$python" "${#apart[@]}" "$source"
  exit
fi
build=$2 work=$3 python=$4 source=$6
if [ "$5" -gt 0 ]; then
  mount -t tmpfs none "$build"
  [ -z "$(ls -A "$build")" ] || fail "\`$build\` is not hidden"
else
  echo "try_dist: no namespace is allowed here, so \`$build\` is not hidden;" \
    "what the loader takes is looked at" >&2
fi

# Every library of a run, also those opened later, is the folder's own or one that every Linux has.
loads() {  # FOLDER COMMAND...
  local folder=$1
  shift
  rm -f "$work"/ld.*
  LD_DEBUG=files LD_DEBUG_OUTPUT="$work/ld" "$@" || fail "\`$*\` failed"
  sed -n 's/.*calling init: //p' "$work"/ld.* | xargs -d '\n' realpath -sm | sort -u \
    > "$work/loaded"
  [ -s "$work/loaded" ] || fail "the loader said nothing of \`$*\`"
  local everywhere='/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|stdc\+\+|gcc_s))\.so\.[0-9]+$'
  if grep -Ev "^$folder/|$everywhere" "$work/loaded"; then
    fail "\`$*\` loaded the above from outside \`$folder\`"
  fi
}

try() {  # PREFIX NAME: what anybody does first, then a run that trains
  local heddle=$1/bin/heddle
  loads "$1" "$heddle" version
  "$heddle" schema Service > "$work/schema.json"
  "$python" -c 'import json, sys; assert json.load(sys.stdin)["properties"]' \
    < "$work/schema.json" || fail "no schema"
  cp -r "$1/share/heddle/examples/flights" "$work/$2-flights"
  ln -s "$work/data" "$work/$2-flights/data"
  "$heddle" --project "$work/$2-flights" check
  "$python" "$work/small_project.py" "$work/$2-small"
  loads "$1" "$heddle" --project "$work/$2-small" run > "$work/$2-run" 2> "$work/$2-said"
  grep -q "candidate sha256:" "$work/$2-run" || fail "no candidate: $(cat "$work/$2-said")"
  grep -q "^$1/lib/heddle/libxgboost" "$work/loaded" || fail "XGBoost was not loaded"
  (cd / && "$heddle" --project "$work/$2-small" audit verify)
  "$python" "$3/heddle/verify.py" "$work/$2-small"
}

echo "== the tarball, unpacked and moved"
mkdir "$work/unpacked"
tar -xJf "$work"/first/*.tar.xz -C "$work/unpacked"
mv "$work"/unpacked/* "$work/elsewhere"
try "$work/elsewhere" tarball "$work/elsewhere/share/heddle/python"
sed 's/  */ /' "$work/elsewhere/share/doc/heddle/libraries.txt" | while read -r library owner _; do
  [ -n "$owner" ] || fail "\`$library\` has no owner in libraries.txt"
done

echo "== the wheel, in a fresh environment"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --no-index --no-deps --disable-pip-version-check \
  "$work"/first/*.whl
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
try "$work/venv" wheel "$site"
version=$("$work/venv/bin/python" -c 'import heddle; print("heddle", heddle.__version__)')
[ "$version" = "$("$work/venv/bin/heddle" version | head -1)" ] || fail "the package says $version"
"$work/venv/bin/python" - <<'PY'
import heddle
service = heddle.load("delay", url="http://127.0.0.1:9", token="t")
try:
    service.predict([{"distance": 400}])
except heddle.Unreachable as failure:
    print("import heddle:", failure.id)
PY
"$work/venv/bin/python" -m pip check -q --disable-pip-version-check
"$work/venv/bin/python" -m pip uninstall -q -y --disable-pip-version-check heddle
left=$(find "$work/venv/bin/heddle" "$work/venv/lib/heddle" ! -type d 2>/dev/null || true)
[ -z "$left" ] || fail "\`pip uninstall\` left files: $left"
echo "== an empty home: every command of docs/transcript.md"
"$python" "$source/tests/scenario/empty_root.py" "$source/docs/transcript.md" "$work"/first/*.whl
echo "both work, and took nothing of \`$build\`"
