#!/usr/bin/env python3
"""Files as pandas, polars, DuckDB, pyarrow and fastparquet write them, and, by their conventions,
Spark and R: what a run reads is what was written, value by value. Columns that nobody asked for,
of any type, cost no file.

    writers.py HEDDLE      needs tests/requirements.txt; exit 0 when every file holds
"""

import datetime
import decimal
import io
import os
import pathlib
import sys
import tempfile
import traceback
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import duckdb  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import polars as pl  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.csv as pa_csv  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.feather as feather  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import harness  # noqa: E402
import small_project  # noqa: E402

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: trips
name: trips
version: 1.0.0
status: active
schema:
  - name: trips
    logicalType: object
    properties:
      - {name: key, logicalType: integer, required: true}
      - {name: at, logicalType: timestamp, required: true}
      - {name: n, logicalType: integer}
      - {name: x, logicalType: number}
      - {name: price, logicalType: number}
      - {name: code, logicalType: string}
      - {name: flag, logicalType: boolean}
      - {name: day, logicalType: date}
      - {name: clock, logicalType: time}
      - {name: took, logicalType: number}
      - {name: uid, logicalType: string}
      - name: delay
        logicalType: integer
        required: true
        customProperties:
          - {property: role, vendor: heddle, value: label}
"""

FEATURES = """\
apiVersion: heddle/v1
kind: FeatureSet
name: trips
contract: trips
folds: 3
features:
  - {name: n, expression: n}
  - {name: x, expression: x}
"""

ROWS = 40
CODES = ["NA", "Zürich", "a,b;c\td|e", 'say "x"', "a\nb", "001", "\U0001f600", "true"]


def every(step, values):
    """Every `step`-th value is missing."""
    return [None if i % step == step - 1 else value for i, value in enumerate(values)]


def rows():
    """The values that every file has, as Python has them."""
    start = datetime.datetime(2001, 3, 1)
    return {
        "key": list(range(ROWS)),
        "at": [start + datetime.timedelta(minutes=37 * i, microseconds=i) for i in range(ROWS)],
        "n": every(5, [7 * i - 50 for i in range(ROWS)]),
        "x": every(7, [i / 8 - 1.25 for i in range(ROWS)]),
        "price": every(6, [decimal.Decimal(25 * i - 100) / 100 for i in range(ROWS)]),
        "code": every(9, [CODES[i % len(CODES)] for i in range(ROWS)]),
        "flag": every(4, [i % 3 == 0 for i in range(ROWS)]),
        "day": every(
            8, [datetime.date(1969, 12, 20) + datetime.timedelta(days=i) for i in range(ROWS)]
        ),
        "clock": every(10, [datetime.time(i % 24, i, 59 - i, 1000 * i) for i in range(ROWS)]),
        "took": every(
            11, [datetime.timedelta(seconds=90 * i - 100, milliseconds=500) for i in range(ROWS)]
        ),
        "uid": every(13, [str(uuid.UUID(int=i * 2**96 + i)) for i in range(ROWS)]),
        "delay": [30 * (i % 2) for i in range(ROWS)],
    }


WRITTEN = rows()


def read_as(value):
    """What a snapshot has for a value."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return datetime.datetime(value.year, value.month, value.day)
    return value


EXPECTED = {name: [read_as(v) for v in values] for name, values in WRITTEN.items()}

CASES = []


def case(name, ending, form=""):
    """A writer: a function of a path. `form`: what the source declares beside it."""

    def add(write):
        CASES.append((name, ending, form, write))
        return write

    return add


# --- Values as each library holds them -----------------------------------------------------------
TYPES = {
    "key": pa.int64(),
    "at": pa.timestamp("us"),
    "n": pa.int64(),
    "x": pa.float64(),
    "price": pa.decimal128(10, 2),
    "code": pa.string(),
    "flag": pa.bool_(),
    "day": pa.date32(),
    "clock": pa.time64("us"),
    "took": pa.duration("ms"),
    "uid": pa.string(),
    "delay": pa.int64(),
}


