#!/usr/bin/env python3
"""Odd CSV and Parquet files through `run`, `score`, `replay` and the Python client: the same rows
are refused by the same rules, and the others get the same answers. Then files that no command may
read.

    files.py HEDDLE      needs tests/requirements.txt; exit 0 when every file holds
"""

import contextlib
import csv
import datetime
import decimal
import gzip
import http.client
import http.server
import json
import lzma
import os
import pathlib
import random
import struct
import sys
import threading
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))

import pyarrow as pa  # noqa: E402
import pyarrow.csv as pa_csv  # noqa: E402
import pyarrow.dataset as ds  # noqa: E402
import pyarrow.feather as feather  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

import harness  # noqa: E402
import heddle  # noqa: E402
import small_project  # noqa: E402

ROWS = 12
ODD = "größe a-b/c"
CODES = ["001", "1.0", "true", "NA", " A", "a\nb", 'say "x", y', "NULL", "Zürich", "7"]
FIELDS = ["key", "at", "when", "n", "x", "code", "flag", ODD]
COLUMNS = FIELDS + ["delay"]

CONTRACT = f"""\
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
      - {{name: key, logicalType: integer, required: true}}
      - {{name: at, logicalType: timestamp, required: true}}
      - {{name: when, logicalType: timestamp}}
      - {{name: n, logicalType: integer}}
      - {{name: x, logicalType: number}}
      - name: code
        logicalType: string
        customProperties:
          - {{property: enumFile, vendor: heddle, value: {{file: codes, column: code}}}}
      - {{name: flag, logicalType: boolean}}
      - {{name: "{ODD}", logicalType: number}}
      - name: delay
        logicalType: integer
        required: true
        customProperties:
          - {{property: role, vendor: heddle, value: label}}
    quality:
      - id: odd-below-1000
        type: custom
        engine: heddle
        severity: error
        implementation: "`{ODD}` == null || `{ODD}` < 1000"
"""

FEATURES = f"""\
apiVersion: heddle/v1
kind: FeatureSet
name: trips
contract: trips
folds: 3
features:
  - {{name: hour, expression: at.getHours()}}
  - {{name: year, expression: when.getFullYear()}}
  - {{name: second, expression: when.getSeconds()}}
  - {{name: n, expression: n}}
  - {{name: x, expression: x}}
  - {{name: flag, expression: flag}}
  - {{name: odd, expression: "`{ODD}` * 2.0"}}
  - {{name: odd_from_n, expression: "n == null ? 0.0 : n + 1.0"}}
  - name: code_share
    frequency_encoding: {{inputs: [code]}}
"""


def start_of(case):
    """Each file has a day of its own, and one for its labels: a replay goes forward only."""
    return datetime.datetime(2001, 3, 1) + datetime.timedelta(days=2 * case)


def rows_of(case, count=ROWS):
    """Plain rows as the values that they mean."""
    draw = random.Random(case)
    for i in range(count):
        yield {
            "key": i,
            "at": start_of(case) + datetime.timedelta(minutes=draw.randrange(1400)),
            "when": datetime.datetime(
                1990 + draw.randrange(40),
                1 + draw.randrange(12),
                1 + draw.randrange(28),
                3,
                4,
                draw.randrange(60),
            ),
            "n": draw.randrange(100),
            "x": round(draw.uniform(-5, 5), 3),
            "code": draw.choice(CODES),
            "flag": draw.random() < 0.5,
            ODD: draw.randrange(900) / 8,
            "delay": draw.choice([0, 30]),
        }


def text_of(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime.datetime):
        return value.isoformat() + "Z"
    return str(value)


class Bad:
    """A value that its field refuses, as it is sent."""

    def __init__(self, sent):
        self.sent = sent


