#!/usr/bin/env bash
# One model file, two answers: XGBoost 3.1 takes a logistic base score of 1e-9 as it is, 3.2 bounds
# it to 1e-6 when it loads the file. The file says which version wrote it and nothing of the bound,
# so that a reader must know both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 3.1.3 3.2.0; do
  python3 -m pip install -q --no-deps --target "$folder/$version" "xgboost==$version"
done
python3 -m pip install -q --target "$folder/base" "numpy==2.3.5" "scipy==1.16.3"

cat > "$folder/train.py" <<'PY'
import sys
import numpy
import xgboost
x = numpy.array([[0.0], [1.0]], dtype="f4")
parameters = {
    "objective": "binary:logistic",
    "base_score": 1e-9,
    "gamma": 1e30,
    "eta": 1e-6,
    "nthread": 1,
}
model = xgboost.train(parameters, xgboost.DMatrix(x, [0, 1]), 1)
model.save_model(sys.argv[1])
PY
cat > "$folder/predict.py" <<'PY'
import sys
import numpy
import xgboost
model = xgboost.Booster(model_file=sys.argv[1])
rows = xgboost.DMatrix(numpy.zeros((1, 1), dtype="f4"))
margin = float(model.predict(rows, output_margin=True)[0])
print(f"xgboost {xgboost.__version__}: margin {margin:.3f}")
sys.exit(0 if abs(margin - float(sys.argv[2])) < 0.01 else 1)
PY
run() { PYTHONPATH="$folder/$1:$folder/base" python3 -W ignore "$folder/$2" "${@:3}"; }
run 3.1.3 train.py "$folder/model.json"
run 3.1.3 predict.py "$folder/model.json" -20.723
run 3.2.0 predict.py "$folder/model.json" -13.816
