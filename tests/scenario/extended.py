#!/usr/bin/env python3
"""What one file adds to the registries goes through a whole project: a statistic, a metric, a
trainer, a detector, a cause and a kind of definition, from definition to postmortem.

extended.py HEDDLE_EXTENDED      `heddle` with src/extension/extension_fixture.hpp linked into it;
                                 standard library only
"""

import datetime
import json
import math
import random
import sys

import elsewhere
import harness
import small_project
from harness import Planes, refused, works
from several_services import commit_all

TRAINED, SERVED = datetime.datetime(2001, 1, 1), datetime.datetime(2001, 3, 1)
A_DAY = 1000
# Days of the served traffic: lateness is another thing, later most labels are true for a while.
CHANGED, ASKED, MOSTLY_TRUE, USUAL_AGAIN, DAYS = 5, 13, 16, 19, 26


def write_rows(file, days, a_day, seed, start, margin_of):
    """Rows of some days, each late with the log odds `margin_of(day, hour, origin)`."""
    draw, places = random.Random(seed), small_project.PLACES
    with open(file, "w") as out:
        out.write("date,distance,origin,destination,delay\n")
        for i in range(days[0] * a_day, days[1] * a_day):
            when = start + datetime.timedelta(days=i / a_day)
            origin, destination = draw.sample(range(len(places)), 2)
            distance = 100 + 150 * (origin + destination) + 10 * abs(origin - destination)
            margin = margin_of(i // a_day, when.hour, origin)
            late = draw.random() < 1 / (1 + math.exp(-margin))
            at = when.strftime("%Y-%m-%dT%H:%M:%SZ")
            out.write(f"{at},{distance},{places[origin]},{places[destination]},")
            out.write(f"{30 if late else draw.randrange(-5, 15)}\n")


def trained(_, hour, __):
    return -1 + 0.25 * (hour - 11.5)


def served(day, hour, origin):
    """First by the hour as in training, then by the place alone."""
    if day < CHANGED:
        return trained(day, hour, origin)
    return -1 + 1.2 * (origin - 2.5) + (3 if MOSTLY_TRUE <= day < USUAL_AGAIN else 0)


RUNBOOK = """\
apiVersion: heddle/v1
kind: Runbook
name: late
service: late
call: ann
steps: [look at the last incident]
"""


class World:
    def __init__(self, heddle):
        self.dir = harness.pathlib.Path(harness.tempfile.mkdtemp(prefix="heddle-extended-"))
        root = small_project.make(self.dir / "p", count=1)
        self.keys = self.dir / "p-keys"
        self.project = project = harness.Project(heddle, root)
        write_rows(root / "data/trips.csv", (0, 30), 400, 1, TRAINED, trained)
        for name, days in (("asked", (0, ASKED)), ("later", (ASKED + 1, DAYS))):
            write_rows(root / f"data/{name}.csv", days, A_DAY, 2, SERVED, served)
        flights = harness.pathlib.Path(__file__).resolve().parents[2] / "examples/flights"
        policy = root / "policies/default.yaml"
        policy.write_text((flights / "policies/default.yaml").read_text())
        project.edit(
            "policies/default.yaml",
            "rules:\n",
            "rules:\n  - {id: labels-need-a-person, effect: require_approval, who: agent:recover,"
            " action: label.accept, needs: {approvals: 1, role: approver, within: 7d}}\n",
        )
        project.edit("policies/default.yaml", "max_rows: 28000", "max_rows: 3000")
        project.edit(
            "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
        )
        self.define()
        commit_all(project)

    def define(self):
        project = self.project
        model = (project.root / "models/late.yaml").read_text()
        begin, end = model.index('  from: "2001-01-01"'), model.index("standby:")
        (project.root / "models/late.yaml").write_text(
            model[:begin]
            + "trainer: mean_difference\nsearch:\n  trials: 3\n  startup: 3\n  space:\n"
            + "    - {name: prior, kind: integer, low: 0, high: 1000}\n"
            + model[end:]
        )
        project.edit("evaluations/late.yaml", "  - name: auc\n", "  - name: auc\n  - name: brier\n")
        project.edit(
            "evaluations/late.yaml",
            "gates:\n",
            "gates:\n  - {id: squares, when: metrics.brier < 0.24}\n",
        )
        project.edit(
            "monitors/late.yaml",
            "distributions:\n",
            "distributions:\n  - {name: place, column: origin, kind: largest_share, floor: 0.1}\n",
        )
        project.edit("monitors/late.yaml", "label_delay: 1d", "label_delay: 6h")
        project.edit("monitors/late.yaml", "chunk_rows: 2000", "chunk_rows: 500")
        project.edit("monitors/late.yaml", "prior_shift: 0.5", "prior_shift: 3.0")
        (project.root / "runbooks").mkdir()
        (project.root / "runbooks/late.yaml").write_text(RUNBOOK)

    def close(self):
        harness.shutil.rmtree(self.dir, ignore_errors=True)


def definitions(world):
    """Each is listed, explained and checked like what is built in."""
    project = world.project
    works(project.run("check"))
    for kind, name in (
        ("Model", "mean_difference"),
        ("Monitor", "largest_share"),
        ("Runbook", "who is called"),
    ):
        assert name in works(project.run("schema", kind)).out, kind
    for file, old, new, said in (
        ("models/late.yaml", "low: 0, high: 1000", "low: 0, high: 5000", "prior"),
        ("monitors/late.yaml", "column: origin", "column: date", "largest_share"),
        ("evaluations/late.yaml", "metrics.brier < 0.24", "metrics.brier > 1.0", "never-true"),
        ("runbooks/late.yaml", "service: late", "service: lat", "did you mean `late`?"),
    ):
        project.edit(file, old, new)
        done = refused(project.run("check"), 2, "project-invalid")
        assert said in done.err and file in done.err, done
        project.edit(file, new, old)
    works(project.run("check"))


def an_added_kind(world):
    """Its definitions are read, told and listed like any other, and what is applied and built from
    is named with them.
    """
    project, file = world.project, "runbooks/late.yaml"
    page = works(project.run("schema", "Runbook", "--markdown")).out
    assert "| `call` | a string | yes | who is called |" in page, page
    assert "Runbook" in works(project.run("schema", "--help")).out
    assert "`Runbook`" in refused(project.run("schema", "Xyzzy"), 6, "unknown-kind").err
    assert ": 8 definitions OK" in works(project.run("check")).out, project.run("check")
    applied = project.json("apply")
    project.edit(file, "call: ann", "call: bob")
    told = works(project.run("plan")).err
    assert f"`{file}` was changed; a bundle of this says `dirty`" in told, told
    refused(project.run("apply"), 7, "apply-not-committed")
    project.commit()
    assert "dirty" not in works(project.run("plan")).err
    again = project.json("apply")
    assert again["changed"] and again["definitions"] != applied["definitions"], (applied, again)
    # A commit is read by the same table: what is wrong in it is not applied.
    project.edit(file, "call: bob\n", "")
    project.commit()
    bad = refused(project.run("apply"), 3, "applied-invalid")
    assert file in bad.err and "`call`" in bad.err, bad
    project.edit(file, "service: late\n", "service: late\ncall: bob\n")
    project.commit()


def gates_of(project, bundle):
    evaluation = project.json("bundle", "inspect", bundle)["evaluation"]
    return {each["id"]: each["passed"] for each in evaluation["gates"]}


def a_run(world):
    """Searched in the trials' processes, measured by the added metric, gated and bundled."""
    project = world.project
    done = works(project.run("--json", "run", timeout=300))
    world.bundle = json.loads(done.out)["candidate"]["bundle"]
    shown = project.json("bundle", "inspect", world.bundle)
    assert gates_of(project, world.bundle)["squares"], shown
    assert 0 < shown["evaluation"]["metrics"]["brier"] < 0.24, shown["evaluation"]["metrics"]
    world.searched = searched_of(shown)
    assert set(world.searched) == {"prior"}, world.searched
    works(project.run("apply"))


def searched_of(shown):
    return shown["config"]["search"]["parameters"]


def watch_and_recovery(world):
    """The trainer's model answers, what it knows is no longer so, and a retrain within the policy's
    bounds trains it again; then the detector sees the labels and the cause asks about them.
    """
    project = world.project
    world.jobs = elsewhere.Jobs(project, world.dir / "jobs")
    with Planes(project, "--lockstep") as planes, world.jobs:
        planes.release(world)
        replay(project, "asked")
        asked = project.json("approval", "list")["approvals"]
        assert [each["action"] for each in asked] == ["release.promote"], asked
        works(
            project.run("approve", asked[0]["id"], "--person", "ann", "--key", world.keys / "ann")
        )
        replay(project, "later")
        found = {each["cause"]: each for each in project.json("incident", "list")["incidents"]}
        assert set(found) == {"concept shift", "too many true labels"}, [
            (each["cause"], each["reason"], each["state"]) for each in found.values()
        ]
        retrained(project, world, found["concept shift"])
        asked_about(project, found["too many true labels"])
        findings = planes.operation("metric.series", {"service": "late"}).json["findings"]
        seen = {each["metric"] for each in findings}
        assert {"labels/rate", "column/place"} <= seen, seen
    works(project.run("audit", "verify"))


def another_machine(world):
    """What a job was given is enough: where neither the project nor its state is, a retrain leaves
    the same result and the same bundle.
    """
    project = world.project
    left = [
        file.read_bytes() for file in (project.root / ".heddle/runs").glob("late-*/result.json")
    ]
    state = world.dir / "another/.heddle"
    state.mkdir(parents=True)
    hidden = project.root.with_name("hidden")
    project.root.rename(hidden)
    try:
        again = {
            command: elsewhere.done_again(project.heddle, command, folder, state, project.root)
            for command, folder in world.jobs.caught.items()
        }
    finally:
        hidden.rename(project.root)
    assert again["retrain"] in left, (again, left)
    assert not [result for result in again.values() if b'"failed":"' in result], again
    bundle = json.loads(again["retrain"])["bundle"].split(":")[1]
    made = world.jobs.caught["retrain"] / "objects/blobs/sha256"
    kept = project.root / ".heddle/objects/blobs/sha256"
    assert (made / bundle).exists(), again
    for blob in made.iterdir():
        assert blob.read_bytes() == (kept / blob.name).read_bytes(), blob
    return ", ".join(sorted(again))


def replay(project, name):
    words = ["replay", str(project.root / f"data/{name}.csv"), "--service", "late"]
    works(project.run(*words, timeout=150))


def retrained(project, world, incident):
    shown = project.json("incident", "show", incident["id"])
    assert shown["state"] == "done" and "bounded retrain" in shown["response"], shown
    served = project.json("status")["services"][0]["primary"]
    assert served != world.bundle
    gates = gates_of(project, served)
    assert gates["squares"] and gates["retrain-beats-base"], gates
    after = project.json("bundle", "inspect", served)
    assert searched_of(after) == world.searched, (searched_of(after), world.searched)
    change = after["config"]["change"]
    assert change["kind"] == "retrain" and change["rows"] <= 3000, change


def asked_about(project, incident):
    shown = project.json("incident", "show", incident["id"])
    assert shown["state"] == "done", shown
    assert shown["response"] == "a person was asked about the labels", shown
    assert "metrics.brier < 0.3" in shown["page"] and "ask who counts the labels" in shown["page"]


if __name__ == "__main__":
    made = World(sys.argv[1])
    try:
        sys.exit(
            harness.run_cases(
                [
                    definitions,
                    an_added_kind,
                    a_run,
                    watch_and_recovery,
                    another_machine,
                ],
                sys.argv[2:],
                made,
            )
        )
    finally:
        made.close()
