"""What every command says, held against terminal.txt, and that all its JSON is JSON. Digests,
times, paths and numbers with a fraction are normalised. terminal.py HEDDLE [--write]: `--write`
writes terminal.txt anew, to be read before it is committed.
"""

import difflib
import json
import os
import pathlib
import re
import subprocess
import sys

import small_project
from harness import Planes, World

GOLDEN = pathlib.Path(__file__).with_suffix(".txt")

# Commands that are not run here, with what runs them.
ELSEWHERE = {
    "up": "every scenario",
    "dev demo": "tests/demo.sh",
    "dev bench": "bench/",
    "skew": "joins.py",
    "doctor": "people.py: it tells of this machine",
    "completion bash": "people.py: a script, and no data",
    "completion zsh": "people.py",
    "completion fish": "people.py",
}


def commands(heddle, path=()):
    """Every command of `heddle --help` that does something itself."""
    text = subprocess.run(
        [heddle, *path, "--help"], capture_output=True, text=True, check=True
    ).stdout
    names = (
        re.findall(r"^  ([a-z]+) ", text.split("Subcommands:")[1], re.M)
        if "Subcommands:" in text
        else []
    )
    for name in names:
        yield from commands(heddle, (*path, name))
    if not names:
        yield " ".join(path)


def normal(text, project, places):
    for place, name in places:
        text = text.replace(str(place), name)
    text = re.sub(
        r"-----BEGIN SSH SIGNATURE-----.*?-----END SSH SIGNATURE-----",
        "SIGNATURE",
        text,
        flags=re.S,
    )
    for kind in ("system:", "os-user:"):
        text = text.replace(kind + small_project.os_user(), kind + "USER")
    text = re.sub(r"[\w+/]{43,}=+", "BASE64", text)
    text = re.sub(r"\b20[2-9]\d-\d\d-\d\dT[\d:.]+Z", "NOW", text)
    for port in set(
        re.findall(
            r"port: (\d+)",
            "".join((project.root / f).read_text() for f in ("heddle.yaml", "services/late.yaml")),
        )
    ):
        text = re.sub(rf"\b{port}\b", "PORT", text)
    text = re.sub(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}\b", "UUID", text)
    # What is said each second of what takes longer.
    text = re.sub(r"^comparing: \d+ of .*\n", "", text, flags=re.M)
    text = re.sub(r"answered in \d+ us", "answered in N us", text)
    # A digest, a commit, and what is printed of one; a word of twelve letters without a digit is
    # none.
    text = re.sub(
        r"\b(?=[a-f]*\d)[0-9a-f]{64}\b|\b(?=[a-f]*\d)[0-9a-f]{40}\b|\b(?=[a-f]*\d)[0-9a-f]{12}\b",
        "HEX",
        text,
    )
    text = re.sub(r"-?\b\d+(\.\d+)+(e-?\d+)?(?=\b|s\b)", "N.N", text)
    text = re.sub(r"^(\S+\.(?:json|tar))\s+\d+ ", r"\1  BYTES ", text, flags=re.M)
    # Steps are looked at side by side, so that they come in any order.
    text = re.sub(
        r"(?:^  \S+ +cached$\n)+",
        lambda steps: "".join(sorted(steps.group().splitlines(True))),
        text,
        flags=re.M,
    )
    # Columns are as wide as their widest cell.
    text = re.sub(r"(?<=\S)  +", "  ", text)
    return re.sub(r" +$", "", text, flags=re.M)


class Script:
    def __init__(self, world, project):
        self.world, self.project, self.said, self.ran = world, project, [], set()
        self.places = [(project.root, "PROJECT"), (world.keys, "KEYS"), (world.dir, "DIR")]

    def __call__(self, *words, code=0, note=""):
        """Runs one command, as text; its exit code is `code`."""
        words = [str(word) for word in words]
        done = self.project.run(*words)
        assert done.code == code, f"{words}: exit {code} was expected: {done}"
        self.ran.add(" ".join(words[:2]))
        self.ran.add(words[0])
        line = normal(
            "$ heddle " + " ".join(f'"{w}"' if " " in w else w for w in words),
            self.project,
            self.places,
        )
        text = normal(done.out + done.err, self.project, self.places).rstrip("\n")
        self.said.append(
            f"{note and '# ' + note + chr(10)}{line}\n{text}\n"
            + (f"[exit {code}]\n" if code else "")
        )
        return done

    def both(self, *words, code=0, note=""):
        """The same as JSON first, which is read, then as text."""
        done = self.project.run("--json", *words)
        assert done.code == code, f"--json {words}: exit {code} was expected: {done}"
        json.loads(done.out or done.err)
        self(*words, code=code, note=note)
        return json.loads(done.out or done.err)


