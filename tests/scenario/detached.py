#!/usr/bin/env python3
"""Serving does not depend on the control plane's health: its keys or its database lost, its history
damaged, the work tree broken or changed, the disk full or read-only. What was released answers,
nothing is decided, and `heddle status` says why and what to do.

    detached.py HEDDLE [CASE...]      exit 0 when every case holds; disks of their own need root
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402
from harness import Planes, Skipped, World  # noqa: E402
from stopping import fill, full_disk, serves  # noqa: E402
from survive import row  # noqa: E402

CASES = []


def case(function):
    CASES.append(function)
    return function


def released(world):
    """A project with a release, its planes down; and a bundle that could be promoted."""
    project = world.copy(world.built)
    with Planes(project) as planes:
        planes.release(world)
    return project


def answers(planes):
    planes.until(
        lambda: planes.predict({"rows": [row(planes.project)]}).status == 200,
        "the released bundle answers",
    )


def locked(project, id_):
    """What answers goes on, what decides does not, and both are said."""
    done = project.run("status")
    assert done.code != 0 and done.id and id_ in (done.id, "") and "hint: " in done.err, done
    assert "service `late` (serving)" in done.out and "nothing can be decided" in done.err, done
    reply = json.loads(project.run("--json", "status").out)
    assert (
        reply["locked"]["id"] == done.id
        and reply["services"][0]["state"] == "serving"
        and reply["services"][0]["primary"]
    ), reply
    asked = project.run("release", "promote", "late", "--slot", "standby", "--requester", "bob")
    assert asked.code != 0 and asked.id == done.id, asked


def damaged(world, damage, id_):
    """At a start and when the data plane is killed; mended, all goes on by itself. `id_` empty: any
    error says it.
    """
    project = world.copy(world.made)
    kept = damage(project)
    with Planes(project, locked=True) as planes:
        answers(planes)
        locked(project, id_)
        before = planes.pid("data")
        os.kill(before, signal.SIGKILL)
        planes.until(lambda: planes.pid("data") not in (None, before), "the data plane is back")
        answers(planes)
        if kept is not None:
            kept()
            planes.until(
                planes.control_live, "the control plane comes by itself once it is mended", 60
            )
            assert project.run("status").code == 0
            assert project.run("audit", "verify").code == 0
    return id_ or "locked, and mended"


def aside(project, name):
    """Takes a file away; gives back how it comes back."""
    path, kept = project.root / ".heddle" / name, project.root / "kept"
    path.rename(kept)
    return lambda: shutil.move(kept, path)


@case
def ledger_key_lost(world):
    return damaged(world, lambda project: aside(project, "keys/ledger.key"), "ledger-key-lost")


@case
def control_key_lost(world):
    return damaged(world, lambda project: aside(project, "keys/control.key"), "control-key-lost")


@case
def control_key_other(world):
    def damage(project):
        back = aside(project, "keys/control.key")
        (project.root / ".heddle/keys/control.key").write_text("00" * 31 + "07\n")
        return back

    return damaged(world, damage, "control-key-other")


@case
def state_lost(world):
    def damage(project):
        for leftover in ("state.db-wal", "state.db-shm"):
            (project.root / ".heddle" / leftover).unlink(missing_ok=True)
        back = aside(project, "state.db")

        def bring_back():
            for leftover in ("state.db-wal", "state.db-shm"):
                (project.root / ".heddle" / leftover).unlink(missing_ok=True)
            back()

        return bring_back

    return damaged(world, damage, "ledger-rolled-back")


@case
def state_corrupt(world):
    def damage(project):
        path = project.root / ".heddle/state.db"
        whole = path.read_bytes()
        path.write_bytes(b"\0" * 4096 + whole[4096:])
        return lambda: path.write_bytes(whole)

    return damaged(world, damage, "state-corrupt")


def flipped(path, text):
    """Changes one bit of a text that stands in the file."""
    whole = path.read_bytes()
    at = whole.index(text)
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    return lambda: path.write_bytes(whole)


@case
def state_flipped(world):
    return damaged(
        world,
        lambda project: flipped(project.root / ".heddle/state.db", b"sha256:"),
        "state-damaged",
    )


@case
def state_without_its_number(world):
    def damage(project):
        path = project.root / ".heddle/state.db"
        whole = path.read_bytes()
        assert whole[60:64] == bytes([0, 0, 0, 3]), whole[
            60:64
        ]  # user_version, by SQLite's file format
        path.write_bytes(whole[:60] + bytes(4) + whole[64:])
        return lambda: path.write_bytes(whole)

    return damaged(world, damage, "state-damaged")


def git(project, *words):
    return subprocess.run(
        ["git", "-C", str(project.root), *words], check=True, capture_output=True, text=True
    ).stdout.split()


def anchor(project):
    """The ref, and the commit that it names."""
    (line,) = git(
        project, "for-each-ref", "--format=%(refname)=%(objectname)", "refs/heddle/anchor/"
    )
    return line.split("=")


def put_back(world, spoil, id_):
    """All of `.heddle` as it was before the newest decisions. What is released is served; a person
    says that this one counts.
    """
    project = world.copy(world.made)
    assert project.run("audit", "verify").code == 0
    ref, old = anchor(project)
    shutil.copytree(project.root / ".heddle", project.root / "old", symlinks=True)
    for _ in range(2):
        assert project.run("stop", "late").code == 0
        assert (
            project.run("resume", "late", "--person", "ann", "--key", world.keys / "ann").code == 0
        )
    assert anchor(project)[1] != old, "decisions are anchored by themselves"
    shutil.rmtree(project.root / ".heddle")
    (project.root / "old").rename(project.root / ".heddle")
    spoil(project, ref, old)
    done = project.run("audit", "verify")
    assert done.code == 13 and id_ in done.err and "audit restore" in done.err, done
    with Planes(project, locked=True) as planes:
        answers(planes)
        locked(project, id_)
        words = ["audit", "restore", "--reason", "the disk was lost", "--person", "ann"]
        refused = project.run(*words)
        assert refused.code == 5 and refused.id == "person-unproven", refused
        done = project.run(*words, "--key", world.keys / "ann")
        assert done.code == 0, done
        planes.until(planes.control_live, "the control plane comes by itself", 60)
        assert project.run("status").code == 0
        assert project.run("stop", "late").code == 0
        assert project.run("audit", "verify").code == 0
        assert project.run(*words, "--key", world.keys / "ann").id == "restore-not-needed"
    restored = [
        each
        for each in project.json("audit", "log")["decisions"]
        if each["action"] == "ledger.restore"
    ]
    assert len(restored) == 1 and restored[0]["actor"] == "ann", restored
    return id_


@case
def older_state_put_back(world):
    return put_back(world, lambda *unused: None, "ledger-rolled-back")


@case
def older_state_put_back_with_its_anchor(world):
    return put_back(
        world, lambda project, ref, old: git(project, "update-ref", ref, old), "ledger-rolled-back"
    )


@case
def older_state_put_back_without_an_anchor(world):
    return put_back(
        world,
        lambda project, ref, old: git(project, "update-ref", "-d", ref),
        "ledger-anchor-missing",
    )


@case
def anchor_unreadable(world):
    def damage(project):
        ref, _ = anchor(project)
        path = project.root / ".git" / ref
        whole = path.read_text()
        path.write_text("0123456789" * 4 + "\n")
        return lambda: path.write_text(whole)

    return damaged(world, damage, "ledger-anchor-unreadable")


@case
def history_damaged(world):
    def damage(project):
        path = project.root / ".heddle/tiles/checkpoint"
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"/", b"+"))
        return lambda: path.write_bytes(whole)

    return damaged(world, damage, "")


@case
def the_work_tree_changes_nothing(world):
    """A comment in a policy, broken YAML, files that are gone: what was applied runs, and
    decides.
    """
    for edit in (
        lambda root: (root / "policies/default.yaml").write_text(
            "# a comment\n" + (root / "policies/default.yaml").read_text()
        ),
        lambda root: (root / "services/late.yaml").write_text("{ broken: [\n"),
        lambda root: (root / "heddle.yaml").write_text("\0"),
        lambda root: shutil.rmtree(root / "models"),
    ):
        project = world.copy(world.made)
        port = project.port()
        edit(project.root)
        project.port = lambda: port
        with Planes(project) as planes:
            answers(planes)
            before = planes.pid("data")
            os.kill(before, signal.SIGKILL)
            planes.until(lambda: planes.pid("data") not in (None, before), "the data plane is back")
            answers(planes)
            assert project.run("status").code == 0
    return "4 edits"


@case
def disk_full_at_start(world):
    """No byte is left when the planes start, and when the data plane is killed."""
    project = world.copy(world.made)
    heddle = full_disk(project)
    try:
        fill(heddle)
        with Planes(project, locked=True) as planes:
            answers(planes)
            before = planes.pid("data")
            os.kill(before, signal.SIGKILL)
            planes.until(lambda: planes.pid("data") not in (None, before), "the data plane is back")
            answers(planes)
            done = project.run("status")
            assert "service `late` (serving)" in done.out, done
            (heddle / "filler").unlink()
            planes.until(planes.control_live, "the control plane is there once there is room", 60)
            assert project.run("audit", "verify").code == 0
            serves(planes)
    finally:
        subprocess.run(["umount", "-l", str(heddle)], check=False)
    return "a start, and a kill"


@case
def read_only(world):
    project = world.copy(world.made)
    heddle = full_disk(project)
    try:
        if (
            subprocess.run(
                ["mount", "-o", "remount,ro", str(heddle)], stderr=subprocess.DEVNULL
            ).returncode
            != 0
        ):
            raise Skipped("a disk cannot be made read-only here")
        with Planes(project, locked=True) as planes:
            answers(planes)
            done = project.run("status")
            assert (
                done.code != 0
                and "Read-only" in done.err
                and "service `late` (serving)" in done.out
            ), done
            reply = planes.request("POST", "/v1/services/late/stop", "{}", token="stopper")
            assert reply.status == 200 and reply.json["recorded"] is False, reply
            assert planes.predict({"rows": [row(project)]}).json["id"] == "service-stopped"
    finally:
        subprocess.run(["umount", "-l", str(heddle)], check=False)
    return "answers, and stops"


def main(binary, *wanted):
    world = World(binary)
    try:
        world.made = released(world)
        return harness.run_cases(CASES, wanted, world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
