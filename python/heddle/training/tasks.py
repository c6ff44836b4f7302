"""What a model predicts: one probability, a probability of each class, or a number."""

from __future__ import annotations

from typing import Any

import numpy


class Task:
    """The task of the Model; `classes` in the order of the answers."""

    def __init__(self, kind: str, classes: list[Any] | None = None) -> None:
        self.kind, self.classes = kind, list(classes or [])

    @classmethod
    def of(cls, value: dict[str, Any]) -> Task:
        classes = value.get("classes", [])
        if value.get("whole_classes"):
            classes = [int(each) for each in classes]
        return cls(value["kind"], classes)

    @property
    def outputs(self) -> int:
        return len(self.classes) if self.kind == "classes" else 1

    @property
    def output(self) -> str:
        """What a service calls the answers."""
        names = {"binary": "probability", "classes": "probabilities"}
        return names.get(self.kind, "value")

    def target(self, codes: numpy.ndarray) -> numpy.ndarray:
        """What a trainer learns: 0 and 1, classes, numbers."""
        if self.kind == "binary":
            return codes.astype(numpy.int64)
        if self.kind == "classes":
            return numpy.asarray(self.classes)[codes.astype(numpy.int64)]
        return codes
