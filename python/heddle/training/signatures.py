"""What a model that is there says of itself: the features it reads, what it answers, and what it
leaves unsaid. `python signature.py JOB.json` runs this in the sandbox of workers, since opening a
pickle runs it.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import sys
from typing import Any

import numpy

from . import keeping, opening
from .answers import is_of

FORMAT = "heddle.signature/1"
_MOST_MESSAGE = 500
_UNNAMED = re.compile(r"^(?:Column_|f|feature_)?(\d+)$")


def of(model: Any, kind: str) -> dict[str, Any]:
    """The signature of a model that `opening.read` gave. Raises opening.Refused."""
    for module, names, describe in _KINDS:
        if is_of(model, module, *names):
            out = describe(model)
            break
    else:
        out = _of_estimator(model)
    names = [each["name"] for each in out["features"]]
    if len(set(names)) != len(names):
        raise opening.Refused(
            "unsupported",
            "two features of the model have one name: "
            + ", ".join(sorted({each for each in names if names.count(each) > 1})[:5]),
            "fit it on columns with names of their own",
        )
    return {
        "format": FORMAT,
        "kind": kind,
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        "library": out.pop("library"),
        "classes": out.pop("classes", []),
        "said": out.pop("said", []),
        **out,
    }


def _feature(name: str, type_: str = "", categories: list[Any] | None = None) -> dict[str, Any]:
    """`type`: `number`, `integer`, `boolean`, `string`, `timestamp`, `category`; empty: unsaid."""
    out: dict[str, Any] = {"name": str(name), "type": type_}
    if categories is not None:
        out["categories"] = [_plain(each) for each in categories]
    return out


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, numpy.generic) else value


def _named(names: list[Any] | None, count: int) -> tuple[list[str], bool]:
    """Names, and whether the model says them: numbers in a row are the library's own."""
    if names is None or len(names) != count:
        return [f"f{i}" for i in range(count)], False
    found = [_UNNAMED.match(str(each)) for each in names]
    numbered = all(each is not None and int(each[1]) == i for i, each in enumerate(found))
    return [str(each) for each in names], not numbered


def _task(kind: str, classes: list[Any] | None = None) -> dict[str, Any]:
    return {"task": kind, "classes": [_plain(each) for each in classes or []]}


# ---- libraries


def _of_xgboost(model: Any) -> dict[str, Any]:
    import xgboost

    types = model.feature_types or []
    names, named = _named(model.feature_names, model.num_features())
    categories = opening.categories_of_xgboost(model)
    features, said = [], []
    for i, name in enumerate(names):
        kind = types[i] if i < len(types) else ""
        if kind == "c":
            if name not in categories:
                raise opening.Refused(
                    "unsupported",
                    f"feature `{name}` is a category, and the file does not hold its values",
                    "write the model again with XGBoost 3.1 or newer, fitted on a frame with"
                    " categories of text",
                )
            features.append(_feature(name, "category", categories[name]))
        else:
            features.append(_feature(name, {"i": "boolean"}.get(kind, "number")))
    learner = json.loads(model.save_config())["learner"]
    objective = learner["objective"]["name"]
    count = int(learner["learner_model_param"]["num_class"])
    out = _objective("xgboost", objective, count, said)
    return {"library": f"xgboost {xgboost.__version__}", "features": features, "named": named} | out


def _objective(library: str, objective: str, classes: int, said: list[str]) -> dict[str, Any]:
    if objective in ("binary:logistic", "reg:logistic", "binary", "cross_entropy", "xentropy"):
        said.append("which value of the target its probability is of")
        return _task("binary") | {"said": said}
    if objective in ("multi:softprob", "multiclass", "softmax", "multiclassova"):
        said.append(f"what its {classes} classes are called")
        return _task("classes", list(range(classes))) | {"said": said, "coded": True}
    refused = {
        "multi:softmax": "it answers with a class and no probabilities",
        "binary:hinge": "it answers with a class and no probabilities",
        "binary:logitraw": "it answers with log odds and no probabilities",
    }
    if objective in refused or objective.startswith(("rank:", "lambdarank", "survival:")):
        why = refused.get(objective, "it answers with a rank or a hazard")
        raise opening.Refused(
            "unsupported",
            f"the objective of the model is `{objective}`: {why}",
            (
                "write it again with `binary:logistic` or `multi:softprob`"
                if library == "xgboost"
                else "fit it with an objective of a probability, of classes or of a number"
            ),
        )
    return _task("regression") | {"said": said}


