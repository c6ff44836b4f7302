#!/usr/bin/env python3
"""What `heddle up`, `heddle replay` and `heddle status` say together: a watch that works by
default, and words where it does not.   watched.py HEDDLE
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import harness


def started_while_a_command_has_the_project_open(world):
    """What `heddle status` is for a moment: the lock is held when `heddle up` starts. It must
    not end over that.
    """
    project = world.copy(world.built)
    assert project.run("apply").code == 0
    held = os.open(project.root / ".heddle/lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    planes = harness.Planes(project)
    planes.process = subprocess.Popen(
        [project.heddle, "--project", str(project.root), "up"],
        stdin=subprocess.DEVNULL,
        stdout=planes.log,
        stderr=planes.log,
    )
    try:
        planes.until(
            lambda: "a command has the project open" in planes.text(), "the control plane waits"
        )
        planes.until(
            lambda: planes.get("/health/live").status == 200, "the data plane is live meanwhile"
        )
        os.close(held)
        planes.until(planes.control_live, "the control plane starts when the command has ended")
    finally:
        planes.__exit__()
    return "the control plane waits for it"


def asked_while_the_planes_start_and_end(world):
    """Commands all the time, from before the planes are up until after: each is answered, and
    none ends a plane.
    """
    project = world.copy(world.built)
    ending, failures, answered = threading.Event(), [], [0]

    def ask():
        while not ending.is_set():
            done = project.run("--json", "status")
            answered[0] += 1
            if done.code != 0:
                failures.append(repr(done))

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(3):
            with harness.Planes(project) as planes:
                before = answered[0]
                planes.until(lambda: answered[0] > before + 6, "commands are answered")
                assert "ended with exit code" not in planes.text(), planes.text()[-2000:]
    finally:
        ending.set()
        for thread in asking:
            thread.join()
    assert not failures, failures[:3]
    return f"{answered[0]} commands answered"


def row_of(project):
    with open(project.root / "data/trips.csv") as file:
        names, values = file.readline().strip().split(","), file.readline().strip().split(",")
    row = dict(zip(names, values))
    row.pop("delay")
    return {**row, "distance": int(row["distance"])}


def control_port(project):
    text = (project.root / "heddle.yaml").read_text()
    return text.split("control_port: ")[1].split()[0]


def watch_of(project):
    return project.json("status")["services"][0]["watch"]


def replayed(world):
    project = world.copy(world.built)
    project.edit(
        "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    project.commit()
    before = project.json("status")
    assert (
        before["control_plane"] == "not running"
        and before["services"][0]["state"] == "nothing released"
    ), before
    assert before["next"][0]["command"] == "heddle up", before
    with harness.Planes(project) as planes:
        planes.release(world)
        now = project.json("status")
        assert now["control_plane"] == "running", now
        assert (
            now["services"][0]["state"] == "serving"
            and now["services"][0]["data_plane"]["route_version"] == now["services"][0]["route"]
        ), now
        # Somebody tries it, as the documentation shows; then the recording of another year is
        # replayed.
        assert planes.predict({"rows": [row_of(project)]}).status == 200
        replay = [
            "replay",
            project.root / "data/trips.csv",
            "--service",
            "late",
            "--from",
            "2001-02-18",
            "--to",
            "2001-02-22",
        ]
        done = project.run(*replay, "--label-delay", "6h")
        # The row that was tried before is not of this time, and that is said; everything else is
        # watched.
        assert done.code == 0 and [line for line in done.err.splitlines() if "warning" in line] == [
            "warning: 1 rows were too far ahead of the watch, which did not take them"
        ], done
        watch = watch_of(project)
        assert (
            watch["in_windows"] + watch["partial"] >= 4 * 350
            and watch["late"] == 0
            and watch["ahead"] == 1
        ), watch
        assert watch["labels_joined"] == watch["rows"] - 1 - watch["other_release"], watch
        series = planes.operation("metric.series", {"service": "late"}).json
        assert any(each["metric"] == "column/distance" for each in series["findings"]), series
        # The labels were known six hours later: their last tick says so.
        assert project.json("status")["services"][0]["watermark"].startswith(
            "2001-02-22T05:"
        ), project.json("status")

        again = project.run(*replay)
        assert (
            again.code == 7
            and again.id == "replay-behind"
            and "2001-02-22" in again.err
            and "--from" in again.err
        ), again
        assert watch_of(project)["rows"] == watch["rows"]  # not one of them was sent
        on = project.run(
            *replay[:-4], "--from", "2001-02-23", "--to", "2001-02-24", "--no-lockstep"
        )
        assert on.code == 0, on
        watch = watch_of(project)
        assert (
            watch["late"] == 0
            and watch["labels_joined"] == watch["rows"] - 1 - watch["other_release"]
        ), watch

        told = planes.request(
            "POST",
            "/v1/services/late/labels",
            {"labels": [{"row_id": "nobody#0", "label": 1}, {"row_id": "nobody#1", "label": 25}]},
        )
        assert (
            told.status == 202
            and told.json["accepted"] == 1
            and told.json["errors"][0]["id"] == "label-value"
        ), told
        planes.until(
            lambda: watch_of(project)["labels_waiting"] == 1,
            "the label of an unknown row is counted",
        )
        assert "1 wait for an unknown row" in project.run("status").out
        port = control_port(project)
        metrics = (
            urllib.request.urlopen(
                urllib.request.Request(
                    f"http://127.0.0.1:{port}/metrics",
                    headers={"Authorization": "Bearer " + project.token("reader")},
                )
            )
            .read()
            .decode()
        )
        assert 'heddle_watch_labels_waiting{service="late"} 1' in metrics, metrics
        assert (
            f'heddle_watch_rows{{service="late",fate="ahead"}} {watch["ahead"]}' in metrics
        ), metrics
        denied = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics",
            headers={"Authorization": "Bearer " + project.token("caller")},
        )
        with contextlib.suppress(urllib.error.HTTPError):
            raise AssertionError(urllib.request.urlopen(denied).read())

        # Rows that the watch is past, from a client that does not ask: answered, counted, said.
        late = planes.predict({"rows": [row_of(project)], "event_time": "2001-02-19T05:00:00Z"})
        assert late.status == 200, late
        assert (
            planes.request("POST", "/v1/services/late/tick", {"event_time": "2001-02-26"}).status
            == 200
        )
        planes.until(lambda: watch_of(project)["late"] == 1, "the late row is counted")
        assert "1 LATE" in project.run("status").out
        for body in (
            {"rows": [row_of(project)], "event_time": 9223372036854775807},
            {"rows": [row_of(project)], "event_time": "2002-02-19"},
        ):
            refused = planes.predict(body)
            assert refused.status == 400 and refused.json["id"] == "event-time-outside", refused
        assert (
            planes.request(
                "POST", "/v1/services/late/tick", {"event_time": 9223372036854775807}
            ).status
            == 400
        )
        assert project.run("stop", "late").code == 0
        planes.until(
            lambda: project.json("status")["services"][0]["state"] == "stopped",
            "the data plane says that it is stopped",
        )
        done = project.run("resume", "late", "--person", "ann", "--key", world.keys / "ann")
        assert done.code == 0, done
        poisoned_tick(world, planes)
    after = project.json("status")
    assert (
        after["services"][0]["state"] == "not running"
        and not after["services"][0]["data_plane"]["running"]
    ), after
    text = project.run("status").out
    assert "(not running)" in text and "serving" not in text, text
    return f"{watch['rows']} rows watched, the same again refused"


def poisoned_tick(world, planes):
    """One tick of a replay account far ahead would end every later replay: it is said, and a
    person signs the way back.
    """
    project = planes.project

    def tick(time):
        return planes.request("POST", "/v1/services/late/tick", {"event_time": time})

    def jump():
        return project.json("status")["services"][0]["clock_jump"]

    set_clock = [
        "clock",
        "set",
        "late",
        "--reason",
        "a client gone mad",
        "--person",
        "ann",
        "--key",
        world.keys / "ann",
    ]
    assert project.run(*set_clock).id == "clock-agrees"
    assert tick("2001-02-27").status == 200
    assert tick("2150-01-01").status == 200
    planes.until(lambda: jump() is not None, "the jump is known")
    assert tick("2001-02-28").status == 409
    assert tick("2150-01-02").status == 200
    shown = project.json("status")
    assert any(
        each["command"].startswith("heddle clock set late") for each in shown["next"]
    ), shown["next"]
    planes.until(
        lambda: any(
            each["cause"] == "clock jump" for each in project.json("incident", "list")["incidents"]
        ),
        "it is an incident",
    )
    refused = project.run(*set_clock[:-4])
    assert (
        refused.code == 5 and refused.id == "clock-denied"
    ), refused  # no rule lets him, and he did not sign
    done = project.run(*set_clock)
    assert done.code == 0 and "left its clock at 2001-02-27" in done.err, done
    planes.until(
        lambda: tick("2001-02-28").status == 200, "event time is where it was before the jump"
    )
    planes.until(
        lambda: project.json("status")["services"][0]["watermark"].startswith("2001-02-28"),
        "decisions go on from there",
    )
    assert jump() is None
    log = [(each["action"], each["actor"]) for each in project.json("audit", "log")["decisions"]]
    assert ("clock.jump", "system:data-plane") in log and ("clock.set", "ann") in log, log[-6:]
    assert project.run("audit", "verify").code == 0


def a_page_is_a_process_of_its_own(world):
    """A person closes an incident: its page comes from another process ten minutes of event time
    later, and rows that were refused from a thread. Whoever asks the control plane is answered
    meanwhile.
    """
    project = world.copy(world.built)
    project.edit(
        "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    project.edit(
        "policies/default.yaml",
        "  - id: files-are-scored",
        '  - id: records\n    effect: allow\n    who: ["agent:*"]\n    action: ["incident.*",'
        ' "postmortem.*"]\n  - id: files-are-scored',
    )
    project.commit()
    with harness.Planes(project) as planes:
        planes.release(world)
        done = project.run(
            "replay",
            project.root / "data/trips.csv",
            "--service",
            "late",
            "--from",
            "2001-02-18",
            "--to",
            "2001-02-20",
        )
        assert done.code == 0, done
        opened = project.json("incident", "open", "late", "--reason", "looks odd")
        incident = f"late/{opened['incident']}"
        harness.works(project.run("incident", "close", incident, "--reason", "it was nothing"))

        def tick(time):
            reply = planes.request("POST", "/v1/services/late/tick", {"event_time": time})
            assert reply.status == 200, reply

        tick("2001-02-21T12:00:00Z")  # asks for the page
        planes.until(
            lambda: list((project.root / ".heddle/runs").glob("*postmortem*")),
            "the page is asked for",
        )
        assert "page" not in project.json("incident", "show", incident)
        tick("2001-02-21T12:09:00Z")
        planes.until(
            lambda: project.json("status")["services"][0]["watermark"].startswith(
                "2001-02-21T12:09"
            ),
            "nothing waits for it",
        )
        tick("2001-02-21T12:11:00Z")
        planes.until(lambda: "page" in project.json("incident", "show", incident), "it is there")
        page = project.json("incident", "show", incident)["page"]
        assert (
            f"# {opened['incident']}" in page
            and "looks odd" in page
            and "could not be replayed" not in page
        ), page
        left = list((project.root / ".heddle/runs").glob("*postmortem*"))
        assert not left, left

        bad = {**row_of(project), "distance": -1}
        assert planes.predict({"rows": [bad], "event_time": "2001-02-21T12:30:00Z"}).status == 422
        asked = [planes.operation("quarantine.show", {"service": "late"}).json]
        while asked[-1].get("reading"):
            asked.append(planes.operation("quarantine.show", {"service": "late"}).json)
        assert len(asked) > 1 and asked[-1]["rows"][-1]["fields"]["distance"] == -1, asked
        assert '"distance": -1' in json.dumps(project.json("quarantine", "show", "late"))
    return f"{len(asked) - 1} times told to ask again"


def main():
    world = harness.World(sys.argv[1])
    try:
        return harness.run_cases(
            (
                started_while_a_command_has_the_project_open,
                asked_while_the_planes_start_and_end,
                replayed,
                a_page_is_a_process_of_its_own,
            ),
            sys.argv[2:],
            world,
        )
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
