#!/usr/bin/env bash
# XGBoost's `dart` whose rates of dropping are all 0 drops no tree, and grows the trees of `gbtree`
# bit for bit. With `subsample` below 1 it grows others from the same seed: the two cannot be
# compared where rows are sampled.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip install -q --no-deps --target "$folder/packages" \
  "xgboost==3.1.3" "numpy==2.3.5" "scipy==1.16.3"

cat > "$folder/compare.py" <<'PY'
import sys
import numpy
import xgboost
random = numpy.random.default_rng(1)
x = random.normal(size=(2000, 4))
y = (x[:, 0] + random.normal(size=2000) > 0).astype(float)
data = xgboost.DMatrix(x, y, nthread=1)


def margins(booster, subsample):
    parameters = {"objective": "binary:logistic", "seed": 1, "nthread": 1}
    parameters |= {"booster": booster, "subsample": subsample}
    return xgboost.train(parameters, data, 10).predict(data, output_margin=True)


difference = {}
for subsample in (1.0, 0.7):
    largest = float(abs(margins("dart", subsample) - margins("gbtree", subsample)).max())
    difference[subsample] = largest
    print(
        f"xgboost {xgboost.__version__}: subsample {subsample}:"
        f" dart without drops is up to {largest:.3f} from gbtree"
    )
sys.exit(0 if difference[1.0] == 0 and difference[0.7] > 0.01 else 1)
PY
PYTHONPATH="$folder/packages" python3 -W ignore "$folder/compare.py"
