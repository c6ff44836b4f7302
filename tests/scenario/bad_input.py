#!/usr/bin/env python3
"""What a user, a client, a disk and a kill do wrong, through the real binary: each case wants the
documented exit code or HTTP status, a message with its id, a hint that says what to do, and that a
good command works afterwards.

    bad_input.py HEDDLE [CASE...]      standard library only; exit 0 when every case holds
"""

import hashlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
from harness import Planes, Project, World, read_status  # noqa: E402

CASES = []
ROW = {"date": "2001-04-10T05:00:00Z", "distance": 260, "origin": "AAA", "destination": "BBB"}


def case(function):
    CASES.append(function)
    return function


def refused(done, code, *ids):
    """The command failed as documented: exit code, one of the ids, a hint, and no crash."""
    assert done.code == code, f"exit {code} was expected: {done}"
    assert not ids or set(ids) & set(done.ids), f"one of {ids} was expected: {done}"
    assert "hint: " in done.err, f"a hint was expected: {done}"
    assert "terminate called" not in done.err and "check failed" not in done.err, done


def good_run(project):
    done = project.run("run")
    assert done.code == 0 and "candidate sha256:" in done.out, done
    return done.out


# ---- definitions
# ------------------------------------------------------------------------------------------


def definition(world, file, old, new, *ids):
    """`heddle check` and `heddle run` both refuse the change, with file and line; taking it back is
    enough.
    """
    project = world.copy(world.fresh)
    before = (project.root / file).read_text()
    project.edit(file, old, new)
    for command in ("check", "run"):
        done = project.run(command)
        refused(done, 2, *ids)
        assert f"--> {file}:" in done.err, done
    (project.root / file).write_text(before)
    assert project.run("check").code == 0


@case
def wrong_type_in_a_definition(world):
    definition(world, "features/trips.yaml", "folds: 3", "folds: three")
    definition(world, "models/late.yaml", "trials: 2", "trials: [2]")


@case
def unknown_key(world):
    definition(world, "models/late.yaml", "seed: 7", "seed: 7\nsede: 8", "unknown-key")


@case
def not_yaml(world):
    definition(world, "models/late.yaml", "seed: 7", "seed: [7")


@case
def cyclic_feature_references(world):
    definition(
        world,
        "features/trips.yaml",
        "    expression: distance\n",
        "    expression: other + 1.0\n  - name: other\n    expression: miles + 1.0\n",
    )


@case
def feature_reads_the_target(world):
    definition(world, "features/trips.yaml", "expression: distance", "expression: delay")


@case
def target_absent(world):
    definition(world, "models/late.yaml", "target: delay > 15", "target: lateness > 15")


@case
def several_errors_at_once(world):
    project = world.copy(world.fresh)
    project.edit("models/late.yaml", "seed: 7", "sede: 7")
    project.edit("features/trips.yaml", "folds: 3", "folds: three")
    project.edit("services/late.yaml", "monitor: late", "monitor: latte")
    done = project.run("check")
    refused(done, 2)
    for file in ("models/late.yaml", "features/trips.yaml", "services/late.yaml"):
        assert f"--> {file}:" in done.err, done
    machine = project.run("--json", "check")
    assert machine.code == 2 and len(json.loads(machine.out)["diagnostics"]) >= 3, machine


@case
def two_models(world):
    """Each command that is printed names the model, and can be typed as it is."""
    project = world.copy(world.fresh)
    for folder in ("models", "evaluations", "monitors", "services"):
        text = (project.root / folder / "late.yaml").read_text()
        text = re.sub(r"^(name|model|service|monitor): late$", r"\1: other", text, flags=re.M)
        text = re.sub(r"^((grpc_)?port): .*$", r"\1: 0", text, flags=re.M)
        (project.root / folder / "other.yaml").write_text(text)
    done = project.run("check")
    assert done.code == 0 and "next: heddle run --model late\n" in done.err, done
    for command in ("plan", "run"):
        done = project.run(command)
        refused(done, 2, "model-unnamed")
        assert "`--model late`" in done.err, done
    done = project.run("plan", "--model", "other")
    assert done.code == 0 and done.err.endswith("next: heddle run --model other\n"), done


@case
def no_project(world):
    folder = world.dir / "empty"
    folder.mkdir()
    refused(Project(world.heddle, folder).run("check"), 6, "project-not-found")
    assert Project(world.heddle, folder).run("chekc").code == 2


# ---- data
# ------------------------------------------------------------------------------------------


def data_fault(world, spoil, code, *ids):
    """A run on spoiled data fails as documented; on the good data the same folder ends in the same
    bundle as ever.
    """
    project = world.copy(world.fresh)
    spoil(project)
    refused(project.run("run"), code, *ids)
    shutil.copy(world.fresh / "data/trips.csv", project.root / "data/trips.csv")
    for file in ("heddle.yaml", "models/late.yaml", "contracts/trips.odcs.yaml"):
        shutil.copy(world.fresh / file, project.root / file)
    assert good_run(project) == world.candidate


@case
def missing_file(world):
    data_fault(world, lambda p: (p.root / "data/trips.csv").unlink(), 2, "source-missing")


@case
def missing_enum_file(world):
    project = world.copy(world.fresh)
    (project.root / "data/places.csv").unlink()
    refused(project.run("run"), 2, "file-missing")


