"""What came back for a table: a probability a row, and where each of them came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from . import rows


@dataclasses.dataclass(frozen=True)
class Answer:
    """One request's answer: it covers `rows` rows from row `first` on, all scored by one bundle."""

    request_id: str
    bundle: str
    slot: str
    route_version: int
    first: int
    rows: int


class Predictions:
    """As long as the table that was sent, in its order, and usable as a sequence or a numpy array of probabilities.

    `probability` is a pandas or polars Series, an Arrow array or a list, whichever kind was sent; a refused row is NaN or null.
    `validation` has, for each row, the rules that refused it; `warnings` those it broke and was served all the same.
    A table larger than the service's limit goes in several requests: `answers` has one entry for each.
    """

    def __init__(self, values: list[float | None], validation: list[list[str]], warnings: list[list[str]], answers: list[Answer], like: Any) -> None:
        self._values, self.validation, self.warnings, self.answers = values, validation, warnings, answers
        self.probability = rows.column(values, like)

    @property
    def bundle(self) -> str | None:
        """Digest of the bundle that scored every row; None when a swap came in between: `answers` then has one for each request."""
        return self._only("bundle")

    @property
    def slot(self) -> str | None:
        """As `bundle`: primary, standby, canary."""
        return self._only("slot")

    @property
    def request_ids(self) -> list[str]:
        return [answer.request_id for answer in self.answers]

    @property
    def row_ids(self) -> list[str]:
        """`request_id#index` for each row: what a label names."""
        return [f"{answer.request_id}#{i}" for answer in self.answers for i in range(answer.rows)]

    @property
    def refused(self) -> int:
        """How many rows were refused."""
        return sum(value is None for value in self._values)

    def _only(self, name: str) -> str | None:
        found = {getattr(answer, name) for answer in self.answers}
        return found.pop() if len(found) == 1 else None

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float | None]:
        return iter(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy

        return numpy.array([float("nan") if value is None else value for value in self._values], dtype=dtype or "float64")

    def __repr__(self) -> str:
        return f"<heddle.Predictions: {len(self)} rows, {self.refused} refused, slot {self.slot}, bundle {str(self.bundle)[:19]}>"