def arrow(**types):
    all_types = {**TYPES, **types}
    arrays = {}
    for name, values in WRITTEN.items():
        kind = all_types[name]
        if pa.types.is_floating(kind) or pa.types.is_integer(kind):
            values = [None if v is None else float(v) if name == "price" else v for v in values]
            values = [v.total_seconds() if isinstance(v, datetime.timedelta) else v for v in values]
        if kind == pa.uuid():
            values = [None if v is None else uuid.UUID(v).bytes for v in values]
            arrays[name] = pa.ExtensionArray.from_storage(kind, pa.array(values, pa.binary(16)))
            continue
        if pa.types.is_dictionary(kind):
            arrays[name] = pa.array(values, kind.value_type).dictionary_encode().cast(kind)
        elif isinstance(kind, pa.RunEndEncodedType):
            arrays[name] = pa.compute.run_end_encode(pa.array(values, kind.value_type))
        elif kind == pa.float16():
            arrays[name] = pa.array([None if v is None else np.float16(v) for v in values], kind)
        else:
            arrays[name] = pa.array(values, kind)
    return pa.table(arrays)


def odd_columns(table):
    """Types that no field can hold, beside those that are asked for."""
    for name, array in {
        "list": pa.array([[1, None]] * ROWS),
        "struct": pa.array([{"key": 1, "at": "x"}] * ROWS),
        "map": pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
        "bytes": pa.array([b"\xff\x00"] * ROWS),
        "fixed": pa.array([b"\xff\x00"] * ROWS, pa.binary(2)),
        "empty": pa.nulls(ROWS),
        "half": pa.array([np.float16(1.5)] * ROWS, pa.float16()),
        "wide": pa.array([decimal.Decimal("1.5")] * ROWS, pa.decimal256(60, 10)),
        "took_ns": pa.array([1] * ROWS, pa.duration("ns")),
    }.items():
        table = table.append_column(name, array)
    return table


def frame(**changes):
    """A frame of pandas with its nullable types."""
    out = pd.DataFrame(
        {
            "key": pd.array(WRITTEN["key"], "int64"),
            "at": pd.to_datetime(WRITTEN["at"]),
            "n": pd.array(WRITTEN["n"], "Int64"),
            "x": pd.array([np.nan if v is None else v for v in WRITTEN["x"]], "float64"),
            "price": pd.Series(WRITTEN["price"], dtype=object),
            "code": pd.Series(WRITTEN["code"]),
            "flag": pd.array(WRITTEN["flag"], "boolean"),
            "day": pd.Series(WRITTEN["day"], dtype=object),
            "clock": pd.Series(WRITTEN["clock"], dtype=object),
            "took": pd.to_timedelta(pd.Series(WRITTEN["took"])),
            "uid": pd.Series(WRITTEN["uid"]),
            "delay": pd.array(WRITTEN["delay"], "int64"),
        }
    )
    for name, change in changes.items():
        out[name] = change(out[name])
    return out


def text_frame(**changes):
    """Text has no durations: pandas writes `0 days 00:01:30`."""
    return frame(took=lambda column: column.dt.total_seconds(), **changes)


def polars_frame(**types):
    values = dict(WRITTEN)
    out = pl.DataFrame(
        values,
        schema={
            "key": pl.Int64,
            "at": pl.Datetime("us"),
            "n": pl.Int64,
            "x": pl.Float64,
            "price": pl.Decimal(10, 2),
            "code": pl.String,
            "flag": pl.Boolean,
            "day": pl.Date,
            "clock": pl.Time,
            "took": pl.Duration("us"),
            "uid": pl.String,
            "delay": pl.Int64,
        },
    )
    return out.with_columns([pl.col(name).cast(kind) for name, kind in types.items()])


def seconds(frame_of_polars):
    return frame_of_polars.with_columns(pl.col("took").dt.total_milliseconds() / 1000)