def quoted(text):
    """Text of a string that a reader would take for a missing value is quoted; so is what RFC 4180
    says.
    """
    if text in ("", "NULL", "null") or any(c in text for c in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


class Case:
    """A file, the rows as they are sent, and the keys of those that are refused."""

    def __init__(self, name, write, rules=True):
        self.name, self.write, self.rules = name, write, rules


CASES = []


def csv_case(
    name,
    cells=None,
    *,
    before="",
    end="\n",
    extra=(),
    order=None,
    rules=True,
    last=True,
    encoding="utf-8",
    quote_all=False,
    delimiter=",",
    decimal=".",
    pack=lambda data: data,
    suffix="csv",
):
    """`cells`: for a field, pairs of the text that stands in the file and what it means, row by row
    from the first.
    """

    def write(folder, number):
        sent, lines = [], []
        fields = order or COLUMNS
        lines.append(delimiter.join([quoted(f) for f in fields] + [quoted(f) for f, _ in extra]))
        for i, row in enumerate(rows_of(number)):
            texts = {
                f: quoted(v) if f == "code" and v is not None else text_of(v)
                for f, v in row.items()
            }
            for field, pairs in (cells or {}).items():
                if i < len(pairs):
                    texts[field], row[field] = pairs[i]
            for field in ("x", ODD):
                texts[field] = texts[field].replace(".", decimal)
            if quote_all:
                texts = {f: t if t.startswith('"') else f'"{t}"' for f, t in texts.items()}
            lines.append(delimiter.join([texts[f] for f in fields] + [of(i) for _, of in extra]))
            sent.append(row)
        path = folder / f"{number}.{suffix}"
        text = before + end.join(lines) + (end if last else "")
        path.write_bytes(pack(text.encode(encoding, "surrogateescape")))
        refused = {row["key"] for row in sent if any(isinstance(v, Bad) for v in row.values())}
        rows = [
            {f: v.sent if isinstance(v, Bad) else v for f, v in row.items() if f != "delay"}
            for row in sent
        ]
        return path, rows, refused

    CASES.append(Case(name, write, rules))


def parquet_case(name, columns=None, refused=(), *, table=None, rules=True, save=None, **options):
    """`columns`: for a field, the Arrow array that replaces it; `table` changes the whole table.
    Sent as pyarrow reads the file. `save` writes another format, to a path that it makes of one.
    """

    def write(folder, number):
        data = list(rows_of(number))
        types = {
            "key": pa.int64(),
            "at": pa.timestamp("us"),
            "when": pa.timestamp("us"),
            "n": pa.int64(),
            "x": pa.float64(),
            "code": pa.string(),
            "flag": pa.bool_(),
            ODD: pa.float64(),
            "delay": pa.int64(),
        }
        made = {f: pa.array([row[f] for row in data], types[f]) for f in COLUMNS}
        for field, array in (columns or {}).items():
            made[field] = array(made[field]) if callable(array) else array
        out = pa.table(made)
        out = table(out) if table else out
        if save:
            return save(out, folder / f"{number}"), out.select(FIELDS), set(refused)
        path = folder / f"{number}.parquet"
        pq.write_table(out, path, **options)
        unit = (
            {"coerce_int96_timestamp_unit": "us"}
            if options.get("use_deprecated_int96_timestamps")
            else {}
        )
        return path, pq.read_table(path, columns=FIELDS, **unit), set(refused)

    CASES.append(Case(name, write, rules))


def T(text):
    return datetime.datetime.fromisoformat(text)


def plain(field, values):
    """Each value means itself, by the text of it."""
    return {field: [(text_of(v), v) for v in values]}


def bad(*texts):
    return [(text, Bad(text.strip('"'))) for text in texts]


# --- CSV
# ------------------------------------------------------------------------------------------
csv_case("plain")
for field in ("n", "x", "flag", "when", "at", ODD):
    csv_case(f"one NA in {field}", {field: bad("NA")})
csv_case(
    "missing values",
    {
        f: [("", None), ("NULL", None), ("null", None)]
        for f in ("n", "x", "flag", "when", "code", ODD)
    },
)
csv_case("a missing time and key rule", {"at": [("", Bad(None)), ("NULL", Bad(None))]})
csv_case(
    "quoted NULL is text",
    {"n": bad('"NULL"'), "code": [('"NULL"', "NULL"), ("NULL", None), ('""', Bad(""))]},
)
csv_case(
    "digit-only strings",
    {
        "code": [
            ("001", "001"),
            ("1.0", "1.0"),
            ("true", "true"),
            ("7", "7"),
            ("1", Bad("1")),
            ("07", Bad("07")),
        ]
    },
)
csv_case("only digit strings", {"code": [("7", "7"), ("001", "001")] * 6})
csv_case(
    "spaces are part of a string", {"code": [(" A", " A"), ("A", Bad("A")), (" A ", Bad(" A "))]}
)
csv_case("umlauts", {"code": [("Zürich", "Zürich"), ("Zurich", Bad("Zurich"))]})
csv_case(
    "quoted line ends", {"code": [('"a\nb"', "a\nb")] * 6 + [('"say ""x"", y"', 'say "x", y')] * 6}
)
csv_case(
    "nine digits of a second",
    {
        "when": [
            ("2001-04-10T05:06:07.123456789Z", T("2001-04-10T05:06:07.123456")),
            ("1969-12-31T23:59:59.999999999", T("1969-12-31T23:59:59.999999")),
            ("2001-04-10 05:06:07.1234567", T("2001-04-10T05:06:07.123456")),
        ]
    },
)
csv_case(
    "offsets",
    {
        "when": [
            (f"2001-04-10T05:06:07{zone}", T("2001-04-10T05:06:07" + long))
            for zone, long in (
                ("+0500", "+05:00"),
                ("+05", "+05:00"),
                ("-05:30", "-05:30"),
                ("-0530", "-05:30"),
                ("Z", "+00:00"),
                ("", ""),
            )
        ]
    },
)
csv_case(
    "times of all lengths",
    {
        "when": [
            ("2001-04-10", T("2001-04-10")),
            ("2001-04-10 05:06", T("2001-04-10T05:06")),
            ("2001-04-10T05:06:07.5", T("2001-04-10T05:06:07.5")),
            (" 2001-04-10 ", T("2001-04-10")),
        ]
    },
)
csv_case(
    "times that are none",
    {
        "when": bad(
            "04/10/01",
            "2001-02-29",
            "2001-04-10T24:00",
            "2001-4-1",
            "20010410",
            "986860800",
            "2001-04-10T05:06:07+",
            "noon",
        )
    },
)
csv_case(
    "the ends of time",
    {
        "when": (
            [
                ("0001-01-01", T("0001-01-01")),
                ("9999-12-31T23:59:59.999999Z", T("9999-12-31T23:59:59.999999")),
            ]
            + bad(
                "0000-01-01",
                "10000-01-01",
                "0001-01-01T00:00:00+05:00",
                "9999-12-31T23:59:59-01:00",
            )
        )
    },
)
csv_case(
    "booleans of all kinds",
    {
        "flag": (
            [("1", 1), ("0", 0), ("True", True), ("FALSE", False), ("1.0", 1.0), (" true ", True)]
            + bad("2", "yes", "t", "0.5")
        )
    },
)
csv_case("only 0 and 1", {"flag": [("1", 1), ("0", 0)] * 6})
csv_case(
    "integers of all kinds",
    {
        "n": [
            ("12.0", 12.0),
            ("1e2", 1e2),
            (" 7 ", 7),
            ("+5", 5),
            ("-0", 0),
            ("9223372036854775807", 2**63 - 1),
            ("-9223372036854775808", -(2**63)),
            ("9007199254740993", 2**53 + 1),
            ("NaN", None),
            ('"5"', 5),
            ('""', None),
        ]
    },
)
csv_case(
    "integers that are none",
    {
        "n": (
            [
                ("12.5", Bad(12.5)),
                ("9223372036854775808", Bad(2**63)),
                ("18446744073709551616", Bad(2**64)),
                ("-9223372036854775809", Bad(-(2**63) - 1)),
                ("inf", Bad(float("inf"))),
            ]
            + bad("0x1F", "1_000", '"1,000"', "1 000", "one", "--1")
        )
    },
)
csv_case(
    "numbers of all kinds",
    {
        "x": [
            (".5", 0.5),
            ("5.", 5.0),
            ("-0", -0.0),
            ("1e-400", 0.0),
            ("+1e2", 100.0),
            ("nan", None),
            ("5e-324", 5e-324),
            ("0.1000000000000000055511151231257827", 0.1),
            ("123456789012345678901234567890", 123456789012345678901234567890),
        ]
    },
)
csv_case(
    "numbers that are none",
    {
        "x": (
            [
                ("inf", Bad(float("inf"))),
                ("-Infinity", Bad(float("-inf"))),
                ("1e400", Bad(float("inf"))),
            ]
            + bad('"1,5"', "1.2.3", "$5", "5%")
        )
    },
)
csv_case(
    "a broken rule",
    plain(ODD, [10.5, 999.75]) | {ODD: [("10.5", 10.5), ("1e3", Bad(1e3)), ("5000", Bad(5000))]},
)
csv_case("CRLF", end="\r\n")
csv_case("a byte order mark", before="\ufeff")
csv_case("no line end at the end", last=False)
csv_case("columns in another order", order=list(reversed(COLUMNS)))
csv_case(
    "every cell quoted", {"n": [('""', None), ('"3"', 3)], "flag": [('"0"', 0)]}, quote_all=True
)
csv_case(
    "columns nobody asked for",
    extra=[
        ("mixed", lambda i: "NA" if i % 2 else str(i)),
        ("late", lambda i: "" if i < 11 else "text"),
        ("other name", lambda i: f'"a\n{i}"'),
    ],
)
csv_case("Latin-1 beside the contract", extra=[("place", lambda i: "Z\udcfcrich")])
csv_case("Latin-1 in the contract", {"code": [("Z\udcfcrich", Bad("Z\ufffdrich"))]}, rules=False)
csv_case("semicolons", delimiter=";")
csv_case("semicolons and decimal commas", delimiter=";", decimal=",")
csv_case("tabs", delimiter="\t", suffix="tsv")
csv_case("tabs in a CSV", delimiter="\t")
csv_case("pipes", delimiter="|")
csv_case("a CSV of gzip", pack=gzip.compress, suffix="csv.gz")
csv_case("gzip by its first bytes", pack=gzip.compress)
csv_case("UTF-16", encoding="utf-16")
csv_case("Zstandard", pack=lambda data: pa.compress(data, "zstd", asbytes=True), suffix="csv.zst")


# --- Parquet
# ------------------------------------------------------------------------------------------
parquet_case("plain Parquet")
for kind in (
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
    pa.uint64(),
    pa.float32(),
    pa.float64(),
    pa.decimal128(19, 0),
    pa.decimal128(23, 4),
    pa.decimal256(60, 2),
):
    parquet_case(f"integers as {kind}", {"n": lambda a, kind=kind: a.cast(kind, safe=False)})
for kind in (pa.float16(), pa.float32(), pa.decimal128(10, 3), pa.decimal256(50, 3)):
    parquet_case(
        f"numbers as {kind}",
        {
            "x": lambda a, kind=kind: pa.array(
                [
                    decimal.Decimal(str(v.as_py())) if pa.types.is_decimal(kind) else v.as_py()
                    for v in a
                ],
                kind,
            )
        },
    )
for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
    parquet_case(
        f"strings as {kind}",
        {
            "code": lambda a, kind=kind: (
                pa.array(a.to_pylist(), pa.string()).cast(kind)
                if not pa.types.is_dictionary(kind)
                else pa.array(a.to_pylist(), kind)
            )
        },
    )
for kind in (
    pa.timestamp("s"),
    pa.timestamp("ms"),
    pa.timestamp("ns"),
    pa.timestamp("us", tz="+05:00"),
    pa.timestamp("ns", tz="Europe/Zurich"),
    pa.date32(),
    pa.date64(),
):
    parquet_case(f"times as {kind}", {"when": lambda a, kind=kind: a.cast(kind, safe=False)})
for field in ("n", "x", "when"):
    parquet_case(f"{field} as a dictionary", {field: lambda a: a.dictionary_encode()})
parquet_case(
    "large unsigned integers",
    {
        "n": pa.array([2**64 - 1, 2**63, 2**63 - 1] + [1] * 9, pa.uint64()),
        "x": pa.array([2**64 - 1, 2**63] + [1] * 10, pa.uint64()),
    },
    {0, 1},
)
parquet_case(
    "integers with a fraction",
    {"n": pa.array([1.5, 2.0, float("nan"), float("inf"), 1e300] + [1.0] * 7)},
    {0, 3, 4},
)
parquet_case(
    "decimals with a fraction",
    {
        "n": pa.array(
            [decimal.Decimal("1.50"), decimal.Decimal("2.00"), None] + [decimal.Decimal(1)] * 9,
            pa.decimal128(10, 2),
        )
    },
    {0},
)
parquet_case(
    "large decimals",
    {
        "n": pa.array(
            [decimal.Decimal(2**63), decimal.Decimal(2**63 - 1), decimal.Decimal(2**53 + 1)]
            + [None] * 9,
            pa.decimal128(25, 0),
        )
    },
    {0},
)
parquet_case(
    "infinities",
    {"x": pa.array([float("inf"), float("-inf"), float("nan"), None] + [1.0] * 8)},
    {0, 1},
)
parquet_case("booleans as integers", {"flag": pa.array([0, 1, 2, None] + [1] * 8, pa.int8())}, {2})
parquet_case(
    "booleans as doubles", {"flag": pa.array([0.0, 1.0, 0.5, float("nan")] + [1.0] * 8)}, {2}
)
parquet_case(
    "booleans as decimals",
    {
        "flag": pa.array(
            [decimal.Decimal(v) for v in ("0", "1", "2", "1")] + [None] * 8, pa.decimal128(3, 0)
        )
    },
    {2},
)
parquet_case(
    "times as text",
    {
        "when": pa.array(
            ["2001-04-10T05:00:00.123456789+0500", "2001-04-10", "noon", None, ""]
            + ["2001-04-10"] * 7
        )
    },
    {2, 4},
)
parquet_case(
    "event times as text", {"at": lambda a: pa.array([f"{v.as_py().isoformat()}Z" for v in a])}
)
parquet_case(
    "INT96 times",
    {
        "when": pa.array(
            [T("9999-12-31"), T("0001-01-01"), T("1816-03-30"), T("2262-04-12")] + [None] * 8,
            pa.timestamp("us"),
        )
    },
    use_deprecated_int96_timestamps=True,
)
parquet_case(
    "seconds past the year 9999",
    {
        "when": (
            pa.array([253402300800, 10**14, -(10**14), 0] + [1] * 8, pa.int64()).cast(
                pa.timestamp("s")
            )
        )
    },
    {0, 1, 2},
)
parquet_case(
    "milliseconds past the year 9999",
    {
        "when": (
            pa.array([2**63 - 1, -(2**63), 253402300799999] + [1] * 9, pa.int64()).cast(
                pa.timestamp("ms")
            )
        )
    },
    {0, 1},
)
parquet_case(
    "microseconds past the year 9999",
    {
        "when": (
            pa.array([2**63 - 1, -(2**63), 253402300799999999] + [1] * 9, pa.int64()).cast(
                pa.timestamp("us")
            )
        )
    },
    {0, 1},
)
parquet_case(
    "nanoseconds before 1970",
    {
        "when": (
            pa.array([-1, -1001, -(2**63), 2**63 - 1] + [1] * 8, pa.int64()).cast(
                pa.timestamp("ns")
            )
        )
    },
)
parquet_case(
    "days past the year 9999",
    {
        "when": (
            pa.array([2**31 - 1, -(2**31), 2932896, 2932897] + [1] * 8, pa.int32()).cast(
                pa.date32()
            )
        )
    },
    {0, 1, 3},
)
for field in ("n", "x", "flag", "code", "when"):
    parquet_case(f"{field} all null", {field: pa.nulls(ROWS)})
parquet_case(
    "missing values in Parquet",
    {
        f: lambda a: pa.array([None if i % 3 else v.as_py() for i, v in enumerate(a)], a.type)
        for f in ("n", "x", "flag", "code", "when", ODD)
    },
)
parquet_case(
    "types nobody asked for",
    table=lambda t: t.append_column("list", pa.array([[1]] * ROWS))
    .append_column("struct", pa.array([{"key": 1}] * ROWS))
    .append_column("clock", pa.array([datetime.time(1, 2)] * ROWS))
    .append_column("bytes", pa.array([b"\xff"] * ROWS))
    .append_column("took", pa.array([datetime.timedelta(1)] * ROWS))
    .append_column("price", pa.array([decimal.Decimal("1.10")] * ROWS))
    .append_column("map", pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())))
    .append_column("empty", pa.nulls(ROWS))
    .append_column("half", pa.array([1.5] * ROWS, pa.float16())),
)
parquet_case("row groups of three", row_group_size=3)
for encoding in ("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"):
    parquet_case(
        f"strings in {encoding}",
        use_dictionary=False,
        column_encoding={"code": encoding},
        data_page_version="2.0",
    )
