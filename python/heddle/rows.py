"""Rows of any kind of table as the JSON objects that a service reads, and a column of answers in
the kind that was given.
"""

from __future__ import annotations

import datetime
import decimal
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any


def kind_of(table: Any) -> str:
    """`pandas`, `polars`, `arrow` or `rows`. A module that was never imported cannot have made the
    table, so none is imported here.
    """
    for kind, module, names in (
        ("pandas", "pandas", ("DataFrame",)),
        ("polars", "polars", ("DataFrame", "LazyFrame")),
        ("arrow", "pyarrow", ("Table", "RecordBatch")),
    ):
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(table, tuple(getattr(loaded, name) for name in names)):
            return kind
    return "rows"


def to_rows(table: Any) -> list[dict[str, Any]]:
    """One JSON object a row. Missing values (None, NaN, NaT, NA) are null; a time without a zone is
    UTC; an infinite number, which JSON lacks, is sent as a string, so that the contract refuses its
    row instead of taking it for missing.
    """
    kind = kind_of(table)
    columns: list[tuple[str, Iterable[Any]]]
    if kind == "pandas":
        if not table.columns.is_unique:
            raise TypeError("two columns of the DataFrame have the same name")
        columns = [(name, table[name].tolist()) for name in table.columns]
    elif kind == "polars":
        table = table.collect() if hasattr(table, "collect") else table
        columns = [(name, _polars_column(table[name])) for name in table.columns]
    elif kind == "arrow":
        columns = [
            (name, _arrow_column(table.column(i))) for i, name in enumerate(table.schema.names)
        ]
    elif isinstance(table, Iterable):
        return [_row(row) for row in ([table] if isinstance(table, Mapping) else table)]
    else:
        raise TypeError(
            "rows are a list of dicts, or a pandas, polars or Arrow table, and this is a"
            f" `{type(table).__name__}`"
        )
    for name, _ in columns:
        if not isinstance(name, str):
            raise TypeError(f"column names are strings, and `{name!r}` is none")
    names = [name for name, _ in columns]
    if len(set(names)) != len(names):
        raise TypeError("two columns of the table have the same name")
    cells = [[_cell(value, name) for value in values] for name, values in columns]
    return [dict(zip(names, row)) for row in zip(*cells)]


def column(values: list[Any], like: Any, name: str) -> Any:
    """Numbers, or classes (texts or whole numbers, by `name`), as a pandas Series with the index of
    `like`, a polars Series, an Arrow array, or a list. Refused: NaN or null.
    """
    kind = kind_of(like)
    text = any(isinstance(value, str) for value in values)
    whole = not text and name == "label"
    if kind == "pandas":
        import pandas

        return pandas.Series(
            values,
            index=like.index,
            dtype="object" if text else "Int64" if whole else "float64",
            name=name,
        )
    if kind == "polars":
        import polars

        return polars.Series(
            name, values, dtype=polars.String if text else polars.Int64 if whole else polars.Float64
        )
    if kind == "arrow":
        import pyarrow

        return pyarrow.array(
            values,
            type=pyarrow.string() if text else pyarrow.int64() if whole else pyarrow.float64(),
        )
    return values


def label(value: Any) -> Any:
    """What turned out to be true of a row, as JSON: true or false, a number, or a class. Whether
    the service takes it is the service's matter.
    """
    item = (
        value.item()
        if type(value).__module__ == "numpy" and not getattr(value, "shape", ())
        else value
    )
    if isinstance(item, (bool, str, int)):
        return item
    number = float(item)
    if not math.isfinite(number):
        raise ValueError(f"`{value}` is no label: leave out rows of which nothing is known yet")
    return number


