#!/usr/bin/env python3
"""Every abuse of abuses.py at random, by accounts of every kind and by nobody, beside honest
traffic. What no account may do (docs/security-bounds.md) is held against what happened.

    adversary.py HEDDLE [--seconds N] [--seed N]      the seed is printed; exit 0 when every bound
        held
"""

import argparse
import collections
import contextlib
import csv
import datetime
import http.client
import json
import math
import multiprocessing
import os
import pathlib
import pwd
import random
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "crash"), str(HERE.parent / "scenario")]

import abuses  # noqa: E402
from harness import Planes, World  # noqa: E402
from journal import Recorded  # noqa: E402
from stopping import cpu_seconds  # noqa: E402

POLICY = """\
apiVersion: heddle/v1
kind: Policy
name: default
rules:
  - id: engineers-start
    effect: allow
    who: ["role:ml-engineer", "system:*"]
    action: [run.start, definition.apply]
  - id: promotion-needs-a-person
    effect: require_approval
    who: ["person:*", "role:ml-engineer", "agent:recover", "system:*"]
    action: release.promote
    when: attributes.slot == "primary"
    needs: {approvals: 1, role: approver, within: 7d}
  - id: standby-is-free
    effect: allow
    who: ["role:ml-engineer", "system:*"]
    action: release.promote
    when: attributes.slot == "standby"
  - id: recovery-acts
    effect: allow
    who: "agent:recover"
    action: [slot.swap, source.quarantine, source.release, release.recalibrate, release.rollback,
             transform.withdraw, recalibration.withdraw]
  - id: the-source-of-everybody-needs-a-person
    effect: require_approval
    who: "agent:recover"
    action: source.quarantine
    when: attributes.source == "default"
    needs: {approvals: 1, role: approver, within: 7d}
  - id: people-act
    effect: allow
    who: ["role:ml-engineer", "system:*"]
    action: ["slot.swap", "source.*", "incident.*", "service.*", "label.*", release.rollback]
  - id: agents-keep-records
    effect: allow
    who: ["agent:*", "system:*"]
    action: ["incident.*", "postmortem.*", "alert.*"]
failover: {allowed: true}
"""
HONEST = ["honest-one", "honest-two"]
STEP = datetime.timedelta(minutes=2)  # of event time between two honest rows
BLOCK = 20  # requests between two ticks
MIB = 1 << 20


def account(name, permissions):
    return f"  - name: {name}\n    permissions: [{permissions}]\n"


def logit(p):
    return math.log(p / (1 - p))


