#!/usr/bin/env python3
"""A model of three classes and one of a number on real data: check, run, gates, bundle, release,
a scored file.

tasks.py HEDDLE [CASE...]      needs scikit-learn, whose wines and diabetes patients these are,
    and where it is beside the project
                               shared/data/bikes.csv; exit 0 when every case holds
"""

import csv
import datetime
import json
import os
import pathlib
import subprocess
import sys

import numpy
import sklearn.datasets

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import small_project  # noqa: E402
from harness import Planes, refused, works  # noqa: E402

CASES = []


def case(function):
    CASES.append(function)
    return function


class World:
    """Projects in one temporary folder."""

    def __init__(self, heddle):
        self.heddle, self.dir = os.path.abspath(heddle), pathlib.Path(
            harness.tempfile.mkdtemp(prefix="heddle-tasks-")
        )
        self.count = 0

    def close(self):
        harness.shutil.rmtree(self.dir, ignore_errors=True)

    def project(self, columns, target, model, gates, rows, leakage=""):
        """A project over `rows` of `columns` (name to logical type), the last of which is the
        label.
        """
        self.count += 1
        root = small_project.make(self.dir / f"p{self.count}", count=10)
        self.keys = self.dir / f"p{self.count}-keys"
        names = list(columns)
        fields = "".join(
            f"      - name: {name}\n        logicalType: {columns[name]}\n        required: true\n"
            + (
                "        customProperties:\n          - {property: role, vendor: heddle, value:"
                " label}\n"
                if name == names[-1]
                else ""
            )
            for name in names
        )
        write = lambda file, text: (root / file).write_text(text)  # noqa: E731
        write(
            "heddle.yaml",
            (root / "heddle.yaml").read_text().replace("data/trips.csv", "data/rows.csv"),
        )
        write(
            "contracts/trips.odcs.yaml",
            "apiVersion: v3.2.0\nkind: DataContract\nid: trips\nversion: 1.0.0\nschema:\n  - name:"
            " trips\n    properties:\n" + fields,
        )
        features = [name for name in names[:-1] if columns[name] == "number"]
        write(
            "features/trips.yaml",
            "apiVersion: heddle/v1\nkind: FeatureSet\nname: trips\ncontract: trips\nfolds:"
            " 3\nfeatures:\n"
            + "".join(f"  - {{name: {name}, expression: {name}}}\n" for name in features)
            + (
                "  - {name: hour, expression: at.getHours()}\n  - {name: day, expression:"
                " at.getDayOfWeek()}\n"
                if "at" in names
                else ""
            ),
        )
        write(
            "models/late.yaml",
            "apiVersion: heddle/v1\nkind: Model\nname: late\nfeatures: trips\ntarget:"
            f" {target}\n{model}train: {{source: trips}}\nsearch:\n  trials: 2\n  startup: 2\n "
            " early_stopping_rounds: 10\n  max_rounds: 60\n  space:\n    - {name: max_depth,"
            " kind: integer, low: 2, high: 4}\nseed: 7\n",
        )
        write(
            "evaluations/late.yaml",
            "apiVersion: heddle/v1\nkind: Evaluation\nname: late\nmodel: late\nmetrics:\n  - name: "
            + ("mae" if "mae" in gates else "log_loss")
            + f"\n{leakage}gates:\n"
            + "".join(
                f"  - {{id: g{i}, when: {json.dumps(gate)}}}\n"
                for i, gate in enumerate(gates.split(" and "))
            ),
        )
        write(
            "monitors/late.yaml",
            "apiVersion: heddle/v1\nkind: Monitor\nname: late\nservice: late\nwindow:"
            " 28d\nwindow_rows: 20\ndistributions:\n  - {name: first, column:"
            f" {features[min(2, len(features) - 1)]}, kind: ks, floor: 0.1}}\n",
        )
        with open(root / "data/rows.csv", "w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(names)
            out.writerows(rows)
        git = [
            "git",
            "-C",
            str(root),
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@localhost",
            "-c",
            "commit.gpgsign=false",
        ]
        subprocess.run(git + ["commit", "-qam", "another task"], check=True)
        return harness.Project(self.heddle, root)

    def wines(self, **more):
        data = sklearn.datasets.load_wine()
        names = [f"f{i}" for i in range(data.data.shape[1])]
        columns = dict({name: "number" for name in names}, kind="string")
        rows = [
            list(row) + [("barolo", "grignolino", "not barbera")[label]]
            for row, label in zip(data.data, data.target)
        ]
        return self.project(
            columns,
            "kind",
            "interval: {coverage: 0.9}\n",
            "metrics.accuracy > 0.8 and metrics.macro_f1 > 0.8",
            rows,
            **more,
        )

    def patients(self, **more):
        data = sklearn.datasets.load_diabetes(scaled=False)
        columns = dict({name: "number" for name in data.feature_names}, progress="number")
        rows = [list(row) + [label] for row, label in zip(data.data, data.target)]
        return self.project(
            columns,
            "progress",
            "interval: {coverage: 0.8}\n",
            "metrics.mae < 60.0 and metrics.coverage > 0.6",
            rows,
            **more,
        )


ADDED = {"label", "set", "value", "lower", "upper", "validation", "bundle", "kind", "progress"}


def made_by_run(project):
    """What `heddle bundle inspect` says of the primary that a run makes."""
    done = works(project.run("--json", "run", timeout=300))
    return project.json("bundle", "inspect", json.loads(done.out)["candidate"]["bundle"])


def score(world, project):
    """The file that the run learned from, scored by the released primary."""
    out = world.dir / "out.csv"
    with Planes(project) as planes:
        for words in (("--slot", "standby"), ("--requester", "bob")):
            works(project.run("release", "promote", "late", *words))
        approval = project.json("approval", "list")["approvals"][0]["id"]
        works(project.run("approve", approval, "--person", "ann", "--key", world.keys / "ann"))
        said = project.json("score", project.root / "data/rows.csv", "-o", out, "--service", "late")
        assert said["refused"] == 0, said
        with open(out, newline="") as file:
            scored = list(csv.DictReader(file))
        planes.until(lambda: planes.get("/health/ready").status == 200, "it answers")
        same_as_served(planes, scored[:50])
        told_as_answered(planes, project, scored[0])
    return scored


def is_given(name):
    """Whether a column of the scored file is one that was sent."""
    return name not in ADDED and not name.startswith("probabilities.")


def same_as_served(planes, scored):
    """A file has what the endpoint answers, to the last digit: values, ends of intervals, sets."""
    given = [
        {name: float(text) for name, text in row.items() if is_given(name) and text}
        for row in scored
    ]
    reply = planes.predict({"rows": given})
    assert reply.status == 200, reply
    for row, answer in zip(scored, reply.json["predictions"]):
        for name, value in answer.items():
            if name == "probabilities":
                for each, number in value.items():
                    assert float(row[f"probabilities.{each}"]) == number, (row, answer)
            elif name == "set":
                assert json.loads(row[name]) == value, (row, answer)
            elif name == "label":
                assert row[name] == value, (row, answer)
            elif name in ("value", "lower", "upper"):
                assert float(row[name]) == value, (row, answer)


def told_as_answered(planes, project, row):
    """`heddle why` has the numbers of the answer, of each output, and works them out again."""
    given = {name: float(text) for name, text in row.items() if is_given(name) and text}
    body = {"rows": [given], "request_id": "asked", "explain": True}
    (answer,) = planes.predict(body).json["predictions"]
    (request,) = project.json("why", "asked", "--reproduce")["requests"]
    (told,) = request["rows"]
    assert told["reproduced"] == {"equal": True}, told
    for name, value in told["answer"].items():
        assert answer[name] == value, (name, value, answer)
    added = {each["name"]: each["contribution"] for each in told["features"]}
    wanted = answer["contributions"]
    if "probabilities" in answer:  # by class there, by feature here
        wanted = {name: [of[name] for of in wanted.values()] for name in added}
    assert added == wanted, (added, wanted)


@case
def three_classes(world):
    project = world.wines()
    works(project.run("check"))
    names = ["barolo", "grignolino", "not barbera"]
    bundle = made_by_run(project)
    assert bundle["config"]["task"] == {"kind": "classes", "classes": names}, bundle["config"]
    assert (
        sum(cell["rows"] for cell in bundle["evaluation"]["confusion"])
        == bundle["evaluation"]["metrics"]["rows"]
    ), bundle
    assert {f"recall.{name}" for name in names} < set(bundle["evaluation"]["metrics"]), bundle
    rows = score(world, project)
    right = 0
    for row in rows:
        probabilities = [float(row[f"probabilities.{name}"]) for name in names]
        assert abs(sum(probabilities) - 1) < 1e-5, row
        assert row["label"] == names[probabilities.index(max(probabilities))], row
        assert set(json.loads(row["set"])) <= set(names), row
        right += row["label"] == row["kind"]
    assert right / len(rows) > 0.9, right


@case
def a_number(world):
    project = world.patients()
    works(project.run("check"))
    bundle = made_by_run(project)
    assert bundle["config"]["task"] == {"kind": "regression"}, bundle["config"]
    assert {"mae", "rmse", "r2", "pinball", "coverage"} < set(
        bundle["evaluation"]["metrics"]
    ), bundle
    rows = score(world, project)
    error = numpy.mean([abs(float(row["value"]) - float(row["progress"])) for row in rows])
    assert error < 55, error
    widths = {round(float(row["upper"]) - float(row["lower"]), 2) for row in rows}
    assert max(widths) - min(widths) < 0.1, widths
    held = numpy.mean(
        [float(row["lower"]) <= float(row["progress"]) <= float(row["upper"]) for row in rows]
    )
    assert held > 0.75, held


@case
def bikes_in_the_order_of_time(world):
    data = pathlib.Path(__file__).resolve().parents[2] / ".." / "shared/data/bikes.csv"
    if not data.exists():
        raise harness.Skipped(f"{data} is not here")
    columns = {
        "at": "timestamp",
        "temp": "number",
        "hum": "number",
        "windspeed": "number",
        "weathersit": "number",
        "workingday": "number",
        "yr": "number",
        "season": "number",
        "cnt": "number",
    }
    rows = []
    with open(data, newline="") as file:
        for row in csv.DictReader(file):
            day = datetime.datetime.strptime(row["dteday"], "%m/%d/%Y") + datetime.timedelta(
                hours=int(row["hr"])
            )
            rows.append(
                [day.strftime("%Y-%m-%dT%H:%M:%SZ")]
                + [row[name] for name in columns if name not in ("at",)]
            )
    project = world.project(
        columns,
        "cnt",
        "interval: {coverage: 0.9}\n",
        "metrics.r2 > 0.6 and metrics.coverage > 0.6 and metrics.mae < 120.0",
        rows,
    )
    project.edit("models/late.yaml", "{source: trips}", "{source: trips, time_field: at}")
    works(project.run("check"))
    works(project.run("run", timeout=300))


@case
def gates_of_the_task_hold(world):
    project = world.wines()
    project.edit("evaluations/late.yaml", "metrics.accuracy > 0.8", "metrics.accuracy > 0.9999")
    refused(project.run("run", timeout=300), 3, "gates-failed")
    project.edit("evaluations/late.yaml", "metrics.accuracy > 0.9999", "metrics.auc > 0.5")
    found = project.run("check")
    assert found.code != 0 and "metric-task" in found.err + found.out, found


if __name__ == "__main__":
    made = World(sys.argv[1])
    try:
        sys.exit(harness.run_cases(CASES, sys.argv[2:], made))
    finally:
        made.close()
