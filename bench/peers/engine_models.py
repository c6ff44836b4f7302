#!/usr/bin/env python3
"""Prepares the peers of bench/engine from what `engine_bench train` left in DIR (xgboost-N.json,
rows.bin, labels.bin): for each count of trees the ONNX and treelite forms of the XGBoost model, a
LightGBM model of the same size, and its lleaves form; and from what `train-tasks` left LightGBM's
models of several classes and of a number. What exists is kept. Prints nothing; writes
DIR/versions.json.

    engine_models.py DIR COLUMNS TREES...
"""

import importlib.metadata
import json
import pathlib
import subprocess
import sys

import numpy as np


def onnx_form(source, target, columns):
    import xgboost as xgb
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = xgb.XGBClassifier()
    model.load_model(source)
    model.n_classes_ = 2
    target.write_bytes(
        convert_xgboost(
            model, initial_types=[("input", FloatTensorType([None, columns]))]
        ).SerializeToString()
    )


def treelite_form(source, target):
    import tl2cgen
    import treelite

    model = treelite.frontend.load_xgboost_model(str(source), format_choice="use_suffix")
    tl2cgen.export_lib(
        model, toolchain="gcc", libpath=str(target), params={"parallel_comp": 8}, verbose=False
    )


def lightgbm_form(rows, labels, target, trees, **more):
    import lightgbm as lgb

    parameters = {
        "objective": "binary",
        **more,
        "num_leaves": 64,
        "max_depth": 6,
        "learning_rate": 0.1,
        "verbose": -1,
        "num_threads": 1,
        "seed": 1,
    }
    lgb.train(parameters, lgb.Dataset(rows, labels), trees).save_model(target)


def lleaves_form(source, target):
    import lleaves

    part = target.with_suffix(".o")
    lleaves.Model(model_file=str(source)).compile(cache=str(part), raw_score=True)
    subprocess.run(["gcc", "-shared", "-o", str(target), str(part), "-lm"], check=True)


def made(steps):
    for target, make in steps:
        if target.exists():
            continue
        try:
            make(target)
        except Exception as error:
            # The table says which peer is not there, and the others are measured.
            print(f"engine: no {target.name}: {type(error).__name__}: {error}", file=sys.stderr)


def main(folder, columns, counts):
    rows = np.fromfile(folder / "rows.bin", np.float32).reshape(-1, columns)
    labels = np.fromfile(folder / "labels.bin", np.float32)
    for trees in counts:
        source = folder / f"xgboost-{trees}.json"
        steps = [
            (folder / f"onnx-{trees}.onnx", lambda target: onnx_form(source, target, columns)),
            (folder / f"treelite-{trees}.so", lambda target: treelite_form(source, target)),
            (
                folder / f"lightgbm-{trees}.txt",
                lambda target: lightgbm_form(rows, labels, target, trees),
            ),
            (
                folder / f"lleaves-{trees}.so",
                lambda target: lleaves_form(folder / f"lightgbm-{trees}.txt", target),
            ),
        ]
        made(steps)
    several, numbers = (
        np.fromfile(folder / f"labels-{task}.bin", np.float32) for task in ("classes", "regression")
    )
    made(
        [
            (
                folder / "lightgbm-classes.txt",
                lambda target: lightgbm_form(
                    rows, several, target, 100, objective="multiclass", num_class=7
                ),
            ),
            (
                folder / "lightgbm-regression.txt",
                lambda target: lightgbm_form(rows, numbers, target, 100, objective="regression"),
            ),
        ]
    )
    names = {
        "LightGBM": "lightgbm",
        "ONNX Runtime": "onnxruntime",
        "lleaves": "lleaves",
        "treelite": "tl2cgen",
    }
    import lightgbm

    versions = {name: importlib.metadata.version(package) for name, package in names.items()}
    versions["lib_lightgbm"] = str(
        next(pathlib.Path(lightgbm.__file__).parent.rglob("lib_lightgbm.so"))
    )
    (folder / "versions.json").write_text(json.dumps(versions))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), [int(count) for count in sys.argv[3:]])
