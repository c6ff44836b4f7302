"""Heddle's Python side: a client for a running service, and the wrapper that serves a model of your
own as a worker.

    predictions = heddle.load("delay").predict(df)      # docs/python.md
    heddle.serve(model)                                 # any Python model behind a slot
    @heddle.train                                       # a trainer of your own

Nothing but the standard library is needed; numpy, pandas, polars and pyarrow are used where they
are there (a worker needs numpy).
"""

from __future__ import annotations

from typing import Any

from .errors import (
    ConnectionLost,
    Denied,
    HeddleError,
    InvalidRequest,
    LabelsRefused,
    NotFound,
    Overloaded,
    ProjectError,
    RowsRefused,
    ServerError,
    TimedOut,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from .predictions import Answer, Predictions
from .service import Service, load

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "ConnectionLost",
    "Denied",
    "HeddleError",
    "InvalidRequest",
    "LabelsRefused",
    "NotFound",
    "Overloaded",
    "Predictions",
    "ProjectError",
    "RowsRefused",
    "ServerError",
    "Service",
    "TimedOut",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "adopted",
    "load",
    "model",
    "serve",
    "train",
]


def model(function: Any = None, **options: Any) -> Any:
    """Marks a function of a frame as a model: `@heddle.model` or `@heddle.model(features=[...])`.
    heddle.worker.models has the options.
    """
    from .worker.models import decorate

    return decorate(function, **options)


def adopted(path: Any, **options: Any) -> Any:
    """A model that is there, to be returned from the function under `@heddle.train` as it is.
    heddle.training.opening has the options.
    """
    from .training.opening import adopted as opened

    return opened(path, **options)


def train(function: Any = None, **options: Any) -> Any:
    """Marks the function that fits a model of `trainer: exec`: `@heddle.train` or
    `@heddle.train(strings="category")`. heddle.training has the options.
    """
    from .training import decorate

    return decorate(function, **options)


def serve(model: Any, **options: Any) -> None:
    """Serves a model until it is told to end (SIGTERM) or its parent is gone. heddle.worker.server
    has the options.
    """
    from .worker.server import serve as run

    run(model, **options)
