#!/usr/bin/env python3
"""One service whose model is native, then a worker process, then an upstream server: built, gated,
released and swapped under load without a failed request; the binary replaced while the worker
answers, the worker killed with -9, the upstream hanging, a client that waits shorter than the
runtime. Then a worker that answers several classes and an upstream that answers a number, each from
definition to watch.

    runtimes.py HEDDLE [CASE...]      needs tests/requirements.txt (scikit-learn, pandas, grpcio);
        exit 0 when everything holds
"""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import joblib  # noqa: E402
import numpy  # noqa: E402
import sklearn.datasets  # noqa: E402
import sklearn.linear_model  # noqa: E402
import sklearn.pipeline  # noqa: E402
import sklearn.preprocessing  # noqa: E402

import http.client  # noqa: E402

import harness  # noqa: E402
import oip_grpc  # noqa: E402
import small_project  # noqa: E402
import tasks  # noqa: E402
from harness import Planes, World, refused, works  # noqa: E402

ROW = {"date": "2001-04-10T05:00:00Z", "distance": 260, "origin": "AAA", "destination": "BBB"}
SERVE = """\
import joblib
import numpy
import heddle

model = joblib.load("model.joblib")
PLACES = {places}

@heddle.model
def late(rows):
    hours = numpy.array([int(str(date)[11:13]) for date in rows["date"]])
    places = [PLACES.index(place) for place in rows["origin"]]
    return model.predict_proba(numpy.column_stack([hours, places]))[:, 1]

heddle.serve(late)
"""


