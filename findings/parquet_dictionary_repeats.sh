#!/usr/bin/env bash
# pyarrow's `read_dictionary` reads other strings than are in a Parquet file when a text stands
# twice in its dictionary page, as DuckDB writes an enumeration whose values no row has: it keeps
# one of the two and leaves the codes as they are. Exits 1 when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pyarrow==22.0.0 duckdb==2.0.1
"$folder/venv/bin/python" - "$folder/enum.parquet" <<'PY'
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

path = sys.argv[1]
duckdb.sql(f"""
    COPY (SELECT unnest(['c', 'f', 'c'])::ENUM('a', 'b', 'c', 'd', 'e', 'f', 'g') AS v)
    TO '{path}' (FORMAT parquet)
""")
plain = pq.read_table(path)["v"].to_pylist()
read = pq.read_table(path, read_dictionary=["v"])["v"].chunk(0)
codes, texts = read.indices.to_pylist(), read.dictionary.to_pylist()
decoded = [texts[code] if code < len(texts) else None for code in codes]
print(f"pyarrow {pa.__version__}, DuckDB {duckdb.__version__}: the file holds {plain}")
print(f"as a dictionary: codes {codes} of {texts}")
sys.exit(0 if plain == ["c", "f", "c"] and decoded != plain else 1)
PY