def broken_rows(project, file):
    """Four days; on the last two the distance is not the route's."""
    rows = (project.root / "data/trips.csv").read_text().splitlines()
    days = [row.split(",") for row in rows[1:] if "2001-02-20" <= row < "2001-02-24"]
    for row in days:
        if row[0] >= "2001-02-22":
            row[1] = str(int(row[1]) + 1)
    file.write_text("\n".join([rows[0]] + [",".join(row) for row in days]) + "\n")


def other_unit(project, file):
    """Every distance in another unit."""
    rows = [row.split(",") for row in (project.root / "data/trips.csv").read_text().splitlines()]
    for row in rows[1:]:
        row[1] = str(round(int(row[1]) * 1.609344))
    file.write_text("".join(",".join(row) + "\n" for row in rows))


def before_anything_runs(world, run):
    # What a draft says is of the machine and its user: tests/scenario/init.py looks at that.
    run("init", "shop", "--data", "orders.csv", "--yes", code=6)
    project = run.project
    run("version")
    run.both("check")
    run.both("plan")
    run.both("plan", "--why", "train")
    run.both("run")
    run("schema", "Evaluation")
    reported = ("report", "trips", "--out", world.dir / "trips.html")
    run.both(*reported)
    other_unit(project, world.dir / "kilometres.csv")
    run.both(
        *("report", world.dir / "kilometres.csv", "--reference", "trips", "--fail-on-drift"),
        *reported[2:],
        code=3,
    )
    run.both("schema", "People", "--markdown")
    for words in (["relase", "--help"], ["release", "promot", "--help"], ["--help", "relase"]):
        run(*words, code=2)
    for words in (
        ["relase", "promote"],
        ["release", "promot", "late"],
        ["incident"],
        ["approval", "xyzzy", "approval-0001"],
        ["check", "--jsn"],
        ["release", "promote"],
    ):
        run.both(
            *words,
            code=2,
            note="a command line that names nothing we have" if words[0] == "relase" else "",
        )

    done = project.run("--json", os.fsdecode(b"rel\xffse"))
    assert (done.code, json.loads(done.err)["error"]["message"]) == (
        2,
        "`heddle` has no command `rel\ufffdse`",
    ), done

    broken = world.copy(world.built)
    (broken.root / "evaluations/late.yaml").unlink()
    (broken.root / "features/more.yaml").write_bytes(
        b"apiVersion: heddle/v1\nkind: FeatureSet\nname: \xe4\xff\ncontract: nothing\nfeatures:"
        b" []\n"
    )
    (broken.root / "monitors/none.yaml").write_text("")
    other = Script(world, broken)
    found = other.both(
        "check", code=2, note="what is wrong has a place, and bytes of a file do no harm"
    )
    assert found["diagnostics"] and all(
        d["line"] >= 1 and d["column"] >= 1 for d in found["diagnostics"]
    ), found
    for file in ("features/more.yaml", "monitors/none.yaml"):
        (broken.root / file).unlink()
    other.both("check", code=2, note="what `plan` needs, `check` asks for")
    other.both("plan", code=2)
    run.said += other.said
    assert project.run("check").code == 0


def releases(world, run, planes):
    project = run.project
    run.both("apply")
    run.both("status")
    candidate = run.project.json("run")["candidate"]
    bundle, standby = candidate["bundle"], candidate["standby"]
    # Each where a digest is taken, by what commands print of one.
    short = bundle[:19]
    run.both("bundle", "inspect", short)
    run.both("bundle", "verify", short[7:])
    run("bundle", "verify", "sha256:", code=2)
    run("bundle", "verify", "sha256:000000000000", code=6)
    run("release", "promote", "late", "--slot", "standby", "--bundle", standby[:19])
    run("release", "promote", "late", "--bundle", short)
    run.both("approval", "list")
    run.both("approval", "show", "approval-0001")
    run("approval", "show", "approval-9", code=6)
    run("approve", "approval-0001", "--person", "ann", "--key", world.keys / "ann")
    run.both("approval", "show", "approval-0001", note="after the yes")
    planes.until(
        lambda: planes.get("/v2/health/ready").status == 200, "the released bundle answers"
    )
    run.both("release", "history", "late")
    run.both("release", "canary", "late")
    run.both("release", "compare", "late", "--bundle", standby)  # nothing was recorded yet
    run("release", "abort", "late", code=6)
    run("release", "promote", "late", "--bundle", standby[:19])
    run("reject", "approval-0002", "--reason", "not on a Friday")
    run.both("approval", "show", "approval-0002", note="after the no")
    run("release", "shadow", "late", "--clear", code=5)
    run("release", "rollback", "late", code=7)


