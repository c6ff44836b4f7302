"""Answers with a model that a trainer returned: the worker of a bundle whose model the engine does
not score.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy

from ..worker import models
from ..worker.server import serve
from . import answers, keeping
from .rows import Rows, of_tensors
from .tasks import Task


def main(folder: pathlib.Path) -> None:
    how = json.loads((folder / "model" / "how.json").read_text())
    keeping.import_file(folder / "project", how["file_of_trainer"])
    task = Task.of(how["task"])
    model = keeping.load(folder / "model", how)
    ask = answers.answer_of(model, task)

    def run(tensors: dict[str, numpy.ndarray]) -> dict[str, Any]:
        rows = of_tensors(tensors, how["columns"], task, how["categories"])
        return {task.output: answered(ask, rows, task)}

    classes = [str(each) for each in task.classes]
    serve(models.Model(run, name=type(model).__name__, output=task.output, classes=classes))


def answered(ask: answers.Answer, rows: Rows, task: Task) -> numpy.ndarray:
    """Answers of all rows; NaN for a row that the model does not answer.

    Rows of several requests come together. One that the model cannot take must not cost the others
    their answer, so each is asked alone when all together fail.
    """
    try:
        out = answers.checked(ask(rows), len(rows), task)
    except Exception as error:  # whatever a library raises
        if len(rows) == 1:
            print(f"no answer for a row: {type(error).__name__}", flush=True)
            out = numpy.full((1, task.outputs), numpy.nan)
        else:
            out = numpy.concatenate(
                [answered(ask, rows.take(row), task) for row in range(len(rows))]
            )
    return out[:, 0] if task.kind != "classes" and out.ndim == 2 else out