parquet_case(
    "integers past the smallest",
    {
        "n": pa.array(
            [decimal.Decimal(-(2**63)), decimal.Decimal(-(2**63) - 1)] + [None] * 10,
            pa.decimal128(25, 0),
        )
    },
    {1},
)
parquet_case(
    "columns in another order in Parquet", table=lambda t: t.select(list(reversed(COLUMNS)))
)


# --- Arrow IPC and several files
# ------------------------------------------------------------------------------------------
def as_feather(table, path):
    path = path.with_suffix(".feather")
    feather.write_feather(table, path, compression="zstd", chunksize=5)
    return path


def as_stream(table, path):
    path = path.with_suffix(".arrow")
    with pa.ipc.new_stream(path, table.schema) as out:
        out.write_table(table, max_chunksize=5)
    return path


def as_folders(table, path):
    ds.write_dataset(
        table, path, format="parquet", partitioning=["code", "flag"], partitioning_flavor="hive"
    )
    (path / "_SUCCESS").touch()
    return path


def as_pattern(table, path):
    path.mkdir()
    for i in range(3):
        pa_csv.write_csv(table.slice(i * 4, 4), path / f"part-{i}.csv")
    (path / "notes.txt").write_text("no rows")
    return path / "part-*.csv"


parquet_case("Feather", save=as_feather)
parquet_case("an Arrow stream", save=as_stream)
parquet_case("partitions", save=as_folders)
parquet_case("a pattern", {"code": pa.array(["001", "7", "NA", " A"] * 3)}, save=as_pattern)


