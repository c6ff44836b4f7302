#!/usr/bin/env bash
# Guess: a classifier that CatBoost exports to ONNX answers in ONNX Runtime what CatBoost answers.
# Not with `boost_from_average`: of the two mirrored base values ONNX Runtime adds the second to the
# sum of the first class, so every probability is another one. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --only-binary=:all: \
  catboost==1.2.10 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/model.onnx" <<'PY'
import sys

import catboost
import numpy as np
import onnxruntime

random = np.random.RandomState(0)
x = random.randn(500, 4).astype("f4")
y = (x[:, 0] + random.randn(500) > 0.8).astype(int)
model = catboost.CatBoostClassifier(
    iterations=6,
    depth=3,
    verbose=0,
    thread_count=1,
    allow_writing_files=False,
    boost_from_average=True,
)
model.fit(x, y).save_model(sys.argv[1], format="onnx")
theirs = model.predict_proba(x)[:, 1]
answers = onnxruntime.InferenceSession(sys.argv[1]).run(None, {"features": x})[1]
runtime = np.array([row[1] for row in answers])
print(f"catboost {catboost.__version__}, onnxruntime {onnxruntime.__version__}")
print(
    f"share of true {y.mean():.3f}; mean probability: "
    f"CatBoost {theirs.mean():.3f}, ONNX Runtime {runtime.mean():.3f}"
)
print(f"largest difference of one row: {np.abs(theirs - runtime).max():.3f}")
sys.exit(0 if np.abs(theirs - runtime).max() > 0.1 else 1)
PY
