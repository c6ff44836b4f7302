"""A model that is there: read by the library that wrote it, and asked as its owner asks it.

Opening a pickle runs what it holds, so nothing of this is ever imported outside the sandbox.
"""

from __future__ import annotations

import json
import pathlib
import pickle
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

from .answers import WrongAnswers, is_of
from .rows import Rows
from .tasks import Task


class Refused(Exception):
    """Why a file is not taken, with what to do. `what`: `format`, `damaged`, `package`,
    `unsupported`, `raised`.
    """

    def __init__(self, what: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.what, self.hint = what, hint


# ---- reading

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x04\x22M\x18")


def kind_of(path: pathlib.Path) -> str:
    """What the file's first bytes say it is. Raises Refused."""
    if path.name == "MLmodel":
        return "mlflow"
    with open(path, "rb") as file:
        head = file.read(256)
    if head[:4] == b"CBM1":
        return "catboost"
    if head[:5] in (b"tree\n", b"tree\r"):
        return "lightgbm"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "pickle"
    if head[:4] == b"PK\x03\x04":
        return "skops"
    is_zlib = head[:1] == b"x" and len(head) > 1 and (head[0] * 256 + head[1]) % 31 == 0
    if is_zlib or head.startswith(_COMPRESSED):
        return "joblib"
    if head[:1] == b"{" and b"learner" in head:
        return "xgboost"
    if path.suffix == ".onnx" and head[:1] == b"\x08":
        return "onnx"
    raise Refused(
        "format",
        f"`{path.name}` is no model of a known form: it is not what XGBoost (JSON, UBJSON),"
        " LightGBM (text), CatBoost (cbm), ONNX, pickle, joblib, skops or MLflow write",
        "write the model with its library's own `save_model`, and name that file",
    )


def read(path: pathlib.Path) -> tuple[Any, str]:
    """The model and the form that it was read in. Raises Refused."""
    kind = kind_of(path)
    try:
        model = _READERS[kind](path)
    except Refused:
        raise
    except ModuleNotFoundError as absent:
        raise Refused(
            "package",
            f"`{path.name}` needs the module `{absent.name}`, which the environment does not have",
            f"install {absent.name} into it; a module of your own is named with `--module`",
        ) from absent
    except BaseException as error:  # of the library, or of what a pickle runs
        words = f"{type(error).__name__}: {str(error).strip()}"[:300]
        if kind in ("pickle", "joblib", "skops", "mlflow") and not _is_truncation(error):
            raise Refused(
                "raised",
                f"opening `{path.name}` raised {words}",
                "load it by hand in that environment: it needs the versions that it was"
                " written with",
            ) from error
        raise Refused(
            "damaged",
            f"`{path.name}` begins as {kind} does, and cannot be read: {words}",
            "write it again, and compare its size and sum with the one that it was copied from",
        ) from error
    return model, kind


def _is_truncation(error: BaseException) -> bool:
    """Of the bytes, and not of what they hold."""
    kinds = (EOFError, pickle.UnpicklingError, zlib.error, zipfile.BadZipFile)
    return isinstance(error, kinds) or "truncated" in str(error)


def _xgboost(path: pathlib.Path) -> Any:
    import xgboost

    model = xgboost.Booster()
    model.load_model(bytearray(path.read_bytes()))
    return model


def _lightgbm(path: pathlib.Path) -> Any:
    import lightgbm

    text = path.read_bytes()
    if b"\nend of trees" not in text:
        raise EOFError("its trees have no end")
    return lightgbm.Booster(model_str=text.decode())


def _catboost(path: pathlib.Path) -> Any:
    import catboost

    return catboost.CatBoost().load_model(str(path))


def _onnx(path: pathlib.Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), sess_options=options, providers=["CPUExecutionProvider"]
    )
    session.heddle_path = path
    return session


def _pickle(path: pathlib.Path) -> Any:
    try:
        import joblib
    except ModuleNotFoundError:
        joblib = None
    if joblib is not None:
        return joblib.load(path)
    with open(path, "rb") as file:
        return pickle.load(file)


def _joblib(path: pathlib.Path) -> Any:
    import joblib

    return joblib.load(path)


def _skops(path: pathlib.Path) -> Any:
    import skops.io

    # What it names is run in the sandbox, as a pickle is.
    return skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def _mlflow(path: pathlib.Path) -> Any:
    return Pyfunc(path.parent)


_READERS: dict[str, Callable[[pathlib.Path], Any]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "onnx": _onnx,
    "pickle": _pickle,
    "joblib": _joblib,
    "skops": _skops,
    "mlflow": _mlflow,
}


