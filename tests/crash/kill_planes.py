#!/usr/bin/env python3
"""Kills the planes of a replayed project with SIGKILL and holds what is left against an undisturbed
run.

    kill_planes.py HEDDLE EXAMPLE DATA OUT [--from DAY --to DAY --faults NAMES] [--kills N]
        [--data-kills N] [--twice]

Three projects are made of EXAMPLE under OUT; each replays the same flights in lockstep, and a
person answers approvals at fixed event times:
  plain    nothing is killed (with --twice a second one, `again`, must decide the same in the same
      order)
  control  the control plane dies at least N times in each phase: in steady traffic, during a
      retrain, between a route table's
           commit and its `applied`, in a postmortem; and at the edges of snapshots and approvals.
               It must decide the same.
  data     the data plane dies; a new request is served within 2 s and the journal holds every
      answered request.

Phases are hit by failpoints (src/base/failpoint.hpp, CONTRIBUTING.md). Standard library only. Exit
0 when everything held.
"""

import argparse
import glob
import http.client
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta

from journal import request_ids

SERVICE = "delay"
PERSON = "you"
REPLAY_SEED = 20010301
WITHIN = 2.0  # seconds from the data plane's death to a new request's answer
ASKED = {"transform.propose": timedelta(days=2)}
POSTMORTEM = ["control-postmortem", "control-postmortem-acted", "control-postmortem-committed"]
# Places without a phase of their own; each dies a few times.
EDGES = ["control-decided", "control-snapshot", "control-retrain-committed", "control-approved"]