# --- pyarrow -------------------------------------------------------------------------------------
for version, page in (("1.0", "1.0"), ("2.4", "1.0"), ("2.6", "2.0")):
    for packing in ("none", "snappy", "gzip", "brotli", "zstd", "lz4"):

        @case(f"pyarrow, Parquet {version}, pages {page}, {packing}", "parquet")
        def _(path, version=version, page=page, packing=packing):
            pq.write_table(
                odd_columns(arrow()),
                path,
                version=version,
                data_page_version=page,
                compression=packing,
                row_group_size=7,
                data_page_size=64,
            )


ENCODINGS = {
    "DELTA_BINARY_PACKED": ["key", "n", "delay"],
    "DELTA_BYTE_ARRAY": ["code", "uid"],
    "DELTA_LENGTH_BYTE_ARRAY": ["code", "uid"],
    "BYTE_STREAM_SPLIT": ["key", "n", "x", "delay"],
    "PLAIN": ["key", "n", "x", "code"],
    "RLE": ["flag"],
}
for encoding, columns in ENCODINGS.items():

    @case(f"pyarrow, Parquet, {encoding}", "parquet")
    def _(path, encoding=encoding, columns=columns):
        pq.write_table(
            arrow(),
            path,
            use_dictionary=False,
            data_page_version="2.0",
            column_encoding={name: encoding for name in columns},
        )


for what, types in {
    "narrow integers": {"n": pa.int16(), "delay": pa.uint8(), "key": pa.uint32()},
    "float32": {"x": pa.float32(), "price": pa.float32()},
    "float16": {"x": pa.float16()},
    "decimals": {"price": pa.decimal256(50, 4), "n": pa.decimal128(12, 2)},
    "small decimals": {"price": pa.decimal32(9, 2), "n": pa.decimal64(18, 0)},
    "large strings": {"code": pa.large_string(), "uid": pa.large_string()},
    "string views": {"code": pa.string_view(), "uid": pa.string_view()},
    "bytes for text": {"code": pa.binary(), "uid": pa.large_binary()},
    "UUID": {"uid": pa.uuid()},
    "dictionaries": {
        "code": pa.dictionary(pa.int8(), pa.string()),
        "n": pa.dictionary(pa.int32(), pa.int64()),
    },
    "nanoseconds": {"at": pa.timestamp("ns"), "clock": pa.time64("ns"), "took": pa.duration("ns")},
    "milliseconds": {"clock": pa.time32("ms"), "took": pa.duration("ms"), "day": pa.date64()},
    "zones": {"at": pa.timestamp("us", tz="UTC")},
    "bool8": {"flag": pa.bool8()},
}.items():
    if what == "bool8":

        def table_of(types=types):
            flags = pa.array([None if v is None else int(v) for v in WRITTEN["flag"]], pa.int8())
            array = pa.ExtensionArray.from_storage(pa.bool8(), flags)
            table = arrow()
            return table.set_column(table.column_names.index("flag"), "flag", array)

    else:

        def table_of(types=types):
            return arrow(**types)

    if what != "float16" or pa.__version__ >= "15":

        @case(f"pyarrow, Parquet, {what}", "parquet")
        def _(path, table_of=table_of):
            pq.write_table(table_of(), path)

    for packing in ("uncompressed", "lz4", "zstd"):

        @case(f"pyarrow, Feather, {what}, {packing}", "feather")
        def _(path, table_of=table_of, packing=packing):
            feather.write_feather(odd_columns(table_of()), path, compression=packing, chunksize=9)


@case("pyarrow, IPC stream", "arrow")
def _(path):
    with pa.ipc.new_stream(path, arrow().schema) as out:
        out.write_table(odd_columns(arrow()).select(arrow().column_names), max_chunksize=11)


@case("pyarrow, IPC with runs", "arrow")
def _(path):
    import pyarrow.compute  # noqa: F401

    table = arrow(n=pa.run_end_encoded(pa.int32(), pa.int64()))
    with pa.ipc.new_file(path, table.schema) as out:
        out.write_table(table, max_chunksize=11)


