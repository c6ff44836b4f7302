#!/usr/bin/env bash
# fastparquet writes other times than a frame of pandas has where its unit is not nanoseconds, which
# pandas 3 gives every column of dates that it makes itself: `times="int96"` turns 2001 into 1970,
# without a word. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pandas==3.1.1 fastparquet==2026.9.0 pyarrow==22.0.0
"$folder/venv/bin/python" - "$folder/times.parquet" <<'PY'
import datetime
import sys

import fastparquet
import pandas as pd
import pyarrow.parquet as pq

path, time = sys.argv[1], datetime.datetime(2001, 3, 1)
frame = pd.DataFrame({"t": pd.to_datetime([time])})
fastparquet.write(path, frame, times="int96")
own = fastparquet.ParquetFile(path).to_pandas()["t"][0]
other = pq.read_table(path, coerce_int96_timestamp_unit="us")["t"][0].as_py()
print(
    f"pandas {pd.__version__}, fastparquet {fastparquet.__version__}: of {frame['t'].dtype} {time} "
    f"times='int96' writes what fastparquet reads as {own} and pyarrow as {other}"
)
sys.exit(0 if other.year == 1970 and own.year == 1970 else 1)
PY