def os_user():
    """The user of the system that runs the commands, as people.yaml has it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


class Failed(Exception):
    pass


def say(text):
    print(text, flush=True)


def time_of(text):
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")


def children(parent):
    found = {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent:
                pid = int(stat.split("/")[2])
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    found[pid] = file.read().replace(b"\0", b" ").decode()
        except (OSError, IndexError):
            continue
    return found


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Project:
    """One copy of the example with its planes."""

    def __init__(self, arguments, name):
        self.arguments = arguments
        self.name = name
        self.root = os.path.join(arguments.out, name)
        self.state = os.path.join(self.root, ".heddle")
        self.failpoints = os.path.join(arguments.out, name + "-failpoints")
        self.up = None
        self.entries = []  # of the ledger, as text, in the order they were seen

    def heddle(self, *words, patience=60):
        """Runs a command; one that met a dying control plane is repeated, as a person would."""
        until = time.monotonic() + patience
        while True:
            done = subprocess.run(
                [self.arguments.heddle, "--json", "--project", self.root, *words],
                capture_output=True,
                text=True,
            )
            if done.returncode == 0:
                return json.loads(done.stdout) if done.stdout.strip().startswith("{") else None
            if self.up is None or time.monotonic() > until:
                raise Failed(
                    f"`heddle {' '.join(words)}` ended with {done.returncode}:"
                    f" {done.stderr[-2000:]}"
                )
            time.sleep(0.05)

    def prepare(self, cache):
        example, data = self.arguments.example, self.arguments.data
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(
            example, self.root, ignore=shutil.ignore_patterns(".heddle", ".git", "data")
        )
        os.symlink(os.path.abspath(data), os.path.join(self.root, "data"))
        os.makedirs(self.state)
        shutil.rmtree(self.failpoints, ignore_errors=True)
        os.makedirs(self.failpoints)
        for part in ("objects", "runs"):
            if cache and os.path.isdir(os.path.join(cache, part)):
                subprocess.run(["cp", "-r", os.path.join(cache, part), self.state], check=True)
        for retrain in glob.glob(os.path.join(self.state, "runs", SERVICE + "-*")):
            shutil.rmtree(retrain)  # of the other project's replay; here it has to run
        self.key = os.path.join(self.arguments.out, self.name + "-key")
        for file in (self.key, self.key + ".pub"):
            if os.path.exists(file):
                os.remove(file)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", PERSON, "-f", self.key],
            check=True,
        )
        with open(self.key + ".pub") as file:
            public = file.read().strip()
        self.edit(
            "people.yaml",
            r"(?m)^people:$",
            f"people:\n  - name: {PERSON}\n    roles: [ml-engineer, approver]\n    keys:"
            f' ["{public}"]',
        )
        self.edit(
            "people.yaml", r"(?m)^  - name: ben$", f'  - name: ben\n    os_users: ["{os_user()}"]'
        )
        self.port, control, grpc = free_ports(3)
        self.edit("heddle.yaml", r"(?m)^control_port: .*$", f"control_port: {control}")
        for service in os.listdir(os.path.join(self.root, "services")):
            self.edit(
                "services/" + service, r"(?m)^port: .*$", f"port: {self.port}\ngrpc_port: {grpc}"
            )
        with open(os.path.join(self.root, ".gitignore"), "a") as file:
            file.write("\n/.heddle/\n/data\n")
        git = [
            "git",
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@localhost",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgsign=false",
        ]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "the example"]):
            subprocess.run(git + words, cwd=self.root, check=True)
        self.heddle("run")

    def edit(self, file, pattern, text):
        path = os.path.join(self.root, file)
        with open(path) as opened:
            before = opened.read()
        after = re.sub(pattern, lambda _: text, before, count=1)
        if after == before:
            raise Failed(f"`{file}` of the example has no `{pattern}`")
        with open(path, "w") as opened:
            opened.write(after)

    def start(self):
        self.heddle("apply")
        log = open(os.path.join(self.arguments.out, self.name + "-up.log"), "w")
        environment = dict(
            os.environ,
            HEDDLE_FAILPOINTS=self.failpoints,
            HEDDLE_WEBHOOK_URL="http://127.0.0.1:9/",
            HEDDLE_WEBHOOK_SECRET="none",
        )
        self.up = subprocess.Popen(
            [self.arguments.heddle, "--project", self.root, "up", "--lockstep"],
            stdout=log,
            stderr=log,
            env=environment,
        )
        self.operation("status")
        self.heddle("release", "promote", SERVICE)
        self.heddle("release", "promote", SERVICE, "--slot", "standby")
        self.answer(None)
        self.await_route()

    def await_route(self):
        until = time.monotonic() + 60
        while True:
            service = self.operation("status")["services"][0]
            if (
                service["route"] > 0
                and service["applied"] >= service["route"]
                and service["primary"]
                and service["standby"]
            ):
                return
            if time.monotonic() > until:
                raise Failed("the data plane did not take up the release")
            time.sleep(0.02)

    def operation(self, name, patience=60, **request):
        """Calls the control plane; waits for it to come back when it is gone."""
        until = time.monotonic() + patience
        while True:
            connection = UnixConnection(os.path.join(self.state, "control.sock"))
            try:
                with open(os.path.join(self.state, "keys/owner.secret")) as file:
                    secret = file.read()
                connection.request(
                    "POST",
                    "/v1/ops/" + name,
                    json.dumps(request),
                    {"Content-Type": "application/json", "Authorization": "Bearer " + secret},
                )
                reply = connection.getresponse()
                body = reply.read()
                if reply.status != 200:
                    raise Failed(f"`{name}` said {reply.status}: {body[:500]}")
                return json.loads(body)
            except (OSError, http.client.HTTPException) as error:
                if self.up.poll() is not None:
                    raise Failed(
                        f"`heddle up` of `{self.name}` ended by itself with {self.up.returncode};"
                        " see its log"
                    ) from error
                if time.monotonic() > until:
                    raise Failed(f"`{name}`: {error}") from error
                time.sleep(0.02)
            finally:
                connection.close()

    def answer(self, now):
        """What the person does at event time `now`: yes, after a while."""
        for approval in self.operation("approval.list")["approvals"]:
            if approval["state"] != "pending":
                continue
            if now is not None and now < time_of(approval["asked_event_time"]) + ASKED.get(
                approval["action"], timedelta(hours=4)
            ):
                continue
            self.approve(approval["id"])

    def approve(self, approval):
        until = time.monotonic() + 60
        while True:
            command = [
                self.arguments.heddle,
                "--project",
                self.root,
                "approve",
                approval,
                "--person",
                PERSON,
                "--key",
                self.key,
            ]
            done = subprocess.run(command, capture_output=True, text=True)
            state = {
                each["id"]: each["state"]
                for each in self.operation("approval.list", all=True)["approvals"]
            }[approval]
            if state in (
                "approved",
                "used",
                "void",
            ):  # also when the answer was lost with the control plane
                return
            if time.monotonic() > until:
                raise Failed(f"`heddle approve {approval}`: {done.stderr}")

    def look(self):
        """Reads the entries of the ledger that are new: from now on they must stay as they are."""
        for decision in self.operation("decision.list", **{"from": len(self.entries)})["decisions"]:
            self.entries.append(json.dumps(decision, sort_keys=True))

    def plane(self, name):
        for pid, line in children(self.up.pid).items():
            if f"--only {name}" in line:
                return pid
        return None

    def replay(self, begin, end, faults, pause_hours, between):
        """Runs the replay; `between(event time, resume)` is called at each pause and calls `resume`
        once.
        """
        command = [
            self.arguments.heddle,
            "--json",
            "--project",
            self.root,
            "replay",
            os.path.join(self.arguments.data, "flights-3m.parquet"),
            "--service",
            SERVICE,
            "--from",
            begin,
            "--to",
            end,
            "--every",
            "3",
            "--source-field",
            "origin",
            "--faults",
            faults,
            "--seed",
            str(REPLAY_SEED),
            "--lockstep",
            "--pause-every",
            str(pause_hours),
        ]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = []
        reader = threading.Thread(target=lambda: said.append(process.stderr.read()), daemon=True)
        reader.start()
        rest = []

        def resume():
            process.stdin.write("\n")
            process.stdin.flush()

        try:
            for line in process.stdout:
                if line.startswith("at "):
                    between(time_of(line[3:]), resume)
                else:
                    rest.append(line)
        finally:
            if sys.exc_info()[0] is not None:
                process.kill()
            process.wait()
        reader.join(5)
        if not rest:
            raise Failed(f"the replay ended with {process.returncode}: {''.join(said)[-2000:]}")
        return json.loads("".join(rest))

    def stop(self):
        if self.up is None:
            return
        self.up.send_signal(signal.SIGINT)
        try:
            self.up.wait(20)
        except subprocess.TimeoutExpired:
            self.up.kill()
            self.up.wait()
        self.up = None

    def audit(self):
        verdict = self.heddle("audit", "verify")
        if verdict["audit"] != "ok":
            raise Failed(f"audit: {verdict}")
        verifier = os.path.join(
            os.path.dirname(os.path.abspath(__file__)), "../../python/heddle/verify.py"
        )
        second = subprocess.run(
            [sys.executable, verifier, self.root], capture_output=True, text=True
        )
        if second.returncode != 0:
            raise Failed(f"the independent verifier: {second.stderr}")
        return verdict["entries"]

    def check_ledger(self):
        """Every entry that was ever seen is there as it was, and nothing was applied twice."""
        after = [
            json.dumps(each, sort_keys=True)
            for each in self.operation("decision.list", **{"from": 0})["decisions"]
        ]
        for at, entry in enumerate(self.entries):
            if at >= len(after) or after[at] != entry:
                raise Failed(
                    f"entry {at} of the ledger was {entry} and is"
                    f" {after[at] if at < len(after) else 'lost'}"
                )
        applied = {}
        for text in after:
            entry = json.loads(text)
            if entry["result"] != "applied":
                continue
            if entry["op_id"] in applied:
                raise Failed(
                    f"`{entry['op_id']}` was applied by the entries {applied[entry['op_id']]} and"
                    f" {entry['seq']}"
                )
            applied[entry["op_id"]] = entry["seq"]
        return [json.loads(text) for text in after]


def sequence(decisions):
    return [
        tuple(
            each[key]
            for key in ("action", "target", "event_time", "decision", "result", "rule", "incident")
        )
        for each in decisions
        if not each["action"].startswith(("access.", "ledger.", "project."))
    ]  # records of wall time and of places, no decisions


def compare(name, expected, found):
    for at in range(max(len(expected), len(found))):
        a = expected[at] if at < len(expected) else None
        b = found[at] if at < len(found) else None
        if a != b:
            raise Failed(f"decision {at} of `{name}` is {b}, undisturbed it is {a}")


class ControlKiller:
    """Ends the control plane in every phase; a thread of its own watches files and processes."""

    def __init__(self, project, kills, seed):
        self.project = project
        self.target = kills
        self.random = random.Random(seed)
        self.count = {"steady": 0, "retrain": 0, "route": 0, "postmortem": 0, "edges": 0}
        self.waiting = {}  # file -> phase
        self.ending = threading.Event()
        self.turn = {"route": 0, "postmortem": 0}
        self.edges_armed = 0
        self.thread = threading.Thread(target=self.work, daemon=True)

    def arm(self, name, phase):
        if name in self.waiting:
            return
        open(os.path.join(self.project.failpoints, name), "w").close()
        self.waiting[name] = phase

    def took(self):
        gone = []
        for name, phase in list(self.waiting.items()):
            if not os.path.exists(os.path.join(self.project.failpoints, name)):
                del self.waiting[name]
                self.count[phase] += 1
                gone.append(name)
        return gone

    def work(self):
        while not self.ending.is_set():
            for name in self.took():
                if name in ("control-route-committed", "control-route-published"):
                    # The next start finds the route committed and, by what was killed, not yet
                    # published or not yet applied.
                    if self.count["route"] < self.target:
                        self.arm("control-restored", "route")
                    self.turn["route"] += 1
                if name in POSTMORTEM:
                    self.turn["postmortem"] += 1
            if self.count["route"] < self.target and "control-restored" not in self.waiting:
                if not any(
                    each in self.waiting
                    for each in ("control-route-committed", "control-route-published")
                ):
                    self.arm(
                        ("control-route-committed", "control-route-published")[
                            self.turn["route"] % 2
                        ],
                        "route",
                    )
            if self.count["postmortem"] < self.target:
                if not any(each in self.waiting for each in POSTMORTEM):
                    self.arm(POSTMORTEM[self.turn["postmortem"] % len(POSTMORTEM)], "postmortem")
            if self.count["retrain"] < self.target + 2:
                self.kill_in_retrain()
            self.ending.wait(0.005)

    def kill_in_retrain(self):
        """As soon as the worker runs; then, as far as it still does, twice somewhat later."""
        if self.count["retrain"] < self.target:
            self.arm("control-retrain-started", "retrain")
            return
        control = self.project.plane("control")
        if control is not None and any(
            "worker retrain" in line for line in children(control).values()
        ):
            self.kill(control, "retrain")

    def kill(self, pid, phase):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.count[phase] += 1
        until = time.monotonic() + 5
        while self.project.plane("control") in (pid, None) and time.monotonic() < until:
            time.sleep(0.005)

    def between(self, steps):
        """At pause number `steps`: arms an edge now and then, or kills a little later, in
        traffic.
        """
        if self.edges_armed < self.target and steps % 9 == 4:
            self.arm(EDGES[self.edges_armed % len(EDGES)], "edges")
            self.edges_armed += 1
        return self.count["steady"] < self.target and steps % 7 == 3

    def steady(self):
        time.sleep(self.random.uniform(0.0, 0.05))
        control = self.project.plane("control")
        if control is not None:
            self.kill(control, "steady")


def run_project(arguments, name, cache, killer_of=None):
    project = Project(arguments, name)
    project.prepare(cache)
    killer = None
    steps = [0]
    begin = time.monotonic()
    try:
        project.start()
        if killer_of is not None:
            killer = killer_of(project)
            killer.thread.start()

        def between(now, resume):
            steps[0] += 1
            project.look()
            project.answer(now)
            kills = killer is not None and killer.between(steps[0])
            resume()
            if kills:
                killer.steady()

        done = project.replay(arguments.begin, arguments.end, arguments.faults, 2, between)
        if killer is not None:
            killer.ending.set()
            killer.thread.join()
            for file in list(killer.waiting):
                path = os.path.join(project.failpoints, file)
                if os.path.exists(path):
                    os.remove(path)
        if done["failed"] != 0:
            raise Failed(f"{done['failed']} of {done['requests']} requests failed")
        project.look()
        decisions = project.check_ledger()
    finally:
        if killer is not None:
            killer.ending.set()
        project.stop()
    entries = project.audit()
    say(
        f"{name}: {done['requests']} requests, {done['failed']} failed, {len(decisions)} decisions,"
        f" audit ok with {entries} entries, {time.monotonic() - begin:.0f} s"
        + (f"; kills {killer.count}, {sum(killer.count.values())} in all" if killer else "")
    )
    return project, decisions, killer


def run_data(arguments, cache):
    """The data plane dies again and again in plain traffic."""
    project = Project(arguments, "data")
    project.prepare(cache)
    times = []
    own = []
    steps = [0]
    shaken = random.Random(arguments.seed)
    try:
        project.start()
        with open(os.path.join(project.state, "tokens/replayer")) as file:
            token = file.read().strip()

        def ask():
            name = f"after-{len(own):04}"
            body = {
                "request_id": name,
                "event_time": "2001-03-01T00:00:00Z",
                "source": "carrier-0",
                "rows": [
                    {
                        "date": "2001-03-01T10:00:00Z",
                        "distance": 337,
                        "origin": "LAX",
                        "destination": "SFO",
                    }
                ],
            }
            connection = http.client.HTTPConnection("127.0.0.1", project.port, timeout=5)
            try:
                connection.request(
                    "POST",
                    f"/v1/services/{SERVICE}/predict",
                    json.dumps(body),
                    {"Content-Type": "application/json", "Authorization": "Bearer " + token},
                )
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                return False
            finally:
                connection.close()
            if status == 200:
                own.append(name)
            return status == 200

        if not ask():
            raise Failed("the data plane does not answer a plain request")

        def between(_, resume):
            steps[0] += 1
            project.look()
            resume()
            if len(times) >= arguments.data_kills or steps[0] % 2 == 0:
                return
            time.sleep(shaken.uniform(0, 0.03))
            pid = project.plane("data")
            if pid is None:
                return
            os.kill(pid, signal.SIGKILL)
            begin = time.monotonic()
            while not ask():
                if time.monotonic() - begin > 30:
                    raise Failed("the data plane did not come back in 30 s")
                time.sleep(0.005)
            times.append(time.monotonic() - begin)

        done = project.replay("2001-03-01", "2001-03-08", "none", 2, between)
        project.look()
        project.check_ledger()
    finally:
        project.stop()
    if done["failed"] != 0 or done["answered"] != done["requests"]:
        raise Failed(
            f"{done['failed']} of {done['requests']} requests failed, {done['answered']} were"
            " answered"
        )
    if len(times) < arguments.data_kills:
        raise Failed(f"the data plane was killed {len(times)} times only")
    journal = request_ids(os.path.join(project.state, "spool", SERVICE))
    runs = {each.rsplit("-", 1)[0] for each in journal if each.startswith(f"r{REPLAY_SEED}.")}
    if len(runs) != 1:
        raise Failed(f"the requests of one replay begin with {sorted(runs)}")
    (run,) = runs
    answered = own + [f"{run}-{at:08}" for at in range(done["requests"])]
    lost = [each for each in answered if each not in journal]
    if lost:
        raise Failed(
            f"{len(lost)} answered requests are not in the journal, the first is {lost[0]}"
        )
    if max(times) > WITHIN:
        raise Failed(f"a new request waited {max(times):.2f} s for a new data plane")
    entries = project.audit()
    say(
        f"data: {len(times)} kills, a new request served within {max(times):.2f} s, {len(answered)}"
        f" answered requests all in the journal, 0 failed, {done['retried']} sent again, audit ok"
        f" with {entries} entries"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("heddle", "example", "data", "out"):
        parser.add_argument(name)
    parser.add_argument("--from", dest="begin", default="2001-03-01")
    parser.add_argument("--to", dest="end", default="2001-07-01")
    parser.add_argument("--faults", default="all")
    parser.add_argument("--kills", type=int, default=13, help="in each phase")
    parser.add_argument("--data-kills", type=int, default=10)
    parser.add_argument("--twice", action="store_true", help="also a second undisturbed run")
    parser.add_argument(
        "--cache",
        default="",
        help="a .heddle folder whose finished runs and objects are taken over",
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out = os.path.abspath(arguments.out)
    arguments.heddle = os.path.abspath(arguments.heddle)
    os.makedirs(arguments.out, exist_ok=True)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, lambda *_: sys.exit(2)
        )  # so that the planes are stopped on the way out
    try:
        plain, expected, _ = run_project(arguments, "plain", arguments.cache)
        cache = plain.state
        if arguments.twice:
            _, found, _ = run_project(arguments, "again", cache)
            compare("again", sequence(expected), sequence(found))
            say(f"two undisturbed runs: the same {len(found)} decisions in the same order")
        _, found, killer = run_project(
            arguments,
            "control",
            cache,
            lambda project: ControlKiller(project, arguments.kills, arguments.seed),
        )
        compare("control", sequence(expected), sequence(found))
        for phase in ("steady", "retrain", "route", "postmortem"):
            if killer.count[phase] < arguments.kills:
                raise Failed(
                    f"the control plane died {killer.count[phase]} times in the phase `{phase}`,"
                    f" {arguments.kills} were wanted"
                )
        say("the killed control plane decided the same, in the same order")
        run_data(arguments, cache)
    except Failed as failure:
        say(f"FAILED: {failure} (seed {arguments.seed}, files in {arguments.out})")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