def _of_lightgbm(model: Any) -> dict[str, Any]:
    import lightgbm

    names, named = _named(model.feature_name(), model.num_feature())
    where = opening.categories_of_lightgbm(model)
    features = [
        _feature(name, "category", where[i]) if i in where else _feature(name, "number")
        for i, name in enumerate(names)
    ]
    text = model.model_to_string(num_iteration=1)
    found = re.search(r"^objective=(\S+)", text, re.M)
    count = re.search(r"^num_class=(\d+)", text, re.M)
    if found is None:
        raise opening.Refused(
            "unsupported",
            "the file does not say its objective: what its answers mean is not known",
            "write it again with `save_model` of a booster that was trained with an objective",
        )
    said: list[str] = []
    out = _objective("lightgbm", found[1], int(count[1]) if count else 1, said)
    return {
        "library": f"lightgbm {lightgbm.__version__}",
        "features": features,
        "named": named,
    } | out


def _of_catboost(model: Any) -> dict[str, Any]:
    import catboost

    names, named = _named(model.feature_names_, len(model.feature_names_))
    if model.get_text_feature_indices() or model.get_embedding_feature_indices():
        raise opening.Refused(
            "unsupported",
            "the model reads free text or embeddings",
            "train it with `trainer: exec` (docs/own-trainer.md)",
        )
    places = set(model.get_cat_feature_indices())
    features = [
        _feature(name, "string" if i in places else "number") for i, name in enumerate(names)
    ]
    said = ["the values of its categories, which it knows by their sums"] if places else []
    loss = opening.loss_of_catboost(model)
    classes = numpy.asarray(model.classes_).tolist()
    if loss in ("Logloss", "CrossEntropy"):
        out = _task("binary", classes)
    elif loss == "MultiClass":
        out = _task("classes", classes)
    elif loss in ("MultiClassOneVsAll", "MultiLogloss", "MultiCrossEntropy") or "Rank" in loss:
        raise opening.Refused(
            "unsupported",
            f"the loss of the model is `{loss}`: its answers are no distribution",
            "fit it with `Logloss`, `MultiClass` or a loss of a number",
        )
    else:
        out = _task("regression")
    library = f"catboost {catboost.__version__}"
    return {"library": library, "features": features, "named": named, "said": said} | out


def _of_onnx(session: Any) -> dict[str, Any]:
    import onnxruntime

    inputs = session.get_inputs()
    types = {"string": "string", "bool": "boolean"}
    if len(inputs) == 1 and isinstance(inputs[0].shape[-1], int) and inputs[0].shape[-1] > 1:
        count, kind = inputs[0].shape[-1], _element(inputs[0])
        features = [_feature(f"f{i}", types.get(kind, "number")) for i in range(count)]
        named = False
    else:
        features = [_feature(each.name, types.get(_element(each), "number")) for each in inputs]
        named = True
        wide = [each.name for each in inputs if each.shape[-1:] not in ([1], [None])]
        if wide and len(inputs) > 1:
            raise opening.Refused(
                "unsupported",
                f"input `{wide[0]}` of the graph has several columns beside other inputs",
                "export one input a column, or one input of all",
            )
    classes = opening.labels_of_onnx(session)
    said: list[str] = []
    answers = opening.answer_of_onnx(session)
    if classes:
        out = _task("binary" if len(classes) == 2 else "classes", classes)
    elif answers.probabilities:
        said.append("which value of the target its probability is of")
        out = _task("")
    else:
        out = _task("regression")
    library = f"onnxruntime {onnxruntime.__version__}"
    return {"library": library, "features": features, "named": named, "said": said} | out


