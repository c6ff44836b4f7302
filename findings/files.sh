#!/usr/bin/env bash
# pyarrow's Parquet reader turns INT96 times outside 1677 to 2262 into other years without a word,
# although it wrote them itself; `coerce_int96_timestamp_unit` reads them rightly. Exits 1 when that
# changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pyarrow==22.0.0
"$folder/venv/bin/python" - "$folder/int96.parquet" <<'PY'
import datetime
import sys

import pyarrow as pa
import pyarrow.parquet as pq

path, time = sys.argv[1], datetime.datetime(9999, 12, 31)
written = pa.table({"t": pa.array([time], pa.timestamp("us"))})
pq.write_table(written, path, use_deprecated_int96_timestamps=True)
plain = pq.read_table(path)["t"].cast(pa.timestamp("s"), safe=False)[0].as_py()
coerced = pq.read_table(path, coerce_int96_timestamp_unit="us")["t"][0].as_py()
print(
    f"pyarrow {pa.__version__}: wrote {time}, reads {plain}; "
    f"with coerce_int96_timestamp_unit=us {coerced}"
)
sys.exit(0 if plain.year != 9999 and coerced == time else 1)
PY
