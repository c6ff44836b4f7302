#!/usr/bin/env python3
"""Kills the planes with SIGKILL while their disk is full, fails, or no descriptor is left, in
traffic of every kind: what was acknowledged is there afterwards.

    kills_on_bad_disks.py HEDDLE FAULTY_DISK_LIBRARY [--kills N] [--seed N]

Acknowledged: an operation that replied 200 (its entry is in the ledger, once, and no entry ever
changes), a label that was accepted, a stop. A request that was answered is in the journal; while
the disk takes nothing, requests go on being answered and what goes unrecorded must be told by the
journal's gap records. Real full disks need root (a small tmpfs); the other faults do not. The seed
is printed.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenario")]

from faulty_disk import CODES, OPEN, RENAME, SYNC, WRITE, FaultyDisk  # noqa: E402
from harness import Planes, World  # noqa: E402
from journal import Recorded  # noqa: E402
from stopping import fill  # noqa: E402
from survive import row  # noqa: E402

FAULTS = [
    "none",
    "full disk",
    "EIO",
    "EIO of writes",
    "EIO of syncs",
    "ENOSPC",
    "renames",
    "EMFILE",
]
KINDS = {
    "EIO": OPEN | WRITE | SYNC | RENAME,
    "EIO of writes": WRITE,
    "EIO of syncs": SYNC,
    "ENOSPC": OPEN | WRITE,
    "renames": RENAME,
}
VICTIMS = [["data"], ["control"], ["data", "control"], ["data", "control", "up"]]
DISK = "512m"  # the access log of a thousand rounds fits


class Client(threading.Thread):
    """Asks until it is ended, on a kept connection; a lost one is made anew. `told` has what was
    acknowledged.
    """

    def __init__(self, storm, number):
        super().__init__(daemon=True)
        self.storm, self.number, self.draw = storm, number, random.Random(f"{storm.seed}/{number}")
        self.connection, self.count, self.statuses = None, 0, {}

    def run(self):
        while not self.storm.ending.is_set():
            try:
                self.ask()
            except (
                OSError,
                http.client.HTTPException,
                ValueError,
            ):  # killed, or no descriptor was left for it
                self.connection = None
                self.storm.ending.wait(0.002)

    def post(self, path, body):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.storm.port, timeout=10)
        self.connection.request(
            "POST", path, json.dumps(body), {"Authorization": "Bearer " + self.storm.token}
        )
        reply = self.connection.getresponse()
        answer = json.loads(reply.read())
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        self.storm.seen.set()
        return reply.status, answer


class Predicting(Client):
    def ask(self):
        self.count += 1
        name = f"q{self.number}-{self.count}"
        good = (
            self.storm.good
        )  # taken before it is sent: a fault that begins meanwhile excuses nothing
        status, answer = self.post(
            "/v1/services/late/predict", {"request_id": name, "rows": [self.storm.row]}
        )
        if status == 200:
            (self.storm.answered if good and self.storm.good else self.storm.answered_badly).append(
                name
            )
        elif answer.get("id") != "service-stopped":
            self.storm.refused[f"{status} {answer.get('id')}"] = (
                self.storm.refused.get(f"{status} {answer.get('id')}", 0) + 1
            )


class Labelling(Client):
    def ask(self):
        self.count += 1
        rows = [f"q{self.number}-{self.count}-{i}#0" for i in range(self.draw.choice([1, 1, 20]))]
        status, answer = self.post(
            "/v1/services/late/labels",
            {"labels": [{"row_id": each, "label": self.draw.randrange(2)} for each in rows]},
        )
        if status == 202 and answer["refused"] == 0:
            self.storm.labelled.extend(rows)
        self.storm.ending.wait(0.005)


class Operating(Client):
    """Comments on an incident, and shuts a source out and lets it in: each is an entry of the
    ledger.
    """

    def ask(self):
        self.count += 1
        text = f"operation {self.number}-{self.count}"
        name, request = "incident.comment", {"id": self.storm.incident, "reason": text}
        if self.count % 5 == 0:
            name = "quarantine.add" if self.count % 10 else "quarantine.release"
            request = {"service": "late", "source": "two", "reason": text}
        reply = self.storm.planes.operation(name, request)
        self.storm.seen.set()
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        if reply.status == 200 and reply.json.get("applied"):
            self.storm.acknowledged.append(text)
        self.storm.ending.wait(0.005)


class Storm:
    def __init__(self, heddle, library, seed):
        self.seed, self.draw = seed, random.Random(seed)
        self.world = World(heddle)
        self.project = self.world.copy(self.world.built)
        self.heddle = self.project.root / ".heddle"
        self.own_disk = self.mount()
        self.disk = FaultyDisk(library, self.project.root.parent / "plan", self.heddle, seed)
        self.ending, self.seen, self.good = threading.Event(), threading.Event(), True
        self.answered, self.answered_badly, self.labelled, self.acknowledged, self.refused = (
            [],
            [],
            [],
            [],
            {},
        )
        self.entries, self.untold, self.unrecorded, self.counts, self.slowest = [], 0, 0, {}, 0.0
        self.recorded = Recorded(self.heddle / "spool/late")
        self.open_files = {}

    def mount(self):
        """`.heddle` on a disk of its own, where that may be made."""
        aside = self.project.root / "heddle-before"
        self.heddle.rename(aside)
        self.heddle.mkdir(mode=0o700)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=700", "tmpfs", str(self.heddle)],
            stderr=subprocess.DEVNULL,
        )
        subprocess.run(["cp", "-a", f"{aside}/.", str(self.heddle)], check=True)
        return done.returncode == 0

    def close(self):
        self.ending.set()
        if self.own_disk:
            subprocess.run(["umount", "-l", str(self.heddle)], check=False)
        self.world.close()

    def begin(self):
        self.planes.release(self.world)
        self.port, self.token, self.row = (
            self.project.port(),
            self.project.token("caller"),
            row(self.project),
        )
        reply = self.planes.operation(
            "incident.open", {"service": "late", "reason": "to be commented on"}
        )
        assert reply.status == 200, reply
        self.incident = reply.json["incident"]
        self.clients = [
            Predicting(self, 0),
            Predicting(self, 1),
            Labelling(self, 2),
            Operating(self, 3),
        ]
        for client in self.clients:
            client.start()

    def up(self):
        self.planes = Planes(self.project, environment=self.disk.environment())
        self.planes.__enter__()

    # One round: a fault, a kill in it, the way back.

    def round(self, number):
        faults = [each for each in FAULTS if each != "full disk" or self.own_disk]
        fault = faults[number % len(faults)] if number < len(faults) else self.draw.choice(faults)
        victims = self.draw.choice(VICTIMS)
        lasts = self.draw.random() < 0.3 and "up" not in victims  # past the kill
        told = self.recorded.read().dropped
        self.await_traffic()
        self.good = fault in ("none", "EMFILE")
        self.bring(fault)
        try:
            self.await_traffic()
            time.sleep(self.draw.uniform(0, 0.05))  # anywhere in it
            stopped = self.draw.random() < 0.1 and self.stop()
            self.kill(victims)
            if lasts:
                time.sleep(0.3)
        finally:
            self.end(fault)
        begun = time.monotonic()
        if "up" in victims:
            self.up()
        self.back()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        reply = self.planes.request("POST", "/v1/services/late/predict", {"rows": [self.row]})
        is_stopped = reply.json.get("id") == "service-stopped"
        assert (
            is_stopped or not stopped
        ), f"a stop was recorded, and {reply} (fault: {fault}, {self.disk.failed()} calls failed)"
        if is_stopped:
            self.planes.until(lambda: self.project.run("resume", "late").code == 0, "it is resumed")
        self.await_record()
        self.good = True
        self.counts[fault] = self.counts.get(fault, 0) + 1
        self.check_records(fault, told)

    def bring(self, fault):
        if fault == "full disk":
            fill(self.heddle)
        elif fault == "EMFILE":
            for plane in ("data", "control"):
                pid = self.planes.pid(plane)
                if pid is None:
                    continue
                with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                    resource.prlimit(
                        pid,
                        resource.RLIMIT_NOFILE,
                        (
                            len(os.listdir(f"/proc/{pid}/fd")),
                            resource.prlimit(pid, resource.RLIMIT_NOFILE)[1],
                        ),
                    )
        elif fault in KINDS:
            self.disk.arm(
                CODES["ENOSPC" if fault == "ENOSPC" else "EIO"],
                self.draw.choice([1, 2, 5, 20]),
                KINDS[fault],
            )

    def end(self, fault):
        self.disk.clear()
        if fault == "full disk":
            (self.heddle / "filler").unlink()
        elif fault == "EMFILE":
            for plane in ("data", "control"):
                pid = self.planes.pid(plane)
                with contextlib.suppress(ProcessLookupError, TypeError):
                    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))

    def stop(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            reply = self.planes.request(
                "POST", "/v1/services/late/stop", "{}", token="stopper", timeout=5
            )
            return reply.status == 200 and reply.json["recorded"]
        return False

    def kill(self, victims):
        for name in reversed(victims):  # the supervisor first, so that it starts nothing again
            pid = self.planes.process.pid if name == "up" else self.planes.pid(name)
            with contextlib.suppress(ProcessLookupError):
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
        if "up" in victims:
            self.planes.process.wait()

    def back(self):
        self.planes.until(
            lambda: self.planes.control_live() and self.planes.get("/health/live").status == 200,
            "both planes are back",
            60,
        )
        self.planes.until(
            lambda: self.planes.request(
                "POST", "/v1/services/late/predict", {"rows": [self.row]}
            ).status
            in (200, 503)
            and self.planes.get("/v1/services/late").json["route_version"] > 0,
            "it answers by a route table",
            60,
        )

    def await_traffic(self):
        """Until somebody was answered; nobody may be, in a fault."""
        self.seen.clear()
        self.seen.wait(0.5)

    def await_record(self):
        """The journal takes records again."""

        def recorded():
            name = f"probe-{random.getrandbits(64):x}"
            reply = self.planes.request(
                "POST", "/v1/services/late/predict", {"request_id": name, "rows": [self.row]}
            )
            return reply.status == 200 and name in self.recorded.read().requests

        self.planes.until(recorded, "an answered request is in the journal", 60)

    # What is held against what was acknowledged.

    def missing(self, names, kind):
        """Those of `names` that the journal has not; one that was just answered is looked for
        twice.
        """
        for _ in range(2):
            recorded = getattr(self.recorded.read(), kind)
            names = [each for each in names if each not in recorded]
        return names

    def check_records(self, fault, told):
        """What was acknowledged since the last call. `told`: what the journal's gap records had
        added up to before the fault.
        """
        taken = {}
        for kind in ("answered", "answered_badly", "labelled"):
            taken[kind] = getattr(self, kind)
            setattr(self, kind, [])
        lost = self.missing(taken["answered"], "requests")
        assert not lost, (
            f"{len(lost)} of {len(taken['answered'])} answered requests are not in the journal, the"
            f" first is {lost[0]} (fault: {fault})"
        )
        lost = self.missing(taken["labelled"], "labels")
        assert not lost, (
            f"{len(lost)} of {len(taken['labelled'])} accepted labels are not in the journal, the"
            f" first is {lost[0]} (fault: {fault})"
        )
        unrecorded = len(self.missing(taken["answered_badly"], "requests"))
        self.unrecorded += unrecorded
        if unrecorded and self.recorded.dropped == told:
            # A disk that takes no byte from anybody takes no record of it either; a full one has
            # room kept for it.
            self.untold += unrecorded
            assert fault != "full disk", (
                f"{unrecorded} requests were answered on a full disk and the journal does not say"
                " that they are missing"
            )

    def check_ledger(self):
        acknowledged = list(self.acknowledged)
        reply = self.planes.operation("decision.list", {"from": 0})
        assert reply.status == 200, reply
        entries = [json.dumps(each, sort_keys=True) for each in reply.json["decisions"]]
        for at, entry in enumerate(self.entries):
            assert at < len(entries) and entries[at] == entry, (
                f"entry {at} of the ledger was {entry} and is"
                f" {entries[at] if at < len(entries) else 'lost'}"
            )
        self.entries = entries
        applied, texts = {}, {}
        for text in entries:
            entry = json.loads(text)
            if entry["result"] != "applied":
                continue
            assert entry["op_id"] not in applied, (
                f"`{entry['op_id']}` was applied by the entries {applied[entry['op_id']]} and"
                f" {entry['seq']}"
            )
            applied[entry["op_id"]] = entry["seq"]
            reason = (entry["attributes"] or {}).get("text", entry["reason"])
            texts[reason] = texts.get(reason, 0) + 1
        lost = [each for each in acknowledged if each not in texts]
        assert not lost, (
            f"{len(lost)} of {len(acknowledged)} acknowledged operations are not in the ledger, the"
            f" first is `{lost[0]}`"
        )
        twice = [each for each in acknowledged if texts[each] > 1]
        assert (
            not twice
        ), f"`{twice[0]}` was asked once and is in the ledger {texts[twice[0]]} times"

    def audit(self):
        done = self.project.run("audit", "verify", timeout=300)
        assert done.code == 0, done
        verifier = HERE.parent.parent / "python/heddle/verify.py"
        second = subprocess.run(
            [sys.executable, str(verifier), str(self.project.root)], capture_output=True, text=True
        )
        assert second.returncode == 0, second.stderr


def tokens_that_cannot_be_read(world, library):
    """While a data plane starts, for a moment: their accounts are known all the same."""
    project = world.copy(world.built)
    disk = FaultyDisk(
        library, project.root.parent / "plan-of-tokens", project.root / ".heddle/tokens", 0
    )
    with Planes(project, environment=disk.environment()) as planes:
        disk.arm(CODES["EIO"], 1, OPEN)
        planes.kill("data")
        planes.until(lambda: disk.failed() > 0, "a token could not be read")
        disk.clear()
        planes.until(lambda: planes.get("/health/live").status == 200, "the data plane is back")
        reply = planes.request("GET", "/v1/services/late", token="reader")
        assert reply.status == 200, reply


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("heddle")
    parser.add_argument("library")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    storm = Storm(arguments.heddle, os.path.abspath(arguments.library), arguments.seed)
    number = 0
    try:
        tokens_that_cannot_be_read(storm.world, storm.disk.library)
        storm.up()
        storm.begin()
        for number in range(arguments.kills):
            storm.round(number)
            if number % 25 == 24:
                storm.check_ledger()
                print(
                    f"{number + 1} kills; {len(storm.recorded.requests)} requests,"
                    f" {len(storm.recorded.labels)} labels, {len(storm.acknowledged)} operations",
                    flush=True,
                )
        storm.ending.set()
        for client in storm.clients:
            client.join(30)
        storm.check_records("none", 0)
        storm.check_ledger()
        storm.audit()
        storm.planes.__exit__()
        storm.audit()
    except AssertionError as failure:
        with contextlib.suppress(OSError, AttributeError):  # it may be none of its planes
            print(storm.planes.text()[-4000:])
        print(f"FAILED at kill {number + 1}: {failure} (seed {arguments.seed})", flush=True)
        return 1
    finally:
        with contextlib.suppress(AttributeError):
            storm.planes.__exit__()
        storm.close()
    skipped = "" if storm.own_disk else "; SKIPPED: real full disks (no tmpfs may be mounted)"
    print(
        f"{arguments.kills} kills {storm.counts}, {storm.disk.failed()} calls failed;"
        f" {len(storm.recorded.requests)} requests, {len(storm.recorded.labels)} labels and"
        f" {len(storm.acknowledged)} operations acknowledged, 0 lost; {storm.unrecorded} requests"
        f" were answered by a disk that took nothing ({storm.untold} where it could not even say"
        f" so); refused meanwhile: {storm.refused}; back in {storm.slowest:.1f} s at most; both"
        f" verifiers ok{skipped}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
