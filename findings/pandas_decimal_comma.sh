#!/usr/bin/env bash
# pandas' to_csv(decimal=",") writes a comma in columns of floats and a point in columns of
# decimal.Decimal, so one file has both. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pandas==3.1.1
"$folder/venv/bin/python" - <<'PY'
import decimal
import sys

import pandas as pd

frame = pd.DataFrame({"price": [1.5], "exact": [decimal.Decimal("1.50")]})
row = frame.to_csv(index=False, sep=";", decimal=",").splitlines()[1]
print(f"pandas {pd.__version__}: 1.5 and Decimal('1.50') with decimal=',' are written as {row}")
sys.exit(0 if row == "1,5;1.50" else 1)
PY