@case
def unreadable_parquet(world):
    for bytes_ in (b"PAR1" + b"\x15\x04" * 600 + b"PAR1", b"no Parquet at all", b"", b"PAR1PAR1"):

        def spoil(project):
            (project.root / "data/trips.parquet").write_bytes(bytes_)
            project.edit("heddle.yaml", "data/trips.csv", "data/trips.parquet")

        data_fault(world, spoil, 13 if bytes_ else 2)


@case
def malformed_csv(world):
    def spoil(project):
        with open(project.root / "data/trips.csv", "a") as file:
            file.write("2001-01-05T00:00:00Z,1,2\n")

    data_fault(world, spoil, 13)


@case
def empty_data(world):
    data_fault(
        world,
        lambda p: (p.root / "data/trips.csv").write_text(
            "date,distance,origin,destination,delay\n"
        ),
        3,
        "data-empty",
    )
    data_fault(world, lambda p: (p.root / "data/trips.csv").write_text(""), 2, "table-empty-file")


@case
def column_gone(world):
    def spoil(project):
        text = (project.root / "data/trips.csv").read_text()
        (project.root / "data/trips.csv").write_text(text.replace("distance", "miles", 1))

    data_fault(world, spoil, 3)


@case
def target_constant(world):
    data_fault(world, lambda p: p.edit("models/late.yaml", "delay > 15", "delay > 1500"), 3)


@case
def contract_refuses_every_row(world):
    data_fault(
        world,
        lambda p: p.edit(
            "contracts/trips.odcs.yaml",
            "minimum: 10, maximum: 6000",
            "minimum: 100000, maximum: 600000",
        ),
        3,
    )


# ---- disk and kill during a run
# ------------------------------------------------------------------------------------------


@case
def full_disk_while_bundling(world):
    project = world.copy(world.fresh)
    assert project.run("run", "--until", "gates").code == 0
    objects = project.root / ".heddle/objects"
    objects.mkdir(exist_ok=True)
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(objects)], capture_output=True
        ).returncode
        == 0
    )
    try:
        if mounted:
            done = project.run("run")
        else:

            def bound():
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

            done = project.run("run", preexec_fn=bound, restore_signals=False)
    finally:
        if mounted:
            subprocess.run(["umount", str(objects)], check=True)
    refused(done, 12)
    assert good_run(project) == world.candidate


