#!/usr/bin/env python3
"""Trainers of one's own through the real binary: a scikit-learn Pipeline with one-hot columns,
trained, gated, released, served, and retrained by a recovery after the world changed; LightGBM with
pandas' categories; trees that the engine scores; what a project is told when something is wrong.

    own_trainer.py HEDDLE PYTHON [CASE...]      PYTHON: an environment with tests/trainers.txt
"""

import datetime
import json
import os
import random
import re
import sys

import harness
import small_project
from harness import Planes, World, refused, works

HEAD = "import heddle\n"
PIPELINE = HEAD + """\
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder


def hour_of(frame):
    return frame.apply(lambda column: column.dt.hour / 24)


@heddle.train
def fit(train, valid, params):
    print(f"{len(train)} rows, C {params.C}")
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["origin"]),
        (FunctionTransformer(hour_of), ["date"]),
    )
    return make_pipeline(columns, LogisticRegression(C=params.C)).fit(train.frame, train.target)
"""
CATEGORIES = HEAD + """\
import lightgbm
import numpy

COLUMNS = ["origin", "distance", "hour"]


def with_hour(frame):
    return frame.assign(hour=frame["date"].dt.hour)[COLUMNS]


class Late:
    classes_ = numpy.array([0, 1])

    def __init__(self, booster):
        self.booster = booster

    def predict_proba(self, frame):
        late = self.booster.predict(with_hour(frame))
        return numpy.column_stack([1 - late, late])


@heddle.train(strings="category")
def fit(train, valid, params):
    data = lightgbm.Dataset(with_hour(train.frame), train.target)
    options = {"objective": "binary", "verbose": -1, "seed": params.seed, "num_leaves": 7}
    return Late(lightgbm.train(options, data, 30))
"""
TREES = HEAD + """\
import xgboost


@heddle.train
def fit(train, valid, params):
    model = xgboost.XGBClassifier(
        n_estimators=40, max_depth=params.max_depth, early_stopping_rounds=5, seed=params.seed
    )
    return model.fit(
        train.frame, train.target, eval_set=[(valid.frame, valid.target)], verbose=False
    )
"""
ADOPTED = HEAD + """\
import pathlib

import joblib


@heddle.train
def fit(train, valid, params):
    return joblib.load(pathlib.Path(__file__).parent / "model.joblib")
"""
# On the feature `hour` alone: what it says of a row needs nothing that is fitted in the project.
FITTED_ELSEWHERE = """\
import csv, json, pathlib, sys
import joblib, numpy
from sklearn.ensemble import HistGradientBoostingClassifier

root = pathlib.Path(sys.argv[1])
rows = list(csv.DictReader(open(root / "data/trips.csv")))
x = numpy.zeros((len(rows), 4), dtype=numpy.float32)
x[:, 0] = [int(row["date"][11:13]) for row in rows]
model = HistGradientBoostingClassifier(max_iter=20, random_state=0)
model.fit(x, [int(row["delay"]) > 15 for row in rows])
joblib.dump(model, root / "trainers/model.joblib")
asked = numpy.zeros((24, 4), dtype=numpy.float32)
asked[:, 0] = range(24)
(root / "said.json").write_text(json.dumps(model.predict_proba(asked)[:, 1].tolist()))
"""
MODEL = """\
trainer: exec
exec:
  file: trainers/late.py
  python: ${env:HEDDLE_TEST_TRAINERS}
  lock: trainers/late.lock
  inputs: INPUTS
search:
  trials: 2
  parallel: 1
  startup: 2
  rows: 4000
  space:
    - SPACE
"""
C = "{name: C, kind: log_uniform, low: 0.1, high: 10}"
DEPTH = "{name: max_depth, kind: integer, low: 2, high: 4}"
RECOVERY = """\
  - id: recovery-acts
    effect: allow
    who: "agent:*"
    action: ["retrain.start", "incident.*", "postmortem.*", "alert.*"]
recovery:
  retrain:
    max_rows: 4000
    event_time_cost: 1h
failover:
"""
LOCKS = {}


def invalid(done):
    """`check` says that a file of the trainer's is missing."""
    assert done.code == 2 and "exec-file-missing" in done.ids and "hint:" in done.err, done
    return done


