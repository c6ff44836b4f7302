"""What can be served: a function of a frame, and the objects of scikit-learn, PyTorch and ONNX
Runtime as they are.

A model gets one request's tensors and gives its outputs. `fields` come as one tensor [n] a field,
`features` as one [n, k] (docs/formats/runtime.md). A function is given a pandas DataFrame where
pandas is installed, else a dict of numpy arrays.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from .. import errors

Arrays = dict[str, numpy.ndarray]
_MISSING = ".missing"


class ModelFault(Exception):
    """The model gave back something that is no answer for the request: its own mistake, told to the
    caller as 500.
    """


class Model:
    """`run` is what the worker calls; the object itself can be called like the function that was
    decorated.
    """

    def __init__(
        self,
        run: Callable[[Arrays], Any],
        *,
        name: str,
        output: str = "probability",
        inputs: Sequence[dict[str, Any]] = (),
        classes: Sequence[Any] = (),
        function: Callable[..., Any] | None = None,
    ) -> None:
        """`classes`: those of the columns of `output`, where each has its own."""
        self._run, self.name, self.output, self.inputs, self._function = (
            run,
            name,
            output,
            list(inputs),
            function,
        )
        self.classes = list(classes)
        if function is not None:
            functools.update_wrapper(self, function)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self._function is None:
            raise TypeError(f"{self.name} is served, not called")
        return self._function(*arguments, **options)

    def run(self, arrays: Arrays) -> Arrays:
        """Outputs by name, each with as many rows as the request. Raises ModelFault, and whatever
        the model raises.
        """
        rows = {len(array) for array in arrays.values()}
        if len(rows) != 1:
            raise errors.InvalidRequest(
                f"the inputs have {' and '.join(map(str, sorted(rows)))} rows",
                id="rows-unequal",
                status=400,
            )
        given = self._run(arrays)
        outputs = given if isinstance(given, dict) else {self.output: given}
        return {
            str(name): _as_output(str(name), value, rows.copy().pop())
            for name, value in outputs.items()
        }


def decorate(
    function: Any = None, *, output: str = "probability", features: Sequence[str] = ()
) -> Any:
    """`output` names what the function returns; `features` names the columns of a tensor [n, k], in
    their order.
    """
    if function is None:
        return functools.partial(decorate, output=output, features=features)
    if not callable(function):
        raise TypeError(
            f"`@heddle.model` stands before a function, not a `{type(function).__name__}`"
        )
    return Model(
        lambda arrays: function(frame(arrays, features)),
        name=getattr(function, "__name__", "model"),
        output=output,
        function=function,
    )


def as_model(
    thing: Any, *, output: str | None = None, features: Sequence[str] = (), positive: Any = None
) -> Model:
    """A Model as it is; else by what the object is. A module that was never imported cannot have
    made it, so none is imported here. `output`: default `probability`; `probabilities` of a
    classifier of more than two classes, `value` of a regressor. `positive` is the label of a
    classifier whose probability alone is given.
    """
    estimator = hasattr(thing, "predict_proba") or hasattr(thing, "predict")
    if positive is not None and not (estimator and hasattr(thing, "classes_")):
        raise TypeError(
            f"`positive` is a label of a fitted classifier, and a `{type(thing).__name__}` has none"
        )
    if isinstance(thing, Model):
        return thing
    if _is(thing, "onnxruntime", "InferenceSession"):
        return _onnx(thing, output or "probability")
    if _is(thing, "torch.nn", "Module"):
        return _torch(thing, output or "probability")
    if estimator:
        return _estimator(thing, output or _output_of(thing, positive), features, positive)
    if callable(thing):
        return decorate(thing, output=output or "probability", features=features)
    raise TypeError(
        f"a `{type(thing).__name__}` cannot be served: pass a function of a frame, a scikit-learn"
        " estimator, a torch.nn.Module or an onnxruntime.InferenceSession"
    )


def frame(arrays: Arrays, features: Sequence[str] = ()) -> Any:
    """A pandas DataFrame, or a dict of arrays where pandas is not installed. A missing value is NaN
    in numbers and None in the rest.
    """
    columns: Arrays = {}
    for name, array in fields(arrays).items():
        if array.ndim == 1:
            columns[name] = array
        else:
            wide = array.reshape(len(array), -1)
            names = (
                features
                if len(features) == wide.shape[1]
                else [f"{name}_{i}" for i in range(wide.shape[1])]
            )
            columns.update((each, wide[:, i]) for i, each in enumerate(names))
    try:
        import pandas
    except ImportError:
        return columns
    return pandas.DataFrame(columns)


def fields(arrays: Arrays) -> Arrays:
    """The fields with their `NAME.missing` tensors worked in; [n, 1] is [n]."""
    out: Arrays = {}
    for name, array in arrays.items():
        mask = arrays.get(name + _MISSING)
        if name.endswith(_MISSING) and array.dtype == bool and name[: -len(_MISSING)] in arrays:
            continue
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if (
            mask is not None
            and mask.dtype == bool
            and (mask := mask.reshape(-1)).any()
            and array.ndim == 1
        ):
            array = array.astype(float if array.dtype.kind in "iuf" else object)
            array[mask] = numpy.nan if array.dtype.kind == "f" else None
        out[name] = array
    return out


def matrix(arrays: Arrays) -> numpy.ndarray:
    """FP32 [n, k]: the one wide tensor, or the numeric fields side by side in the request's
    order.
    """
    parts = [array.reshape(len(array), -1) for array in fields(arrays).values()]
    for name, array in fields(arrays).items():
        if array.dtype.kind not in "iufb":
            raise errors.InvalidRequest(
                f"input `{name}` is no number, and the model takes a matrix of numbers",
                id="input-not-numeric",
                status=400,
                hint="serve a function that encodes it",
            )
    return (
        numpy.concatenate(parts, axis=1).astype(numpy.float32)
        if len(parts) > 1
        else parts[0].astype(numpy.float32)
    )


def _is(thing: Any, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(thing, getattr(loaded, name))


_TRUE_SECOND = ([0, 1], [-1, 1], ["0", "1"], ["false", "true"], ["False", "True"])


def _is_classifier(thing: Any) -> bool:
    base = sys.modules.get("sklearn.base")
    if base is not None:
        try:
            return bool(base.is_classifier(thing))
        except (AttributeError, TypeError):  # no estimator of scikit-learn
            pass
    return getattr(thing, "_estimator_type", None) == "classifier" or hasattr(thing, "classes_")


def _classes_of(thing: Any) -> list[Any]:
    return numpy.asarray(getattr(thing, "classes_", ())).tolist()


def _output_of(thing: Any, positive: Any) -> str:
    """What a service calls the answers of such an estimator."""
    if not hasattr(thing, "predict_proba") and not _is_classifier(thing):
        return "value"
    return "probabilities" if positive is None and len(_classes_of(thing)) > 2 else "probability"


def _positive_column(thing: Any, output: str, positive: Any) -> int | None:
    """The column of predict_proba that is the probability of a true target; None: all of them are
    given. A service reads the second of two columns: which label stands there must be said, by the
    labels or by `positive`.
    """
    classes = _classes_of(thing)
    if positive is not None:
        if positive not in classes:
            raise TypeError(
                f"`positive={positive!r}` is no label of the `{type(thing).__name__}`: it has"
                f" {classes}"
            )
        return classes.index(positive)
    if output == "probability" and len(classes) == 2 and classes not in _TRUE_SECOND:
        raise TypeError(
            f"which label of the `{type(thing).__name__}` is a true target is not said by"
            f" {classes}: pass `positive={classes[0]!r}` or `positive={classes[1]!r}` to"
            " `heddle.serve`"
        )
    return None


def _estimator(thing: Any, output: str, features: Sequence[str], positive: Any) -> Model:
    names = [str(each) for each in features or getattr(thing, "feature_names_in_", ())]
    gives_probabilities = hasattr(thing, "predict_proba")
    if (
        output in ("probability", "probabilities")
        and not gives_probabilities
        and _is_classifier(thing)
    ):
        raise TypeError(
            f"the `{type(thing).__name__}` has no probabilities, and its labels would be taken for"
            " such: fit it with probabilities (`CalibratedClassifierCV(model)`,"
            ' `SVC(probability=True)`), or serve its labels under another name, `output="label"`'
        )
    column = _positive_column(thing, output, positive) if gives_probabilities else None
    if gives_probabilities and column is not None:

        def call(table: Any) -> Any:
            return numpy.asarray(thing.predict_proba(table))[:, column]

    else:
        call = thing.predict_proba if gives_probabilities else thing.predict

    def run(arrays: Arrays) -> Any:
        table = frame(arrays, names)
        if isinstance(table, dict) or not names:
            return call(matrix(arrays))  # fitted on a matrix
        absent = [name for name in names if name not in table.columns]
        if absent:
            raise errors.InvalidRequest(
                f"the inputs lack {', '.join(f'`{name}`' for name in absent)}",
                id="inputs-missing",
                status=400,
            )
        return call(table[names])

    width = len(names) or getattr(thing, "n_features_in_", -1)
    classes = _classes_of(thing) if gives_probabilities and column is None else ()
    return Model(
        run,
        name=type(thing).__name__,
        output=output,
        inputs=[{"name": "features", "datatype": "FP32", "shape": [-1, width]}],
        classes=classes,
    )


def _torch(thing: Any, output: str) -> Model:
    import torch

    thing.eval()

    def run(arrays: Arrays) -> Any:
        with torch.inference_mode():
            return thing(torch.from_numpy(matrix(arrays)))

    return Model(
        run,
        name=type(thing).__name__,
        output=output,
        inputs=[{"name": "features", "datatype": "FP32", "shape": [-1, -1]}],
    )


_ONNX = {
    "tensor(float)": ("FP32", "<f4"),
    "tensor(double)": ("FP64", "<f8"),
    "tensor(int64)": ("INT64", "<i8"),
    "tensor(int32)": ("INT32", "<i4"),
    "tensor(bool)": ("BOOL", "?"),
    "tensor(string)": ("BYTES", "O"),
}


def _onnx(session: Any, output: str) -> Model:
    takes = session.get_inputs()
    gives = [
        each for each in session.get_outputs() if each.type in ("tensor(float)", "tensor(double)")
    ]
    unknown = [each.name for each in takes if each.type not in _ONNX]
    if unknown or not gives:
        what = (
            f"its input `{unknown[0]}` has a type that is not sent"
            if unknown
            else "it has no output of floats"
        )
        raise TypeError(
            f"the ONNX model cannot be served: {what}; with skl2onnx, convert with"
            " `options={'zipmap': False}`"
        )
    result = gives[
        -1
    ].name  # scikit-learn's converters give the label first, then the probabilities

    def run(arrays: Arrays) -> Any:
        given = fields(arrays)
        if len(takes) == 1 and takes[0].name not in given:
            feed = {takes[0].name: matrix(arrays)}
        else:
            absent = [each.name for each in takes if each.name not in given]
            if absent:
                raise errors.InvalidRequest(
                    f"the inputs lack {', '.join(f'`{name}`' for name in absent)}",
                    id="inputs-missing",
                    status=400,
                )
            feed = {
                each.name: (
                    given[each.name]
                    if len(each.shape) == 1
                    else given[each.name].reshape(len(given[each.name]), -1)
                )
                for each in takes
            }
        return session.run(
            [result], {each.name: feed[each.name].astype(_ONNX[each.type][1]) for each in takes}
        )[0]

    described = [
        {
            "name": each.name,
            "datatype": _ONNX[each.type][0],
            "shape": [size if isinstance(size, int) else -1 for size in each.shape],
        }
        for each in takes
    ]
    return Model(run, name="InferenceSession", output=output, inputs=described)


def _as_output(name: str, value: Any, rows: int) -> numpy.ndarray:
    if hasattr(value, "detach"):  # a torch tensor, perhaps on a device
        value = value.detach().cpu().numpy()
    elif hasattr(value, "to_numpy"):  # a Series or frame of pandas, polars
        value = value.to_numpy()
    array = numpy.asarray(value)
    if (
        array.dtype.kind in "iub"
        or array.dtype == numpy.float16
        or array.dtype.kind == "f"
        and array.itemsize > 8
    ):
        array = array.astype(numpy.float64)
    elif array.dtype.kind == "O" and array.size and not isinstance(array.ravel()[0], str):
        try:
            array = array.astype(numpy.float64)  # None is NaN
        except (TypeError, ValueError):
            raise ModelFault(
                f"the model returned objects of `{type(array.ravel()[0]).__name__}` as `{name}`:"
                " numbers or text were expected"
            ) from None
    if array.dtype.kind not in "fOUS":
        raise ModelFault(
            f"the model returned `{array.dtype}` as `{name}`: numbers or text were expected"
        )
    if array.ndim == 0 or len(array) != rows:
        got = "one value" if array.ndim == 0 else f"{len(array)} rows"
        raise ModelFault(f"the model returned {got} as `{name}` for a request of {rows} rows")
    return array