@case
def killed_run_goes_on(world):
    project = world.copy(world.fresh)
    for delay in (0.05, 0.15, 0.25, 0.35, 0.5):
        process = subprocess.Popen(
            [world.heddle, "--project", str(project.root), "run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert good_run(project) == world.candidate


# ---- plan, cache, reproducible bytes
# --------------------------------------------------------------------------------------


@case
def plan_after_a_run_is_quick_and_empty(world):
    project = world.copy(world.built)
    # A copied project runs nothing again: keys hold no path.
    assert project.json("run")["ran"] == 0
    wall, cpu = [], []
    for _ in range(10):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = project.run("plan")
        wall.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.code == 0 and "nothing to do" in done.err, done
    print(
        f"     plan: quickest {min(wall) * 1e3:.1f} ms wall, {min(cpu) * 1e3:.1f} ms of processor; "
        f"median {statistics.median(wall) * 1e3:.1f} and {statistics.median(cpu) * 1e3:.1f}"
    )
    # The processor time of the quickest is the plan's own. Wall time is also who else runs: of it
    # only a wait of half a second is seen.
    assert min(cpu) < 0.05 and min(wall) < 0.5


@case
def one_changed_feature_runs_only_what_needs_it(world):
    project = world.copy(world.built)
    assert project.json("run")["ran"] == 0
    project.edit("features/trips.yaml", "smoothing: 50", "smoothing: 60")
    steps = {s["name"]: s for s in project.json("plan")["steps"]}
    for name in ("source", "validate.rows", "validate.set", "snapshot", "split"):
        assert steps[name]["state"] == "cached", steps[name]
    for name in ("features", "search", "train", "standby", "bundle"):
        assert steps[name]["state"] == "runs", steps[name]
    why = project.run("plan", "--why", "features")
    assert "features" in why.out and "runs" in why.out, why
    ran = project.json("run")
    assert ran["cached"] == 5 and ran["ran"] == len(steps) - 5, ran
    refused(project.run("plan", "--why", "fetures"), 6, "plan-no-step")


@case
def two_folders_one_digest(world):
    first, second = world.copy(world.fresh), world.copy(world.fresh)
    one, two = good_run(first), good_run(second)
    assert one == two == world.candidate, (one, two)

    def blobs(project):
        return sorted(p.name for p in (project.root / ".heddle/objects/blobs/sha256").iterdir())

    assert blobs(first) == blobs(second)


# ---- serving
# ------------------------------------------------------------------------------------------


def release(world, planes):
    """Both slots filled as a person does it; the approval's id."""
    project = planes.project
    done = project.run("release", "promote", "late", "--slot", "standby")
    assert done.code == 0, done
    done = project.run("release", "promote", "late", "--requester", "bob")
    assert done.code == 0 and "waits for approval" in done.err, done
    pending = project.json("approval", "list")["approvals"]
    assert len(pending) == 1, pending
    return pending[0]["id"]


def approve(world, project, id_, person, key):
    return project.run("approve", id_, "--person", person, "--key", world.keys / key)


def wants(reply, status, *ids):
    assert reply.status == status, f"{status} was expected: {reply}"
    assert reply.json.get("error") and reply.json.get(
        "id"
    ), f"a message with an id was expected: {reply}"
    assert not ids or reply.json["id"] in ids, f"one of {ids} was expected: {reply}"
    assert reply.json.get("hint"), f"a hint was expected: {reply}"


def served(planes):
    reply = planes.predict({"rows": [ROW]})
    return reply.status == 200 and reply.json["predictions"][0]["probability"] is not None


@case
def approvals_misused(world):
    project = world.copy(world.built)
    with Planes(project) as planes:
        wants(planes.predict({"rows": [ROW]}), 503)
        id_ = release(world, planes)
        refused(approve(world, project, id_, "ann", "eve"), 5, "approval-signature-invalid")
        refused(approve(world, project, id_, "ann", "bob"), 5, "approval-signature-invalid")
        refused(approve(world, project, id_, "nobody", "eve"), 5)
        refused(approve(world, project, id_, "bob", "bob"), 5)
        refused(approve(world, project, id_, "ann", "no-such-key"), 2, "approval-sign-failed")
        refused(approve(world, project, "approval-9999", "ann", "ann"), 6)
        wants(
            planes.operation("approval.approve", {"id": id_, "person": "ann"}),
            400,
            "request-member",
        )
        wants(
            planes.operation(
                "approval.approve", {"id": id_, "person": "ann", "signature": "x", "sure": True}
            ),
            400,
            "request-unknown-member",
        )
        standby = project.json("status")["services"][0]["standby"]
        done = project.run("release", "promote", "late", "--requester", "bob", "--bundle", standby)
        assert done.code == 0 and "waits for approval" in done.err, done
        other = next(
            a["id"] for a in project.json("approval", "list")["approvals"] if a["id"] != id_
        )
        assert approve(world, project, id_, "ann", "ann").code == 0
        planes.until(lambda: served(planes), "the released bundle answers")
        shown = project.json("approval", "show", id_)
        assert shown["state"] == "used", shown
        refused(
            approve(world, project, other, "ann", "ann"), 7, "approval-void"
        )  # it was asked when nothing was released
        done = project.run("release", "promote", "late", "--bundle", standby)
        assert done.code == 0 and "waits for approval" in done.err, done
        other = project.json("approval", "list")["approvals"][0]["id"]
        wants(
            planes.operation(
                "approval.approve",
                {"id": other, "person": "ann", "signature": shown["signatures"][0]["signature"]},
            ),
            403,
            "approval-signature-invalid",
        )
        refused(approve(world, project, id_, "ann", "ann"), 7)
        refused(
            project.run("reject", other, "--person", "ann", "--reason", "not this one"),
            5,
            "person-unproven",
        )
        done = project.run(
            "reject",
            other,
            "--person",
            "ann",
            "--key",
            world.keys / "ann",
            "--reason",
            "not this one",
        )
        assert done.code == 0, done
        refused(approve(world, project, other, "ann", "ann"), 7)
        refused(project.run("resume", "--person", "nobody"), 5, "resume-not-a-person")
        done = project.run("audit", "verify")
        assert done.code == 0, done


@case
def bad_requests(world):
    with Planes(world.released) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        wants(planes.predict('{"rows": [{"date": '), 400)
        wants(planes.predict(b"\xff\xfe\x00"), 400)
        wants(planes.predict(""), 400)
        wants(planes.predict("[" * 100000), 400)
        wants(planes.predict({"rows": ROW}), 400)
        wants(planes.predict({"rows": []}), 400)
        wants(planes.predict({"rows": [[1, 2, 3]]}), 400)
        reply = planes.predict({"rows": [{**ROW, "colour": 1}, ROW]})
        assert reply.status == 200 and reply.json["predictions"][0]["validation"] == [
            "unknown-field/colour"
        ], reply
        wants(planes.predict({"rows": [ROW], "colour": 1}), 400)
        wants(planes.predict({"rows": [ROW], "source": "three"}), 400)
        wants(planes.predict({"rows": [ROW] * 1025}), 413)
        reply = planes.predict({"rows": [{**ROW, "distance": "far"}]})
        assert (
            reply.status == 422 and "distance-type" in reply.json["predictions"][0]["validation"]
        ), reply
        reply = planes.predict({"rows": [ROW, {**ROW, "origin": "ZZZ"}]})
        assert (
            reply.status == 200 and reply.json["predictions"][0]["probability"] is not None
        ), reply
        assert "origin-enum" in reply.json["predictions"][1]["validation"], reply

        def tensor(name, kind, data, shape):
            return {"name": name, "datatype": kind, "shape": shape, "data": data}

        good = [
            tensor("date", "BYTES", [ROW["date"]], [1]),
            tensor("distance", "INT64", [260], [1]),
            tensor("origin", "BYTES", ["AAA"], [1]),
            tensor("destination", "BYTES", ["BBB"], [1]),
        ]
        assert planes.request("POST", "/v2/models/late/infer", {"inputs": good}).status == 200
        for spoiled in (
            [tensor("distance", "INT64", [260, 1], [1])],
            [tensor("distance", "INT64", [260, 1], [2])],
            [tensor("distance", "INT64", [260], [1, 2])],
            [tensor("distance", "INT32X", [260], [1])],
            [tensor("distance", "INT64", [260], [-1])],
            [tensor("distance", "INT64", [260], [2**62])],
        ):
            rest = [t for t in good if t["name"] != spoiled[0]["name"]]
            reply = planes.request("POST", "/v2/models/late/infer", {"inputs": rest + spoiled})
            assert reply.status in (400, 413), f"{spoiled} was answered: {reply}"
            wants(reply, reply.status)
        reply = planes.request(
            "POST",
            "/v2/models/late/infer",
            {"inputs": good + [tensor("colour", "INT64", [260], [1])]},
        )
        assert reply.status == 422 and b"unknown-field/colour" in reply.body, reply
        wants(planes.request("POST", "/v2/models/nothing/infer", {"inputs": good}), 404)
        wants(planes.predict({"rows": [ROW]}, token=None), 401)
        wants(planes.predict({"rows": [ROW]}, token="reader"), 403)
        reply = planes.request("POST", "/v1/services/late/labels", {"labels": [{"row_id": 7}]})
        assert (
            reply.status == 422
            and reply.json["errors"][0]["id"] == "label-row-id"
            and reply.json["errors"][0]["hint"]
        ), reply
        wants(planes.operation("no.such", {}), 404)
        wants(planes.operation("watermark", {"service": "nothing"}), 404)
        for mistaken in ({}, {"service": 7}, {"service": "late", "of": "one"}, {"srevice": "late"}):
            wants(
                planes.operation("watermark", mistaken),
                400,
                "request-member",
                "request-unknown-member",
            )
        assert served(planes)


def tensors(**changes):
    """An infer request of `ROW`; `changes` replace members of a field's tensor."""
    kinds = {"distance": "INT64"}
    return {
        "inputs": [
            {
                "name": field,
                "datatype": kinds.get(field, "BYTES"),
                "shape": [1],
                "data": [value],
                **changes.get(field, {}),
            }
            for field, value in ROW.items()
        ]
    }


@case
def odd_tensors(world):
    """What a tensor, its parameters and outputs may not be: each is a 4xx with id and hint,
    whatever the type of the member.
    """
    body = json.dumps(tensors())
    changed = [
        {"distance": {key: value}}
        for key, values in {
            "shape": (
                [],
                [0],
                [-1],
                [1, 1, 1],
                [1.0],
                ["1"],
                None,
                [1, 2],
                [[1]],
                [2**62],
                [2**63],
                [-(2**63)],
                {},
                "1",
                [None],
                [True],
                [1, 0],
                [1024 * 1024],
            ),
            "datatype": ("int64", "STRING", "FP8", "", 7, None, ["INT64"], "INT64 ", "X" * 100000),
            "data": (
                [[260, 1]],
                [[[260]]],
                {"0": 260},
                "260",
                [],
                [[]],
                [None, None],
                [{}],
                [260, 260],
                260,
                ["260"],
                [True],
                [260.5],
            ),
        }.items()
        for value in values
    ]
    requests = [tensors(**each) for each in changed]
    requests += [
        {**tensors(), "parameters": each}
        for each in (
            [],
            "x",
            5,
            True,
            {"timeout": 1e3},
            {"timeout": True},
            {"timeout": 2**63},
            {"event_time": 1.5},
            {"event_time": "yesterday"},
            {"source": 7},
            {"source": "a b"},
            {"source": {}},
            {"explain": 1},
            {"explain": "true"},
            {"binary_data_output": "yes"},
            {"sequence_id": 1},
            {"nonsense": 1},
            {"": 1},
        )
    ]
    requests += [
        {**tensors(), "outputs": each}
        for each in (
            {},
            "x",
            [{}],
            [{"name": 7}],
            [{"name": "nothing"}],
            [{"name": "probability"}] * 2,
            [5],
            [{"name": "probability", "parameters": {"classification": 3}}],
        )
    ]
    requests += [{"inputs": each} for each in ([], {}, None, "x", [5], [None], [[]], [{}])]
    requests += [
        body[:-1] + ", " + body[1:],
        json.dumps({"inputs": tensors()["inputs"] + tensors()["inputs"][:1]}),
        body.replace('"name": "distance"', '"name": "distance", "n\\u0061me": "distance"'),
        body[:-1] + ',"id":"\\ud800"}',
        body.replace("[260]", "[" * 5000 + "260" + "]" * 5000),
        body + body,
        body[:-1] + ",}",
        body.encode("utf-16"),
        body[:-1] + "\0}",
    ]
    with Planes(world.released) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        for request in requests:
            reply = planes.request("POST", "/v2/models/late/infer", request)
            assert (
                reply.status in (400, 413)
                and reply.json["id"]
                and reply.json["hint"]
                and len(reply.body) < 2000
            ), (str(request)[:300], reply)
        # What is one row's matter refuses that row.
        for row in (
            {**ROW, "origin": "\ud800"},
            {**ROW, "origin": "A\0A"},
            {**ROW, "origin": "A" * 1000000},
            {**ROW, "distance": {"$numberLong": "260"}},
            {**ROW, "": 1},
            {**ROW, "k" * 100000: 1},
            {**ROW, "date": "2001-02-29T05:00:00Z"},
            {},
        ):
            reply = planes.predict({"rows": [ROW, row]})
            first, second = reply.json["predictions"]
            assert (
                reply.status == 200
                and first["probability"] is not None
                and second["validation"]
                and len(reply.body) < 2000
            ), (str(row)[:300], reply)
        assert served(planes)


@case
def load_misused(world):
    """`heddle dev bench`: what it refuses, what it counts, and a run over the service's own
    rows.
    """
    project = world.released
    with Planes(project) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        short = ("--duration", "500ms", "--warmup", "100ms")
        refused(project.run("dev", "bench"), 2, "bench-no-target")
        refused(project.run("dev", "bench", "https://127.0.0.1/"), 2, "net-url")
        refused(
            project.run("dev", "bench", "http://127.0.0.1/", "--duration", "soon"),
            2,
            "duration-malformed",
        )
        refused(
            project.run("dev", "bench", "http://127.0.0.1/", "--rate", "0"), 2, "loadgen-options"
        )
        refused(
            project.run("dev", "bench", "http://127.0.0.1/", "--header", "none"), 2, "bench-header"
        )
        refused(project.run("dev", "bench", "http://192.0.2.1/"), 5, "loadgen-remote")
        refused(project.run("dev", "bench", "http://127.0.0.1:1/"), 10, "loadgen-no-server")
        refused(project.run("dev", "bench", "--service", "nobody"), 6, "service-unknown")
        out = project.json("dev", "bench", "--service", "late", "--rate", "200", *short)
        assert out["scheduled"] == out["served"] == 100 and out["statuses"] == {"200": 100}, out
        page = project.root / "load.html"
        done = project.run(
            "dev", "bench", out["url"], "--rate", "200", "--html", page, *short
        )  # no token: every answer is 401, and says so
        assert (
            done.code == 10 and "status 401: 100" in done.out and "status 401" in page.read_text()
        ), done
        assert served(planes)


@case
def body_of_100_megabytes(world):
    with Planes(world.released) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        head = (
            b"POST /v1/services/late/predict HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization:"
            b" Bearer %s\r\n" % (world.released.port(), world.released.token("caller").encode())
        )

        def memory():
            text = pathlib.Path("/proc", str(planes.pid("data")), "status").read_text()
            return int(text.split("VmRSS:")[1].split()[0])

        before = memory()
        chunk = b" " * (1 << 20)
        for framing, pieces in (
            (b"Content-Length: 104857600\r\n\r\n", [chunk] * 100),
            (b"Transfer-Encoding: chunked\r\n\r\n", [b"100000\r\n" + chunk + b"\r\n"] * 100),
        ):
            with planes.raw() as connection:
                connection.sendall(head + framing)
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                except OSError:
                    pass  # the server may close before it has read all
                status = read_status(connection)
            # A close that overtakes the answer is a reset; what must not be is a 200, or the body
            # in memory.
            assert status in (413, 0), status
        with planes.raw() as connection:  # the answer to the head alone is never lost
            connection.sendall(head + b"Content-Length: 104857600\r\n\r\n")
            assert read_status(connection) == 413
        assert memory() - before < 32 * 1024, (before, memory())
        assert served(planes)


@case
def slow_client(world):
    with Planes(world.released) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        start = time.monotonic()
        slow = [planes.raw() for _ in range(50)]
        for connection in slow:
            connection.sendall(
                b"POST /v1/services/late/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length:"
                b" 100\r\n"
            )
        while time.monotonic() - start < 4:
            for connection in slow:
                connection.sendall(b"X-A: b\r\n")
            assert served(planes)
            time.sleep(1)
        statuses = [read_status(connection) for connection in slow]
        assert set(statuses) == {408}, statuses
        assert time.monotonic() - start < 20
        for connection in slow:
            connection.close()
        assert served(planes)


@case
def second_up_and_port_in_use(world):
    other = world.copy(world.built)
    with Planes(world.released) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        refused(world.released.run("up"), 7, "project-up")
        done = world.released.run("up", "--only", "control")
        assert done.code != 0 and done.ids and "hint: " in done.err, done
        refused(world.released.run("up", "--only", "data"), 7, "data-plane-runs")
        for only in ("control", "data"):
            done = other.run("up", "--only", only)
            refused(done, 7, "net-port-in-use")
        refused(other.run("up"), 10, "net-port-in-use")
        assert served(planes)
    with Planes(other):
        pass


# ---- tampered files, killed planes
# ----------------------------------------------------------------------------------------


@case
def up_while_a_killed_data_plane_ends(world):
    """A killed process has its ports until the last of its threads is back from the disk. One that
    is stopped stands for it here.
    """
    project = world.copy(world.released)
    first = Planes(project).__enter__()
    old = first.pid("data")
    os.kill(old, signal.SIGSTOP)
    first.process.kill()
    first.process.wait()
    second = Planes(project)

    def end_it_when_it_is_waited_for():
        end = time.monotonic() + 25
        while (
            f"process {old}, a data plane of this project, has not ended" not in second.text()
            and time.monotonic() < end
        ):
            time.sleep(0.01)
        os.kill(old, signal.SIGKILL)

    ending = threading.Thread(target=end_it_when_it_is_waited_for)
    ending.start()
    with second:
        ending.join()
        assert f"process {old}" in second.text(), second.text()
        second.until(lambda: served(second), "the released bundle answers")


@case
def tampered_route_table(world):
    project = world.copy(world.released)
    route = project.root / ".heddle/routes/late.json"
    with Planes(project) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        good = route.read_bytes()

        def told():
            """What serves; and what keeps the route table of the disk from being in force."""
            reply = planes.get("/v1/services/late").json
            reply.pop("waits_s")
            return reply, reply.pop("waits_for")

        version, waits_for = told()
        assert waits_for == "", waits_for
        signed = json.loads(good)
        swapped = good.replace(
            signed["payload"][:20].encode(), signed["payload"][20:40].encode(), 1
        )
        for bad, said in (
            (good[:-20], "route-corrupt"),
            (swapped, "route-unsigned"),
            (world.older_route, "route-older"),
        ):
            temporary = route.with_suffix(".new")
            temporary.write_bytes(bad)
            os.replace(temporary, route)
            planes.until(
                lambda: said in planes.text(),
                f"the data plane says that it refuses the route table: {said}",
            )
            assert served(planes)
            now, waits_for = told()
            assert now == version and "route table" in waits_for, (now, waits_for)
            assert waits_for in project.run("status").out
        # Without the last good one in memory, nothing unsigned is served: a restart answers 503 and
        # says why.
        route.write_bytes(swapped)
        planes.kill("data")
        planes.until(
            lambda: planes.predict({"rows": [ROW]}).status == 503,
            "nothing is served from an unsigned table",
        )
        route.write_bytes(good)
        planes.until(lambda: served(planes), "the good route table is taken again")


@case
def tampered_bundle(world):
    project = world.copy(world.released)
    blobs = project.root / ".heddle/objects/blobs/sha256"
    digest = project.json("status")["services"][0]["primary"].split(":")[1]
    manifest = json.loads((blobs / digest).read_bytes())
    layers = [layer["digest"].split(":")[1] for layer in manifest["layers"]]
    target = blobs / max(layers, key=lambda name: (blobs / name).stat().st_size)
    good = target.read_bytes()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    target.chmod(0o644)
    target.write_bytes(bad)
    with Planes(project) as planes:
        planes.until(lambda: served(planes), "the standby answers")
        assert (
            planes.predict({"rows": [ROW]}).json["bundle"] != "sha256:" + digest
        ), "a tampered bundle answered"
        assert "object-corrupt" in planes.text() and str(target) in planes.text(), planes.text()
        refused(
            project.run(
                "release", "promote", "late", "--requester", "bob", "--bundle", "sha256:" + digest
            ),
            13,
            "object-corrupt",
        )
    # As the hint says: delete it, run, and the same bundle is there again.
    target.unlink()
    assert good_run(project) == world.candidate
    assert target.read_bytes() == good
    with Planes(project) as planes:
        planes.until(lambda: served(planes), "the bundle answers again")
        assert project.json("audit", "verify")["audit"] == "ok"


@case
def tampered_ledger(world):
    project = world.copy(world.released)
    assert project.run("audit", "verify").code == 0
    tile = sorted((project.root / ".heddle/tiles").rglob("*"))
    tile = next(p for p in tile if p.is_file() and "entries" in str(p))
    data = bytearray(tile.read_bytes())
    data[len(data) // 2] ^= 1
    tile.chmod(0o644)
    tile.write_bytes(data)
    for _ in range(2):  # found again: to look at it repairs nothing
        done = project.run("audit", "verify")
        assert done.code == 13 and "audit failed" in done.out and "ledger-" in done.err, done
    other = world.copy(world.released)
    vkey = other.root / ".heddle/tiles/vkey"
    vkey.write_bytes(vkey.read_bytes()[:20])
    refused(other.run("audit", "verify"), 13, "vkey-malformed")
    # As the hint says.
    vkey.unlink()
    assert other.run("status").code == 0 and other.run("audit", "verify").code == 0


@case
def forged_approval(world):
    """A yes written into the state by hand is not carried out at the next start, and the ledger
    stays sound.
    """
    row = "collection = 'policy.approvals' AND key = ?"
    for signatures in ([], [{"person": "ann", "armored": "", "t": 1}]):
        project = world.copy(world.built)
        with Planes(project) as planes:
            id_ = release(world, planes)
        with harness.forging(project) as state:
            stored = json.loads(
                state.execute(f"SELECT value FROM kv WHERE {row}", (id_.encode(),)).fetchone()[0]
            )
            assert stored["status"] == "pending" and not stored["signatures"], stored
            stored.update(status="approved", signatures=signatures)
            state.execute(
                f"UPDATE kv SET value = ? WHERE {row}", (json.dumps(stored).encode(), id_.encode())
            )
        with Planes(project) as planes:
            planes.until(planes.control_live, "the control plane is up")
            about = [e for e in project.json("audit", "log")["decisions"] if e["approval"] == id_]
            assert [e["action"] for e in about if e["result"] == "void"] == ["approval.void"], about
            assert "stored signature" in next(
                e["reason"] for e in about if e["result"] == "void"
            ), about
            assert not [e for e in about if e["result"] in ("applied", "approved")], about
        assert project.run("audit", "verify").code == 0


@case
def rows_that_no_heddle_wrote(world):
    """Rows of the state with their right sums that hold something else: an error, and never a
    default.
    """
    for key, id_ in (
        ("place", "control-state"),
        ("applied-entry", "state-row"),
        ("applied-digest", "applied-not-decided"),
    ):
        project = world.copy(world.released)
        assert project.run("status").code == 0
        with harness.forging(project) as state:
            changed = state.execute(
                "UPDATE kv SET value = ? WHERE collection = 'control' AND key = ?",
                (b"7x", key.encode()),
            )
            assert changed.rowcount == 1, key
        refused(project.run("status"), 13, id_)


@case
def deleted_evidence(world):
    """Whichever part of the published ledger is gone, no command makes it ok in silence; a person
    does, and the ledger says so.
    """
    project = world.copy(world.released)
    project.run("stop", "late")  # one entry and one checkpoint more
    assert project.run("audit", "verify").code == 0
    tiles = project.root / ".heddle/tiles"
    notes = (tiles / "history").read_bytes().split(b"\n\n")  # a body, its signatures, and so on
    assert len(notes) >= 7, notes
    deletions = {
        "tiles": lambda: shutil.rmtree(tiles / "tile"),
        "checkpoint": lambda: (tiles / "checkpoint").unlink(),
        "history": lambda: (tiles / "history").unlink(),
        "all": lambda: shutil.rmtree(tiles),
        "tail": lambda: (tiles / "history").write_bytes(b"\n\n".join(notes[:2] + [b""])),
        "middle": lambda: (tiles / "history").write_bytes(b"\n\n".join(notes[:2] + notes[4:])),
    }
    for what, delete in deletions.items():
        one = world.copy(project)
        tiles = one.root / ".heddle/tiles"
        delete()
        if what in ("all", "tail"):
            one.run("status")  # what opens the project writes it again
        for _ in range(2):
            done = one.run("audit", "verify")
            assert (
                done.code == 13 and "-missing" in done.err and "audit verify --rebuild" in done.err
            ), (what, done)
        done = one.run("audit", "verify", "--rebuild")
        assert done.code == 0, (what, done)
        assert one.run("audit", "verify").code == 0, what
        actions = [e["action"] for e in one.json("audit", "log")["decisions"]]
        assert "ledger.rebuild" in actions, (what, actions[-4:])


@case
def deleted_traffic(world):
    """The access log and the journal: what Heddle did not remove itself is told."""
    project = world.copy(world.released)
    for _ in range(2):  # a start begins a segment, so that the one before is turned
        with Planes(project) as planes:
            planes.until(lambda: served(planes), "the released bundle answers")
            planes.until(planes.control_live, "the control plane is live")
    access = project.root / ".heddle/access/late"
    with Planes(project) as planes:
        planes.until(
            lambda: len(list(access.glob("*.parquet"))) >= 2, "segments are in the access log"
        )
    assert project.run("audit", "verify").code == 0
    other = world.copy(project)
    oldest = min(access.glob("*.parquet"))
    for delete in (oldest.unlink, lambda: shutil.rmtree(project.root / ".heddle/access")):
        delete()
        for _ in range(2):
            done = project.run("audit", "verify")
            assert done.code == 13 and "access-segment-missing" in done.err, done
    shutil.rmtree(other.root / ".heddle/spool")
    for _ in range(2):
        done = other.run("audit", "verify")
        assert done.code == 13 and "ledger-journal-missing" in done.err, done
    with Planes(
        other
    ) as planes:  # and what comes is heard: nobody waits for the number where it stood
        planes.until(lambda: served(planes), "the released bundle answers")
        rows = lambda: other.json("status")["services"][0]["watch"]["rows"]  # noqa: E731
        before = rows()
        planes.until(lambda: served(planes) and rows() > before, "the watch sees new rows")
    with Planes(other) as planes:
        recorded = lambda: sum(
            e["action"] == "access.segment" for e in other.json("audit", "log")["decisions"]
        )  # noqa: E731
        planes.until(lambda: recorded() > 2, "the access log goes on")
    assert other.run("audit", "verify", "--rebuild").code == 0
    assert other.run("audit", "verify").code == 0


@case
def read_only_copy(world):
    """What was put aside is verified where it lies, without writing; and a changed byte is
    found.
    """
    project = world.copy(world.released)
    assert project.run("audit", "verify").code == 0
    for path in [project.root / ".heddle", *(project.root / ".heddle").rglob("*")]:
        path.chmod(path.stat().st_mode & 0o555)
    before = sorted((p.name, p.stat().st_mtime_ns) for p in (project.root / ".heddle").rglob("*"))
    done = project.run("audit", "verify")
    assert (
        done.code == 0 and "audit ok" in done.out and "the state was not looked at" in done.err
    ), done
    assert project.json("audit", "verify")["state"] == "not looked at"
    assert (
        sorted((p.name, p.stat().st_mtime_ns) for p in (project.root / ".heddle").rglob("*"))
        == before
    )
    entries = next(
        p for p in (project.root / ".heddle/tiles/tile/entries").rglob("*") if p.is_file()
    )
    data = bytearray(entries.read_bytes())
    data[9] ^= 1
    entries.chmod(0o644)
    entries.write_bytes(data)
    assert project.run("audit", "verify").code == 13


class SecurePlanes(Planes):
    """Planes whose data plane speaks TLS; its certificate is its own business here."""

    def request(self, method, path, body=None, token="caller", timeout=30):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.project.port(), timeout=timeout, context=context
        )
        try:
            connection.request(
                method, path, body, {"Authorization": "Bearer " + self.project.token(token)}
            )
            reply = connection.getresponse()
            return harness.Reply(reply.status, reply.headers, reply.read())
        finally:
            connection.close()


@case
def exchanged_certificate(world):
    """Certificates are no part of what is applied, so that they may be renewed. Which one is shown
    is in the ledger.
    """
    project = world.copy(world.released)
    folder = project.root / "tls"
    folder.mkdir()
    digests = {}
    for name in ("one", "two"):
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-keyout",
                folder / f"{name}.key",
                "-out",
                folder / f"{name}.pem",
                "-subj",
                f"/CN={name}",
            ],
            check=True,
            capture_output=True,
        )
        der = ssl.PEM_cert_to_DER_cert((folder / f"{name}.pem").read_text())
        digests[name] = "sha256:" + hashlib.sha256(der).hexdigest()

    def install(name):
        for ending in ("pem", "key"):
            shutil.copy(folder / f"{name}.{ending}", folder / f"live.{ending}")

    with open(project.root / "services/late.yaml", "a") as service:
        service.write("tls: {certificate: tls/live.pem, key: tls/live.key}\n")
    install("one")
    project.apply()
    shown = lambda: project.json("status")["services"][0]["tls"]  # noqa: E731
    for name in ("one", "one", "two"):
        install(name)
        with SecurePlanes(project) as planes:
            planes.until(
                lambda: (shown() or {}).get("certificate") == digests[name],
                f"the certificate `{name}` is on record",
            )
            assert digests[name] in project.run("status").out
            assert ("its TLS files are others" in planes.text()) == (name == "two"), planes.text()
    entries = [e for e in project.json("audit", "log")["decisions"] if e["action"] == "tls.files"]
    assert [e["attributes"]["certificate"] for e in entries] == [
        digests["one"],
        digests["two"],
    ], entries
    assert project.run("audit", "verify").code == 0


