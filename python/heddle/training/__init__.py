"""Trainers of your own: what a Model with `trainer: exec` runs (docs/own-trainer.md).

    import heddle

    @heddle.train
    def fit(train, valid, params):
        model = HistGradientBoostingRegressor(max_depth=params.max_depth, random_state=params.seed)
        return model.fit(train.frame, train.target)

`fitting` runs such a file in its sandbox, `serving` answers with what it returned, `lock` writes
down the environment that both run in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


class Trainer:
    """The function that was decorated; it can still be called."""

    def __init__(self, function: Callable[..., Any], strings: str) -> None:
        self.function, self.strings = function, strings
        functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.function(*arguments, **options)


def decorate(function: Any = None, *, strings: str = "text") -> Any:
    """`strings`: how text columns come, at training and at serving alike. `text`, or `category`:
    pandas' categories of the values in the training rows; any other value is missing.
    """
    if function is None:
        return functools.partial(decorate, strings=strings)
    if not callable(function):
        raise TypeError(
            f"`@heddle.train` stands before a function, not a `{type(function).__name__}`"
        )
    if strings not in ("text", "category"):
        raise ValueError(f"`strings={strings!r}` is neither `text` nor `category`")
    return Trainer(function, strings)


class Params(dict):
    """The parameters of this training, by name and as attributes. `seed` is the Model's."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            known = "`, `".join(self) or "none"
            raise AttributeError(
                f"there is no parameter `{name}`: set it in `parameters` of the Model, or search"
                f" it; there is `{known}`"
            ) from None