# --- Files that no command reads
# ------------------------------------------------------------------------------------------
def heads():
    """Names of columns, and the id of what is wrong with them."""
    return {
        "twice": (COLUMNS + ["n"], "table-column-twice"),
        "twice beside the contract": (["k"] + COLUMNS + ["k"], "table-column-twice"),
        "three times": (["n"] + COLUMNS + ["n"], "table-column-twice"),
        "unnamed": ([""] + COLUMNS, "table-column-unnamed"),
        "blank": (COLUMNS + [" "], "table-column-unnamed"),
        "by case": (COLUMNS + ["N"], "table-column-case"),
        "spaces": (COLUMNS + [" n"], "table-column-spaces"),
        "spaces beside": (COLUMNS + ["k "], "table-column-spaces"),
    }


class Proxy:
    """Stands between `replay` and the data plane, and keeps what passed: rows by key and their
    predictions.
    """

    def __init__(self, port):
        seen = self.seen = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with contextlib.closing(
                    http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                ) as there:
                    there.request(
                        "POST",
                        self.path,
                        body,
                        {
                            k: v
                            for k, v in self.headers.items()
                            if k.lower() not in ("host", "content-length")
                        },
                    )
                    reply = there.getresponse()
                    answer = reply.read()
                if self.path.endswith("/predict"):
                    for row, prediction in zip(
                        json.loads(body)["rows"],
                        json.loads(answer, parse_float=str).get("predictions", []),
                    ):
                        seen[row["key"]] = prediction
                self.send_response(reply.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *unused):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Ways:
    """The four ways of a row, each as {key: (probability's text or None, rules)}."""

    def __init__(self, world, project, replays, proxy, service):
        self.world, self.project, self.replays, self.proxy, self.service, self.seed = (
            world,
            project,
            replays,
            proxy,
            service,
            0,
        )

    def client(self, rows, number):
        answer = self.service.predict(rows, event_time=start_of(number))
        keys = (
            rows.column("key").to_pylist()
            if isinstance(rows, pa.Table)
            else [row["key"] for row in rows]
        )
        return {
            key: (None if value is None else value, tuple(rules))
            for key, value, rules in zip(keys, list(answer), answer.validation)
        }

    def score(self, path):
        out = path.with_suffix(".scored.csv")
        done = self.project.run(
            "--json", "score", path, "-o", out, "--service", "late", "--max-refused", "1"
        )
        assert done.code == 0, done
        found = {}
        with open(out, newline="", encoding="utf-8", errors="surrogateescape") as file:
            found |= {
                int(row["key"]): (float(row["probability"]), ()) for row in csv.DictReader(file)
            }
        with open(
            path.with_suffix(".scored.refused.csv"),
            newline="",
            encoding="utf-8",
            errors="surrogateescape",
        ) as file:
            found |= {
                int(row["key"]): (None, tuple(row["validation"].split(",")))
                for row in csv.DictReader(file)
            }
        return found

    def replay(self, path):
        self.proxy.seen.clear()
        self.seed += 1
        done = self.replays.run(
            "--json",
            "replay",
            path,
            "--service",
            "late",
            "--lockstep",
            "--seed",
            self.seed,
            timeout=120,
        )
        assert done.code == 0, done
        return {
            key: (
                None if p["probability"] is None else float(p["probability"]),
                tuple(p.get("validation", [])),
            )
            for key, p in self.proxy.seen.items()
        }

    def run(self, path):
        """The keys of the rows that a snapshot takes."""
        done = self.source(path)
        if done.id == "every-row-refused":
            return set()
        assert done.code == 0, done
        newest = max(
            (self.training.root / ".heddle/runs/steps").glob("*/accepted.parquet"),
            key=lambda p: p.stat().st_mtime_ns,
        )
        return set(pq.read_table(newest, columns=["key"]).column(0).to_pylist())

    def source(self, path):
        (self.training.root / "heddle.yaml").write_text(
            self.yaml.replace("data/trips.csv", str(path))
        )
        return self.training.run("run", "--until", "snapshot")


