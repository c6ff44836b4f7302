"""A live repair and a release from git, with traffic through both planes: what is asked, what is
signed, what is served afterwards.
repairs.py HEDDLE EXAMPLE      standard library only
"""

import datetime
import json
import os
import pathlib
import sys

import harness
import small_project
from harness import Planes, World, works


def pending(project):
    return [
        each for each in project.json("approval", "list")["approvals"] if each["state"] == "pending"
    ]


def approve(world, project, id_):
    return works(project.run("approve", id_, "--person", "ann", "--key", world.keys / "ann"))


def hour_of(date):
    return int(date[11:13])


def thin_nights(project):
    """Fewer rows at night, so that the hours of a day can be told apart."""
    path = project.root / "data/trips.csv"
    lines = path.read_text().splitlines(True)
    kept = [line for i, line in enumerate(lines[1:]) if 6 <= hour_of(line) < 20 or i % 5 == 0]
    path.write_text(lines[0] + "".join(kept))


def later(date, hours):
    when = datetime.datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ") + datetime.timedelta(hours=hours)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Traffic:
    """The recording as clients send it: rows of an hour in one request, their labels right after,
    then a tick.
    """

    def __init__(self, planes):
        self.planes = planes
        with open(planes.project.root / "data/trips.csv") as lines:
            names = next(lines).strip().split(",")
            self.rows = [dict(zip(names, line.strip().split(","))) for line in lines]

    def send(self, begin, end, lag=0):
        """The rows of [begin, end), their `date` `lag` hours off as a wrong clock has it; the share
        that was answered.
        """
        hours = {}
        for row in self.rows:
            if begin <= row["date"] < end:
                hours.setdefault(row["date"][:13], []).append(row)
        answered = count = 0
        for hour, rows in sorted(hours.items()):
            at = hour + ":30:00Z"
            body = [
                {
                    "date": later(r["date"], lag),
                    "distance": int(r["distance"]),
                    "origin": r["origin"],
                    "destination": r["destination"],
                }
                for r in rows
            ]
            reply = self.planes.predict({"rows": body, "event_time": at, "request_id": "r-" + at})
            assert reply.status == 200, reply
            count += len(rows)
            answered += sum(each["probability"] is not None for each in reply.json["predictions"])
            labels = [
                {"row_id": f"r-{at}#{i}", "label": int(int(r["delay"]) > 15), "event_time": at}
                for i, r in enumerate(rows)
            ]
            assert (
                self.planes.request("POST", "/v1/services/late/labels", {"labels": labels}).status
                == 202
            )
            assert (
                self.planes.request(
                    "POST", "/v1/services/late/tick", {"event_time": hour + ":59:59Z"}
                ).status
                == 200
            )
        return answered / count


