#!/bin/sh
# The tree engine against XGBoost's C API, LightGBM, ONNX Runtime, lleaves and treelite: 100 and 500
# trees of depth 6, 1, 100 and 10,000 rows, one thread on one core; models of seven classes and of a
# number against the C APIs of the libraries that train them, their margins compared bit by bit; and
# the time from a model's bytes to a ready scorer. Peers are installed into a Python environment of
# their own in BUILD/bench/venv-engine.
set -eu
build=${1:-build}
cmake --build "$build" --target engine_bench > /dev/null
models=$build/bench/engine-models
mkdir -p "$models"
unset OPENBLAS_CORETYPE
export OMP_NUM_THREADS=1
columns=28 counts='100 500'
# One core for all sides, where the system lets us choose one.
pin=
command -v taskset > /dev/null && pin="taskset -c ${HEDDLE_BENCH_CORE:-0}"

requirements=bench/peers/engine_requirements.txt
venv=$build/bench/venv-engine
if ! cmp -s "$requirements" "$venv/.requirements"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check --only-binary=:all: \
    -r "$requirements"
  cp "$requirements" "$venv/.requirements"
fi
[ -e "$models/xgboost-500.json" ] || "$build/bench/engine_bench" train "$models" "$columns" $counts
[ -e "$models/xgboost-regression.json" ] ||
  "$build/bench/engine_bench" train-tasks "$models" "$columns"
"$venv/bin/python" bench/peers/engine_models.py "$models" "$columns" $counts
exec $pin "$build/bench/engine_bench" measure "$models" "$columns" "$build/bench/engine.json" \
  "$venv/bin/python" bench/peers/engine_onnx.py $counts