def same(case, number, ways, folder):
    path, rows, refused = case.write(folder, number)
    wanted = ways.client(rows, number)
    assert {key for key, (value, _) in wanted.items() if value is None} == refused, (
        "client",
        wanted,
        refused,
    )
    for name, found in (("score", ways.score(path)), ("replay", ways.replay(path))):
        assert found.keys() == wanted.keys(), (name, sorted(found), sorted(wanted))
        for key, (value, rules) in wanted.items():
            assert found[key][0] == value, (name, key, found[key], value)
            assert not case.rules or found[key][1] == rules, (name, key, found[key], rules)
    taken = ways.run(path)
    assert taken == wanted.keys() - refused, ("run", sorted(taken), sorted(refused))


def refused_by_all(path, id_, ways, as_source=None):
    """The file is refused as a whole, by one name; nothing is left behind. What is not there has a
    name of its own as a source."""
    out = path.with_name("out.csv")
    for done, wanted in (
        (ways.project.run("score", path, "-o", out, "--service", "late"), id_),
        (ways.replays.run("replay", path, "--service", "late", "--lockstep"), id_),
        (ways.source(path), as_source or id_),
    ):
        assert done.id == wanted and done.code not in (0, 20) and done.code < 100, (wanted, done)
    assert not list(path.parent.glob("out*")), "nothing is left behind"