@case("pyarrow, dictionaries that change from batch to batch", "arrows")
def _(path):
    table = arrow(code=pa.dictionary(pa.int32(), pa.string()))
    with pa.ipc.new_stream(path, table.schema) as out:
        for begin in range(0, ROWS, 8):
            part = arrow().slice(begin, 8)
            code = part["code"].combine_chunks().dictionary_encode()
            out.write_table(part.set_column(part.column_names.index("code"), "code", code))


@case("pyarrow, CSV", "csv")
def _(path):
    pa_csv.write_csv(arrow(took=pa.float64()), path)


@case("pyarrow, a data set in Hive's folders", "")
def _(path):
    table = arrow().append_column("part", pa.array([i % 3 for i in range(ROWS)]))
    ds.write_dataset(
        table,
        path,
        format="parquet",
        partitioning=["delay", "part"],
        partitioning_flavor="hive",
    )


@case("pyarrow, a data set of Arrow files", "")
def _(path):
    ds.write_dataset(arrow(), path, format="ipc", max_rows_per_file=16, max_rows_per_group=16)


# --- pandas --------------------------------------------------------------------------------------
@case("pandas, Parquet", "parquet")
def _(path):
    frame().to_parquet(path)


@case("pandas, Parquet with an index", "parquet")
def _(path):
    frame().set_index(pd.Index([f"r{i}" for i in range(ROWS)], name="label")).to_parquet(path)


@case("pandas, Parquet with two indexes and categories", "parquet")
def _(path):
    out = frame(code=lambda c: c.astype("category"), n=lambda c: c.astype("category"))
    out.index = pd.MultiIndex.from_arrays([range(ROWS), ["x"] * ROWS])
    out.to_parquet(path)


@case("pandas, Parquet by fastparquet", "parquet")
def _(path):
    # Of other units than nanoseconds it writes other times: findings/fastparquet_times.sh.
    plain = frame(
        at=lambda c: c.astype("datetime64[ns]"),
        price=lambda c: c.astype(float),
        day=lambda c: pd.to_datetime(c).astype("datetime64[ns]"),
        clock=lambda c: c.map(lambda v: None if v is None else v.isoformat()),
        took=lambda c: c.dt.total_seconds(),
    )
    plain.to_parquet(path, engine="fastparquet")


@case("pandas, Parquet by fastparquet with INT96", "parquet")
def _(path):
    # Of other units than nanoseconds it writes other times: findings/fastparquet_times.sh.
    plain = frame(
        at=lambda c: c.astype("datetime64[ns]"),
        price=lambda c: c.astype(float),
        day=lambda c: pd.to_datetime(c).astype("datetime64[ns]"),
        clock=lambda c: c.map(lambda v: None if v is None else v.isoformat()),
        took=lambda c: c.dt.total_seconds(),
    )
    plain.to_parquet(path, engine="fastparquet", times="int96", compression="gzip")


@case("pandas, Feather", "feather")
def _(path):
    frame(code=lambda c: c.astype("category")).to_feather(path)


for what, ending, options in (
    ("CSV", "csv", {}),
    ("TSV", "tsv", {"sep": "\t"}),
    ("pipes", "csv", {"sep": "|"}),
    ("gzip", "csv.gz", {}),
    ("bzip2", "csv.bz2", {}),
    ("UTF-8 with a mark", "csv", {"encoding": "utf-8-sig"}),
    ("UTF-16", "csv", {"encoding": "utf-16"}),
    ("CRLF", "csv", {"lineterminator": "\r\n"}),
):

    @case(f"pandas, {what}", ending)
    def _(path, options=options):
        text_frame().to_csv(path, index=False, **options)


@case("pandas, CSV with semicolons and decimal commas", "csv")
def _(path):
    # Of decimals pandas writes the point whatever `decimal` says.
    text_frame(price=lambda c: c.astype(float)).to_csv(path, index=False, sep=";", decimal=",")


