#!/usr/bin/env python3
"""Writes the files of bench/data_bench with DuckDB: `rows-BAD.parquet` and `rows-BAD.csv`, a clean
reference of 100,000 rows, what belongs together in it, and the contract.

    data_make.py FOLDER ROWS
"""

import json
import os
import sys

import duckdb

import data_rules


def main(folder, rows):
    db = duckdb.connect()
    db.execute("SET threads = 2")
    parquet = "(FORMAT parquet, COMPRESSION zstd)"

    def write(name, count, share, options, as_csv=False):
        sql = data_rules.select(share, as_csv).replace("$rows", str(count))
        db.execute(f"COPY ({sql}) TO '{folder}/{name}' {options}")

    write("reference.parquet", 100000, 0, parquet)
    for share in (0, 1):
        write(f"rows-{share}.parquet", rows, share / 100, parquet)
        write(f"rows-{share}.csv", rows, share / 100, "(FORMAT csv, HEADER)", as_csv=True)
    for id, determinant, dependent in data_rules.DEPENDENCIES:
        db.execute(
            f"COPY (SELECT {determinant} AS key, any_value({dependent}) AS due FROM"
            f" '{folder}/reference.parquet' GROUP BY 1 HAVING count(DISTINCT {dependent}) = 1"
            f" ORDER BY 1) TO '{folder}/{id}.csv' (FORMAT csv, HEADER)"
        )
    with open(os.path.join(folder, "contract.json"), "w") as file:
        json.dump(data_rules.contract(), file)
    with open(os.path.join(folder, "order.txt"), "w") as file:
        file.write("\n".join(data_rules.order()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
