#!/usr/bin/env python3
"""What the command line does to a work tree and its bundles, asked of a running control plane as
any surface asks: `check`, `plan`, `run`, `schema`, `bundle`, `score`. The command line and the
operation give the same document.

    surfaces.py HEDDLE      standard library only; exit 0 when every case holds
"""

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Planes, World  # noqa: E402
from small_project import rows  # noqa: E402


def until_done(planes, name, request, seconds=200):
    """Asks again until the operation is done; the reply, and how often it was not yet."""
    waited = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        reply = planes.operation(name, request)
        if reply.status != 200 or reply.json["done"]:
            return reply, waited
        waited += 1
        time.sleep(0.05)
    raise AssertionError(f"`{name}` is not done after {seconds} s: {reply}")


def same_documents(project, planes):
    reply = planes.operation("check", {})
    assert reply.status == 200 and reply.json["ok"] is True, reply
    assert reply.json == project.json("check"), reply
    plan = until_done(planes, "plan", {})[0].json["result"]
    assert plan == project.json("plan") and plan["nothing_to_do"] is True, plan
    unknown = until_done(planes, "plan", {"model": "nobody"})[0].json["id"]
    assert unknown == project.run("plan", "--model", "nobody").id
    schema = planes.operation("schema", {"kind": "Model"}).json
    assert schema["schema"] == project.json("schema", "Model") and schema["kind"] == "Model", schema
    assert planes.operation("schema", {"kind": "Modle"}).status == 404
    bundle = planes.operation("status", {}).json["services"][0]["primary"]
    told = planes.operation("bundle", {"bundle": bundle[:16]})
    assert told.status == 200 and told.json == project.json("bundle", "inspect", bundle), told
    assert told.json["config"]["format"] == "heddle.bundle/2", told
    assert told.json["evaluation"]["passed"] is True, told
    assert planes.operation("bundle", {"bundle": "sha256:0000"}).status == 404


def runs_by_themselves(project, planes):
    done, _ = until_done(planes, "run", {})
    assert done.status == 200 and done.json["exit_code"] == 0, done
    assert done.json["result"]["candidate"] == project.json("run")["candidate"], done
    # What it does not do is its own error.
    failed, _ = until_done(planes, "run", {"until": "nowhere"})
    assert failed.status == 404 and failed.json["id"] == "step-unknown", failed
    assert failed.json["hint"], failed
    # A run with something to do: who asks meanwhile is told how far it is.
    project.edit("models/late.yaml", "seed: ", "seed: 1")
    done, waited = until_done(planes, "run", {})
    assert done.status == 200 and done.json["result"]["ran"] > 0 and waited > 0, (done, waited)


def files_are_scored(world, planes):
    file, out = world.dir / "rows.csv", world.dir / "rows.out.csv"
    lines = [f"{date},{far},{a},{b}" for date, far, a, b, _ in rows(200, seed=9)]
    file.write_text("\n".join(["date,distance,origin,destination", *lines, ""]))

    def scored(name):
        request = {"service": "late", "file": str(name), "output": str(out)}
        return until_done(planes, "score", request)[0]

    done = scored(file)
    assert done.status == 200 and done.json["result"]["rows"] == 200 and out.exists(), done
    missing = scored(world.dir / "none.csv")
    assert missing.status in (400, 404) and missing.json["id"], missing
    # A name that looks like an option is a name.
    assert scored("--help").status in (400, 404)


def errors_are_told(project, planes):
    project.edit("models/late.yaml", "kind: Model", "kind: Modle")
    reply = planes.operation("check", {})
    assert reply.status == 200 and reply.json["ok"] is False, reply
    assert "models/late.yaml" in [each["file"] for each in reply.json["diagnostics"]], reply
    assert until_done(planes, "plan", {})[0].json["id"] == "project-invalid"


def main(heddle):
    world = World(heddle)
    try:
        project = world.copy(world.built)
        with Planes(project) as planes:
            planes.release(world)
            same_documents(project, planes)
            runs_by_themselves(project, planes)
            files_are_scored(world, planes)
            errors_are_told(project, planes)
        print("what a surface asks for is what the command line gives")
        return 0
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
