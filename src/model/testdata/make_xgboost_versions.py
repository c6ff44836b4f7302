"""Fixtures of the XGBoost versions that write something of their own: run once a version.

    pip install --ignore-requires-python --no-deps --target /tmp/xgb/3.4.1 xgboost==3.4.1
    python make_xgboost_versions.py /tmp/xgb/3.4.1

`base_scores` prints, one a line, what a version makes of base scores; they are gathered in
xgboost_base_scores.json: [versions, objective, num_class, base_score as stored, leaf, margin]."""

import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
sys.path.insert(0, sys.argv[1])
import numpy as np  # noqa: E402
import xgboost as xgb  # noqa: E402

HERE = pathlib.Path(__file__).parent
SHORT = "".join(xgb.__version__.split(".")[:2])


def numbers(values):
    values = np.asarray(values, dtype=float)
    return (
        [[None if np.isnan(v) else v for v in row] for row in values]
        if values.ndim == 2
        else list(map(float, values))
    )


def write(name, booster, rows, outputs=1, forms=("json", "ubj"), **matrix):
    d = xgb.DMatrix(rows, **matrix)
    margins = booster.predict(d, output_margin=True)
    contributions = booster.predict(d, pred_contribs=True)[:20]
    for form in forms:
        stem = f"xgboost{SHORT}_{name}_{form}"
        (HERE / f"{stem}.{form}").write_bytes(bytes(booster.save_raw(form)))
        expect = {
            "model": f"{stem}.{form}",
            "library": f"xgboost {xgb.__version__}",
            "features": rows.shape[1],
            "outputs": outputs,
            "rows": numbers(rows),
            "margins": numbers(margins.reshape(-1)),
            "contributions": numbers(contributions.reshape(len(contributions), -1)),
        }
        lines = [
            f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in expect.items()
        ]
        (HERE / f"{stem}.expect.json").write_text("{" + ",\n".join(lines) + "}\n")


def main():
    rs = np.random.RandomState(5)
    x = rs.randn(400, 4).astype("f4")
    x[rs.rand(400, 4) < 0.1] = np.nan
    score = np.nan_to_num(x[:, 0]) + 0.5 * np.nan_to_num(x[:, 1])
    y = (score > 0).astype(int)
    rows = rs.randn(40, 4).astype("f4")
    rows[rs.rand(40, 4) < 0.2] = np.nan
    common = {"nthread": 1, "max_depth": 3, "tree_method": "hist", "seed": 1}
    logistic = {**common, "objective": "binary:logistic"}
    dart = {**logistic, "booster": "dart", "rate_drop": 0.4, "one_drop": 1}
    write("dart", xgb.train(dart, xgb.DMatrix(x, y), 6), rows)
    three = {**dart, "objective": "multi:softprob", "num_class": 3}
    write(
        "dart3",
        xgb.train(three, xgb.DMatrix(x, np.clip(np.round(score + 1), 0, 2)), 4),
        rows,
        3,
        ("ubj",),
    )
    if xgb.__version__ >= "3.2":
        write("base0", xgb.train({**logistic, "base_score": 0}, xgb.DMatrix(x, y), 3), rows)
        write("base1", xgb.train(logistic, xgb.DMatrix(x, np.ones(400)), 3), rows, forms=("json",))
    if xgb.__version__ >= "3.3":
        # Only whether the value is missing tells, and a constraint turns the default direction.
        z = np.array([[1.0]] * 60 + [[np.nan]] * 60, dtype="f4")
        tail = np.array([[1], [np.nan], [-9], [9], [0]], dtype="f4")
        for way in ("(1)", "(-1)"):
            split = {**logistic, "monotone_constraints": way, "base_score": 0.5}
            write(
                "missing" + ("_up" if way == "(1)" else "_down"),
                xgb.train(split, xgb.DMatrix(z, np.isnan(z[:, 0])), 2),
                tail,
            )
            write(
                "present" + ("_up" if way == "(1)" else "_down"),
                xgb.train(split, xgb.DMatrix(z, ~np.isnan(z[:, 0])), 2),
                tail,
                forms=("json",),
            )
        write(
            "expectile",
            xgb.train(
                {**common, "objective": "reg:expectileerror", "expectile_alpha": 0.7},
                xgb.DMatrix(x, score),
                3,
            ),
            rows,
            forms=("json",),
        )
        write(
            "cox",
            xgb.train({**common, "objective": "survival:cox"}, xgb.DMatrix(x, score + 5), 3),
            rows,
            forms=("json",),
        )


if __name__ == "__main__":
    main()
