#!/usr/bin/env python3
"""Every command in every odd place, with and without arguments, as text and as JSON: each ends with
a documented exit code and says what to do, and where it fails nothing is left half-written.

    odd_places.py HEDDLE      standard library only
"""

import fcntl
import json
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Ran, World  # noqa: E402
from terminal import commands  # noqa: E402

CODES = {0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 20}
# What a command needs to get past the reader of its arguments.
WORDS = {
    "approval show": ["approval-0001"],
    "approve": ["approval-0001", "--person", "ann", "--key", "/nonexistent"],
    "reject": ["approval-0001", "--reason", "x"],
    "release promote": ["late"],
    "release rollback": ["late"],
    "release compare": ["late"],
    "release canary": ["late"],
    "release abort": ["late"],
    "release shadow": ["late", "--clear"],
    "release history": ["late"],
    "incident show": ["incident-0001"],
    "quarantine show": ["late"],
    "quarantine accept": ["late", "--all", "-o", "settled.csv", "--reason", "x"],
    "quarantine reprocess": ["late", "--all", "-o", "settled.csv", "--reason", "x"],
    "quarantine discard": ["late", "--all", "--reason", "x"],
    "quarantine restore": ["late", "--all", "--reason", "x"],
    "audit prove": ["0"],
    "bundle inspect": ["sha256:0000"],
    "bundle verify": ["sha256:0000"],
    "schema": ["Policy"],
    "score": ["/nonexistent.csv", "--service", "late", "-o", "scored.csv"],
    "replay": ["/nonexistent.csv", "--service", "late"],
    "skew": ["late"],
    "why": ["q-17"],
    "stop": ["late"],
    "resume": ["late"],
    "apply": ["HEAD"],
    "init": ["drafted", "--data", "/nonexistent.csv"],
}
ODD = [["--nonsense"], ["\u00fc\x01", "'; rm -rf /"], ["--"], ["-"]]
# Long work of their own.
ELSEWHERE = {"dev demo", "dev bench"}


def run(heddle, words, where, **options):
    return Ran(
        subprocess.run(
            [heddle, *words],
            cwd=where,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            errors="replace",
            **options,
        )
    )


def judge(words, done):
    """What is wrong with the answer of a command; empty: nothing."""
    if done.code not in CODES:
        return f"exit code {done.code}"
    is_json = "--json" in words
    if is_json and done.out.strip():
        try:
            json.loads(done.out)
        except ValueError:
            return "stdout is no JSON"
    if done.code in (0, 20):
        return ""
    if is_json and done.out.strip():
        return ""  # `check` and `audit verify` answer, and what they answer is no
    if is_json:
        try:
            # What `up` writes there before it ends is the log of its planes.
            log_ends = done.err.rfind("\n{\n") + 1 if "up" in words else 0
            error = json.loads(done.err[log_ends:])["error"]
        except ValueError:
            return "stderr is no JSON"
        return (
            "" if error["id"] and error["message"] and error["hint"] else "no id, message or hint"
        )
    return "" if done.id and "hint:" in done.err else "no id or hint"


def places(world):
    """Name and folder of each, and the commands that would change what the next one finds."""
    empty = world.dir / "empty"
    empty.mkdir()
    yield "an empty folder", empty

    def copy(name, source=world.fresh):
        root = world.dir / name
        shutil.copytree(source, root, symlinks=True)
        return root

    root = copy("no-git")
    shutil.rmtree(root / ".git")
    yield "no repository", root
    root = copy("unborn")
    shutil.rmtree(root / ".git")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    yield "no commit", root
    root = copy("broken")
    (root / "policies/default.yaml").write_text("rules: [\n")
    yield "broken definitions", root
    root = copy("file")
    (root / ".heddle").write_text("a file")
    yield "a file for .heddle", root
    root = copy("garbage", world.built.root)
    (root / ".heddle/state.db").write_bytes(b"no database" * 500)
    yield "a state that is none", root
    root = copy("newer", world.built.root)
    assert run(world.heddle, ["apply"], root).code == 0
    for file in (root / ".heddle").glob("state.db-*"):
        file.unlink()
    import sqlite3

    with contextlib.closing(sqlite3.connect(root / ".heddle/state.db")) as state:
        state.execute("PRAGMA user_version = 99")
    yield "the state of a newer program", root
    root = copy("gone", world.built.root)
    shutil.rmtree(root / ".heddle/objects")
    yield "objects that are gone", root


def as_nobody(world, problems):
    """Another user's project, when that can be tried."""
    if os.geteuid() != 0:
        return 0
    root = world.dir / "others"
    shutil.copytree(world.built.root, root, symlinks=True)
    os.chmod(world.dir, 0o755)
    tried = 0
    readable = {"user": 65534, "group": 65534, "extra_groups": []}
    try:
        works = (
            subprocess.run([world.heddle, "version"], capture_output=True, **readable).returncode
            == 0
        )
    except PermissionError:  # the program lies in a folder that only this user may enter
        works = False
    if not works:
        return 0
    before = sorted(path.relative_to(root) for path in root.rglob("*"))
    for command in (
        "status",
        "plan",
        "run",
        "apply",
        "up",
        "audit verify",
        "release promote late",
        "approval list",
    ):
        for flags in ([], ["--json"]):
            words = [*flags, *command.split()]
            done = run(world.heddle, words, root, **readable)
            tried += 1
            wrong = judge(words, done) or (
                "" if done.code != 0 or command == "plan" else "it worked"
            )
            if wrong:
                problems.append(("another user's project", words, wrong, repr(done)))
    assert (
        sorted(path.relative_to(root) for path in root.rglob("*")) == before
    ), "nothing was written"
    return tried


def held(world, problems):
    """The project is open in another process that does not answer: a command waits for a while and
    says so.
    """
    root = world.dir / "held"
    shutil.copytree(world.built.root, root, symlinks=True)
    lock = os.open(root / ".heddle/lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        done = run(world.heddle, ["--json", "status"], root)
    finally:
        os.close(lock)
    wrong = judge(["--json"], done) or ("" if done.code == 7 else "not exit 7")
    if wrong:
        problems.append(("a locked project", ["status"], wrong, repr(done)))
    return 1


def main():
    world = World(sys.argv[1])
    problems, tried = [], 0
    try:
        every = [c for c in commands(world.heddle) if c not in ELSEWHERE]
        for place, root in places(world):
            for command in every:
                starts_planes = command == "up" and root.name in ("broken", "gone")
                if starts_planes:
                    continue
                for flags in ([], ["--json"]):
                    for words in (
                        [],
                        WORDS.get(command, []),
                        *(ODD if root.name == "empty" else []),
                    ):
                        line = [*flags, *command.split(), *words]
                        done = run(world.heddle, line, root)
                        tried += 1
                        wrong = judge(line, done)
                        if wrong:
                            problems.append((place, line, wrong, repr(done)))
            if root.name == "empty":
                left = [p.name for p in root.iterdir()]
                assert left == [], f"an empty folder stays empty: {left}"
        tried += as_nobody(world, problems) + held(world, problems)
        assert pathlib.Path(
            world.fresh.root if hasattr(world.fresh, "root") else world.fresh
        ).exists()
    finally:
        world.close()
    for place, line, wrong, done in problems:
        print(f"FAIL {place}: {' '.join(line)}: {wrong}\n{done}", flush=True)
    print(f"{tried} commands tried, {len(problems)} answered badly")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