def own(world, trainer, inputs="fields", space=C):
    """A project with that trainer, its environment locked."""
    project = world.copy(world.fresh)
    folder = project.root / "trainers"
    folder.mkdir()
    (folder / "late.py").write_text(trainer)
    file = project.root / "models/late.yaml"
    text = file.read_text()
    start, end = text.index("trainer: xgboost"), text.index("standby:")
    model = MODEL.replace("INPUTS", inputs).replace("SPACE", space)
    file.write_text(text[:start] + model + text[end:])
    if not LOCKS:
        done = invalid(project.run("check"))
        assert "heddle trainer lock" in done.err, done
        LOCKS["text"] = ""
        works(project.run("trainer", "lock", timeout=200))
        LOCKS["text"] = (folder / "late.lock").read_text()
    (folder / "late.lock").write_text(LOCKS["text"])
    return project


def built(project):
    project_git(project, "add", "-A")
    project.commit()
    works(project.run("check"))
    done = works(project.run("run", timeout=550))
    return done, project.json("run")["candidate"]["bundle"]


def project_git(project, *words):
    harness.subprocess.run(["git", "-C", str(project.root), *words], check=True)


def trainer_json(project, bundle):
    """The layer that says what trained it: by its title, from the objects."""
    blobs = project.root / ".heddle/objects/blobs/sha256"
    manifest = json.loads((blobs / bundle.removeprefix("sha256:")).read_text())
    for layer in manifest["layers"]:
        if layer["annotations"]["org.opencontainers.image.title"] == "trainer.json":
            return json.loads((blobs / layer["digest"].removeprefix("sha256:")).read_text())
    raise AssertionError("the bundle has no trainer.json")


def changed_world(project, days):
    """Rows of later days that are late by two of the places, whatever the hour: no mirror of the
    days before, which would look like labels that are turned over.
    """
    draw = random.Random(4)
    begin = datetime.datetime(2001, 3, 1)
    lines = ["date,distance,origin,destination,delay\n"]
    for i in range(days * 720):
        when = begin + datetime.timedelta(minutes=2 * i)
        origin, destination = draw.sample(range(len(small_project.PLACES)), 2)
        distance = 100 + 150 * (origin + destination) + 10 * abs(origin - destination)
        late = draw.random() < (0.85 if origin in (1, 4) else 0.1)
        cells = [
            when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            distance,
            small_project.PLACES[origin],
            small_project.PLACES[destination],
            30 if late else 0,
        ]
        lines.append(",".join(map(str, cells)) + "\n")
    (project.root / "data/later.csv").write_text("".join(lines))


def incidents(project):
    return project.json("incident", "list")["incidents"]