@case("pandas, every cell quoted", "csv")
def _(path):
    # A missing text is then an empty one: a quoted cell is never missing.
    filled = {name: EXPECTED[name][0] for name in ("code", "uid", "clock")}
    text_frame().fillna(filled).to_csv(path, index=False, quoting=1)
    return {n: [filled[n] if v is None else v for v in EXPECTED[n]] for n in filled}


@case("pandas, CSV in Latin-1", "csv", "encoding: latin-1")
def _(path):
    out = io.StringIO()
    text_frame().to_csv(out, index=False)
    path.write_bytes(out.getvalue().replace("\U0001f600", "ü").encode("latin-1"))
    return {"code": [("ü" if v == "\U0001f600" else v) for v in WRITTEN["code"]]}


@case("pandas, JSON lines", "ndjson")
def _(path):
    out = text_frame(
        price=lambda c: c.astype(float),
        day=lambda c: c.map(lambda v: None if v is None else v.isoformat()),
        clock=lambda c: c.map(lambda v: None if v is None else v.isoformat()),
    )
    out.to_json(path, orient="records", lines=True, date_format="iso", date_unit="us")


@case("pandas, JSON lines, gzip", "jsonl.gz")
def _(path):
    out = text_frame(
        price=lambda c: c.astype(float),
        day=lambda c: c.map(lambda v: None if v is None else v.isoformat()),
        clock=lambda c: c.map(lambda v: None if v is None else v.isoformat()),
    )
    out.to_json(path, orient="records", lines=True, date_format="iso", date_unit="us")


@case("pandas, partitions", "")
def _(path):
    frame().to_parquet(path, partition_cols=["delay"])


# --- polars --------------------------------------------------------------------------------------
for packing in ("uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"):

    @case(f"polars, Parquet, {packing}", "parquet")
    def _(path, packing=packing):
        polars_frame().write_parquet(path, compression=packing, row_group_size=9)


@case("polars, Parquet of other types", "parquet")
def _(path):
    polars_frame(
        n=pl.Int16, delay=pl.UInt8, x=pl.Float32, code=pl.Categorical, at=pl.Datetime("ns")
    ).with_columns(
        list=pl.lit([1, 2]),
        struct=pl.struct("key", "n"),
        null=pl.lit(None),
        bytes=pl.lit(b"\xff"),
    ).write_parquet(
        path
    )


@case("polars, Parquet of enumerations and zones", "parquet")
def _(path):
    out = polars_frame(code=pl.Enum(CODES))
    out.with_columns(pl.col("at").dt.replace_time_zone("UTC")).write_parquet(path)


for packing in ("uncompressed", "lz4", "zstd"):

    @case(f"polars, IPC, {packing}", "arrow")
    def _(path, packing=packing):
        polars_frame(code=pl.Categorical).with_columns(list=pl.lit([1, 2])).write_ipc(
            path, compression=packing
        )

    @case(f"polars, IPC stream, {packing}", "arrow")
    def _(path, packing=packing):
        polars_frame(code=pl.Enum(CODES)).write_ipc_stream(path, compression=packing)


@case("polars, CSV", "csv")
def _(path):
    seconds(polars_frame()).write_csv(path)


@case("polars, CSV with semicolons and decimal commas", "csv")
def _(path):
    seconds(polars_frame()).write_csv(path, separator=";", decimal_comma=True)


@case("polars, CSV, missing values said", "csv", "nulls: [n/a]")
def _(path):
    seconds(polars_frame()).write_csv(path, null_value="n/a", include_bom=True)


@case("polars, NDJSON", "ndjson")
def _(path):
    seconds(polars_frame()).with_columns(pl.col("price").cast(pl.Float64)).write_ndjson(path)


@case("polars, partitions", "")
def _(path):
    path.mkdir()
    polars_frame().write_parquet(path / "a.parquet")


# --- DuckDB --------------------------------------------------------------------------------------
def duck(path, options, columns="*"):
    written = arrow(took=pa.float64())  # noqa: F841: DuckDB finds it by its name
    duckdb.sql(f"COPY (SELECT {columns} FROM written) TO '{path}' ({options})")