@case
def keys_are_not_made_anew(world):
    """Whatever else is gone with a key: the state knows that there was one. Another one is taken
    with an entry.
    """
    project = world.copy(world.released)
    keys, tiles = project.root / ".heddle/keys", project.root / ".heddle/tiles"
    whole = {
        name: (keys / name).read_bytes() for name in ("control.key", "control.pub", "ledger.key")
    }
    assert project.run("status").code == 0  # from here on the state knows them
    (keys / "control.key").unlink()
    (keys / "control.pub").unlink()
    assert project.run("status").id == "control-key-lost" and not (keys / "control.key").exists()
    (keys / "control.key").write_text("00" * 31 + "07\n")
    assert project.run("status").code == 0
    changed = [e for e in project.json("audit", "log")["decisions"] if e["action"] == "key.control"]
    assert (
        len(changed) == 1
        and changed[0]["attributes"]["before"] == whole["control.pub"].decode().strip()
    ), changed
    (keys / "ledger.key").unlink()
    shutil.rmtree(tiles)
    assert project.run("status").id == "ledger-key-lost" and not (keys / "ledger.key").exists()


@case
def copied_project(world):
    """A copy says that it is one; a move does not."""
    project = world.copy(world.released)
    assert project.run("status").code == 0
    actions = lambda one: [e["action"] for e in one.json("audit", "log")["decisions"]]  # noqa: E731
    before = actions(project).count("project.copied")
    moved = harness.Project(world.heddle, world.dir / "moved")
    project.root.rename(moved.root)
    assert moved.run("status").code == 0 and actions(moved).count("project.copied") == before
    copied = world.copy(moved)
    assert (
        "was copied from" in copied.run("status").err
        and actions(copied).count("project.copied") == before + 1
    )
    assert "was copied from" not in copied.run("status").err


