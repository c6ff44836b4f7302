#!/usr/bin/env python3
"""Three services of one project, one of each task, round the whole loop on real rows: trained,
gated, approved, served, labelled, drifted, recovered, looked back on.

three_tasks.py HEDDLE      needs scikit-learn, whose wines and diabetes patients two of them are
    about. The number is the bikes of an hour where
                           shared/data/bikes.csv is beside the project (or in the folder
                               HEDDLE_SHARED_DATA), else the patients' progress
"""

import csv
import datetime
import os
import pathlib
import re
import subprocess
import sys

import numpy
import sklearn.datasets

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402
import several_services  # noqa: E402
import small_project  # noqa: E402
from harness import Planes, works  # noqa: E402
from several_services import Load, post  # noqa: E402

TRAINED = datetime.datetime(2001, 1, 1)  # the first of thirty days
SERVED = datetime.datetime(2001, 3, 1)
COVERAGE = 0.9


def stamps(start, days, a_day):
    """Times of rows, evenly spread."""
    return [start + datetime.timedelta(days=i / a_day) for i in range(days * a_day)]


class Wines:
    """Three cultivars by the chemistry of a bottle: the measured ones, drawn again with what a
    measurement is off by. Drift: the third comes more than twice as often.
    """

    service = "wines"
    trained_a_day, served_a_day, days, drift_on = 300, 600, 24, 5
    names = ("barolo", "grignolino", "not barbera")
    # Of what tells one cultivar from another only by chance, so that other shares of them do not
    # show in a column.
    watched = "ash_alcalinity"

    def __init__(self):
        data = sklearn.datasets.load_wine()
        self.values, self.labels, self.spread = data.data, data.target, data.data.std(axis=0)
        self.columns = {name.split("/")[0]: "number" for name in data.feature_names}
        self.columns[self.watched] = "number"
        self.target, self.model = "cultivar", "target: cultivar\n"
        self.columns[self.target] = "string"

    def rows(self, count, draw, drift=False):
        weights = numpy.where(self.labels == 2, 2.5 if drift else 1.0, 1.0)
        chosen = draw.choice(len(self.labels), count, p=weights / weights.sum())
        values = self.values[chosen] + 1.0 * self.spread * draw.normal(
            size=(count, self.values.shape[1])
        )
        for row, label, noise in zip(values, self.labels[chosen], draw.normal(size=count)):
            yield [f"{value:.5g}" for value in row] + [f"{noise:.5g}", self.names[label]]


class Numbers:
    """A number with intervals. Drift: it is measured worse, so that it lies twice as far from
    what it is expected to be, and expected no differently.
    """

    service = "number"
    trained_a_day, served_a_day, days, drift_on = 400, 2000, 24, 6
    target = "amount"
    model = "target: amount\n"

    def __init__(self):
        self.columns, self.values, self.labels = self.bikes() or self.patients()
        self.columns[self.target] = "number"
        self.watched = next(iter(self.columns))

    @staticmethod
    def bikes():
        shared = (
            os.environ.get("HEDDLE_SHARED_DATA")
            or pathlib.Path(__file__).resolve().parents[3] / "shared/data"
        )
        file = pathlib.Path(shared) / "bikes.csv"
        if not file.exists():
            return None
        columns = dict.fromkeys(
            ("hr", "temp", "hum", "windspeed", "weathersit", "workingday", "season"), "number"
        )
        with open(file, newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["yr"] == "0"]
        return (
            columns,
            numpy.array([[float(row[name]) for name in columns] for row in rows]),
            numpy.array([float(row["cnt"]) for row in rows]),
        )

    @staticmethod
    def patients():
        data = sklearn.datasets.load_diabetes(scaled=False)
        return dict.fromkeys(data.feature_names, "number"), data.data, data.target

    def rows(self, count, draw, drift=False):
        chosen = draw.choice(len(self.labels), count)
        off = self.labels.std() * (0.4 if drift else 0.2) * draw.normal(size=count)
        for row, label in zip(self.values[chosen], self.labels[chosen] + off):
            yield [f"{value:g}" for value in row] + [f"{label:.5g}"]