def _of_estimator(model: Any) -> dict[str, Any]:
    if not (hasattr(model, "predict") or hasattr(model, "predict_proba")):
        raise opening.Refused(
            "unsupported",
            f"the file holds a `{type(model).__name__}`, which has no `predict`",
            "write the fitted estimator itself",
        )
    count = getattr(model, "n_features_in_", None)
    names = opening.fitted_names(model)
    if names is None and count is None:
        raise opening.Refused(
            "unsupported",
            f"a `{type(model).__name__}` does not say which features it reads",
            "fit it on a DataFrame, whose columns it keeps, or write it as an MLflow model with a"
            " signature",
        )
    names, named = _named(names, len(names) if names is not None else int(count or 0))
    features = [_feature(name) for name in names]
    where = opening.categories_of_estimator(model)
    for i, values in where.items():
        features[i] = _feature(names[i], "category", values)
    classes = getattr(model, "classes_", None)
    said = []
    if not where:
        said.append("the types of its features")
    if classes is not None and numpy.ndim(classes) == 1:
        if not hasattr(model, "predict_proba"):
            raise opening.Refused(
                "unsupported",
                f"a `{type(model).__name__}` has no probabilities",
                "fit it with them, for example `CalibratedClassifierCV(model)`",
            )
        values = numpy.asarray(classes).tolist()
        out = _task("binary" if len(values) == 2 else "classes", values)
    else:
        out = _task("regression")
    module = type(model).__module__.partition(".")[0]
    version = getattr(sys.modules.get(module), "__version__", "")
    library = f"{'scikit-learn' if module == 'sklearn' else module} {version}".strip()
    return {"library": library, "features": features, "named": named, "said": said} | out


def _of_mlflow(model: Any) -> dict[str, Any]:
    if not model.columns:
        raise opening.Refused(
            "unsupported",
            "the MLflow model has no signature: which columns it reads is not said",
            "log it again with `signature=infer_signature(...)`",
        )
    features = [_feature(each["name"], each["type"]) for each in model.columns]
    out = _task("")
    return {
        "library": f"mlflow {model.version}",
        "features": features,
        "named": True,
        "said": ["whether its answers are probabilities"],
    } | out


_KINDS = (
    ("xgboost", ("Booster",), _of_xgboost),
    ("lightgbm", ("Booster",), _of_lightgbm),
    ("catboost", ("CatBoost",), _of_catboost),
    ("onnxruntime", ("InferenceSession",), _of_onnx),
    ("heddle.training.opening", ("Pyfunc",), _of_mlflow),
)


def _element(each: Any) -> str:
    return each.type.removeprefix("tensor(").removesuffix(")")


def _element_is_text(each: Any) -> bool:
    return _element(each) == "string"


def main() -> None:
    out = pathlib.Path(os.environ["TMPDIR"]) / "out"
    out.mkdir(parents=True, exist_ok=True)
    job_path = pathlib.Path(sys.argv[1]).resolve()
    job = json.loads(job_path.read_text())
    code = 0
    try:
        path = job_path.parent / "project" / job["model"]
        model, kind = opening.read(path)
        result = of(model, kind)
    except opening.Refused as why:
        result = {"failed": why.what, "message": str(why), "hint": why.hint}
        code = 1
    except BaseException as why:  # whatever a library or the file's own code raises
        words = f"{type(why).__name__}: {str(why).strip()}"[:_MOST_MESSAGE]
        result = {
            "failed": "raised",
            "message": f"what the model holds raised {words} when it was looked at",
            "hint": "try it by hand in that environment",
        }
        code = 1
    keeping.write_json(out / "result.json", result)
    os._exit(code)


if __name__ == "__main__":
    main()
