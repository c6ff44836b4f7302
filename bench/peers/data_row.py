#!/usr/bin/env python3
"""Peers of bench/data_bench for one row: pydantic, fastjsonschema and pandera (over polars) by the
fields' own rules, without the time. Prints JSON: of each the seconds a row and, of the rows at the
head of a file, the numbers of those that it refuses.

    data_row.py FILE.parquet ROWS
"""

import json
import sys
import time
from importlib.metadata import version
from typing import Annotated, Literal, Optional

import fastjsonschema
import pandera.polars as pa
import polars as pl
import pydantic

import data_rules

COLUMNS = [column for column in data_rules.COLUMNS if column.type != "timestamp"]
PYTHON = {"int": int, "double": float, "string": str}
JSON = {"int": "integer", "double": "number", "string": "string"}
POLARS = {"int": pl.Int64, "double": pl.Float64, "string": pl.String}


def by_pydantic():
    fields = {}
    for column in COLUMNS:
        asked = column.rules
        bounds = {"ge": asked.get("minimum"), "le": asked.get("maximum")}
        bounds["pattern"] = asked.get("pattern")
        type = Literal[tuple(asked["enum"])] if "enum" in asked else PYTHON[column.type]
        given = {key: value for key, value in bounds.items() if value is not None}
        type = Annotated[type, pydantic.Field(**given)] if given else type
        fields[column.name] = (type, ...) if asked.get("required") else (Optional[type], None)
    model = pydantic.create_model("Row", __config__={"strict": True}, **fields)

    def keeps(row):
        try:
            model.model_validate(row)
            return True
        except pydantic.ValidationError:
            return False

    return keeps


def by_fastjsonschema():
    properties = {}
    for column in COLUMNS:
        rules = {
            key: column.rules[key]
            for key in ("minimum", "maximum", "pattern", "enum")
            if key in column.rules
        }
        required = column.rules.get("required")
        type = JSON[column.type]
        properties[column.name] = {"type": type if required else [type, "null"], **rules}
    check = fastjsonschema.compile({"type": "object", "properties": properties})

    def keeps(row):
        try:
            check(row)
            return True
        except fastjsonschema.JsonSchemaValueException:
            return False

    return keeps


def by_pandera():
    columns = {}
    for column in COLUMNS:
        asked, checks = column.rules, []
        if "minimum" in asked:
            checks.append(pa.Check.ge(asked["minimum"]))
        if "maximum" in asked:
            checks.append(pa.Check.le(asked["maximum"]))
        if "enum" in asked:
            checks.append(pa.Check.isin(asked["enum"]))
        if "pattern" in asked:
            checks.append(pa.Check.str_matches(asked["pattern"]))
        columns[column.name] = pa.Column(
            POLARS[column.type], checks, nullable=not asked.get("required")
        )
    schema = pa.DataFrameSchema(columns)

    def keeps(frame):
        try:
            schema.validate(frame)
            return True
        except pa.errors.SchemaError:
            return False

    return keeps


def measure(keeps, rows, rounds):
    """The fastest of several rounds, as ours is measured."""
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        refused = [place for place, row in enumerate(rows) if not keeps(row)]
        best = min(best, (time.perf_counter() - begun) / len(rows))
    return {"seconds": best, "refused": refused}


def main(path, count):
    frame = pl.scan_parquet(path).select(column.name for column in COLUMNS).head(count).collect()
    rows = frame.to_dicts()
    frames = [frame[place : place + 1] for place in range(len(frame))]
    out = {}
    for name, keeps, given, rounds in (
        ("pydantic", by_pydantic(), rows, 20),
        ("fastjsonschema", by_fastjsonschema(), rows, 20),
        ("pandera", by_pandera(), frames[:60], 3),
    ):
        measured = measure(keeps, given, rounds)
        out[name] = {**measured, "rows": len(given), "version": version(name)}
    print(json.dumps(out))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
