#!/usr/bin/env python3
"""What the command line does to a work tree and its bundles, asked of a running control plane as any surface asks: `check`, `plan`, `run`, `schema`, `bundle`, `score`. The
command line and the operation give the same document.

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
        time.sleep(.05)
    raise AssertionError(f"`{name}` is not done after {seconds} s: {reply}")


def same_documents(project, planes):
    reply = planes.operation("check", {})
    assert reply.status == 200 and reply.json["ok"] is True, reply
    assert reply.json == project.json("check"), reply
    plan = planes.operation("plan", {}).json
    by_command = project.json("plan")
    by_command.pop("work_tree")  # of the command alone: how the work tree differs from what was applied
    assert plan == by_command and plan["nothing_to_do"] is True, plan
    assert planes.operation("plan", {"model": "nobody"}).json["id"] == project.run("plan", "--model", "nobody").id
    schema = planes.operation("schema", {"kind": "Model"}).json
    assert schema["schema"] == project.json("schema", "Model") and schema["kind"] == "Model", schema
    assert planes.operation("schema", {"kind": "Modle"}).status == 404
    bundle = planes.operation("status", {}).json["services"][0]["primary"]
    told = planes.operation("bundle", {"bundle": bundle[:16]})
    assert told.status == 200 and told.json == project.json("bundle", "inspect", bundle), told
    assert told.json["config"]["format"] == "heddle.bundle/2" and told.json["evaluation"]["passed"] is True, told
    assert planes.operation("bundle", {"bundle": "sha256:0000"}).status == 404


def commands_of_their_own(world, project, planes):
    done, _ = until_done(planes, "run", {})
    assert done.status == 200 and done.json["exit_code"] == 0, done
    assert done.json["result"]["candidate"] == project.json("run")["candidate"], done
    # What it does not do is its own error.
    failed, _ = until_done(planes, "run", {"until": "nowhere"})
    assert failed.status == 404 and failed.json["id"] == "step-unknown" and failed.json["hint"], failed
    # A run with something to do: who asks meanwhile is told how far it is, and everything else is answered.
    project.edit("models/late.yaml", "seed: ", "seed: 1")
    done, waited = until_done(planes, "run", {})
    assert done.status == 200 and done.json["result"]["ran"] > 0 and waited > 0, (done, waited)
    file, out = world.dir / "rows.csv", world.dir / "rows.out.csv"
    file.write_text("date,distance,origin,destination\n" + "".join(f"{date},{distance},{a},{b}\n" for date, distance, a, b, _ in rows(200, seed=9)))
    scored, _ = until_done(planes, "score", {"service": "late", "file": str(file), "output": str(out)})
    assert scored.status == 200 and scored.json["result"]["rows"] == 200 and out.exists(), scored
    missing, _ = until_done(planes, "score", {"service": "late", "file": str(world.dir / "none.csv"), "output": str(out)})
    assert missing.status in (400, 404) and missing.json["id"], missing
    # A name that looks like an option is a name.
    odd, _ = until_done(planes, "score", {"service": "late", "file": "--help", "output": str(out)})
    assert odd.status in (400, 404), odd
    project.edit("models/late.yaml", "kind: Model", "kind: Modle")
    reply = planes.operation("check", {})
    assert reply.status == 200 and reply.json["ok"] is False and reply.json["diagnostics"][0]["file"] == "models/late.yaml", reply
    assert planes.operation("plan", {}).json["id"] == "project-invalid"


def main(heddle):
    world = World(heddle)
    try:
        project = world.copy(world.built)
        with Planes(project) as planes:
            planes.release(world)
            same_documents(project, planes)
            commands_of_their_own(world, project, planes)
        print("what a surface asks for is what the command line gives")
        return 0
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
