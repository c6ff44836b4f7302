#!/usr/bin/env python3
"""One account floods bad rows under a source that another one uses, one labels falsely, two are
honest: through both planes, with recovery that may act. What follows is bound to the two that did
it (docs/security-bounds.md).

    beside_honest.py HEDDLE      standard library only
"""

import csv
import datetime
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenario"), str(HERE.parent / "crash")]

import harness  # noqa: E402
from adversary import POLICY, account, mean_answer, rows_of  # noqa: E402
from harness import Planes, World, works  # noqa: E402

HONEST = {"north": "one", "south": "two"}
FLOODS, LIES = "floods", "lies"
CLEAN, HOSTILE = 4, 5  # days
ACTS_OF_RECOVERY = {
    "slot.swap",
    "release.recalibrate",
    "retrain.start",
    "release.promote",
    "release.rollback",
}


class Service:
    """A recording as two honest clients send it, an hour at a time: each has every other row, and
    labels its own.
    """

    def __init__(self, planes):
        self.planes = planes
        with open(planes.project.root / "data/trips.csv") as lines:
            self.rows = list(csv.DictReader(lines))
        self.held_back = self.contradicted = 0

    def post(self, what, body, token):
        return self.planes.request("POST", f"/v1/services/late/{what}", body, token=token)

    def days(self, first, count, hostile):
        begin = datetime.datetime.fromisoformat(first)
        for hour in range(24 * count):
            at = begin + datetime.timedelta(hours=hour)
            rows = [row for row in self.rows if row["date"].startswith(at.strftime("%Y-%m-%dT%H"))]
            stamp = at.strftime("%Y-%m-%dT%H:30:00Z")
            for offset, (name, source) in enumerate(HONEST.items()):
                self.honest(name, source, rows[offset::2], stamp)
            if hostile:
                self.flood(rows, stamp)
            done = self.post("tick", {"event_time": at.strftime("%Y-%m-%dT%H:59:59Z")}, "north")
            assert done.status == 200, done

    def honest(self, name, source, rows, stamp):
        body = [
            {
                "date": r["date"],
                "distance": int(r["distance"]),
                "origin": r["origin"],
                "destination": r["destination"],
            }
            for r in rows
        ]
        reply = self.post(
            "predict",
            {"rows": body, "event_time": stamp, "request_id": f"{name}-{stamp}", "source": source},
            name,
        )
        assert reply.status == 200, f"`{name}` was refused: {reply}"
        assert all(
            each["probability"] is not None for each in reply.json["predictions"]
        ), f"`{name}` was not answered: {reply}"
        truth = [int(int(r["delay"]) > 15) for r in rows]
        self.label(name, truth, f"{name}-{stamp}", stamp)
        if self.contradict:
            lies = [(i, 1 - label) for i, label in enumerate(truth) if i % 3 == 0]
            self.contradicted += len(lies)
            body = [
                {"row_id": f"{name}-{stamp}#{i}", "label": label, "event_time": stamp}
                for i, label in lies
            ]
            assert self.post("labels", {"labels": body}, LIES).status == 202

    def label(self, name, truth, request, stamp):
        body = [
            {"row_id": f"{request}#{i}", "label": label, "event_time": stamp}
            for i, label in enumerate(truth)
        ]
        assert self.post("labels", {"labels": body}, name).status == 202

    def flood(self, rows, stamp):
        """Rows that break the contract, under the source of `north`, twice as many as its own."""
        body = [
            {
                "date": r["date"],
                "distance": 5999,
                "origin": r["origin"],
                "destination": r["destination"],
            }
            for r in rows
        ]
        reply = self.post("predict", {"rows": body, "event_time": stamp, "source": "one"}, FLOODS)
        assert reply.status == 422, reply
        self.held_back += json.dumps(reply.json).count("source-quarantined")

    contradict = False


def applied(planes, begun):
    return [
        each
        for each in planes.operation("decision.list", {"from": begun}).json["decisions"]
        if each["result"] == "applied"
    ]


def who_floods_and_who_lies_stand_alone(world):
    project = world.copy(world.fresh)
    (project.root / "policies/default.yaml").write_text(POLICY)
    project.edit("monitors/late.yaml", "window_rows: 500", "window_rows: 200")
    project.edit("monitors/late.yaml", "chunk_rows: 2000", "chunk_rows: 200")
    with open(project.root / "people.yaml", "a") as file:
        file.write(
            "".join(
                account(name, "predict, label, replay") + f"    sources: [{source}]\n"
                for name, source in HONEST.items()
            )
        )
        file.write(account(FLOODS, "predict, replay") + account(LIES, "label"))
    project.commit()
    works(project.run("run"))
    works(project.run("apply"))
    rows = list(rows_of(project))
    with Planes(project, "--lockstep") as planes:
        planes.release(world)
        service = Service(planes)
        service.days("2001-01-20", CLEAN, hostile=False)
        assert planes.operation("quarantine.list", {}).json["sources"] == []
        begun = len(planes.operation("decision.list", {"from": 0}).json["decisions"])
        before = mean_answer(planes, rows, "north")
        primary = project.json("status")["services"][0]["primary"]

        service.contradict = True
        service.days("2001-01-24", HOSTILE, hostile=True)

        # The flood is shut out, as the flood's: the one whose source it names goes on (`honest`
        # wants each answer).
        sources = planes.operation("quarantine.list", {}).json["sources"]
        assert [(each["account"], each["source"]) for each in sources] == [(FLOODS, "one")], sources
        assert service.held_back > 0
        incidents = {
            each["cause"]: each for each in planes.operation("incident.list", {}).json["incidents"]
        }
        assert incidents["contract fault"]["account"] == FLOODS, incidents["contract fault"]
        # Lies make rows that have no label, and an incident with the liar's name.
        watch = project.json("status")["services"][0]["watch"]
        assert 0 < watch["labels_contested"] <= service.contradicted, (
            watch["labels_contested"],
            service.contradicted,
        )
        assert f"`{LIES}`" in incidents["label conflict"]["reason"], incidents["label conflict"]
        # The flood's rows are rows that were received: that the column moved is told, with whose
        # rows moved it, and nothing is done.
        assert set(incidents) <= {"contract fault", "label conflict", "covariate shift"}, list(
            incidents
        )
        if shift := incidents.get("covariate shift"):
            assert (
                f"only the rows of account `{FLOODS}` show it" in shift["reason"]
                and shift["response"] == "none"
            ), shift
        # Nothing that answers honest clients was changed by either.
        acts = {each["action"] for each in applied(planes, begun)}
        assert not acts & ACTS_OF_RECOVERY, acts
        assert project.json("status")["services"][0]["primary"] == primary
        assert mean_answer(planes, rows, "north") == before
        works(project.run("audit", "verify"))
    return (
        f"{service.contradicted} rows labelled falsely, {watch['labels_contested']} of them"
        f" contested; {service.held_back} rows of the flood held back"
    )


def main():
    os.environ["NO_COLOR"] = "1"
    world = World(sys.argv[1])
    try:
        return harness.run_cases([who_floods_and_who_lies_stand_alone], sys.argv[2:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