def a_pipeline_is_served_and_retrained_by_a_recovery(world):
    project = own(world, PIPELINE)
    project.edit(
        "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    project.edit("policies/default.yaml", "failover:\n", RECOVERY)
    project.edit("monitors/late.yaml", "chunk_rows: 2000", "chunk_rows: 600")
    done, first = built(project)
    assert re.search(r"\d+ rows, C \d", done.err + done.out), done  # what it prints is progress
    said = trainer_json(project, first)
    assert said["scored_by"] == "worker" and said["returned"] == "sklearn.pipeline.Pipeline", said
    assert said["parity"]["largest_difference"] <= 1e-6 and said["parity"]["rows"] > 100, said
    names = [each["name"] for each in said["environment"]["packages"]]
    assert "scikit-learn" in names and said["environment"]["python"].startswith("cpython"), names
    steps = project.json("plan")["steps"]
    assert all(each["state"] == "cached" for each in steps), steps
    with Planes(project) as planes:
        planes.release(world)
        row = {
            "date": "2001-02-28T22:00:00Z",
            "distance": 260,
            "origin": "AAA",
            "destination": "BBB",
        }
        answer = planes.predict({"rows": [row]})
        assert answer.status == 200 and answer.json["bundle"] == first, answer
        changed_world(project, 16)
        works(
            project.run("replay", project.root / "data/later.csv", "--service", "late", timeout=500)
        )

        # A worker scores no row beside the traffic, so a person decides about the candidate.
        def decided():
            told = [project.json("incident", "show", each["id"]) for each in incidents(project)]
            return re.findall(r"release promote late --bundle (sha256:[0-9a-f]{64})", str(told))

        planes.until(decided, "the recovery says which candidate a person may release", 120)
        candidate = decided()[-1]
        works(project.run("release", "promote", "late", "--bundle", candidate))
        approval = project.json("approval", "list")["approvals"][-1]["id"]
        works(project.run("approve", approval, "--person", "ann", "--key", world.keys / "ann"))
        planes.until(
            lambda: planes.predict({"rows": [row]}).json.get("bundle") not in (None, first),
            "the retrained model answers",
            120,
        )
        second = planes.predict({"rows": [row]}).json["bundle"]
    said = trainer_json(project, second)
    assert said["scored_by"] == "worker" and said["sources"], said
    return f"{said['parity']['rows']} validation rows of the retrain, as in training"


def categories_of_lightgbm_are_served_by_a_worker(world):
    project = own(world, CATEGORIES)
    _, bundle = built(project)
    said = trainer_json(project, bundle)
    assert said["returned"] == "late.Late" and said["scored_by"] == "worker", said
    with Planes(project) as planes:
        planes.release(world)
        row = {
            "date": "2001-02-28T22:00:00Z",
            "distance": 260,
            "origin": "AAA",
            "destination": "BBB",
        }
        answer = planes.predict({"rows": [row, dict(row, origin="FFF", distance=1040)]})
        assert answer.status == 200, answer
        low, high = (each["probability"] for each in answer.json["predictions"])
        assert 0 < low < high < 1, answer
    return f"{low:.3f} and {high:.3f}"


def a_model_that_is_there_is_adopted(world):
    """Fitted elsewhere, by whoever; its file is one of the trainer's. What the endpoint says of
    rows, alone and together, is what the library says.
    """
    project = own(world, ADOPTED, "features", C)
    project.edit("models/late.yaml", "lock:", "files: [trainers/model.joblib]\n  lock:")
    edit = project.root / "models/late.yaml"
    edit.write_text(re.sub(r"search:\n.*?standby:", "standby:", edit.read_text(), flags=re.S))
    made = [sys.argv[2], "-c", FITTED_ELSEWHERE, str(project.root)]
    harness.subprocess.run(made, check=True, timeout=200)
    _, bundle = built(project)
    said = trainer_json(project, bundle)
    assert said["scored_by"] == "engine", said
    wanted = json.loads((project.root / "said.json").read_text())
    with Planes(project) as planes:
        planes.release(world)
        rows = [
            {
                "date": f"2001-02-{day:02}T{hour:02}:00:00Z",
                "distance": 260,
                "origin": "AAA",
                "destination": "BBB",
            }
            for day in (1, 2)
            for hour in range(24)
        ]
        together = planes.predict({"rows": rows})
        got = [each["probability"] for each in together.json["predictions"]]
        alone = [
            planes.predict({"rows": [row]}).json["predictions"][0]["probability"] for row in rows
        ]
        assert got == alone, (got, alone)
        for row, each in zip(rows, got):
            hour = int(row["date"][11:13])
            assert abs(each - wanted[hour]) <= 1e-6, (row, each, wanted[hour])
    return f"{len(rows)} answers, alone and together, are the library's"


def trees_of_xgboost_are_scored_by_the_engine(world):
    project = own(world, TREES, "features", DEPTH)
    _, bundle = built(project)
    said = trainer_json(project, bundle)
    assert said["scored_by"] == "engine", said
    return said["why"]


def what_is_wrong_is_said(world):
    project = own(world, HEAD + "@heddle.train\ndef fit(train, valid, params):\n    1 / 0\n")
    done = refused(project.run("run", timeout=300), 3, "own-raised")
    assert "trainers/late.py:4 in fit: ZeroDivisionError: division by zero" in done.err, done
    lock = project.root / "trainers/late.lock"
    text = lock.read_text()
    lock.write_text(text.replace("joblib==", "joblib==0."))
    done = refused(project.run("run", timeout=300), 3, "own-environment")
    assert "joblib is" in done.err and "locked is 0." in done.err, done
    lock.write_text(text)
    environment = dict(os.environ, HEDDLE_TEST_TRAINERS="/nowhere/bin/python")
    done = project.run("run", timeout=300, env=environment)
    assert done.id == "own-python" and "/nowhere/bin/python" in done.err, done
    project.edit("models/late.yaml", "trainers/late.py", "trainers/none.py")
    invalid(project.run("check"))
    return "an exception, a changed environment, none, and a file that is not there"


def main():
    os.environ["HEDDLE_TEST_TRAINERS"] = os.path.abspath(sys.argv[2])
    world = World(sys.argv[1])
    try:
        return harness.run_cases(
            [
                a_model_that_is_there_is_adopted,
                trees_of_xgboost_are_scored_by_the_engine,
                categories_of_lightgbm_are_served_by_a_worker,
                a_pipeline_is_served_and_retrained_by_a_recovery,
                what_is_wrong_is_said,
            ],
            sys.argv[3:],
            world,
        )
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