def write_rows(file, kind, start, days, a_day, seed, drift_on=None):
    """Rows with their times, from day `drift_on` on as after the drift; each as it is sent."""
    draw, sent = numpy.random.default_rng(seed), []
    before = days if drift_on is None else drift_on
    rows = [*kind.rows(before * a_day, draw), *kind.rows((days - before) * a_day, draw, drift=True)]
    with open(file, "w", newline="") as lines:
        out = csv.writer(lines, lineterminator="\n")
        out.writerow(["at", *kind.columns])
        for when, row in zip(stamps(start, days, a_day), rows):
            out.writerow([when.strftime("%Y-%m-%dT%H:%M:%SZ"), *row])
            if len(sent) < 500:
                sent.append(
                    {
                        name: float(value)
                        for name, value in zip(kind.columns, row)
                        if name != kind.target
                    }
                    | {"at": "2001-02-27T08:00:00Z"}
                )
    return sent


def define(project, kind):
    """Contract, features, model, evaluation, monitor and service of one task beside what there
    is.
    """
    name, features = kind.service, [column for column in kind.columns if column != kind.target]
    fields = "".join(
        f"      - name: {column}\n        logicalType: {type_}\n        required: true\n"
        + (
            "        customProperties:\n"
            "          - {property: role, vendor: heddle, value: label}\n"
            if column == kind.target
            else ""
        )
        for column, type_ in {"at": "timestamp", **kind.columns}.items()
    )
    is_number = isinstance(kind, Numbers)
    gates = (
        ["metrics.r2 > 0.5", "metrics.coverage > 0.85"]
        if is_number
        else ["metrics.accuracy > 0.8", "metrics.macro_f1 > 0.8", "metrics.coverage > 0.85"]
    )
    monitor = (project.root / "monitors/late.yaml").read_text()
    monitor = re.sub(
        r"distributions:\n.*\n",
        f"distributions:\n"
        f"  - {{name: first, column: {kind.watched}, kind: ks, floor: 0.1, sds: 3}}\n",
        monitor,
    )
    monitor = (
        several_services.of_service(monitor, name)
        .replace("label_delay: 1d", "label_delay: 6h")
        .replace("label_retention: 7d", "label_retention: 14d")
    )
    monitor = monitor.replace("chunk_rows: 2000", "chunk_rows: 300").replace(
        "prior_shift_chunks: 7", "prior_shift_chunks: 5"
    )

    def head(of):
        return f"apiVersion: heddle/v1\nkind: {of}\nname: {name}\n"

    for file, text in {
        f"contracts/{name}.odcs.yaml": "apiVersion: v3.2.0\nkind: DataContract\n"
        f"id: {name}\nname: {name}\nversion: 1.0.0\n"
        f"schema:\n  - name: {name}\n    properties:\n" + fields,
        f"features/{name}.yaml": head("FeatureSet") + f"contract: {name}\nfolds: 3\n"
        f"features:\n"
        + "".join(f"  - {{name: x_{each}, expression: {each}}}\n" for each in features),
        f"models/{name}.yaml": head("Model") + f"features: {name}\n"
        f"{kind.model}interval: {{coverage: {COVERAGE}}}\n"
        f"train: {{source: {name}, time_field: at}}\n"
        "search:\n  trials: 2\n  startup: 2\n  early_stopping_rounds: 10\n  max_rounds: 60\n"
        "  space:\n    - {name: max_depth, kind: integer, low: 3, high: 5}\nseed: 7\n",
        f"evaluations/{name}.yaml": head("Evaluation") + f"model: {name}\n"
        f"metrics: [{{name: {'mae' if is_number else 'log_loss'}}}]\ngates:\n"
        + "".join(f"  - {{id: g{i}, when: {gate}}}\n" for i, gate in enumerate(gates)),
        f"monitors/{name}.yaml": monitor,
        f"services/{name}.yaml": several_services.of_service(
            (project.root / "services/late.yaml").read_text(), name
        ).replace("model: late", f"model: {name}"),
    }.items():
        (project.root / file).write_text(text)
    project.edit("heddle.yaml", "sources:\n", f"sources:\n  {name}: data/{name}.csv\n")