for packing in ("uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4_raw"):
    for version in ("V1", "V2"):

        @case(f"DuckDB, Parquet {version}, {packing}", "parquet")
        def _(path, packing=packing, version=version):
            duck(path, f"FORMAT parquet, CODEC {packing}, PARQUET_VERSION {version}")


@case("DuckDB, Parquet of its types", "parquet")
def _(path):
    enum = ", ".join("'" + code.replace("'", "''") + "'" for code in CODES)
    duck(
        path,
        "FORMAT parquet",
        f'key::UTINYINT AS key, "at"::TIMESTAMP_NS AS "at", n::SMALLINT AS n, x::FLOAT AS x, '
        f"price, "
        f"code::ENUM({enum}) AS code, flag, day, clock, took, uid::UUID AS uid, "
        "delay::HUGEINT AS delay, [1, 2] AS list, {'a': 1} AS struct, MAP {'a': 1} AS map, "
        "INTERVAL 1 DAY AS span, 'x'::BLOB AS bytes, '101'::BIT AS bits, '{}'::JSON AS json, "
        '"at"::TIMESTAMP_S AS seconds, "at"::TIMESTAMPTZ AS zoned, '
        "TIMETZ '12:00:00+01' AS zoned_clock",
    )


for what, ending, options in (
    ("CSV", "csv", "FORMAT csv, HEADER"),
    ("CSV, gzip", "csv.gz", "FORMAT csv, HEADER, COMPRESSION gzip"),
    ("CSV, Zstandard", "csv.zst", "FORMAT csv, HEADER, COMPRESSION zstd"),
    ("CSV with semicolons", "csv", "FORMAT csv, HEADER, DELIMITER ';'"),
    ("JSON", "ndjson", "FORMAT json"),
    ("JSON, Zstandard", "ndjson.zst", "FORMAT json, COMPRESSION zstd"),
):

    @case(f"DuckDB, {what}", ending)
    def _(path, options=options):
        duck(path, options)


@case("DuckDB, partitions", "")
def _(path):
    duck(path, "FORMAT parquet, PARTITION_BY (delay)", "*")


@case("DuckDB, partitions whose columns are in the files too", "")
def _(path):
    duck(path, "FORMAT parquet, PARTITION_BY (delay), WRITE_PARTITION_COLUMNS true", "*")


# --- Spark and R, by their conventions -----------------------------------------------------------
@case("Spark, Parquet", "")
def _(path):
    path.mkdir()
    table = arrow(took=pa.float64(), n=pa.int32())
    clock = pa.array([None if v is None else v.isoformat() for v in WRITTEN["clock"]])
    table = table.set_column(table.column_names.index("clock"), "clock", clock)
    for i in range(3):
        part = table.slice(i * 15, 15)
        name = f"part-{i:05}-1c0b-c000.snappy.parquet"
        pq.write_table(
            part,
            path / name,
            use_deprecated_int96_timestamps=True,
            store_decimal_as_integer=True,
            version="1.0",
            compression="snappy",
        )
        (path / f".{name}.crc").write_bytes(b"crc\0")
    (path / "_SUCCESS").touch()