@case
def killed_planes(world):
    project = world.copy(world.released)
    took = []
    with Planes(project) as planes:
        planes.until(lambda: served(planes), "the released bundle answers")
        entries = project.json("audit", "verify")["entries"]
        for _ in range(3):
            start = time.monotonic()
            planes.kill("data")
            planes.until(lambda: served(planes), "served after kill -9", 10)
            took.append(time.monotonic() - start)
            planes.kill("control")
            assert served(planes), "the data plane needs no control plane"
            planes.until(planes.control_live, "the control plane is back", 15)
        assert min(took) < 2, took
        verified = project.json("audit", "verify")
        assert verified["audit"] == "ok" and verified["entries"] >= entries, verified
    done = project.run("status")
    assert done.code == 0, done


def make_released(world):
    """A project with both slots released, for the cases that serve."""
    project = world.copy(world.built)
    with Planes(project) as planes:
        id_ = release(world, planes)
        world.older_route = (project.root / ".heddle/routes/late.json").read_bytes()
        done = approve(world, project, id_, "ann", "ann")
        assert done.code == 0, done
        planes.until(lambda: served(planes), "the released bundle answers")
    return project


def main():
    os.environ["NO_COLOR"] = "1"
    world = World(sys.argv[1])
    try:
        world.candidate = good_run(world.built)
        world.released = make_released(world)
        return harness.run_cases(CASES, sys.argv[2:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