class Honest(threading.Thread):
    """Sends rows as their time comes, ticks, and labels them a day later: what one client sees of
    it.
    """

    def __init__(self, planes, rows):
        super().__init__(daemon=True)
        self.planes, self.rows, self.ending = planes, rows, threading.Event()
        self.requests, self.stopped, self.behind, self.failures, self.labels = (
            0,
            0,
            0,
            [],
            collections.deque(),
        )
        self.connections, self.latencies, self.answered = {}, [], []
        self.now = datetime.datetime(2001, 3, 1)
        self.tick()  # the replay's clock is set before anybody else says a time

    def post(self, name, path, body):
        """One that is kept may be closed by the server at any time: that is tried again, once, on a
        new one, as every client does.
        """
        for again in (False, True):
            if name not in self.connections:
                self.connections[name] = http.client.HTTPConnection(
                    "127.0.0.1", self.planes.project.port(), timeout=30
                )
            try:
                self.connections[name].request(
                    "POST",
                    path,
                    json.dumps(body),
                    {"Authorization": "Bearer " + self.planes.project.token(name)},
                )
                reply = self.connections[name].getresponse()
                return reply.status, json.loads(reply.read())
            except (OSError, http.client.HTTPException):
                self.connections.pop(name).close()
                if again:
                    raise

    def tick(self):
        status, answer = self.post(
            HONEST[0], "/v1/services/late/tick", {"event_time": self.now.isoformat() + "Z"}
        )
        if status != 200:
            self.behind += 1  # who may replay has led the clock ahead
        return answer

    def run(self):
        while not self.ending.is_set():
            for _ in range(BLOCK):
                self.ask(self.now)
                self.now += STEP
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.tick()
                self.label(self.now)

    def ask(self, now):
        when, fields, late = self.rows[self.requests % len(self.rows)]
        name = HONEST[self.requests % 2]
        stamp = (now.replace(hour=when.hour, minute=when.minute)).isoformat() + "Z"
        request = f"honest-{self.requests}"
        self.requests += 1
        begun = time.monotonic()
        try:
            status, answer = self.post(
                name,
                "/v1/services/late/predict",
                {
                    "request_id": request,
                    "source": "one" if name == HONEST[0] else "two",
                    "event_time": now.isoformat() + "Z",
                    "rows": [{**fields, "date": stamp}],
                },
            )
        except (OSError, http.client.HTTPException) as failure:
            self.failures.append(repr(failure))
            return
        self.latencies.append(time.monotonic() - begun)
        if status == 503 and answer.get("id") == "service-stopped":
            self.stopped += 1  # what the account that may stop may do
        elif status != 200 or answer["predictions"][0].get("probability") is None:
            self.failures.append(f"{status} {json.dumps(answer)[:300]}")
        else:
            self.labels.append((now, request, late))
            self.answered.append(request)

    def label(self, now):
        due = []
        while self.labels and self.labels[0][0] < now - datetime.timedelta(days=1):
            then, request, late = self.labels.popleft()
            due.append(
                {
                    "row_id": request + "#0",
                    "label": late,
                    "event_time": (then + datetime.timedelta(days=1)).isoformat() + "Z",
                }
            )
        if due:
            self.post(HONEST[1], "/v1/services/late/labels", {"labels": due})


def disk_use(folder):
    """Bytes on the disk. Inputs of jobs are links, counted once; files come and go meanwhile."""
    blocks = {}
    # `os.walk` passes over a folder that is gone by the time it is opened; `rglob` raises.
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(os.path.join(parent, name))
                blocks[found.st_ino] = found.st_blocks * 512
    return sum(blocks.values())


class Watching(threading.Thread):
    """The person: looks once a second, clears stops, notes the most that was ever taken."""

    def __init__(self, planes):
        super().__init__(daemon=True)
        self.planes, self.ending, self.most, self.resumed, self.failed = (
            planes,
            threading.Event(),
            collections.Counter(),
            0,
            [],
        )
        self.recorded = Recorded(planes.project.root / ".heddle/spool/late", HONEST)

    def run(self):
        while not self.ending.wait(1):
            try:
                self.look()
            except (
                AssertionError,
                OSError,
                http.client.HTTPException,
                subprocess.TimeoutExpired,
            ) as failure:
                self.failed.append(f"{time.strftime('%H:%M:%S')} {repr(failure)[:1000]}")

    def look(self):
        worked = cpu_seconds(self.pids["control"])
        status = self.planes.operation("status", {})
        assert status.status == 200, status
        self.note(
            "work before an answer, s", cpu_seconds(self.pids["control"]) - worked
        )  # not time: the machine may be busy
        if status.json["services"][0]["state"] == "stopped":
            done = self.planes.project.run("resume", "late")
            assert done.code == 0, done
            self.resumed += 1
        for plane in ("data", "control"):
            pid = self.planes.pid(plane)
            assert pid == self.pids[plane], f"the {plane} plane is another process: it ended"
            text = pathlib.Path(f"/proc/{pid}/status").read_text()
            self.note(f"{plane} MiB", int(text.split("VmRSS:")[1].split()[0]) / 1024)
            self.note(f"{plane} descriptors", len(os.listdir(f"/proc/{pid}/fd")))
            self.note(f"{plane} threads", int(text.split("Threads:")[1].split()[0]))
        self.recorded.read()
        self.note("disk MiB", disk_use(self.planes.project.root / ".heddle") / MIB)

    def note(self, name, value):
        self.most[name] = max(self.most[name], value)

    def start(self):
        self.pids = {plane: self.planes.pid(plane) for plane in ("data", "control")}
        super().start()