def worker(folder, regularisation):
    """A scikit-learn model and the program that serves it, with the SDK beside it."""
    folder.mkdir()
    rows = list(small_project.rows(4000))
    inputs = numpy.array(
        [[int(date[11:13]), small_project.PLACES.index(origin)] for date, _, origin, _, _ in rows]
    )
    model = sklearn.linear_model.LogisticRegression(C=regularisation).fit(
        inputs, [delay > 15 for *_, delay in rows]
    )
    joblib.dump(model, folder / "model.joblib")
    (folder / "serve.py").write_text(SERVE.replace("{places}", repr(small_project.PLACES)))
    shutil.copytree(
        HERE.parents[1] / "python/heddle",
        folder / "heddle",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def candidate(project, text=None):
    """The bundle of a run with the model's `runtime` as given."""
    file = project.root / "models/late.yaml"
    native = file.read_text()
    if text:
        start, end = native.index("trainer: xgboost"), native.index("standby:")
        file.write_text(native[:start] + text + native[end:])
        done = project.run("check")
        assert done.code == 0, done
    done = project.run("run")
    assert done.code == 0, done
    bundle = project.json("run")["candidate"]["bundle"]
    file.write_text(native)
    return bundle


def promote(world, project, bundle, slot="primary"):
    done = project.run(
        "release", "promote", "late", "--slot", slot, "--bundle", bundle, "--requester", "bob"
    )
    assert done.code == 0, done
    if slot == "primary":
        waiting = project.json("approval", "list")["approvals"]
        done = project.run(
            "approve", waiting[-1]["id"], "--person", "ann", "--key", world.keys / "ann"
        )
        assert done.code == 0, done


class Load:
    """Threads that ask without pause; every answer's status, bundle, begin, end and value are
    kept.
    """

    def __init__(self, planes, threads=4):
        self.port, self.token, self.ending = (
            planes.project.port(),
            planes.project.token("caller"),
            False,
        )
        self.answers, self.lock = [], threading.Lock()
        self.threads = [threading.Thread(target=self.ask, args=(i,)) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.ending = True
        for thread in self.threads:
            thread.join()

    def ask(self, index):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = json.dumps({"rows": [ROW] * (1 + index)})
        while not self.ending:
            begin = time.monotonic()
            connection.request(
                "POST", "/v1/services/late/predict", body, {"Authorization": "Bearer " + self.token}
            )
            reply = connection.getresponse()
            value = json.loads(reply.read())
            with self.lock:
                self.answers.append(
                    (reply.status, value.get("bundle"), begin, time.monotonic(), value)
                )
        connection.close()

    def count(self, bundle):
        with self.lock:
            return sum(1 for status, of, *_ in self.answers if of == bundle and status == 200)


def worker_pid(root):
    for entry in os.listdir("/proc"):
        try:
            if (
                entry.isdigit()
                and f"HEDDLE_WORKER_SOCKET={root}/.heddle/runtime/".encode()
                in pathlib.Path("/proc", entry, "environ").read_bytes()
            ):
                return int(entry)
        except OSError:
            continue
    return None


def infer(planes, version, parameters=None):
    tensors = [
        {
            "name": name,
            "shape": [1],
            "datatype": "INT64" if name == "distance" else "BYTES",
            "data": [value],
        }
        for name, value in ROW.items()
    ]
    return planes.request(
        "POST",
        f"/v2/models/late/versions/{version}/infer",
        {"inputs": tensors, "parameters": parameters or {}},
    )


def metric(planes, name):
    text = planes.request("GET", "/metrics", token="reader").body.decode()
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{")
    )


def swaps(world, planes, bundles):
    """Round and round under load: no request fails, none is answered by another bundle than
    those.
    """
    with Load(planes) as load:
        for name in ("process", "upstream", "native", "upstream", "process"):
            before = load.count(bundles[name])
            promote(world, planes.project, bundles[name])
            planes.until(
                lambda: load.count(bundles[name]) > before + 20, f"the {name} model answers", 60
            )
    failed = [(status, value) for status, _, _, _, value in load.answers if status != 200]
    assert not failed, f"{len(failed)} of {len(load.answers)} failed: {failed[:3]}"
    assert {of for _, of, *_ in load.answers} == set(bundles.values())
    print(
        f"5 swaps under load: {len(load.answers)} requests, 0 failed: "
        + ", ".join(f"{name} {load.count(of)}" for name, of in bundles.items())
    )
    answers = {
        of: {
            p["probability"]
            for _, o, _, _, value in load.answers
            if o == of
            for p in value["predictions"]
        }
        for of in bundles.values()
    }
    assert all(
        max(each) - min(each) < 1e-6 for each in answers.values()
    ), f"one bundle, several answers: {answers}"


def sandboxed(planes, bundles):
    """What the worker runs in is in `status` and in the ledger, once."""
    project = planes.project

    def told():
        return project.json("status")["services"][0]["sandboxes"]

    planes.until(
        lambda: [each["slot"] for each in told() if each["bundle"] == bundles["process"]],
        "the sandbox is told",
    )
    mine = [each for each in told() if each["bundle"] == bundles["process"]]
    if os.geteuid() == 0:  # who has every layer here
        assert [each["missing"] for each in mine] == [""] * len(mine), mine
        assert mine[0]["in_force"].startswith(
            "user, mount, pid, proc, network, ipc, seccomp, landlock "
        ), mine
    assert "sandbox" in project.run("status").out
    entries = [
        each
        for each in project.json("audit", "log")["decisions"]
        if each["action"] == "worker.sandbox"
    ]
    assert entries[-1]["attributes"]["workers"] == told(), (entries, told())
    demanded = {"native": "none", "upstream": "none", "process": "available"}
    for each in project.json("audit", "log")["decisions"]:
        for name, bundle in bundles.items():
            if (
                each["action"] == "release.promote"
                and bundle.removeprefix("sha256:")[:12] in each["reason"]
            ):
                assert each["attributes"]["sandbox"] == demanded[name], each
    print(f"the worker's sandbox is in status and in the ledger: {mine[0]['in_force']}")
    return len(entries)


def replaced(planes, bundles):
    """SIGUSR2 while a worker is the primary: who comes while the successor's worker starts waits,
    and is answered.
    """
    before = worker_pid(planes.project.root)
    with Load(planes) as load:
        planes.until(lambda: load.count(bundles["process"]) > 20, "the worker answers")
        planes.process.send_signal(signal.SIGUSR2)
        planes.until(
            lambda: worker_pid(planes.project.root) not in (None, before),
            "the successor has a worker",
        )
        after = load.count(bundles["process"])
        planes.until(lambda: load.count(bundles["process"]) > after + 20, "the successor answers")
    failed = [(status, value) for status, _, _, _, value in load.answers if status != 200]
    assert not failed, f"{len(failed)} of {len(load.answers)} failed: {failed[:3]}"
    print(
        f"binary replaced under load with a worker as the primary: {len(load.answers)} requests, 0"
        f" failed, longest {max(end - begin for _, _, begin, end, _ in load.answers):.1f} s"
    )


def killed(world, planes, bundles):
    """kill -9 of the worker: what it was asked is 503, the standby takes over as authorised, and
    the worker is started again.
    """
    pid = worker_pid(planes.project.root)
    assert pid, "no worker"
    standby = planes.project.json("status")["services"][0]["standby"]
    with Load(planes) as load:
        planes.until(lambda: load.count(bundles["process"]) > 20, "the worker answers")
        os.kill(pid, signal.SIGKILL)
        planes.until(lambda: load.count(standby) > 20, "the standby took over")
        assert "failed over from primary to standby" in planes.text()
        planes.until(
            lambda: metric(planes, "heddle_runtime_restarts_total") >= 1
            and metric(planes, "heddle_runtime_up") >= 1,
            "the worker is up again",
        )
        after = len(load.answers)
        planes.until(lambda: len(load.answers) > after + 50, "the standby answers")
        assert all(
            each[0] == 200 for each in load.answers[after:]
        ), "a request failed after the fail-over"
    statuses = {
        status: sum(1 for each in load.answers if each[0] == status)
        for status in {each[0] for each in load.answers}
    }
    assert set(statuses) <= {200, 503} and statuses[200] > 40, statuses
    assert worker_pid(planes.project.root) not in (None, pid)
    print(
        f"worker killed under load: answers by status {statuses}; failed over; worker started again"
        f" {metric(planes, 'heddle_runtime_restarts_total'):.0f} time"
    )


def hanging(world, planes, bundles, upstream):
    """The upstream hangs as the standby of a native primary: asked by name it times out, the native
    slot does not notice.
    """
    promote(world, planes.project, bundles["native"])
    planes.until(
        lambda: planes.predict({"rows": [ROW]}).json.get("bundle") == bundles["native"],
        "the native model answers",
    )
    promote(world, planes.project, bundles["upstream"], "standby")
    planes.until(
        lambda: infer(planes, "standby").json.get("model_version") == bundles["upstream"],
        "the upstream is the standby",
    )

    os.kill(upstream.pid, signal.SIGSTOP)
    try:
        with Load(planes, 2) as load:
            planes.until(lambda: load.count(bundles["native"]) > 20, "the native model answers")
            begin = time.monotonic()
            reply = infer(planes, "standby")
            end = time.monotonic()
        took = end - begin
        assert all(each[0] == 200 for each in load.answers)
        assert reply.status == 503 and 0.4 < took < 3, (took, reply)
        # A loop that waited for the upstream would have taken and answered nothing in the middle of
        # that time.
        meanwhile = sum(
            begin + took / 4 < since and until < end - took / 4
            for _, _, since, until, _ in load.answers
        )
        assert (
            meanwhile > 0
        ), f"the native slot answered nothing while the upstream was hanging, {took:.2f} s"
        waits = []
        for _ in range(3):
            begin = time.monotonic()
            reply = infer(planes, "standby", {"timeout": 50_000})
            waits.append(time.monotonic() - begin)
            assert reply.status == 504 and reply.json["id"] == "deadline", reply
        # The quickest is the client's own deadline and not the runtime's .5 s; the rest is who else
        # runs.
        assert 0.05 <= min(waits) < 0.4, waits
        print(
            f"upstream hanging: asked by name 503 after {took:.2f} s, {meanwhile} requests answered"
            " by the native slot in the middle half of it; a client's timeout of 50 ms gave"
            f" {reply.status} after {min(waits):.3f} s"
        )
    finally:
        os.kill(upstream.pid, signal.SIGCONT)
    planes.until(lambda: infer(planes, "standby").status == 200, "the upstream answers again")


def started(folder, name):
    """`serve.py` of a folder as a server of its own, and its port; ready when this returns."""
    port = small_project.free_port()
    server = subprocess.Popen(
        [sys.executable, "serve.py", "--port", str(port), "--name", name],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(1000):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return server, port
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the server does not become ready")


def one_service_on_each_runtime(heddle):
    world = World(heddle)
    upstream = None
    try:
        project = world.built
        bundles = {"native": candidate(project)}
        worker(project.root / "worker", 1.0)
        bundles["process"] = candidate(
            project,
            "runtime:\n  kind: process\n  files: worker\n  inputs: fields\n"
            '  command: ["${env:HEDDLE_TEST_PYTHON}", serve.py]\n',
        )
        elsewhere = world.dir / "elsewhere"
        worker(elsewhere, 0.001)
        upstream, port = started(elsewhere, "late")
        bundles["upstream"] = candidate(
            project,
            f"runtime:\n  kind: upstream\n  url: http://127.0.0.1:{port}\n  model: late\n  inputs:"
            " fields\n  timeout_ms: 500\n",
        )
        assert len(set(bundles.values())) == 3, bundles
        for name, digest in bundles.items():
            print(f"{name}: {digest}")
        with Planes(project) as planes:
            done = project.run(
                "release", "promote", "late", "--slot", "standby", "--requester", "bob"
            )
            assert done.code == 0, done
            promote(world, project, bundles["native"])
            planes.until(
                lambda: planes.get("/v2/health/ready").status == 200, "the service is ready"
            )
            try:
                swaps(world, planes, bundles)
                entries = sandboxed(planes, bundles)
                replaced(planes, bundles)
                assert sandboxed(planes, bundles) == entries, "the successor told the same"
                killed(world, planes, bundles)
                hanging(world, planes, bundles, upstream)
            except BaseException:
                print(planes.text()[-6000:], file=sys.stderr)
                raise
        assert worker_pid(project.root) is None, "a worker outlived its data plane"
        assert not [
            name for name in os.listdir(project.root / ".heddle/runtime")
        ], "a worker left its folder behind"
        done = project.run("audit", "verify")
        assert done.code == 0, done
    finally:
        if upstream is not None:
            upstream.kill()
            upstream.wait()
        world.close()


def served_as_it_is(folder, estimator):
    """A folder whose program serves the fitted estimator without a word of what it predicts."""
    folder.mkdir()
    joblib.dump(estimator, folder / "model.joblib")
    (folder / "serve.py").write_text(
        'import heddle, joblib\nheddle.serve(joblib.load("model.joblib"))\n'
    )
    shutil.copytree(
        HERE.parents[1] / "python/heddle",
        folder / "heddle",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def with_runtime(project, runtime, more=""):
    """The project's model with a runtime in place of the search."""
    file = project.root / "models/late.yaml"
    native = file.read_text()
    file.write_text(
        native[: native.index("search:")]
        + more
        + "runtime:\n"
        + runtime
        + native[native.index("seed:") :]
    )


class Served:
    """A released service of a runtime, asked for the rows of `data` in every way, whose answers are
    compared with the estimator's own.
    """

    def __init__(self, world, project, data, labels):
        self.world, self.project, self.names, self.rows, self.labels = (
            world,
            project,
            data.feature_names,
            data.data.tolist(),
            labels,
        )

    def __enter__(self):
        self.planes = Planes(self.project).__enter__()
        self.planes.release(self.world)
        return self

    def __exit__(self, *unused):
        self.planes.__exit__()

    def plain(self):
        rows = [dict(zip(self.names, row)) for row in self.rows]
        reply = self.planes.predict({"rows": rows, "request_id": "q"})
        assert reply.status == 200, reply
        return reply.json["predictions"]

    def oip(self):
        """Outputs by name, [n, k] as rows; the same by REST and by gRPC."""
        tensors = [
            {
                "name": name,
                "shape": [len(self.rows)],
                "datatype": "FP64",
                "data": [row[i] for row in self.rows],
            }
            for i, name in enumerate(self.names)
        ]
        reply = self.planes.request("POST", "/v2/models/late/infer", {"inputs": tensors})
        assert reply.status == 200, reply
        types = {"FP32": numpy.float32, "BOOL": bool, "BYTES": str}
        rest = {
            each["name"]: (
                numpy.array(each["data"], dtype=types[each["datatype"]]).reshape(each["shape"])
            )
            for each in reply.json["outputs"]
        }
        grpc = oip_grpc.infer(self.project, "late", tensors)
        assert sorted(grpc) == sorted(rest), (sorted(grpc), sorted(rest))
        for name in rest:
            assert grpc[name].shape == rest[name].shape, (name, grpc[name].shape)
            numpy.testing.assert_array_equal(grpc[name].astype(rest[name].dtype), rest[name], name)
        return rest

    def scored(self):
        """The file that the run learned from, by `heddle score`: its rows, by column."""
        out = self.world.dir / "scored.csv"
        said = self.project.json(
            "score", self.project.root / "data/rows.csv", "-o", out, "--service", "late"
        )
        assert said["refused"] == 0, said
        with open(out, newline="") as file:
            return list(csv.DictReader(file))

    def watched(self):
        """Every row that was asked in plain form is in the journal, and its label finds it."""
        told = self.planes.request(
            "POST",
            "/v1/services/late/labels",
            {
                "labels": [
                    {"row_id": f"q#{i}", "label": label} for i, label in enumerate(self.labels)
                ]
            },
        )
        assert told.status == 202 and told.json["accepted"] == len(self.labels), told
        watch = lambda: self.project.json("status")["services"][0]["watch"]  # noqa: E731
        self.planes.until(
            lambda: watch()["labels_joined"] == len(self.labels), "the watch joins the labels"
        )
        return watch()


def several_classes_by_a_worker(heddle):
    world = tasks.World(heddle)
    try:
        project = world.wines()
        data = sklearn.datasets.load_wine()
        data.feature_names = [f"f{i}" for i in range(data.data.shape[1])]
        names = ["barolo", "grignolino", "not barbera"]
        labels = [names[label] for label in data.target]
        estimator = sklearn.pipeline.make_pipeline(
            sklearn.preprocessing.StandardScaler(), sklearn.linear_model.LogisticRegression()
        ).fit(data.data, labels)
        served_as_it_is(project.root / "worker", estimator)
        with_runtime(
            project,
            '  kind: process\n  files: worker\n  command: ["${env:HEDDLE_TEST_PYTHON}",'
            " serve.py]\n",
        )
        unsaid = project.run("check")
        assert unsaid.code != 0 and "bad-runtime" in unsaid.err + unsaid.out, unsaid
        project.edit(
            "models/late.yaml", "runtime:", "classes: [grignolino, barolo, not barbera]\nruntime:"
        )
        refused(project.run("run", timeout=300), 2, "runtime-classes")
        project.edit(
            "models/late.yaml",
            "[grignolino, barolo, not barbera]",
            "[barolo, grignolino, not barbera]",
        )
        project.commit()
        bundle = tasks.made_by_run(project)
        assert (
            bundle["config"]["trainer"] == "runtime:process"
            and bundle["config"]["task"]["classes"] == names
        ), bundle["config"]
        wanted = estimator.predict_proba(data.data)
        with Served(world, project, data, labels) as served:
            for prediction, row in zip(served.plain(), wanted):
                got = [prediction["probabilities"][name] for name in names]
                numpy.testing.assert_allclose(got, row, atol=1e-5)
                assert prediction["label"] == names[int(numpy.argmax(got))] and set(
                    prediction["set"]
                ) <= set(names), prediction
            outputs = served.oip()
            numpy.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-5)
            assert outputs["set"].shape == wanted.shape and outputs["label"].tolist() == [
                names[i] for i in wanted.argmax(axis=1)
            ], outputs
            for row, probabilities in zip(served.scored(), wanted):
                got = [float(row[f"probabilities.{name}"]) for name in names]
                numpy.testing.assert_allclose(got, probabilities, atol=1e-5)
            served.watched()
    finally:
        world.close()


def a_number_by_an_upstream(heddle):
    world, upstream = tasks.World(heddle), None
    try:
        project = world.patients()
        data = sklearn.datasets.load_diabetes(scaled=False)
        estimator = sklearn.pipeline.make_pipeline(
            sklearn.preprocessing.StandardScaler(), sklearn.linear_model.Ridge()
        ).fit(data.data, data.target)
        served_as_it_is(world.dir / "elsewhere", estimator)
        upstream, port = started(world.dir / "elsewhere", "progress")
        with_runtime(
            project, f"  kind: upstream\n  url: http://127.0.0.1:{port}\n  model: progress\n"
        )
        project.commit()
        bundle = tasks.made_by_run(project)
        assert bundle["config"]["trainer"] == "runtime:upstream" and bundle["config"]["task"] == {
            "kind": "regression"
        }, bundle["config"]
        wanted = estimator.predict(data.data)
        with Served(world, project, data, data.target.tolist()) as served:
            for prediction, value in zip(served.plain(), wanted):
                numpy.testing.assert_allclose(prediction["value"], value, rtol=1e-4)
                assert prediction["lower"] < prediction["value"] < prediction["upper"], prediction
            outputs = served.oip()
            numpy.testing.assert_allclose(outputs["value"], wanted, rtol=1e-4)
            assert (outputs["lower"] < outputs["value"]).all() and (
                outputs["value"] < outputs["upper"]
            ).all(), outputs
            got = [float(row["value"]) for row in served.scored()]
            numpy.testing.assert_allclose(got, wanted, rtol=1e-4)
            served.watched()
    finally:
        if upstream is not None:
            upstream.kill()
            upstream.wait()
        world.close()


if __name__ == "__main__":
    os.environ["NO_COLOR"] = "1"
    os.environ["HEDDLE_TEST_PYTHON"] = sys.executable
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.exit(
        harness.run_cases(
            [one_service_on_each_runtime, several_classes_by_a_worker, a_number_by_an_upstream],
            sys.argv[2:],
            sys.argv[1],
        )
    )