def rfc3339(moment: datetime.datetime) -> str:
    """In UTC with `Z`; a time without a zone is taken as UTC. What pandas keeps past the
    microsecond is cut off, as the service does.
    """
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(datetime.timezone.utc)
        except (
            OverflowError
        ):  # in UTC it is outside the years 1 to 9999: the contract refuses it as it stands
            return moment.isoformat()
    precision = "microseconds" if getattr(moment, "nanosecond", 0) else "auto"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _row(row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise TypeError(
            f"a row is a dict of field names and values, and this is a `{type(row).__name__}`; "
            "pass a list of dicts, or a pandas, polars or Arrow table"
        )
    return {str(name): _cell(value, name) for name, value in row.items()}


def _arrow_column(column: Any) -> list[Any]:
    """Values of an Arrow column. Times past Python's years, and nanoseconds, which pyarrow refuses
    to convert, become text.
    """
    import pyarrow

    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not (pyarrow.types.is_timestamp(kind) or pyarrow.types.is_date(kind)):
        return list(column.to_pylist())
    unit = (
        kind.unit
        if pyarrow.types.is_timestamp(kind)
        else "D" if pyarrow.types.is_date32(kind) else "ms"
    )
    whole = pyarrow.int32() if unit == "D" else pyarrow.int64()
    return [
        None if value is None else _moment_of(value, unit)
        for value in column.cast(whole).to_pylist()
    ]


def _polars_column(column: Any) -> list[Any]:
    """Values of a polars Series; of times the integers that they are, as polars panics on one past
    Python's years.
    """
    import polars

    if not isinstance(column.dtype, (polars.Datetime, polars.Date)):
        return list(column.to_list())
    unit = column.dtype.time_unit if isinstance(column.dtype, polars.Datetime) else "D"
    return [
        None if value is None else _moment_of(value, unit)
        for value in column.to_physical().to_list()
    ]


_MICROSECONDS = {"D": 86_400_000_000, "s": 1_000_000, "ms": 1000, "us": 1}


def _moment_of(value: int, unit: str) -> str:
    """The text of a moment so many units after 1970; one that has no four-digit year is sent as
    what it is, and refused.
    """
    microseconds = value // 1000 if unit == "ns" else value * _MICROSECONDS[unit]
    try:
        return rfc3339(
            datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=microseconds)
        )
    except OverflowError:
        return f"{value} {unit} since 1970"


def _number(value: int) -> int | float | str:
    """An integer that a service's JSON can hold; a larger one is the nearest double, which no
    integer field takes.
    """
    if -(2**63) <= value < 2**64:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        return "Infinity" if value > 0 else "-Infinity"


def _cell(value: Any, name: object) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return _number(value)
    if isinstance(value, float):
        return (
            None
            if math.isnan(value)
            else float(value) if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
        )
    if isinstance(value, datetime.datetime):
        return (
            None if value != value else rfc3339(value)
        )  # pandas.NaT is a datetime that is not itself
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        # Exact where it is a whole number: a double would round one past 2^53.
        whole = value.is_finite() and value == value.to_integral_value()
        return _number(int(value)) if whole else _cell(float(value), name)
    if type(value).__module__.startswith("pandas") and type(value).__name__ in (
        "NAType",
        "NaTType",
    ):
        return None
    if type(value).__module__ == "numpy":
        kind = type(value).__name__
        if kind == "datetime64":
            return _numpy_time(value)
        if kind == "longdouble":  # whose `item` is itself
            return _cell(float(value), name)
        # A duration in nanoseconds would become a bare number, and an array of one value that
        # value.
        if kind != "timedelta64" and not getattr(value, "shape", ()):
            item = value.item()
            if type(item).__module__ != "numpy":
                return _cell(item, name)
    raise TypeError(
        f"field `{name}` holds a `{type(value).__name__}`, which a service cannot read; "
        "numbers, text, booleans, dates and times can be sent"
    )


def _numpy_time(value: Any) -> str | None:
    """The text of a numpy.datetime64 in its own unit: a conversion of one that is out of range
    would wrap around.
    """
    import numpy

    if numpy.isnat(value):
        return None
    unit = numpy.datetime_data(value.dtype)[0]
    text = str(value.astype("datetime64[D]") if unit in ("Y", "M", "W") else value)
    text = text + ":00" if unit == "h" else text[:26] if unit in ("ns", "ps", "fs", "as") else text
    return text + "Z" if "T" in text else text