def attack(target, seed, seconds, results):
    """One hostile process."""
    hostile = abuses.Hostile(target, seed)
    counts, begun = collections.Counter(), time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        known = abuses.WEIGHTS if passed < 0.9 * seconds else {**abuses.WEIGHTS, **abuses.LAST}
        abuse = hostile.draw.choices(list(known), list(known.values()))[0]
        counts[(abuse.__name__, abuse(hostile))] += 1
    hostile.close()
    results.put(counts)


def attack_as_nobody(*arguments):
    """Another user of the machine, where that may be; `attack` is the owner's user, who does not
    know the secret.
    """
    if os.geteuid() == 0:
        with contextlib.suppress(KeyError, OSError):
            os.setuid(pwd.getpwnam("nobody").pw_uid)
    attack(*arguments)


def rows_of(project):
    """Rows of the data with their truth: (time, fields, late)."""
    with open(project.root / "data/trips.csv") as file:
        for line in csv.DictReader(file):
            when = datetime.datetime.strptime(line["date"], "%Y-%m-%dT%H:%M:%SZ")
            yield (
                when,
                {
                    "distance": int(line["distance"]),
                    "origin": line["origin"],
                    "destination": line["destination"],
                },
                int(int(line["delay"]) > 15),
            )


def mean_answer(planes, rows, token=HONEST[0]):
    body = {"rows": [{**fields, "date": when.isoformat() + "Z"} for when, fields, _ in rows[:500]]}
    reply = planes.request("POST", "/v1/services/late/predict", body, token=token)
    assert reply.status == 200, reply
    return sum(each["probability"] for each in reply.json["predictions"]) / 500


class Bounds:
    """What must hold, printed as a table."""

    def __init__(self):
        self.failed = []
        print(f"\n{'bound':<58} {'most':>12} {'seen':>12}")

    def hold(self, what, seen, most):
        held = seen <= most
        print(f"{what:<58} {most:>12g} {seen:>12.4g}{'' if held else '   NOT HELD'}", flush=True)
        if not held:
            self.failed.append(what)


def judge(planes, honest, watching, before, after, began_entries):
    bounds = Bounds()
    bounds.hold("honest answers that failed, share", len(honest.failures) / honest.requests, 0.001)
    bounds.hold(
        "honest answers that are not in the journal",
        sum(each not in watching.recorded.requests for each in honest.answered),
        0,
    )
    bounds.hold(
        "mean answer moved without a person, logits", abs(logit(after) - logit(before)), 1.5
    )
    sources = planes.operation("quarantine.list", {}).json["sources"]
    bounds.hold(
        "quarantines of honest accounts, or of everybody",
        sum(each["account"] in HONEST + [""] for each in sources),
        0,
    )
    entries = planes.operation("decision.list", {"from": began_entries}).json["decisions"]
    acts = collections.Counter(each["action"] for each in entries if each["result"] == "applied")
    bounds.hold("releases without a person", acts["release.promote"], 0)
    bounds.hold("swaps (fail-over has its own bound)", acts["slot.swap"], 4)
    bounds.hold(
        "entries of stops, more than people cleared", acts["service.stop"] - watching.resumed, 1
    )
    bounds.hold("entries of the ledger, a honest request", len(entries) / honest.requests, 0.1)
    print("decided: " + ", ".join(f"{count} x {action}" for action, count in sorted(acts.items())))
    for name, most in (
        ("control MiB", 512),
        ("data MiB", 256),
        ("disk MiB", 1500),
        ("control descriptors", 300),
        ("data descriptors", 700),
        ("control threads", 20),
        ("data threads", 30),
        ("work before an answer, s", 10),
    ):
        bounds.hold(name, watching.most[name], most)
    bounds.hold("looks of a person that failed", len(watching.failed), 0)
    return bounds.failed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("heddle")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    world = World(arguments.heddle)
    try:
        return run(world, arguments)
    finally:
        world.close()


