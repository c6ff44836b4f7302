"""What a model that a trainer returned says of rows, whichever library it is of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy

from ..worker import models
from .rows import Rows
from .tasks import Task

Answer = Callable[[Rows], Any]


class NoModel(TypeError):
    """What the trainer returned is nothing that answers rows."""


class WrongAnswers(ValueError):
    """What the model answers cannot be a prediction of the task."""


def is_of(thing: Any, module: str, *names: str) -> bool:
    """Whether `thing` is of one of these classes. A module that was never imported made nothing."""
    loaded = sys.modules.get(module)
    kinds = tuple(
        getattr(loaded, name) for name in names if loaded is not None and hasattr(loaded, name)
    )
    return bool(kinds) and isinstance(thing, kinds)


def predictions(model: Any, rows: Rows, task: Task) -> numpy.ndarray:
    """float64 [n, outputs]. Raises NoModel, WrongAnswers, and whatever the model raises."""
    return checked(answer_of(model, task)(rows), len(rows), task)


def answer_of(model: Any, task: Task) -> Answer:
    """How this model is asked."""
    if model is None:
        raise NoModel("it returned nothing: end it with `return model`")
    if is_of(model, "heddle.training.opening", "Adopted"):
        return lambda rows: model.answers(rows, task)
    if is_of(model, "xgboost", "Booster"):
        return lambda rows: _of_xgboost(model, rows)
    if is_of(model, "lightgbm", "Booster"):
        return lambda rows: model.predict(rows.frame)
    if is_of(model, "onnx", "ModelProto") or isinstance(model, bytes):
        return _of_onnx(model)
    if is_of(model, "onnxruntime", "InferenceSession"):
        served = models.as_model(model, output=task.output)
        return lambda rows: served.run({"features": rows.matrix})[task.output]
    if is_of(model, "torch.nn", "Module"):
        return lambda rows: _of_torch(model, rows)
    if isinstance(model, models.Model):
        return lambda rows: model(rows.frame)
    if hasattr(model, "predict_proba") or hasattr(model, "predict"):
        return lambda rows: _of_estimator(model, rows, task)
    if callable(model) and not isinstance(model, type):
        return lambda rows: model(rows.frame)
    raise NoModel(
        f"it returned a `{type(model).__name__}`: return a fitted estimator (scikit-learn, XGBoost,"
        " LightGBM, CatBoost), a torch.nn.Module, an ONNX model, or a function of a frame"
    )


def _of_xgboost(model: Any, rows: Rows) -> Any:
    import xgboost

    table = rows.frame if model.feature_names else rows.matrix
    matrix = xgboost.DMatrix(table, enable_categorical=bool(rows.categories))
    best = model.attr("best_iteration")
    return model.predict(matrix, iteration_range=(0, 0 if best is None else int(best) + 1))


def _of_onnx(model: Any) -> Answer:
    import onnxruntime

    whole = model if isinstance(model, bytes) else model.SerializeToString()
    session = onnxruntime.InferenceSession(whole, providers=["CPUExecutionProvider"])
    served = models.as_model(session, output="answer")
    return lambda rows: served.run({"features": rows.matrix})["answer"]


def _of_torch(model: Any, rows: Rows) -> Any:
    import torch

    model.eval()
    with torch.inference_mode():
        return model(torch.from_numpy(rows.matrix)).cpu().numpy()


def _table(model: Any, rows: Rows) -> Any:
    """The form that it was fitted on: a frame, or a matrix without names."""
    named = getattr(model, "feature_names_in_", None)
    if named is None and is_of(model, "catboost", "CatBoost"):
        return rows.frame
    fitted_on_matrix = named is None and getattr(model, "n_features_in_", None) == len(rows.columns)
    if fitted_on_matrix and not is_of(model, "lightgbm", "LGBMModel"):
        return rows.matrix
    return rows.frame


def _of_estimator(model: Any, rows: Rows, task: Task) -> Any:
    table = _table(model, rows)
    if task.kind == "regression":
        return model.predict(table)
    if not hasattr(model, "predict_proba"):
        raise WrongAnswers(
            f"a `{type(model).__name__}` has no probabilities, which the task asks for: fit it with"
            " probabilities, for example `CalibratedClassifierCV(model)`"
        )
    given = numpy.asarray(model.predict_proba(table))
    return in_order(given, numpy.asarray(getattr(model, "classes_", [])).tolist(), task)


def in_order(given: numpy.ndarray, classes: list[Any], task: Task) -> numpy.ndarray:
    """The columns of predict_proba in the order of the task's classes."""
    wanted = [0, 1] if task.kind == "binary" else list(task.classes)
    if task.kind == "classes" and not set(classes) <= set(wanted):
        wanted = list(range(len(wanted)))  # fitted on codes
    if given.ndim != 2 or given.shape[1] != len(classes) or not set(classes) <= set(wanted):
        raise WrongAnswers(
            f"its classes are {classes[:8]}, those of the target are {wanted[:8]}: fit it on"
            " `train.target`, or on `train.codes`"
        )
    out = numpy.zeros((len(given), len(wanted)))
    for column, each in enumerate(classes):
        out[:, wanted.index(each)] = given[:, column]
    return out[:, 1] if task.kind == "binary" else out


def checked(given: Any, rows: int, task: Task) -> numpy.ndarray:
    """The answers as float64 [n, outputs], if they can be predictions of the task."""
    try:
        out = numpy.asarray(given, dtype=numpy.float64)
    except (TypeError, ValueError):
        raise WrongAnswers(
            f"the model answers with `{type(given).__name__}`, not with numbers"
        ) from None
    if task.kind == "binary" and out.ndim == 2 and out.shape[1] == 2:
        out = out[:, 1]
    if out.ndim == 1:
        out = out.reshape(-1, 1)
    if out.shape != (rows, task.outputs):
        raise WrongAnswers(
            f"the model answers {list(numpy.shape(given))} for {rows} rows of a task of"
            f" {task.outputs} numbers a row"
        )
    bad = ~numpy.isfinite(out).all(axis=1)
    if bad.any():
        raise WrongAnswers(
            f"the model answers {int(bad.sum())} of {rows} rows with NaN or infinity, the first is"
            f" row {int(bad.argmax())}"
        )
    if task.kind != "regression" and ((out < -1e-9) | (out > 1 + 1e-9)).any():
        raise WrongAnswers(
            f"the model answers {out.min():g} to {out.max():g}, which are no probabilities"
        )
    if task.kind == "classes" and (abs(out.sum(axis=1) - 1) > 1e-3).any():
        raise WrongAnswers("the probabilities of a row's classes do not add up to 1")
    return numpy.clip(out, 0, 1) if task.kind != "regression" else out