# ---- what libraries keep of a model's inputs


def categories_of_xgboost(model: Any) -> dict[str, list[Any]]:
    """By feature; of a file of before XGBoost 3.1 none."""
    if not hasattr(model, "get_categories"):
        return {}
    try:
        found = model.get_categories(export_to_arrow=True).to_arrow()
    except Exception:  # a file without any
        return {}
    return {name: each.to_pylist() for name, each in found or [] if each is not None}


def categories_of_lightgbm(model: Any) -> dict[int, list[Any]]:
    """By place, in the order of the frame's columns of categories, as LightGBM keeps them."""
    kept = getattr(model, "pandas_categorical", None) or []
    text = model.model_to_string(num_iteration=1)
    infos = re.search(r"^feature_infos=(.*)$", text, re.M)
    each = infos[1].split(" ") if infos else []
    # `[low:high]` of a number, `a:b:c` of categories, `none` of a column without a split.
    places = [i for i, info in enumerate(each) if info != "none" and not info.startswith("[")]
    if len(places) == len(kept):
        return dict(zip(places, kept))
    if not places and not kept:
        return {}
    raise Refused(
        "unsupported",
        f"the file has {len(places)} features of categories and the values of {len(kept)}: which"
        " values are of which feature is not said",
        "fit it on a frame whose text columns are pandas categories, each with values that differ",
    )


def loss_of_catboost(model: Any) -> str:
    try:
        return str(json.loads(model.get_metadata()["params"])["loss_function"]["type"])
    except (KeyError, TypeError, ValueError):
        return str((model.get_params() or {}).get("loss_function", "RMSE"))


def fitted_names(model: Any) -> list[str] | None:
    """The columns that an estimator was fitted on, where it keeps them."""
    names = getattr(model, "feature_names_in_", None)
    if names is None and is_of(model, "sklearn.pipeline", "Pipeline"):
        for _, step in model.steps:
            if (names := fitted_names(step)) is not None or hasattr(step, "n_features_in_"):
                break
    if names is None and is_of(model, "lightgbm", "LGBMModel"):
        names = model.feature_name_
    return None if names is None else [str(each) for each in names]


def categories_of_estimator(model: Any) -> dict[int, list[Any]]:
    """Of the libraries whose estimators take frames of categories, by place."""
    if is_of(model, "lightgbm", "LGBMModel"):
        return categories_of_lightgbm(model.booster_)
    if is_of(model, "xgboost", "XGBModel"):
        booster = model.get_booster()
        kept = categories_of_xgboost(booster)
        names = booster.feature_names or []
        return {i: kept[name] for i, name in enumerate(names) if name in kept}
    return {}


class OnnxAnswer(NamedTuple):
    """The output of a graph that is read."""

    name: str
    is_map: bool  # a list of {label: probability}
    probabilities: bool
    width: int  # 0: it does not say


def answer_of_onnx(session: Any) -> OnnxAnswer:
    outputs = session.get_outputs()
    for each in outputs:
        if each.type.startswith("seq(map("):
            return OnnxAnswer(each.name, True, True, 0)
    floats = [each for each in outputs if each.type in ("tensor(float)", "tensor(double)")]
    if not floats:
        raise Refused(
            "unsupported",
            "the graph has no output of numbers",
            "export it with its probabilities; with skl2onnx, `options={'zipmap': False}`",
        )
    last = floats[-1]
    width = last.shape[-1] if len(last.shape) > 1 and isinstance(last.shape[-1], int) else 0
    has_label = any(each.type in ("tensor(int64)", "tensor(string)") for each in outputs)
    return OnnxAnswer(last.name, False, has_label or width > 1, width)


def labels_of_onnx(session: Any) -> list[Any]:
    """The classes in the order of the answers, where the graph says them; else their places."""
    answer = answer_of_onnx(session)
    try:
        import onnx
    except ModuleNotFoundError:
        onnx = None
    if onnx is not None:
        graph = onnx.load(str(session.heddle_path)).graph
        for node in reversed(graph.node):
            for attribute in node.attribute:
                if attribute.name in ("classlabels_int64s", "classlabels_ints"):
                    return list(attribute.ints)
                if attribute.name == "classlabels_strings" and attribute.strings:
                    return [each.decode() for each in attribute.strings]
    return list(range(answer.width)) if answer.width > 1 else []