def run(world, arguments):
    project = world.copy(world.built)
    (project.root / "policies/default.yaml").write_text(POLICY)
    with open(project.root / "people.yaml", "a") as file:
        file.write("".join(account(name, "predict, label, replay") for name in HONEST))
        file.write(
            "".join(account(name, permissions) for name, permissions in abuses.ACCOUNTS.items())
        )
    project.commit()
    rows = list(rows_of(project))
    random.Random(arguments.seed).shuffle(rows)
    with Planes(project, "--lockstep") as planes:
        planes.release(world)
        before = mean_answer(planes, rows)
        began_entries = len(planes.operation("decision.list", {"from": 0}).json["decisions"])
        target = {
            "port": project.port(),
            "tokens": {name: project.token(name) for name in abuses.ACCOUNTS},
            "rows": [{**fields, "date": when.isoformat() + "Z"} for when, fields, _ in rows[:500]],
            "control_socket": str(project.root / ".heddle/control.sock"),
        }
        for name, file in (("grpc_port", "services/late.yaml"), ("control_port", "heddle.yaml")):
            target[name] = int((project.root / file).read_text().split(name + ": ")[1].split()[0])
        honest, watching = Honest(planes, rows), Watching(planes)
        honest.start()
        watching.start()
        results = multiprocessing.Queue()
        hostile = [
            multiprocessing.Process(
                target=attack if number % 2 else attack_as_nobody,
                args=(target, f"{arguments.seed}/{number}", arguments.seconds, results),
            )
            for number in range(arguments.processes)
        ]
        for process in hostile:
            process.start()
        counts = sum(
            (results.get(timeout=arguments.seconds + 300) for _ in hostile), collections.Counter()
        )
        for process in hostile:
            process.join()
        for each in (honest, watching):
            each.ending.set()
            each.join(60)

        def goes_on():
            """The control plane hears of a stop that came last a little after the data plane."""
            with contextlib.suppress(AssertionError):
                watching.look()
            return planes.request("GET", "/v1/services/late", token="eve-reads").json["stopped"]

        planes.until(lambda: goes_on() is False, "it is not stopped any more")
        after = mean_answer(planes, rows)
        watching.recorded.read()
        table(counts)
        honest.latencies.sort()
        print(
            f"\n{honest.requests} honest requests, {honest.stopped} of them while it was stopped;"
            f" p50 {honest.latencies[len(honest.latencies) // 2] * 1000:.1f} ms, p99"
            f" {honest.latencies[len(honest.latencies) * 99 // 100] * 1000:.1f} ms;"
            f" {watching.resumed} stops cleared; {honest.behind} of {honest.requests // BLOCK}"
            " ticks were refused"
        )
        failed = judge(planes, honest, watching, before, after, began_entries)
        for each in honest.failures[:3] + watching.failed[:3]:
            print(each)
    failed += verify(project)
    if failed:
        print(planes.text()[-3000:])
        print(f"NOT HELD: {', '.join(failed)} (seed {arguments.seed})")
    return 1 if failed else 0


def verify(project):
    failed = []
    if project.run("audit", "verify", timeout=300).code != 0:
        failed.append("`heddle audit verify`")
    verifier = HERE.parent.parent / "python/heddle/verify.py"
    if (
        subprocess.run(
            [sys.executable, str(verifier), str(project.root)], capture_output=True
        ).returncode
        != 0
    ):
        failed.append("the independent verifier")
    print(f"both verifiers: {'ok' if not failed else failed}")
    return failed


def table(counts):
    print(f"{'abuse':<28} {'tries':>7}  what came of it")
    for name in sorted({name for name, _ in counts}):
        said = {outcome: count for (each, outcome), count in counts.items() if each == name}
        outcomes = sorted(said.items(), key=lambda each: -each[1])
        came = ", ".join(f"{count} x {outcome}" for outcome, count in outcomes)
        print(f"{name:<28} {sum(said.values()):>7}  {came}")


if __name__ == "__main__":
    sys.exit(main())
