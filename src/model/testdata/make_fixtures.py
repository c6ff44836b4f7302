#!/usr/bin/env python3
"""Writes the model files beside it and, for each, NAME.expect.json: rows, the margins that the
library which trained the model (for ONNX: ONNX Runtime) has for them and, where it computes them,
the contributions of the first rows. model_test reads both. The packages whose versions wrote the
committed files are noted in each expect file; run it in an environment with

    pip install xgboost lightgbm catboost onnxruntime onnx onnxmltools skl2onnx scikit-learn

and with the names to write as arguments, or none for all.

Single-threaded, seeded: the same versions write the same margins.
"""

import json
import math
import pathlib
import sys
import tempfile
import warnings

import catboost
import lightgbm as lgb
import numpy as np
import onnx
import onnxmltools
import onnxruntime as ort
import xgboost as xgb
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = 5
EXPLAINED = 6


def numbers(array):
    """Nested lists of what JSON can say: NaN is null, infinities are text."""
    if isinstance(array, np.ndarray):
        return [numbers(item) for item in array]
    value = float(array)
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def data(seed, rows, missing=0.0, categories=False, zeros=0.0, informative=False):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, COLUMNS)).astype(np.float32)
    x[:, 2] = np.round(3 * x[:, 2])
    if categories:
        x[:, 1] = random.integers(0, 40, rows)
        x[:, 4] = random.integers(0, 4, rows)
    score = (
        x[:, 0]
        - 0.7 * x[:, 2] / 3
        + (np.sin(x[:, 1]) * 2 if categories else 0.5 * x[:, 1])
        + random.normal(size=rows)
    )
    x[random.random(x.shape) < zeros] = 0
    holes = random.random(x.shape) < missing
    x[holes] = np.nan
    if informative:  # so that a split sets what is missing apart from all else
        score = score + 3 * holes[:, 0] - 2 * holes[:, 3]
    return x, score


def write(name, suffix, model, x, margins, library, contributions=None):
    if len(sys.argv) > 1 and name not in sys.argv[1:]:
        return
    (HERE / f"{name}.{suffix}").write_bytes(model)
    margins = np.asarray(margins)
    expect = {
        "model": f"{name}.{suffix}",
        "library": library,
        "features": int(x.shape[1]),
        "outputs": 1 if margins.ndim == 1 else int(margins.shape[1]),
        "rows": numbers(x),
        "margins": numbers(margins.reshape(-1)),
    }
    if contributions is not None:
        expect["contributions"] = numbers(np.asarray(contributions).reshape(EXPLAINED, -1))
    lines = [
        f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}"
        for key, value in expect.items()
    ]
    (HERE / f"{name}.expect.json").write_text("{" + ",\n".join(lines) + "}\n")


def xgboost_fixtures():
    library = f"xgboost {xgb.__version__}"
    cases = {
        "xgboost3_binary": ({"objective": "binary:logistic"}, {}, 2, ("json", "ubj")),
        "xgboost3_multi": (
            {
                "objective": "multi:softprob",
                "num_class": 3,
                "num_parallel_tree": 2,
                "subsample": 0.8,
            },
            {},
            3,
            ("ubj",),
        ),
        "xgboost3_dart": (
            {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3},
            {},
            2,
            ("ubj",),
        ),
        "xgboost3_poisson": ({"objective": "count:poisson"}, {}, 9, ("json",)),
        "xgboost3_rank": ({"objective": "rank:ndcg"}, {}, 5, ("json",)),
        "xgboost3_category": (
            {"objective": "binary:logistic", "max_cat_to_onehot": 2},
            {"categories": True},
            2,
            ("json", "ubj"),
        ),
    }
    for seed, (name, (parameters, kinds, classes, suffixes)) in enumerate(cases.items()):
        x, score = data(seed, 600, missing=0.1, **kinds)
        labels = (
            (score > 0).astype(int)
            if classes == 2
            else np.clip(np.round(score + 1), 0, classes - 1)
        )
        types = ["q", "c", "q", "q", "c"] if kinds else ["q"] * COLUMNS
        train = xgb.DMatrix(x, labels, feature_types=types, enable_categorical=True)
        if name.endswith("rank"):
            train.set_group([20] * 30)
        booster = xgb.train(
            {
                "max_depth": 4,
                "eta": 0.3,
                "nthread": 1,
                "seed": seed,
                "tree_method": "hist",
                **parameters,
            },
            train,
            8,
        )
        fresh, _ = data(seed + 100, 60, missing=0.15, **kinds)
        if kinds:
            fresh[:4, 1] = [39.5, 77, 1e6, 38]
        matrix = xgb.DMatrix(fresh, feature_types=types, enable_categorical=True)
        margins = booster.predict(matrix, output_margin=True)
        contributions = booster.predict(matrix, pred_contribs=True)[:EXPLAINED]
        for suffix in suffixes:
            write(
                f"{name}_{suffix}",
                suffix,
                bytes(booster.save_raw(suffix)),
                fresh,
                margins,
                library,
                contributions,
            )


