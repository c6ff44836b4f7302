"""Rows as a trainer gets them, and later the model that it returned.

A column's type follows from its definition alone, never from which values a batch happens to hold:
a whole number that may be missing is always a float, so a model meets the types it was fitted on.
"""

from __future__ import annotations

from typing import Any

import numpy

from .tasks import Task


class Rows:
    """`frame`: a pandas DataFrame of the columns. `arrays`: the same as numpy arrays by name.
    `matrix`: float32 [n, k] where every column is a number. `target`: 0 and 1, classes or numbers;
    `codes`: 0..K-1 of classes. `arrow`: a pyarrow Table of the columns.
    """

    def __init__(
        self,
        arrays: dict[str, numpy.ndarray],
        *,
        codes: numpy.ndarray | None = None,
        task: Task | None = None,
        categories: dict[str, list[str]] | None = None,
    ) -> None:
        self.arrays, self.categories = arrays, categories or {}
        self.codes = codes
        self.task = task
        self.target = None if codes is None or task is None else task.target(codes)
        self.weights: numpy.ndarray | None = None
        self._frame: Any = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()))) if self.arrays else 0

    @property
    def columns(self) -> list[str]:
        return list(self.arrays)

    @property
    def frame(self) -> Any:
        if self._frame is None:
            import pandas

            made = {}
            for name, array in self.arrays.items():
                if name in self.categories:
                    place = {each: at for at, each in enumerate(self.categories[name])}
                    codes = numpy.array([place.get(each, -1) for each in array], numpy.int64)
                    made[name] = pandas.Categorical.from_codes(
                        codes, categories=self.categories[name]
                    )
                elif array.dtype.kind == "M":
                    made[name] = pandas.DatetimeIndex(array).tz_localize("UTC")
                else:
                    made[name] = array
            self._frame = pandas.DataFrame(made)
        return self._frame

    @property
    def arrow(self) -> Any:
        import pyarrow

        return pyarrow.Table.from_pandas(self.frame, preserve_index=False)

    @property
    def matrix(self) -> numpy.ndarray:
        for name, array in self.arrays.items():
            if array.dtype.kind not in "iufb":
                raise TypeError(f"column `{name}` is no number: encode it, or use `frame`")
        wide = [array.astype(numpy.float32).reshape(-1, 1) for array in self.arrays.values()]
        return numpy.concatenate(wide, axis=1)

    def take(self, row: int) -> Rows:
        """One row."""
        arrays = {name: array[row : row + 1] for name, array in self.arrays.items()}
        return Rows(arrays, task=self.task, categories=self.categories)


def _typed(
    kind: str, nullable: bool, values: numpy.ndarray, missing: numpy.ndarray
) -> numpy.ndarray:
    """`missing` says which values count for nothing."""
    if kind == "feature":
        return values.astype(numpy.float32)
    if kind == "number" or (kind == "integer" and nullable):
        out = values.astype(numpy.float64)
        out[missing] = numpy.nan
        return out
    if kind == "integer":
        return values.astype(numpy.int64)
    if kind == "boolean" and not nullable:
        return values.astype(bool)
    if kind == "timestamp":
        out = values.astype("datetime64[us]")
        out[missing] = numpy.datetime64("NaT")
        return out
    out = values.astype(object)
    out[missing] = None
    return out


def read(path: str, columns: list[dict[str, Any]], codes: numpy.ndarray | None, task: Task) -> Rows:
    """Rows of a Parquet file that Heddle wrote."""
    try:
        import pyarrow.parquet
    except ImportError as absent:
        raise ImportError(
            "the trainer's environment has no pyarrow, by which rows are read: install it there"
            " and lock the environment again"
        ) from absent
    table = pyarrow.parquet.read_table(path, use_threads=False)
    arrays = {}
    for column in columns:
        chunk = table.column(column["name"]).combine_chunks()
        missing = numpy.asarray(chunk.is_null())
        kind = column["type"]
        if kind == "string":
            values = numpy.asarray(chunk.to_pylist(), dtype=object)
        elif kind == "timestamp":
            values = numpy.asarray(chunk.cast(pyarrow.int64()).fill_null(0)).astype(
                "datetime64[us]"
            )
        elif kind == "feature":
            values = numpy.asarray(chunk.fill_null(float("nan")))
        else:
            values = numpy.asarray(chunk.fill_null(False if kind == "boolean" else 0))
        arrays[column["name"]] = _typed(kind, column["nullable"], numpy.array(values), missing)
    return Rows(arrays, codes=codes, task=task)


def of_tensors(
    tensors: dict[str, numpy.ndarray],
    columns: list[dict[str, Any]],
    task: Task,
    categories: dict[str, list[str]],
) -> Rows:
    """Rows of a request (docs/formats/runtime.md): one tensor a field, or one of all features."""
    arrays = {}
    if columns and columns[0]["type"] == "feature":
        wide = next(iter(tensors.values()))
        wide = wide.reshape(len(wide), -1)
        if wide.shape[1] != len(columns):
            raise ValueError(f"{wide.shape[1]} features came, the model has {len(columns)}")
        arrays = {each["name"]: wide[:, i].astype(numpy.float32) for i, each in enumerate(columns)}
        return Rows(arrays, task=task, categories=categories)
    for column in columns:
        name = column["name"]
        if name not in tensors:
            raise ValueError(f"the inputs lack `{name}`")
        values = tensors[name].reshape(-1)
        mask = tensors.get(name + ".missing")
        missing = numpy.zeros(len(values), bool) if mask is None else mask.reshape(-1).astype(bool)
        if column["type"] == "timestamp":
            values = _times(values, missing)
        arrays[name] = _typed(column["type"], column["nullable"], values, missing)
    return Rows(arrays, task=task, categories=categories)


def _times(texts: numpy.ndarray, missing: numpy.ndarray) -> numpy.ndarray:
    """Times as they are sent, `2001-02-03T04:05:06.7Z`."""
    plain = [
        "1970-01-01" if absent else str(text).removesuffix("Z")
        for text, absent in zip(texts, missing)
    ]
    return numpy.asarray(plain, dtype="datetime64[us]")