def traffic(world, run, planes):
    file = world.dir / "rows.csv"
    broken_rows(run.project, file)
    run("replay", file, "--service", "late", "--lockstep")
    run.both(
        "release",
        "compare",
        "late",
        "--bundle",
        run.project.json("run")["candidate"]["standby"][:19],
    )
    run(
        "score",
        file,
        "-o",
        world.dir / "scored.csv",
        "--service",
        "late",
        "--slot",
        run.project.json("status")["services"][0]["primary"][:19],
        "--max-refused",
        "0.5",
    )
    listed = run.both("incident", "list")["incidents"]
    assert listed, "the broken rows opened no incident"
    run.both("incident", "show", listed[0]["id"])
    run("incident", "show", "incident-9", code=6)
    by_hand(run, listed[0]["id"])
    planes.until(lambda: in_force(run), "the data plane has the newest route")
    run.both("quarantine", "list")
    run.both("quarantine", "show", "late", "--limit", "2")
    of_rows = ("--all", "--limit", "2", "--reason", "they are two trips")
    run.both("quarantine", "discard", "late", *of_rows)
    run.both("quarantine", "restore", "late", *of_rows, code=6)  # nobody settled any
    for act in ("reprocess", "accept"):
        run.both("quarantine", act, "late", *of_rows, "-o", world.dir / "settled.csv")
    row = run.project.json("quarantine", "show", "late", "--limit", "1")["rows"][0]
    run.both("why", f"{row['request_id']}#{row['row']}", "--reproduce", note="of a refused row")
    run_of = row["request_id"].rsplit("-", 1)[0]
    run.both("why", f"{run_of}-00000000#0", "--reproduce", note="of a served one")
    run("why", "q-17", code=6)
    run.both("status", note="with an incident")


def in_force(run):
    service = run.project.json("status")["services"][0]
    return service["route"] == service["applied"] == service["data_plane"]["route_version"]


def by_hand(run, first):
    """What a person does about incidents and sources; JSON once a command, for each act is done
    once.
    """
    why = ("--reason", "the feed of Zürich is broken")
    run("incident", "ack", first, *why)
    run("incident", "ack", first, *why, code=7)
    opened = run.project.json("incident", "open", "late", "--source", "one", *why)
    assert opened["applied"] and opened["state"] == "by-hand", opened
    run.ran.add("incident open")
    run("incident", "open", "late", *why)
    run("incident", "open", "late", "--reason", " ", code=2)
    run("quarantine", "add", "late", "one", "--account", "caller", *why)
    run("quarantine", "add", "late", "one", "--account", "caller", *why, code=7)
    run("quarantine", "add", "late", "oen", *why, code=6)
    run.both("quarantine", "list", note="with one by hand")
    run("quarantine", "release", "late", "one", *why, code=6)
    run("incident", "comment", opened["incident"], "--reason", "asked the carrier")
    closed = run.project.json(
        "incident", "close", opened["incident"], "--reason", "followed elsewhere"
    )
    assert closed["in_force"] == [
        "quarantine of source `one` of account `caller`, until a person lets it in"
    ], closed
    run("incident", "close", "incident-0004", *why)
    run("incident", "close", "incident-0004", *why, code=7)
    run.both("incident", "show", opened["incident"], note="opened and closed by hand")
    run(
        "quarantine",
        "release",
        "late",
        "one",
        "--account",
        "caller",
        "--reason",
        "the feed is right again",
    )


def afterwards(run):
    run("stop", "late")
    run("resume", "late")
    run.both("audit", "log")
    run.both("audit", "verify")
    run("audit", "prove", "0")
    run("audit", "restore", "--reason", "the disk was lost", code=5)
    run("clock", "set", "late", "--reason", "NTP was off", code=7)
    run("trainer", "lock", code=6)


def main():
    heddle, write = sys.argv[1], "--write" in sys.argv[2:]
    world = World(heddle)
    try:
        run = Script(world, world.copy(world.built))
        before_anything_runs(world, run)
        run.project.edit(
            "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
        )
        run.project.commit()
        with Planes(run.project, "--lockstep") as planes:
            releases(world, run, planes)
            traffic(world, run, planes)
            afterwards(run)
        left = [c for c in commands(world.heddle) if c not in run.ran and c not in ELSEWHERE]
        said = "\n".join(run.said)
    finally:
        world.close()
    if write:
        GOLDEN.write_text(said)
    difference = list(
        difflib.unified_diff(
            GOLDEN.read_text().splitlines(), said.splitlines(), "terminal.txt", "said", lineterm=""
        )
    )
    print("\n".join(difference))
    assert not left, f"nothing here runs: {left}"
    assert not difference, (
        "the commands say something else than terminal.txt; `terminal.py HEDDLE --write` writes it"
        " anew"
    )
    print(f"terminal: {len(run.said)} commands as they stand in terminal.txt")


if __name__ == "__main__":
    main()
