#!/usr/bin/env python3
"""polars as a peer of bench/data_bench: expressions over a lazy scan, by its streaming engine.
Prints what it took as JSON.

    data_polars.py FOLDER FILE OUT.csv
"""

import json
import os
import resource
import sys
import time

os.environ["POLARS_MAX_THREADS"] = "2"

import polars as pl

import data_rules

TYPES = {"int": pl.Int64, "double": pl.Float64, "timestamp": pl.Datetime("us")}


def bad(name):
    return pl.col("bad_" + name)


def broken(kind, rule):
    """True where a row breaks a rule; null does not count as true."""
    if kind == "expression":
        malformed = pl.any_horizontal([bad(name) for name in rule[3]])
        return ~malformed & ~pl.sql_expr(rule[2]).fill_null(False)
    if kind == "dependency":
        return pl.col("due_" + rule[2]) != pl.col(rule[2])
    value, asked = pl.col(rule.name), rule.rules
    if kind == "required":
        return value.is_null() & ~bad(rule.name)
    if kind == "enum":
        return ~value.is_in(asked["enum"])
    if kind == "pattern":
        return ~value.str.contains(asked["pattern"])
    as_time = (lambda x: pl.lit(x).cast(pl.Datetime("us"))) if rule.type == "timestamp" else None
    tests = []
    if "minimum" in asked:
        tests.append(value < asked["minimum"])
    if "maximum" in asked:
        tests.append(value > asked["maximum"])
    if "earliest" in asked:
        tests.append(value < as_time(asked["earliest"]))
    if "latest" in asked:
        tests.append(value > as_time(asked["latest"]))
    return pl.any_horizontal(tests)


def scan(path):
    if path.endswith(".parquet"):
        rows = pl.scan_parquet(path)
        return rows.with_columns(
            pl.lit(False).alias("bad_" + column.name) for column in data_rules.COLUMNS
        )
    rows = pl.scan_csv(path, infer_schema=False)
    typed = []
    for column in data_rules.COLUMNS:
        text = pl.col(column.name)
        if column.type == "string":
            typed.append(pl.lit(False).alias("bad_" + column.name))
            continue
        if column.type == "timestamp":
            value = text.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
        else:
            value = text.cast(TYPES[column.type], strict=False)
        typed += [
            value.alias(column.name),
            (text.is_not_null() & value.is_null()).alias("bad_" + column.name),
        ]
    return rows.with_columns(typed)


def main(folder, path, out):
    begun = time.perf_counter()
    rows = scan(path)
    for id, determinant, dependent in data_rules.DEPENDENCIES:
        due = pl.scan_csv(f"{folder}/{id}.csv", infer_schema=False)
        rows = rows.join(
            due.rename({"due": "due_" + dependent}), left_on=determinant, right_on="key", how="left"
        )
    tests = [bad(column.name) for column in data_rules.COLUMNS]
    tests += [broken(kind, rule) for _, kind, rule in data_rules.rules()]
    mask = pl.sum_horizontal(
        [
            pl.when(test).then(pl.lit(1 << bit, pl.Int64)).otherwise(pl.lit(0, pl.Int64))
            for bit, test in enumerate(tests)
        ]
    )
    listed = rows.select("id", mask.alias("broken")).filter(pl.col("broken") != 0)
    listed.sink_csv(out)
    ids = (
        scan(path)
        .select(
            pl.len().alias("rows"),
            (pl.col("id").count() - pl.col("id").drop_nulls().n_unique()).alias("repeats"),
        )
        .collect(engine="streaming")
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "rows": ids["rows"][0],
                "repeats": ids["repeats"][0],
                "cpu": used.ru_utime + used.ru_stime,
                "peak_mb": used.ru_maxrss / 1024,
                "version": pl.__version__,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:4])
