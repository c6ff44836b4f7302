"""What came back for a table: a prediction a row, and where each of them came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from . import rows

# The first member of a row's answer says the task (docs/http.md).
_TASKS = {"probability": "binary", "label": "classes", "value": "regression"}


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
    """As long as the table that was sent, in its order. As a sequence and as a numpy array it is
    `probability` of a binary service, `label` of one of several classes, `value` of a regression:
    `task` says which.

    Columns are pandas or polars Series, Arrow arrays or lists, whichever kind was sent; a refused
    row is NaN or null. `validation` has, for each row, the rules that refused it, `warnings` those
    it broke and was served all the same, `repairs` those of the contract that changed a value of
    it. A table larger than the service's limit goes in several requests: `answers` has one entry
    for each.
    """

    def __init__(self, predictions: list[dict[str, Any]], answers: list[Answer], like: Any) -> None:
        self._predictions, self.answers, self._like = predictions, answers, like
        self._main = next(
            (name for name in _TASKS if predictions and name in predictions[0]), "probability"
        )
        self._values = [each[self._main] for each in predictions]
        self.task = _TASKS[self._main]
        self.validation: list[list[str]] = [each.get("validation", []) for each in predictions]
        self.warnings: list[list[str]] = [each.get("warnings", []) for each in predictions]
        self.repairs: list[list[str]] = [each.get("repairs", []) for each in predictions]

    @property
    def probability(self) -> Any:
        """Of a binary service: the probability that the target is true."""
        return self._of("binary", "probability")

    @property
    def label(self) -> Any:
        """Of several classes: the most probable one."""
        return self._of("classes", "label")

    @property
    def probabilities(self) -> dict[Any, Any]:
        """Of several classes: a column for each, by its name; a table where
        `pandas.DataFrame(predictions.probabilities)` is called on it.
        """
        self._of("classes", "label")
        served = [each.get("probabilities") or {} for each in self._predictions]
        names = next((list(each) for each in served if each), [])
        return {
            name: rows.column([each.get(name) for each in served], self._like, name)
            for name in names
        }

    @property
    def set(self) -> list[list[Any] | None] | None:
        """Of several classes: those that the declared coverage asks for, for each row; None where
        the bundle has no interval.
        """
        self._of("classes", "label")
        sets = [each.get("set") for each in self._predictions]
        return None if all(each is None for each in sets) else sets

    @property
    def value(self) -> Any:
        """Of a regression."""
        return self._of("regression", "value")

    @property
    def interval(self) -> tuple[Any, Any] | None:
        """Of a regression: its lower and upper ends, a column each; None where the bundle has no
        interval.
        """
        self._of("regression", "value")
        lower, upper = ([each.get(end) for each in self._predictions] for end in ("lower", "upper"))
        if all(each is None for each in lower):
            return None
        return rows.column(lower, self._like, "lower"), rows.column(upper, self._like, "upper")

    @property
    def contributions(self) -> list[dict[str, Any] | None]:
        """With `predict(explain=True)`, for each row: what each feature added to the margin, and
        `bias`; of several classes by class.
        """
        return [each.get("contributions") for each in self._predictions]

    @property
    def bundle(self) -> str | None:
        """Digest of the bundle that scored every row; None when a swap came in between: `answers`
        then has one for each request.
        """
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

    def _of(self, task: str, name: str) -> Any:
        # Of no rows nobody knows the task: any column of them is empty.
        if self.task != task and self._predictions:
            raise AttributeError(
                f"the service predicts {_PREDICTS[self.task]}: it has `{self._main}` and no"
                f" `{name}`"
            )
        return rows.column(self._values, self._like, name)

    def _only(self, name: str) -> str | None:
        found = {getattr(answer, name) for answer in self.answers}
        return found.pop() if len(found) == 1 else None

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy

        if self.task == "classes":
            return numpy.array(self._values, dtype=dtype or "object")
        return numpy.array(
            [float("nan") if value is None else value for value in self._values],
            dtype=dtype or "float64",
        )

    def __repr__(self) -> str:
        return (
            f"<heddle.Predictions: {len(self)} rows, {self.refused} refused, slot {self.slot},"
            f" bundle {str(self.bundle)[:19]}>"
        )


_PREDICTS = {
    "binary": "a probability",
    "classes": "one of several classes",
    "regression": "a number",
}
