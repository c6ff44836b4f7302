#!/usr/bin/env python3
"""DuckDB as a peer of bench/data_bench: one SQL statement lists the rows that break a rule, another
one counts the repeated ids. Prints what it took as JSON; the time is that of both statements.

    data_duckdb.py FOLDER FILE OUT.csv
"""

import json
import resource
import sys
import time

import duckdb

import data_rules

TYPES = {"int": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "timestamp": "TIMESTAMP"}


def broken(kind, rule):
    """SQL that is true where a row breaks a rule."""
    if kind == "expression":
        malformed = " OR ".join(f"bad_{name}" for name in rule[3])
        return f"NOT ({malformed}) AND ({rule[2]}) IS NOT TRUE"
    if kind == "dependency":
        return f'"{rule[0]}".due <> {rule[2]}'
    name, asked = rule.name, rule.rules
    if kind == "required":
        return f"{name} IS NULL AND NOT bad_{name}"
    if kind == "enum":
        return f"{name} NOT IN ({', '.join(repr(value) for value in asked['enum'])})"
    if kind == "pattern":
        return f"NOT regexp_matches({name}, '{asked['pattern']}')"
    bounds = []
    for key, sign in (("minimum", "<"), ("maximum", ">")):
        if key in asked:
            bounds.append(f"{name} {sign} {asked[key]}")
    for key, sign in (("earliest", "<"), ("latest", ">")):
        if key in asked:
            bounds.append(f"{name} {sign} make_timestamp({asked[key]})")
    return " OR ".join(bounds)


def statement(path):
    is_csv = path.endswith(".csv")
    columns = []
    for column in data_rules.COLUMNS:
        name = column.name
        if not is_csv or column.type == "string":
            columns.append(f"r.{name}, false AS bad_{name}")
        else:
            cast = f"TRY_CAST(r.{name} AS {TYPES[column.type]})"
            columns.append(
                f"{cast} AS {name}, r.{name} IS NOT NULL AND {cast} IS NULL" f" AS bad_{name}"
            )
    source = f"read_csv('{path}', all_varchar = true, header = true)" if is_csv else f"'{path}'"
    tests = [f"bad_{column.name}" for column in data_rules.COLUMNS]
    tests += [broken(kind, rule) for _, kind, rule in data_rules.rules()]
    mask = " + ".join(
        f"CASE WHEN {test} THEN {1 << bit} ELSE 0 END" for bit, test in enumerate(tests)
    )
    joins = " ".join(
        f'LEFT JOIN "{id}" ON "{id}".key = t.{determinant}'
        for id, determinant, _ in data_rules.DEPENDENCIES
    )
    inner = f"SELECT {', '.join(columns)} FROM {source} r"
    return (
        f"SELECT id, broken FROM (SELECT id, {mask} AS broken FROM ({inner}) t {joins})"
        " WHERE broken <> 0",
        source,
        is_csv,
    )


def main(folder, path, out):
    begun = time.perf_counter()
    db = duckdb.connect()
    db.execute("SET threads = 2")
    db.execute("SET preserve_insertion_order = false")
    for id, determinant, dependent in data_rules.DEPENDENCIES:
        db.execute(
            f"CREATE TABLE \"{id}\" AS SELECT * FROM read_csv('{folder}/{id}.csv',"
            " all_varchar = true)"
        )
    sql, source, is_csv = statement(path)
    db.execute(f"COPY ({sql}) TO '{out}' (FORMAT csv, HEADER)")
    id = "TRY_CAST(id AS BIGINT)" if is_csv else "id"
    rows, repeats = db.execute(
        f"SELECT count(*), count({id}) - count(DISTINCT {id}) FROM {source}"
    ).fetchone()
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "rows": rows,
                "repeats": repeats,
                "cpu": used.ru_utime + used.ru_stime,
                "peak_mb": used.ru_maxrss / 1024,
                "version": duckdb.__version__,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:4])