def lightgbm_fixtures():
    library = f"lightgbm {lgb.__version__}"
    common = {
        "num_leaves": 12,
        "min_data_in_leaf": 5,
        "verbose": -1,
        "num_threads": 1,
        "deterministic": True,
        "seed": 3,
    }
    cases = {
        "lightgbm_nan": ({"objective": "binary"}, {"missing": 0.1}),
        "lightgbm_zero": (
            {"objective": "binary", "zero_as_missing": True},
            {"missing": 0.1, "zeros": 0.2},
        ),
        "lightgbm_none": ({"objective": "regression", "use_missing": False}, {"zeros": 0.1}),
        "lightgbm_category": (
            {
                "objective": "binary",
                "min_data_per_group": 5,
                "cat_smooth": 1,
                "max_cat_to_onehot": 2,
            },
            {"missing": 0.05, "categories": True},
        ),
        "lightgbm_multi": ({"objective": "multiclass", "num_class": 3}, {"missing": 0.1}),
        "lightgbm_dart": ({"objective": "binary", "boosting": "dart", "drop_rate": 0.5}, {}),
        "lightgbm_poisson": ({"objective": "poisson"}, {}),
        "lightgbm_missing": (
            {"objective": "binary", "num_leaves": 8},
            {"missing": 0.3, "informative": True},
        ),
        "lightgbm_deep": (
            {"objective": "binary", "num_leaves": 60, "min_data_in_leaf": 1},
            {"missing": 0.05},
        ),
        "lightgbm_rf": (
            {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
            {"missing": 0.1},
        ),
        "lightgbm_rf_gamma": (
            {"objective": "gamma", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
            {},
        ),
        "lightgbm_ova": ({"objective": "multiclassova", "num_class": 3}, {"missing": 0.1}),
        "lightgbm_tweedie": ({"objective": "tweedie"}, {}),
        "lightgbm_entropy": ({"objective": "cross_entropy"}, {}),
        "lightgbm_quantile": ({"objective": "quantile"}, {"missing": 0.1}),
    }
    for seed, (name, (parameters, kinds)) in enumerate(cases.items()):
        x, score = data(seed + 20, 600, **kinds)
        labels = (
            score
            if name.endswith("none")
            else (
                np.clip(np.round(score + 1), 0, 2)
                if name.endswith(("multi", "ova"))
                else np.abs(score) + 1 if name.endswith("gamma") else (score > 0).astype(int)
            )
        )
        categories = [1, 4] if kinds.get("categories") else "auto"
        booster = lgb.train(
            {**common, **parameters}, lgb.Dataset(x, labels, categorical_feature=categories), 8
        )
        fresh, _ = data(
            seed + 120, 60, missing=0.15, zeros=0.1, categories=kinds.get("categories", False)
        )
        fresh[0] = [1e-36, -1e-36, 1e-35, -1e-35, 1.1e-35]
        fresh[1] = [np.inf, 3.9, -np.inf, 0, -0.5]
        fresh[2, 1] = 1e6
        margins = booster.predict(fresh, raw_score=True)
        if parameters.get("boosting") == "rf":
            margins /= 8  # what the objective is applied to; raw_score leaves the division out
        contributions = booster.predict(fresh, pred_contrib=True)[:EXPLAINED]
        if parameters.get("boosting") == "rf":
            contributions /= 8
        write(
            name, "txt", booster.model_to_string().encode(), fresh, margins, library, contributions
        )


def scores_of(model, x):
    """The scores of the model node before its post_transform, by ONNX Runtime on one thread."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    node = next(n for n in bare.graph.node if n.op_type.startswith(("TreeEnsemble", "Linear")))
    for attribute in node.attribute:
        if attribute.name == "post_transform":
            attribute.s = b"NONE"
    classifier = node.op_type.endswith("Classifier")
    output = node.output[1 if classifier else 0]
    del bare.graph.output[:]
    bare.graph.output.append(
        onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None)
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(bare.SerializeToString(), options)
    scores = session.run([output], {session.get_inputs()[0].name: x})[0]
    return (
        scores[:, 1]
        if classifier and scores.shape[1] == 2
        else scores[:, 0] if scores.shape[1] == 1 else scores
    )


def catboost_onnx(model):
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        model.save_model(file.name, format="onnx")
        return onnx.load(file.name)


def tree_onnx(nodes, weights, post="NONE", labels=(0, 1)):
    """One tree by hand: nodes as (id, feature, mode, value, true, false, missing goes to true),
    weights as (node, class, value).
    """
    columns = list(zip(*nodes))
    names = [
        "nodes_nodeids",
        "nodes_featureids",
        "nodes_modes",
        "nodes_values",
        "nodes_truenodeids",
        "nodes_falsenodeids",
        "nodes_missing_value_tracks_true",
    ]
    attributes = dict(zip(names, map(list, columns)))
    attributes["nodes_values"] = [float(v) for v in attributes["nodes_values"]]
    leaves = list(zip(*weights))
    node = onnx.helper.make_node(
        "TreeEnsembleClassifier",
        ["x"],
        ["label", "scores"],
        name="trees",
        domain="ai.onnx.ml",
        nodes_treeids=[0] * len(nodes),
        **attributes,
        class_treeids=[0] * len(weights),
        class_nodeids=list(leaves[0]),
        class_ids=list(leaves[1]),
        class_weights=[float(v) for v in leaves[2]],
        classlabels_int64s=list(labels),
        post_transform=post,
    )
    float_type = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [onnx.helper.make_tensor_value_info("x", float_type, [None, 2])],
        [onnx.helper.make_tensor_value_info("scores", float_type, None)],
    )
    sets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    return onnx.helper.make_model(graph, opset_imports=sets, ir_version=9)


def more_onnx(x, binary, three, boosted, shape, fresh, holes):
    gaps = x.copy()
    gaps[::7, 0] = np.nan
    cat = {
        "iterations": 5,
        "depth": 3,
        "verbose": 0,
        "thread_count": 1,
        "allow_writing_files": False,
    }
    inf = float("inf")
    leaf = ("LEAF", 0, 0, 0, 0)
    odd = np.array(
        [[1, 1], [np.nan, 2], [-9, np.nan], [inf, 0], [-inf, -inf], [3.4028235e38, 5], [0.5, 0.5]],
        dtype=np.float32,
    )
    ways = {}
    for mode in ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"):
        for name, value in (("inf", inf), ("minus_inf", -inf)):
            for missing in (0, 1):
                nodes = [
                    (0, 0, mode, value, 1, 2, missing),
                    (1, 0, *leaf),
                    (2, 1, "BRANCH_LEQ", 0.5, 3, 4, 1 - missing),
                    (3, 0, *leaf),
                    (4, 0, *leaf),
                ]
                ways[f"onnx_{mode[7:].lower()}_{name}_{missing}"] = (
                    tree_onnx(nodes, [(1, 0, 1), (3, 0, 2), (4, 0, 4)]),
                    odd,
                )
    # The branches 0 and 1 both lead to 4 where they hold: ONNX Runtime takes a shared node there
    # only.
    shared = [
        (0, 0, "BRANCH_LEQ", -1, 4, 1, 0),
        (1, 1, "BRANCH_LEQ", 0.0, 4, 2, 1),
        (2, 0, "BRANCH_LT", 0.75, 3, 7, 0),
        (3, 0, *leaf),
        (4, 1, "BRANCH_LT", 1.5, 5, 6, 0),
        (5, 0, *leaf),
        (6, 0, *leaf),
        (7, 0, *leaf),
    ]
    return ways | {
        "onnx_shared": (
            tree_onnx(shared, [(3, 0, 1.5), (5, 0, -2.25), (6, 0, 0.125), (7, 0, 7)], "LOGISTIC"),
            odd,
        ),
        "onnx_catboost": (
            catboost_onnx(catboost.CatBoostClassifier(**cat).fit(gaps, binary)),
            holes,
        ),
        "onnx_catboost3": (
            catboost_onnx(catboost.CatBoostClassifier(**cat).fit(gaps, three)),
            holes,
        ),
        "onnx_catboost_regression": (
            catboost_onnx(catboost.CatBoostRegressor(**cat).fit(gaps, x[:, 1])),
            holes,
        ),
        "onnx_lightgbm_plain": (
            onnxmltools.convert_lightgbm(
                lgb.LGBMClassifier(**boosted).fit(x, binary), initial_types=shape, zipmap=False
            ),
            fresh,
        ),
        "onnx_lightgbm3_plain": (
            onnxmltools.convert_lightgbm(
                lgb.LGBMClassifier(**boosted).fit(x, three), initial_types=shape, zipmap=False
            ),
            fresh,
        ),
        "onnx_lightgbm_poisson": (
            onnxmltools.convert_lightgbm(
                lgb.LGBMRegressor(**boosted, objective="poisson").fit(x, binary),
                initial_types=shape,
            ),
            fresh,
        ),
    }


def onnx_fixtures():
    library = f"onnxruntime {ort.__version__}, skl2onnx, onnxmltools {onnxmltools.__version__}"
    x, score = data(40, 400)
    binary, three = (score > 0).astype(int), np.clip(np.round(score + 1), 0, 2).astype(int)
    fresh, _ = data(140, 60)
    holes, _ = data(141, 60, missing=0.15)
    shape = [("input", FloatTensorType([None, COLUMNS]))]
    small = {"n_estimators": 6, "max_depth": 3}
    boosted = {"n_estimators": 6, "num_leaves": 8, "verbose": -1, "n_jobs": 1, "random_state": 1}
    cx, cscore = data(42, 500, categories=True)
    cfresh, _ = data(142, 60, categories=True)
    coded = lgb.LGBMClassifier(
        **boosted, min_child_samples=5, max_cat_to_onehot=100, min_data_per_group=5
    ).fit(cx, (cscore > 0).astype(int), categorical_feature=[1, 4])
    models = {
        "onnx_logistic": (to_onnx(LogisticRegression().fit(x, binary), x[:1]), fresh),
        "onnx_logistic3": (to_onnx(LogisticRegression().fit(x, three), x[:1]), fresh),
        "onnx_linear": (to_onnx(LinearRegression().fit(x, score), x[:1]), fresh),
        "onnx_forest": (
            to_onnx(RandomForestClassifier(6, max_depth=3, random_state=1).fit(x, binary), x[:1]),
            fresh,
        ),
        "onnx_forest3": (
            to_onnx(
                RandomForestClassifier(6, max_depth=3, random_state=1).fit(x, three),
                x[:1],
                options={"zipmap": False},
            ),
            fresh,
        ),
        "onnx_boosting": (
            to_onnx(GradientBoostingClassifier(**small, random_state=1).fit(x, binary), x[:1]),
            fresh,
        ),
        "onnx_boosting3": (
            to_onnx(GradientBoostingClassifier(**small, random_state=1).fit(x, three), x[:1]),
            fresh,
        ),
        "onnx_regression": (
            to_onnx(GradientBoostingRegressor(**small, random_state=1).fit(x, score), x[:1]),
            fresh,
        ),
        "onnx_xgboost": (
            onnxmltools.convert_xgboost(
                xgb.XGBClassifier(**small, n_jobs=1).fit(x, binary), initial_types=shape
            ),
            holes,
        ),
        "onnx_xgboost3": (
            onnxmltools.convert_xgboost(
                xgb.XGBClassifier(**small, n_jobs=1).fit(x, three), initial_types=shape
            ),
            holes,
        ),
        "onnx_lightgbm": (
            onnxmltools.convert_lightgbm(
                lgb.LGBMClassifier(**boosted).fit(x, binary), initial_types=shape
            ),
            fresh,
        ),
        "onnx_lightgbm3": (
            onnxmltools.convert_lightgbm(
                lgb.LGBMClassifier(**boosted).fit(x, three), initial_types=shape
            ),
            fresh,
        ),
        "onnx_equality": (onnxmltools.convert_lightgbm(coded, initial_types=shape), cfresh),
    }
    models.update(more_onnx(x, binary, three, boosted, shape, fresh, holes))
    for name, (model, rows) in models.items():
        write(name, "onnx", model.SerializeToString(), rows, scores_of(model, rows), library)


if __name__ == "__main__":
    xgboost_fixtures()
    lightgbm_fixtures()
    onnx_fixtures()
