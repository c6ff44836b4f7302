"""A model in a form that Heddle's engine scores, where there is one that means exactly the same.

Nothing here is believed: the engine's answers are held against the model's own on the validation
rows before it is chosen. What is not written here is served by the worker, which is always right.
"""

from __future__ import annotations

import json
import pathlib
import tempfile
from typing import Any

import numpy

from .answers import is_of
from .rows import Rows
from .tasks import Task


class NoExport(Exception):
    """Why the engine cannot score it."""


def export(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    """The format's name and the file. Raises NoExport."""
    if rows.categories:
        raise NoExport("it reads categories, whose codes the engine does not know")
    if any(array.dtype != numpy.float32 for array in rows.arrays.values()):
        raise NoExport("it reads the contract's fields, and the engine scores feature columns")
    model = _last_of(_own_of(model, rows, task))
    for module, names, write in _WRITERS:
        if is_of(model, module, *names):
            return write(model, rows, task)
    raise NoExport(f"the engine has no form of a `{type(model).__name__}`")


def _own_of(model: Any, rows: Rows, task: Task) -> Any:
    """The library's model of one that was there."""
    if not is_of(model, "heddle.training.opening", "Adopted"):
        return model
    if model.reads_categories:
        raise NoExport("it reads categories, whose codes the engine does not know")
    if rows.columns != list(model.columns):
        raise NoExport("the feature set has other columns, or in another order")
    classes = [str(each) for each in model.signature["classes"]]
    if task.kind == "binary" and model.positive is not None and classes[1:] != [model.positive]:
        raise NoExport("its probability is of the other class")
    if is_of(model.model, "onnxruntime", "InferenceSession"):
        return model.files[model.name]
    return model.model


def _last_of(model: Any) -> Any:
    """A pipeline of one step is that step."""
    while is_of(model, "sklearn.pipeline", "Pipeline") and len(model.steps) == 1:
        model = model.steps[0][1]
    return model


def _order(model: Any, task: Task) -> list[int]:
    """Where each class of the task stands among the model's. A model fitted on names has them
    sorted, one fitted on codes in the task's order.
    """
    if task.kind != "classes":
        return [0]
    classes = numpy.asarray(getattr(model, "classes_", range(task.outputs))).tolist()
    wanted = list(range(task.outputs)) if classes == list(range(task.outputs)) else task.classes
    if sorted(map(str, classes)) != sorted(map(str, wanted)):
        raise NoExport(f"its classes are {classes[:8]}, and the task has others")
    return [classes.index(each) for each in wanted]


def _in_order(model: Any, task: Task) -> None:
    """Of a library's own file, whose outputs stay where they are."""
    if task.kind == "classes" and _order(model, task) != list(range(task.outputs)):
        raise NoExport(
            "its classes stand in another order than the Model's: fit it on `train.codes`"
        )


def _xgboost(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    _in_order(model, task)
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    best = booster.attr("best_iteration")
    if best is not None and int(best) + 1 < booster.num_boosted_rounds():
        booster = booster[: int(best) + 1]
    booster.set_attr(best_iteration=None, best_score=None)
    booster.feature_names = list(rows.columns)
    return "xgboost", bytes(booster.save_raw("json"))


def _lightgbm(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    _in_order(model, task)
    booster = model.booster_ if hasattr(model, "booster_") else model
    best = booster.best_iteration
    text = booster.model_to_string(num_iteration=best if best and best > 0 else -1)
    return "lightgbm", _with_names(text, booster.feature_name(), rows.columns).encode()


def _with_names(text: str, old: list[str], new: list[str]) -> str:
    """LightGBM changes names with characters that its format has not."""
    return text.replace(
        "feature_names=" + " ".join(old) + "\n", "feature_names=" + _names(new) + "\n", 1
    )


def _names(columns: list[str]) -> str:
    """As LightGBM's text holds them; where it cannot, its own for columns that have none."""
    if any(not name or set(name) & set(" \t\r\n=") for name in columns):
        columns = [f"Column_{i}" for i in range(len(columns))]
    return " ".join(columns)


def _catboost(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    _in_order(model, task)
    if model.get_cat_feature_indices():
        raise NoExport("it reads categories, whose codes the engine does not know")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx")
        return "onnx", path.read_bytes()


def _onnx(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    return "onnx", model if isinstance(model, bytes) else model.SerializeToString()


# ---- scikit-learn's trees, in LightGBM's text: both compare in double and add in double


class _Trees:
    """Trees as LightGBM writes them, one after another: `outputs` of them are a round."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def leaf(self, value: float) -> None:
        """A constant."""
        self._put(1, [f"leaf_value={value!r}"])

    def tree(
        self,
        left: numpy.ndarray,
        right: numpy.ndarray,
        feature: numpy.ndarray,
        threshold: numpy.ndarray,
        missing_left: numpy.ndarray,
        value: numpy.ndarray,
    ) -> None:
        """Nodes in any order, the root first; a leaf has no left child (-1)."""
        leaves = left < 0
        if len(left) == 1:
            return self.leaf(float(value[0]))
        number = numpy.where(leaves, -numpy.cumsum(leaves), numpy.cumsum(~leaves) - 1)
        inner = ~leaves
        # `missing is NaN`, and where it goes; a leaf is the complement of its number, -1 and on.
        decisions = numpy.where(missing_left[inner], 10, 8)
        self._put(
            int(leaves.sum()),
            [
                "split_feature=" + " ".join(map(str, feature[inner].tolist())),
                "threshold=" + " ".join(map(repr, threshold[inner].astype(float).tolist())),
                "decision_type=" + " ".join(map(str, decisions.tolist())),
                "left_child=" + " ".join(map(str, number[left[inner]].tolist())),
                "right_child=" + " ".join(map(str, number[right[inner]].tolist())),
                "leaf_value=" + " ".join(map(repr, value[leaves].astype(float).tolist())),
            ],
        )

    def _put(self, leaves: int, lines: list[str]) -> None:
        head = [f"Tree={len(self._texts)}", f"num_leaves={leaves}", "num_cat=0"]
        self._texts.append("\n".join(head + lines + ["shrinkage=1", "", ""]))

    def text(self, rows: Rows, outputs: int, objective: str, average: bool = False) -> bytes:
        head = [
            "tree",
            "version=v4",
            f"num_class={outputs}",
            f"num_tree_per_iteration={outputs}",
            "label_index=0",
            f"max_feature_idx={len(rows.columns) - 1}",
            *([f"objective={objective}"] if objective else []),
            *(["average_output"] if average else []),
            "feature_names=" + _names(rows.columns),
            "feature_infos=" + " ".join(["none"] * len(rows.columns)),
            "",
            "",
        ]
        return ("\n".join(head) + "\n".join(self._texts) + "\nend of trees\n").encode()


_OBJECTIVES = {"binary": "binary sigmoid:1", "regression": "regression"}


def _objective(task: Task) -> str:
    return _OBJECTIVES.get(task.kind, f"multiclass num_class:{task.outputs}")


def _histogram(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    if task.kind == "regression" and model.loss not in (
        "squared_error",
        "absolute_error",
        "quantile",
    ):
        raise NoExport(f"its loss `{model.loss}` answers through a link, and a value has none")
    trees = _Trees()
    order = _order(model, task)
    constants = numpy.asarray(model._baseline_prediction).reshape(-1)
    for output in order:
        trees.leaf(float(constants[output]))
    for iteration in model._predictors:
        for output in order:
            nodes = iteration[output].nodes
            if nodes["is_categorical"].any():
                raise NoExport("it splits on categories, whose codes the engine does not know")
            leaf = nodes["is_leaf"].astype(bool)
            trees.tree(
                numpy.where(leaf, -1, nodes["left"].astype(numpy.int64)),
                numpy.where(leaf, -1, nodes["right"].astype(numpy.int64)),
                nodes["feature_idx"],
                nodes["num_threshold"],
                nodes["missing_go_to_left"].astype(bool),
                nodes["value"],
            )
    return "lightgbm", trees.text(rows, task.outputs, _objective(task))


def _forest(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    if task.kind != "regression":
        raise NoExport("a forest of classes adds probabilities, and the engine adds margins")
    trees = _Trees()
    each_tree = getattr(model, "estimators_", None) or [model]
    for each in each_tree:
        tree = each.tree_
        trees.tree(
            tree.children_left,
            tree.children_right,
            tree.feature,
            tree.threshold,
            tree.missing_go_to_left.astype(bool),
            tree.value.reshape(tree.node_count, -1)[:, 0],
        )
    return "lightgbm", trees.text(rows, 1, "regression", average=len(each_tree) > 1)


# ---- scikit-learn's linear models, in heddle.linear/1


def _pipeline(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    """[SimpleImputer,] [StandardScaler,] and a linear model."""
    steps = [step for _, step in model.steps if step not in (None, "passthrough")]
    count = len(rows.columns)
    mean, scale, missing = numpy.zeros(count), numpy.ones(count), None
    if steps and is_of(steps[0], "sklearn.impute", "SimpleImputer"):
        missing = numpy.asarray(steps[0].statistics_, dtype=float)
        if steps[0].add_indicator or len(missing) != count or not numpy.isfinite(missing).all():
            raise NoExport("its imputer changes which columns there are")
        steps = steps[1:]
    if len(steps) == 2 and is_of(steps[0], "sklearn.preprocessing", "StandardScaler"):
        mean = steps[0].mean_ if steps[0].with_mean else mean
        scale = steps[0].scale_ if steps[0].with_std else scale
        steps = steps[1:]
    if len(steps) != 1 or not is_of(steps[0], *_LINEAR):
        raise NoExport(f"the engine has no form of {' and '.join(type(s).__name__ for s in steps)}")
    return _linear_with(steps[0], rows, task, mean, scale, missing)


def _linear(model: Any, rows: Rows, task: Task) -> tuple[str, bytes]:
    count = len(rows.columns)
    return _linear_with(model, rows, task, numpy.zeros(count), numpy.ones(count), None)


def _linear_with(
    model: Any,
    rows: Rows,
    task: Task,
    mean: numpy.ndarray,
    scale: numpy.ndarray,
    missing: numpy.ndarray | None,
) -> tuple[str, bytes]:
    if missing is None:
        raise NoExport(
            "it answers no row with a missing value, and the engine would: put a SimpleImputer"
            " before it"
        )
    order = _order(model, task)
    weights = numpy.atleast_2d(numpy.asarray(model.coef_, dtype=float))
    intercepts = numpy.atleast_1d(numpy.asarray(model.intercept_, dtype=float))
    if len(intercepts) != len(weights):
        intercepts = numpy.full(len(weights), float(intercepts[0]))
    if len(weights) != task.outputs:
        raise NoExport(f"it has {len(weights)} outputs, the task {task.outputs}")
    weights, intercepts = weights[order], intercepts[order]
    links = {"binary": "logistic", "classes": "softmax"}
    value = {
        "format": "heddle.linear/1",
        "features": list(rows.columns),
        "link": links.get(task.kind, "identity"),
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "missing": missing.tolist(),
        "weights": weights.reshape(-1).tolist(),
        "intercepts": intercepts.tolist(),
    }
    return "heddle.linear", json.dumps(value).encode()


_LINEAR = (
    "sklearn.linear_model",
    "LinearRegression",
    "Ridge",
    "RidgeCV",
    "Lasso",
    "LassoCV",
    "ElasticNet",
    "ElasticNetCV",
    "HuberRegressor",
    "QuantileRegressor",
    "SGDRegressor",
    "LogisticRegression",
    "LogisticRegressionCV",
)

_WRITERS = (
    ("xgboost", ("Booster", "XGBModel"), _xgboost),
    ("lightgbm", ("Booster", "LGBMModel"), _lightgbm),
    ("catboost", ("CatBoost",), _catboost),
    ("onnx", ("ModelProto",), _onnx),
    (
        "sklearn.ensemble",
        ("HistGradientBoostingRegressor", "HistGradientBoostingClassifier"),
        _histogram,
    ),
    (
        "sklearn.ensemble",
        (
            "RandomForestRegressor",
            "ExtraTreesRegressor",
            "RandomForestClassifier",
            "ExtraTreesClassifier",
        ),
        _forest,
    ),
    ("sklearn.tree", ("DecisionTreeRegressor", "ExtraTreeRegressor"), _forest),
    ("sklearn.pipeline", ("Pipeline",), _pipeline),
    ("builtins", ("bytes",), _onnx),
    (_LINEAR[0], _LINEAR[1:], _linear),
)