class Pyfunc:
    """An MLflow model of the flavor `python_function`, with the columns of its signature."""

    def __init__(self, folder: pathlib.Path) -> None:
        import mlflow
        import mlflow.pyfunc

        self.version = mlflow.__version__
        self.model = mlflow.pyfunc.load_model(str(folder))
        schema = self.model.metadata.get_input_schema()
        self.columns: list[dict[str, str]] = []
        if schema is not None and schema.has_input_names():
            for each in schema.inputs:
                kind = str(getattr(each.type, "name", each.type)).lower()
                self.columns.append({"name": each.name, "type": _MLFLOW.get(kind, ""), "as": kind})

    def predict(self, frame: Any) -> Any:
        made = {}
        for each in self.columns:
            column = frame[each["name"]]
            if each["as"] in _PANDAS and not (each["as"] in ("long", "integer") and _lacks(column)):
                column = column.astype(_PANDAS[each["as"]])
            if each["as"] == "datetime" and getattr(column.dt, "tz", None) is not None:
                column = column.dt.tz_convert("UTC").dt.tz_localize(None)
            made[each["name"]] = column
        return self.model.predict(type(frame)(made))


def _lacks(column: Any) -> bool:
    return bool(column.isna().any())


_MLFLOW = {
    "double": "number",
    "float": "number",
    "long": "integer",
    "integer": "integer",
    "boolean": "boolean",
    "string": "string",
    "datetime": "timestamp",
}
_PANDAS = {
    "double": "float64",
    "float": "float32",
    "long": "int64",
    "integer": "int32",
    "boolean": "bool",
}


# ---- asking


def adopted(path: Any, *, columns: list[str], positive: Any = None) -> Adopted:
    """The model in `path`, to be returned from `fit` as it is.

    `columns`: the fields or features that it reads, in its order. `positive`: of a model of two
    classes, the one that a probability is of.
    """
    place = pathlib.Path(path)
    folder = place.parent if place.name == "MLmodel" else None
    files = {place.name: place.read_bytes()}
    if folder is not None:
        files = {
            str(each.relative_to(folder)): each.read_bytes()
            for each in sorted(folder.rglob("*"))
            if each.is_file()
        }
    return Adopted(place.name, files, columns, positive)