class World:
    def __init__(self, heddle):
        self.dir = pathlib.Path(harness.tempfile.mkdtemp(prefix="heddle-three-"))
        root = small_project.make(self.dir / "p", count=8000)
        self.keys = self.dir / "p-keys"
        self.project = harness.Project(heddle, root)
        flights = (
            pathlib.Path(__file__).resolve().parents[2] / "examples/flights/policies/default.yaml"
        )
        (root / "policies/default.yaml").write_text(flights.read_text())
        self.project.edit("models/late.yaml", '  from: "2001-01-01"\n  to: "2001-03-01"\n', "")
        self.project.edit(
            "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
        )
        self.kinds, self.sent = (Wines(), Numbers()), {}
        for seed, kind in enumerate(self.kinds):
            define(self.project, kind)
            write_rows(
                root / f"data/{kind.service}.csv", kind, TRAINED, 30, kind.trained_a_day, seed
            )
            self.sent[kind.service] = write_rows(
                root / f"data/{kind.service}-later.csv",
                kind,
                SERVED,
                kind.days,
                kind.served_a_day,
                10 + seed,
                kind.drift_on,
            )
        several_services.commit_all(self.project)

    def close(self):
        harness.shutil.rmtree(self.dir, ignore_errors=True)


class Rows(Load):
    """Rows of one service all the time, as they come; each has to be answered and scored."""

    def __init__(self, project, service, rows, member):
        self.rows, self.member = rows, member
        super().__init__(project, service)

    def work(self):
        while not self.ending:
            row = self.rows[self.sent % len(self.rows)]
            reply = post(
                self.project, self.service, f"/v1/services/{self.service}/predict", {"rows": [row]}
            )
            self.sent += 1
            if reply.status != 200 or reply.json["predictions"][0][self.member] is None:
                self.failed.append(repr(reply))


def incidents_of(project, service):
    return [
        each for each in project.json("incident", "list")["incidents"] if each["service"] == service
    ]


def broken_source(world, planes):
    """A source of the binary service breaks its contract, while the others answer: it is shut
    out, and they have no part in it.
    """
    project = world.project
    before = {each["name"]: each["primary"] for each in project.json("status")["services"]}
    loads = [
        Rows(project, "wines", world.sent["wines"], "label"),
        Rows(project, "number", world.sent["number"], "value"),
    ]
    try:
        for hour in range(8):
            rows = [several_services.row(99_999)] * 50
            post(
                project,
                "late",
                "/v1/services/late/predict",
                {
                    "rows": rows,
                    "source": "one",
                    "request_id": f"b-{hour}",
                    "event_time": f"2001-02-01T{hour:02}:30:00Z",
                },
            )
            assert (
                post(
                    project,
                    "late",
                    "/v1/services/late/tick",
                    {"event_time": f"2001-02-01T{hour:02}:59:59Z"},
                ).status
                == 200
            )
        planes.until(
            lambda: [each for each in project.json("quarantine", "list")["sources"]],
            "the source is shut out",
        )
    finally:
        for load in loads:
            load.end()
    for load in loads:
        assert load.sent and not load.failed, (load.service, load.sent, load.failed[:2])
    assert {each["service"] for each in project.json("incident", "list")["incidents"]} == {"late"}
    after = {each["name"]: each["primary"] for each in project.json("status")["services"]}
    assert after == before, (before, after)
    return sum(load.sent for load in loads)