@case("Spark, CSV", "", 'escape: "\\\\"')
def _(path):
    path.mkdir()
    for i in range(2):
        lines = [",".join(WRITTEN)]
        for row in range(i * 20, i * 20 + 20):
            cells = []
            for name, values in WRITTEN.items():
                value = values[row]
                if value is None:
                    cells.append("")
                elif isinstance(value, datetime.datetime):
                    cells.append(value.isoformat(timespec="microseconds") + "Z")
                elif name == "code":
                    is_quoted = any(c in value for c in ',"\n')
                    cells.append('"' + value.replace('"', '\\"') + '"' if is_quoted else value)
                else:
                    shown = read_as(value) if name in ("price", "took") else value
                    cells.append(str(shown).lower() if name == "flag" else str(shown))
            lines.append(",".join(cells))
        (path / f"part-{i:05}-c000.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (path / "_SUCCESS").touch()


def r_frame(path):
    """`write.csv(row.names = FALSE)`: texts and names quoted, NA and TRUE not."""
    lines = [",".join(f'"{name}"' for name in WRITTEN)]
    for row in range(ROWS):
        cells = []
        for name, values in WRITTEN.items():
            value = values[row]
            if value is None:
                cells.append("NA")
            elif isinstance(value, bool):
                cells.append("TRUE" if value else "FALSE")
            elif name in ("code", "uid"):
                cells.append('"' + value.replace('"', '""') + '"')
            else:
                cells.append(str(read_as(value) if name in ("price", "took") else value))
        lines.append(",".join(cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@case("R, write.csv", "csv", "nulls: [NA]")
def _(path):
    r_frame(path)


@case("R, arrow::write_parquet", "parquet")
def _(path):
    table = arrow(
        n=pa.int32(),
        code=pa.dictionary(pa.int32(), pa.string()),
        clock=pa.time32("ms"),
        at=pa.timestamp("us", tz="UTC"),
    ).replace_schema_metadata({"r": "A\n3\n263168\n197888\n5\nUTF-8\n531\n"})
    pq.write_table(table, path)


# --- What a run made of it -----------------------------------------------------------------------
class Reader:
    """A project whose source is the file."""

    def __init__(self, heddle, folder):
        small_project.FILES["contracts/trips.odcs.yaml"] = CONTRACT
        small_project.FILES["features/trips.yaml"] = FEATURES
        model = small_project.FILES["models/late.yaml"]
        model = model.replace("time_field: date", "time_field: at")
        small_project.FILES["models/late.yaml"] = model.replace(
            '  from: "2001-01-01"\n  to: "2001-03-01"\n', ""
        )
        monitor = small_project.FILES["monitors/late.yaml"]
        small_project.FILES["monitors/late.yaml"] = monitor.replace(
            "name: distance, column: distance", "name: x, column: x"
        )
        small_project.make(folder / "project", 0)
        self.project = harness.Project(heddle, folder / "project")
        self.yaml = (self.project.root / "heddle.yaml").read_text()

    def __call__(self, path, form):
        source = f"{{path: '{path}', {form}}}" if form else f"'{path}'"
        (self.project.root / "heddle.yaml").write_text(self.yaml.replace("data/trips.csv", source))
        done = self.project.run("run", "--until", "snapshot")
        assert done.code == 0, done
        newest = max(
            (self.project.root / ".heddle/runs/steps").glob("*/accepted.parquet"),
            key=lambda p: p.stat().st_mtime_ns,
        )
        return pq.read_table(newest)


def check(read, path, form, overrides):
    """Every value is the one that was written."""
    table = read(path, form).sort_by("key")
    expected = {**EXPECTED, **(overrides or {})}
    for name, values in expected.items():
        found = table[name].to_pylist()
        assert len(found) == ROWS, f"{len(found)} of {ROWS} rows were accepted"
        if name == "clock":  # text keeps the digits that were written
            found = [None if v is None else datetime.time.fromisoformat(v) for v in found]
            values = [None if v is None else datetime.time.fromisoformat(v) for v in values]
        for row, (a, b) in enumerate(zip(found, values)):
            assert a == b, f"`{name}` in row {row}: read {a!r}, written {b!r}"


def main(read):
    failed = 0
    with tempfile.TemporaryDirectory(prefix="heddle-writers-") as folder:
        folder = pathlib.Path(folder)
        reader = read(folder)
        for number, (name, ending, form, write) in enumerate(CASES):
            path = folder / (f"{number}.{ending}" if ending else f"{number}")
            try:
                check(reader, path, form, write(path))
            except Exception:  # the next file is tried all the same
                failed += 1
                print(f"--- {name}", traceback.format_exc(limit=1), sep="\n")
    print(f"{len(CASES) - failed} of {len(CASES)} files are read as they were written")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(lambda folder: Reader(sys.argv[1], folder)))