class Adopted:
    """A model with the bytes that it came in: kept as they are, in bundles too."""

    def __init__(
        self, name: str, files: dict[str, bytes], columns: list[str], positive: Any
    ) -> None:
        from . import signatures

        self.name, self.files, self.columns, self.positive = name, files, columns, positive
        folder = pathlib.Path(tempfile.mkdtemp(prefix="heddle-model-"))
        for path, whole in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(whole)
        self.model, self.kind = read(folder / name)
        self.signature = signatures.of(self.model, self.kind)
        if self.kind != "mlflow":  # whose models may read their artifacts later
            shutil.rmtree(folder)
        own = [each["name"] for each in self.signature["features"]]
        if len(own) != len(columns) or (self.signature["named"] and own != list(columns)):
            raise ValueError(
                f"the model reads {own[:20]}, and `columns` are {list(columns)[:20]}: another file"
                " stands in the place of the one that was looked at"
            )

    def __reduce__(self) -> Any:
        return Adopted, (self.name, self.files, self.columns, self.positive)

    @property
    def reads_categories(self) -> bool:
        return any(each["type"] == "category" for each in self.signature["features"])

    def frame(self, rows: Rows) -> Any:
        """The rows as its owner has them, under the model's own names."""
        import pandas

        made = {}
        for column, feature in zip(self.columns, self.signature["features"]):
            if column not in rows.arrays:
                raise ValueError(f"the rows lack `{column}`, which the model reads")
            array = rows.arrays[column]
            if feature["type"] == "category":
                made[feature["name"]] = _category(array, feature["categories"])
            elif array.dtype.kind == "M":
                made[feature["name"]] = pandas.DatetimeIndex(array).tz_localize("UTC")
            else:
                made[feature["name"]] = array
        return pandas.DataFrame(made)

    def matrix(self, rows: Rows) -> numpy.ndarray:
        return numpy.column_stack(
            [rows.arrays[each].astype(numpy.float64) for each in self.columns]
        )

    def answers(self, rows: Rows, task: Task) -> Any:
        """As numbers of the task."""
        model = self.model
        if is_of(model, "xgboost", "Booster"):
            return self._of_xgboost(rows)
        if is_of(model, "lightgbm", "Booster"):
            return model.predict(self.frame(rows))
        if is_of(model, "catboost", "CatBoost") and not hasattr(model, "predict_proba"):
            return self._of_catboost(rows, task)
        if is_of(model, "onnxruntime", "InferenceSession"):
            return self._of_onnx(rows, task)
        table = self.frame(rows) if self._takes_frame() else self.matrix(rows)
        if isinstance(model, Pyfunc):
            return self._of_pyfunc(table, task)
        if task.kind == "regression":
            return model.predict(table)
        return self._in_order(model.predict_proba(table), self.signature["classes"], task)

    def _takes_frame(self) -> bool:
        """An estimator that was fitted on a matrix is given one, where all its columns are numbers;
        without names only their places count.
        """
        return bool(self.signature["named"]) or is_of(self.model, "lightgbm", "LGBMModel")

    def _of_xgboost(self, rows: Rows) -> Any:
        import xgboost

        table = self.frame(rows) if self.model.feature_names else self.matrix(rows)
        matrix = xgboost.DMatrix(table, enable_categorical=self.reads_categories)
        best = self.model.attr("best_iteration")
        return self.model.predict(matrix, iteration_range=(0, 0 if best is None else int(best) + 1))

    def _of_catboost(self, rows: Rows, task: Task) -> Any:
        frame = self.frame(rows)
        if task.kind == "regression":
            return self.model.predict(frame)
        given = self.model.predict(frame, prediction_type="Probability")
        return self._in_order(given, self.signature["classes"], task)

    def _of_onnx(self, rows: Rows, task: Task) -> Any:
        inputs = self.model.get_inputs()
        if not self.signature["named"]:
            feed = {inputs[0].name: self.matrix(rows).astype(_ONNX[inputs[0].type])}
        else:
            feed = {}
            for column, each in zip(self.columns, inputs):
                array = rows.arrays[column].astype(_ONNX[each.type])
                feed[each.name] = array.reshape(-1, 1) if len(each.shape) == 2 else array
        answer = answer_of_onnx(self.model)
        given = self.model.run([answer.name], feed)[0]
        classes = self.signature["classes"]
        if answer.is_map:
            classes = list(given[0]) if given else classes
            given = numpy.array([[each[name] for name in classes] for each in given])
        if task.kind == "regression" or numpy.ndim(given) < 2 or numpy.shape(given)[1] == 1:
            return given
        return self._in_order(given, classes, task)

    def _of_pyfunc(self, table: Any, task: Task) -> Any:
        given = numpy.asarray(self.model.predict(table))
        if task.kind != "regression" and not numpy.issubdtype(given.dtype, numpy.floating):
            raise WrongAnswers(
                "the MLflow model answers with labels, not with probabilities: log it with"
                ' `pyfunc_predict_fn="predict_proba"`'
            )
        return given

    def _in_order(self, given: Any, classes: list[Any], task: Task) -> numpy.ndarray:
        """The columns in the order of the task. The names of classes are compared as texts, since
        a definition writes 1 where a label is 1.0; a model of codes has them in the task's order.
        """
        table = numpy.asarray(given, dtype=numpy.float64)
        if table.ndim == 1:
            return table
        names = [_label(each) for each in classes] or [str(i) for i in range(table.shape[1])]
        if table.shape[1] != len(names):
            raise WrongAnswers(f"it answers {table.shape[1]} numbers a row of {len(names)} classes")
        if task.kind == "binary":
            wanted = _label(self.positive) if self.positive is not None else names[-1]
            if wanted not in names:
                raise WrongAnswers(f"its classes are {names[:8]}, and `positive` is `{wanted}`")
            return table[:, names.index(wanted)]
        wanted_names = [_label(each) for each in task.classes]
        if self.signature.get("coded") and sorted(names) != sorted(wanted_names):
            return table
        if sorted(names) != sorted(wanted_names):
            raise WrongAnswers(
                f"its classes are {names[:8]}, and those of the Model are {wanted_names[:8]}"
            )
        return table[:, [names.index(each) for each in wanted_names]]


def _label(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _category(array: numpy.ndarray, categories: list[Any]) -> Any:
    """pandas' categories of the model; what is not among them is missing, as its library has it."""
    import pandas

    place = {each: at for at, each in enumerate(categories)}
    codes = numpy.array([place.get(each, -1) for each in array.tolist()], numpy.int64)
    return pandas.Categorical.from_codes(codes, categories=categories)


_ONNX = {
    "tensor(float)": numpy.float32,
    "tensor(double)": numpy.float64,
    "tensor(int64)": numpy.int64,
    "tensor(int32)": numpy.int32,
    "tensor(bool)": numpy.bool_,
    "tensor(string)": object,
}