def recovered(project, service, cause):
    """The incident of a service that has one, closed, recovered by a recalibration, with a page
    and a branch of its own.
    """
    mine = incidents_of(project, service)
    assert {each["cause"] for each in mine} == {cause}, [
        (each["cause"], each["reason"]) for each in mine
    ]
    shown = project.json("incident", "show", f"{service}/incident-0001")
    assert shown["state"] == "done" and shown["response"].startswith("recalibration"), shown
    assert "## Timeline" in shown["page"] and "recovered: no" not in shown["page"], shown["page"]
    branches = subprocess.run(
        ["git", "-C", str(project.root), "branch", "--list", f"heddle/*{service}*"],
        capture_output=True,
        text=True,
    ).stdout
    assert "incident-0001" in branches, branches
    return shown


def last_of(planes, service, metric):
    findings = planes.operation("metric.series", {"service": service}).json["findings"]
    return [each for each in findings if each["metric"] == metric][-1]


def three_tasks_round_the_loop(world):
    project = world.project
    works(project.run("check"))
    made = {}
    for model in ("late", "wines", "number"):
        done = works(project.run("--json", "run", "--model", model, timeout=300))
        made[model] = harness.json.loads(done.out)["candidate"]["bundle"]
    works(project.run("apply"))
    kinds = {
        model: project.json("bundle", "inspect", bundle)["config"]["task"]["kind"]
        for model, bundle in made.items()
    }
    assert kinds == {"late": "binary", "wines": "classes", "number": "regression"}, kinds
    with Planes(project, "--lockstep") as planes:
        for service in kinds:
            several_services.release(world, project, service)
        answered = lambda service, row: post(
            project, service, f"/v1/services/{service}/predict", {"rows": [row]}
        )
        for kind in world.kinds:
            planes.until(
                lambda: answered(kind.service, world.sent[kind.service][0]).status == 200,
                f"`{kind.service}` answers",
            )
        planes.until(lambda: several_services.answers(project, "late"), "`late` answers")
        others = broken_source(world, planes)

        others_incidents = len(incidents_of(project, "late"))
        width = lambda: (lambda one: one["upper"] - one["lower"])(
            answered("number", world.sent["number"][0]).json["predictions"][0]
        )
        before = width()
        # Traffic of weeks and its labels, of both at once, while the third answers.
        load = Load(project, "late")
        try:
            replays = {
                kind.service: subprocess.Popen(
                    [
                        project.heddle,
                        "--project",
                        str(project.root),
                        "replay",
                        str(project.root / f"data/{kind.service}-later.csv"),
                        "--service",
                        kind.service,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for kind in world.kinds
            }
            said = {service: each.communicate(timeout=240)[0] for service, each in replays.items()}
        finally:
            load.end()
        assert all(each.returncode == 0 for each in replays.values()), said
        assert load.sent and not load.failed, load.failed[:2]

        story = recovered(project, "wines", "prior shift")
        assert "log odds" in story["reason"], story["reason"]
        story = recovered(project, "number", "coverage loss")
        assert story["response"] == "recalibration of the intervals", story
        # The interval is another one, says what it was fitted to, and holds on rows that came later
        # what was declared.
        served = {each["name"]: each["primary"] for each in project.json("status")["services"]}
        evidence = project.json("bundle", "inspect", served["number"])["evaluation"][
            "interval_refit"
        ]
        assert evidence["held_before"] < COVERAGE - 0.01 and evidence["rows"] > 2000, evidence
        assert width() > 1.3 * before, (before, width())
        now = last_of(planes, "number", "quality/coverage")
        assert abs(1 - now["value"] - COVERAGE) <= 0.01, now
        wines = last_of(planes, "wines", "quality/coverage")
        assert abs(1 - wines["value"] - COVERAGE) <= 0.02, wines
        assert len(incidents_of(project, "late")) == others_incidents
    works(project.run("audit", "verify"))
    held = f"the interval holds {1 - now['value']:.3f} of {COVERAGE}"
    return f"{others + load.sent} requests beside them, 0 failed; {held}"


if __name__ == "__main__":
    made = World(sys.argv[1])
    try:
        sys.exit(harness.run_cases([three_tasks_round_the_loop], sys.argv[2:], made))
    finally:
        made.close()