def whole_files(ways, folder):
    texts = [[str(row[f]) if f != "at" else text_of(row[f]) for f in COLUMNS] for row in rows_of(0)]
    for number, (what, (names, id_)) in enumerate(heads().items()):
        cells = [{name: row[i] for i, name in enumerate(COLUMNS)} for row in texts]
        path = folder / f"head{number}.csv"
        with open(path, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(names)
            out.writerows([[row.get(name.strip(), "1") for name in names] for row in cells])
        refused_by_all(path, id_, ways)
        path = folder / f"head{number}.parquet"
        columns = [pa.array([row.get(name.strip(), "1") for row in cells]) for name in names]
        pq.write_table(pa.Table.from_arrays(columns, names=names), path)
        refused_by_all(path, id_, ways)
        # The same names in a file that an enum is read from.
        ways.enum.write_text(",".join(names) + "\n", encoding="utf-8")
        checked = ways.training.run("check")
        assert id_ in checked.ids, (what, checked)
        ways.enum.write_text(ways.codes, encoding="utf-8")
    # A required column that is not there is told by one name; a client's rows are refused one by
    # one.
    table = pa.table({f: pa.array([row[f] for row in rows_of(0)]) for f in COLUMNS})
    path = folder / "missing.parquet"
    pq.write_table(table.drop_columns(["key"]), path)
    refused_by_all(path, "column-missing", ways)
    path = folder / "missing.csv"
    path.write_text(
        ",".join(COLUMNS[1:])
        + "\n"
        + "".join(",".join(row[1:]) + "\n" for row in texts if "\n" not in "".join(row)),
        encoding="utf-8",
    )
    refused_by_all(path, "column-missing", ways)
    assert all(
        "key-required" in rules
        for rules in ways.service.predict(table.select(FIELDS[1:])).validation
    )
    # A column that cannot hold its field is named with both types, in every command.
    for field, array in (
        ("n", pa.array(["1"] * ROWS)),
        ("n", pa.array([T("2001-01-01")] * ROWS)),
        ("n", pa.array([True] * ROWS)),
        ("code", pa.array([1] * ROWS)),
        ("flag", pa.array(["true"] * ROWS)),
        ("x", pa.array(["1.5"] * ROWS)),
        ("when", pa.array([1] * ROWS)),
    ):
        table = pa.table({f: pa.array([row[f] for row in rows_of(0)]) for f in COLUMNS})
        path = folder / "type.parquet"
        pq.write_table(table.set_column(COLUMNS.index(field), field, array), path)
        refused_by_all(path, "column-type", ways)
        assert all(
            value is None
            for value in ways.service.predict(
                pq.read_table(path, columns=FIELDS)
            ).probability.to_pylist()
        ), field
    for array in (
        pa.array([[1]] * ROWS),
        pa.array([b"1"] * ROWS),
        pa.array([datetime.time(1)] * ROWS),
    ):
        pq.write_table(table.set_column(COLUMNS.index("n"), "n", array), path)
        refused_by_all(path, "table-type", ways)
    # INT96 has more days than 64 bits have microseconds. pyarrow writes none such, so the bytes of
    # a day are replaced.
    path = folder / "days.parquet"
    when = pa.array(
        [T("2001-01-01"), None, T("9999-12-31")] + [T("2001-01-01")] * 9, pa.timestamp("us")
    )
    pq.write_table(
        table.set_column(COLUMNS.index("when"), "when", when),
        path,
        use_deprecated_int96_timestamps=True,
        use_dictionary=False,
        compression="none",
    )
    day = b"\0" * 8 + struct.pack("<I", 5373484)  # Julian, of 9999-12-31
    data = path.read_bytes()
    assert data.count(day) >= 1, "the day is in the file"
    path.write_bytes(data.replace(day, b"\0" * 8 + b"\xff" * 4))
    refused_by_all(path, "table-value-range", ways)
    # Where no row has the type of its field, the hint says what that type is written like.
    path = folder / "american.csv"
    path.write_text(
        ",".join(COLUMNS)
        + "\n"
        + "".join(
            ",".join(
                "04/10/01" if f == "when" else text_of(row[f]) if f != "code" else "7"
                for f in COLUMNS
            )
            + "\n"
            for row in rows_of(0)
        ),
        encoding="utf-8",
    )
    done = ways.source(path)
    assert done.id == "every-row-refused" and "`2001-04-10T05:06:07Z` in `when`" in done.err, done
    training = ways.training
    training.edit("contracts/trips.odcs.yaml", "name: x,", "name: 'say \"x\"',")
    assert "bad-name" in training.run("check").ids
    training.edit("contracts/trips.odcs.yaml", "name: 'say \"x\"',", "name: x,")
    # What Arrow would read as something else, and what is no CSV and no Parquet.
    good = (
        ",".join(COLUMNS)
        + "\n"
        + "".join(
            ",".join(text_of(row[f]) if f != "code" else "7" for f in COLUMNS) + "\n"
            for row in rows_of(0)
        )
    )
    last = good.splitlines()[-1]
    parquet = folder / "whole.parquet"
    pq.write_table(
        pa.table({f: pa.array([row[f] for row in rows_of(0)]) for f in COLUMNS}), parquet
    )
    whole = parquet.read_bytes()
    for name, content, id_ in (
        ("cut.csv", (good + last.rsplit(",", 1)[0] + ',"30\n').encode(), "table-quotes"),
        (
            "backslash.csv",
            (good + last.replace(",7,", r',"say \"x\"",', 1) + "\n").encode(),
            "table-quotes",
        ),
        ("semicolons.tsv", good.replace(",", ";").encode(), "table-separator"),
        ("cut.csv.gz", gzip.compress(good.encode())[:-9], "table-compressed"),
        ("xz.csv", lzma.compress(good.encode()), "table-format"),
        ("utf16.csv", good.encode("utf-16-le"), "table-format"),
        ("parquet.csv", whole, "table-format"),
        ("text.parquet", good.encode(), "table-format"),
        ("pointer.csv", b"version https://git-lfs\n", "table-format"),
        ("half.parquet", whole[: len(whole) // 2], "table-unreadable"),
    ):
        path = folder / name
        path.write_bytes(content)
        refused_by_all(path, id_, ways)
    mixed = folder / "mixed"
    mixed.mkdir()
    pq.write_table(pq.read_table(parquet), mixed / "a.parquet")
    pq.write_table(pq.read_table(parquet).drop_columns(["n"]), mixed / "b.parquet")
    refused_by_all(mixed, "table-columns-differ", ways)
    (mixed / "b.parquet").unlink()
    (mixed / "b.csv").write_text(good)
    refused_by_all(mixed, "table-formats-differ", ways)
    refused_by_all(mixed / "*.arrow", "table-no-files", ways, "project-invalid")
    clash = folder / "clash/n=1/a.parquet"
    clash.parent.mkdir(parents=True)
    pq.write_table(pq.read_table(parquet), clash)
    refused_by_all(clash.parents[1], "table-partition-clash", ways)
    path = folder / "ragged.csv"
    path.write_text(",".join(COLUMNS) + "\n" + ",".join(texts[0]) + "\n1,2\n")
    refused_by_all(path, "table-row-width", ways)


def without_a_time(world, ways):
    """A model whose rows have no time is trained and served; what needs a time says so."""
    project = world.copy(ways.training)
    (project.root / "heddle.yaml").write_text(ways.yaml)
    project.edit("models/late.yaml", "  time_field: at\n", "")
    done = project.run("run")
    assert done.code == 0, done
    again = world.copy(ways.training)
    (again.root / "heddle.yaml").write_text(ways.yaml)
    again.edit("models/late.yaml", "  time_field: at\n", "")
    assert (
        again.json("run")["candidate"] == project.json("run")["candidate"]
    ), "the order of the rows is the seed's"
    project.edit("models/late.yaml", "seed: 7", "seed: 8")
    assert again.json("run")["candidate"] != project.json("run")["candidate"]
    project.edit(
        "models/late.yaml",
        "  source: trips\n",
        '  source: trips\n  from: "2001-01-01"\n  to: "2001-03-01"\n',
    )
    assert "time-field-missing" in project.run("check").ids
    ways.replays.edit("models/late.yaml", "  time_field: at\n", "")
    ways.replays.apply()
    done = ways.replays.run(
        "replay", project.root / "data/trips.csv", "--service", "late", "--lockstep"
    )
    assert done.id == "replay-no-time", done
    ways.replays.edit(
        "models/late.yaml", "  source: trips\n", "  source: trips\n  time_field: at\n"
    )


def make():
    small_project.FILES["contracts/trips.odcs.yaml"] = CONTRACT
    small_project.FILES["features/trips.yaml"] = FEATURES
    for old, new in (("  places: data/places.csv", "  codes: data/codes.csv"),):
        small_project.FILES["heddle.yaml"] = small_project.FILES["heddle.yaml"].replace(old, new)
    model = small_project.FILES["models/late.yaml"]
    small_project.FILES["models/late.yaml"] = model.replace(
        "time_field: date", "time_field: at"
    ).replace('  from: "2001-01-01"\n  to: "2001-03-01"\n', "")
    people = small_project.FILES["people.yaml"]
    small_project.FILES["people.yaml"] = people.replace(
        "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    monitor = small_project.FILES["monitors/late.yaml"]
    small_project.FILES["monitors/late.yaml"] = monitor.replace(
        "name: distance, column: distance", "name: x, column: x"
    ).replace("refused_rows: 50", "refused_rows: 100000")
    small_project.FILES["services/late.yaml"] = small_project.FILES["services/late.yaml"].replace(
        "autonomy: act", "autonomy: observe"
    )
    small_project.FILES["evaluations/late.yaml"] = small_project.FILES[
        "evaluations/late.yaml"
    ].replace("> 0.55", "> 0.4")


def training_rows():
    draw = random.Random(5)
    for i, row in enumerate(rows_of(5, 4000)):
        row["at"] = datetime.datetime(2001, 1, 1) + datetime.timedelta(minutes=20 * i)
        late = draw.random() < (0.2 + 0.005 * row["n"] if row["flag"] else 0.2 + row[ODD] / 200)
        row["delay"] = 30 if late else 0
        for field in ("n", "x", "when", "code"):
            row[field] = None if draw.random() < 0.02 else row[field]
        yield row


class FilesWorld(harness.World):
    """A project whose contract has a field of each type."""

    def __init__(self, binary):
        original = small_project.make

        def made(root, count=0):
            root = original(root, 0)
            with open(root / "data/trips.csv", "w", newline="", encoding="utf-8") as file:
                file.write(",".join(COLUMNS) + "\n")
                for row in training_rows():
                    file.write(
                        ",".join(
                            (
                                quoted(row[f])
                                if f == "code" and row[f] is not None
                                else text_of(row[f])
                            )
                            for f in COLUMNS
                        )
                        + "\n"
                    )
            with open(root / "data/codes.csv", "w", newline="", encoding="utf-8") as file:
                csv.writer(file, quoting=csv.QUOTE_ALL).writerows(
                    [["code"]] + [[code] for code in CODES]
                )
            return root

        small_project.make = made
        super().__init__(binary)


def main(binary):
    make()
    world = FilesWorld(binary)
    failed = 0
    try:
        project, training = world.copy(world.built), world.copy(world.fresh)
        with harness.Planes(project, "--lockstep") as planes:
            planes.release(world)
            proxy = Proxy(project.port())
            # `replay` finds the data plane in the definition: here the proxy.
            replays = harness.Project(project.heddle, project.root)
            served = project.port()
            project.edit("services/late.yaml", f"port: {served}", f"port: {proxy.port}")
            project.apply()
            service = heddle.load(
                "late", url=f"http://127.0.0.1:{served}", token=project.token("caller")
            )
            ways = Ways(world, project, replays, proxy, service)
            ways.training, ways.yaml = training, (training.root / "heddle.yaml").read_text()
            ways.enum = training.root / "data/codes.csv"
            ways.codes = ways.enum.read_text(encoding="utf-8")
            folder = world.dir / "files"
            folder.mkdir()
            for number, case in enumerate(CASES):
                try:
                    same(case, number, ways, folder)
                except Exception:  # the next file is tried all the same
                    failed += 1
                    print(f"--- {case.name}", traceback.format_exc(limit=3), sep="\n")
            whole_files(ways, folder)
            without_a_time(world, ways)
    finally:
        world.close()
    print(
        f"{len(CASES) - failed} of {len(CASES)} files gave the same rows and answers in every way"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