def a_repair_and_a_release_from_git(world):
    project = world.copy(world.fresh)
    thin_nights(project)
    project.edit(
        "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    project.edit(
        "monitors/late.yaml",
        "distributions:\n",
        "distributions:\n  - {name: hour, column: date, kind: hour_of_day, floor: 0.1, sds: 3}\n",
    )
    project.commit()
    works(project.run("run"))
    works(project.run("apply"))
    with Planes(project, "--lockstep") as planes:
        planes.release(world)
        traffic = Traffic(planes)
        assert traffic.send("2001-01-20", "2001-01-26") == 1
        clock = lambda: later(project.json("status")["services"][0]["watermark"][:19] + "Z", 0)

        def answer(date):
            row = {"date": date, "distance": 560, "origin": "BBB", "destination": "CCC"}
            return planes.predict({"rows": [row], "event_time": clock()}).json["predictions"][0][
                "probability"
            ]

        def primary():
            return project.json("status")["services"][0]["primary"]

        def transforms(bundle):
            blobs = project.root / ".heddle/objects/blobs/sha256"
            layers = json.loads((blobs / bundle[7:]).read_bytes())["layers"]
            contract = next(
                each
                for each in layers
                if each["annotations"]["org.opencontainers.image.title"] == "contract.json"
            )
            return json.loads((blobs / contract["digest"][7:]).read_bytes()).get("transforms", [])

        built, right, wrong = (
            primary(),
            answer("2001-01-20T08:00:00Z"),
            answer("2001-01-20T13:00:00Z"),
        )
        assert right != wrong
        # A clock goes wrong: recovery asks for a repair, and what is signed is what is served.
        traffic.send("2001-01-26", "2001-02-02", lag=5)
        asked = next(each for each in pending(project) if each["action"] == "transform.propose")
        assert asked["requester"] == "agent:recover" and asked["binds"]["field"] == "date", asked
        done = approve(world, project, asked["id"])
        assert asked["binds"]["expression"] in done.err, f"what is signed is shown: {done}"
        assert primary() == built, "recovery carries it out at its next tick"
        traffic.send("2001-02-02T00", "2001-02-02T02", lag=5)
        repaired = primary()
        planes.until(
            lambda: answer("2001-01-20T13:00:00Z") == right,
            "what comes five hours late is answered as if it were not",
        )
        assert [each["field"] for each in transforms(repaired)] == ["date"], transforms(repaired)
        # A release from git, made beside it: it does not have the repair, and says so before
        # anybody signs.
        project.edit("models/late.yaml", "seed: 7", "seed: 8")
        project.apply()
        candidate = project.json("run")["candidate"]["bundle"]
        assert not transforms(candidate)
        done = works(project.run("release", "promote", "late"))
        assert (
            "it drops what repairs" in done.err and asked["binds"]["expression"] in done.err
        ), done
        question = next(each for each in pending(project) if each["action"] == "release.promote")
        shown = project.json("approval", "show", question["id"])
        assert len(shown["drops_repairs"]) == 1 and shown["binds"]["primary"] == repaired, shown
        entry = project.json("audit", "log")["decisions"][question["entry"]]
        assert entry["attributes"]["repairs_dropped"] == 1, "policies see it"
        done = approve(world, project, question["id"])
        assert "drops" in done.err and "and done" in done.err, done
        assert primary() == candidate
        row = {
            "date": "2001-01-20T08:00:00Z",
            "distance": 560,
            "origin": "BBB",
            "destination": "CCC",
        }
        planes.until(
            lambda: planes.predict({"rows": [row], "event_time": clock()}).json["bundle"]
            == candidate,
            "it answers",
        )
        by_hour = {hour: answer(f"2001-01-20T{hour}:00:00Z") for hour in ("08", "13")}
        assert by_hour["08"] != by_hour["13"], "a date is taken as it comes again"
        # The clock is wrong still. A person took the repair away with open eyes: recovery does not
        # put it back, it asks people.
        traffic.send("2001-02-02T02", "2001-02-13", lag=5)
        assert not [each for each in pending(project) if each["action"] == "transform.propose"]
        log = project.json("audit", "log")["decisions"]
        assert [
            e["reason"]
            for e in log
            if e["action"] == "incident.escalate" and "it has not gone away" in e["reason"]
        ], log[-5:]
        story = works(project.run("incident", "show", asked["op_id"].split("/")[1])).out
        assert "is not in force any more: a release replaced it" in story, story
        # Back to what served before, at once: the repair is there again.
        works(project.run("release", "rollback", "late"))
        assert primary() == repaired
        planes.until(
            lambda: answer("2001-01-20T13:00:00Z") == right, "the repaired release answers"
        )
        works(project.run("audit", "verify"))
    with Planes(project, "--lockstep") as planes:
        assert primary() == repaired, "and after a restart"
        planes.until(
            lambda: planes.get("/v2/health/ready").status == 200, "the repaired release answers"
        )


def main():
    os.environ["NO_COLOR"] = "1"
    small_project.FILES["policies/default.yaml"] = (
        pathlib.Path(sys.argv[2]) / "policies/default.yaml"
    ).read_text()
    world = World(sys.argv[1])
    try:
        return harness.run_cases([a_repair_and_a_release_from_git], sys.argv[3:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
