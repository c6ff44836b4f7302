"""Who may do what: every command under the example's own policy as a person of people.yaml, what is
signed, and who is refused. people.py HEDDLE EXAMPLE [CASE...]
"""

import bisect
import csv
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import small_project
import harness
from harness import Planes, World, refused, works

CASES = []


def case(function):
    CASES.append(function)
    return function


def pending(project):
    return [a["id"] for a in project.json("approval", "list")["approvals"]]


def ask(project, *words):
    """Asks for what needs a yes; the approval that waits then."""
    done = works(project.run(*words))
    assert "waits for approval" in done.err, done
    return re.search(r"waits for approval `(approval-\d+)`", done.err)[1]


def approve(world, project, id_, person="ann", key="ann"):
    return project.run("approve", id_, "--person", person, "--key", world.keys / key)


def slots(project):
    return project.json("status")["services"][0]


def commands_of(heddle, *words):
    """Every command that `heddle --help` lists, with its subcommands."""
    text = subprocess.run(
        [heddle, *words, "--help"], check=True, capture_output=True, text=True
    ).stdout
    below = (
        re.findall(r"^  ([a-z]+) {2,}", text.split("Subcommands:")[1], re.M)
        if "Subcommands:" in text
        else []
    )
    return [each for one in below for each in commands_of(heddle, *words, one)] or [words]


FAR = """\
apiVersion: heddle/v1
kind: Fault
name: far
contract: trips
where: origin == 'AAA' && delay >= 0
change: {distance: distance * 1000000}
cause: contract fault
"""


def with_a_fault(world, project, rows):
    """A replay with a fault of the project: the rows that it names, no others, are refused."""
    replay = ["replay", rows, "--service", "late", "--faults"]
    near = refused(project.run(*replay, "fra"), 2, "replay-unknown-fault")
    assert "did you mean `far`?" in near.err and "`all`" in near.err, near
    truth = world.dir / "truth.jsonl"
    touched = [
        row["origin"] == "AAA" and int(row["delay"]) >= 0
        for row in csv.DictReader(rows.read_text().splitlines())
    ]
    told = project.json(*replay, "far", "--truth", truth)
    assert told["faults"] == {"far": sum(touched)} and 0 < sum(touched) < len(touched), told
    shown = json.dumps(project.json("quarantine", "show", "late", "--limit", "200"))
    assert len(re.findall(r'"distance": \d{8,}', shown)) == sum(touched), shown
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert lines[0] == {"schema": "heddle.truth/2", "faults": ["far"]}, lines[0]
    by_row = {line["row"]: line["faults"] for line in lines[1:]}
    # The recording is in order of time, as the file is.
    assert [by_row[row] == ["far"] for row in range(len(touched))] == touched


@case
def every_command(world):
    """As bob, who is the user of the system: nothing but a yes needs a key."""
    project = world.copy(world.built)
    called, run = set(), project.run

    def run_and_note(*words, **options):
        plain = [str(each) for each in words if not str(each).startswith("--")]
        called.update({tuple(plain[:1]), tuple(plain[:2])})
        return run(*words, **options)

    project.run = run_and_note
    bundle, standby = world.candidate
    for words in (
        ["check"],
        ["plan"],
        ["run"],
        ["schema", "Policy"],
        ["doctor"],
        ["completion", "bash"],
        ["completion", "zsh"],
        ["completion", "fish"],
        ["version"],
        ["bundle", "inspect", bundle],
        ["bundle", "verify", bundle],
    ):
        works(project.run(*words))
    works(project.run("apply"))
    with Planes(project) as planes:
        works(project.run("status"))
        works(project.run("release", "promote", "late", "--slot", "standby"))
        first = ask(project, "release", "promote", "late")
        assert first in works(project.run("approval", "list")).out
        assert bundle in works(project.run("approval", "show", first)).out
        done = works(approve(world, project, first))
        for text in (
            "you sign",
            "release.promote",
            bundle,
            "as long as primary",
            "bob",
            "better-than-a-coin",
            "metrics.auc > 0.55",
        ):
            assert text in done.err, f"`{text}` was to be shown before it was signed: {done}"
        planes.until(lambda: slots(project)["primary"] == bundle, "the bundle is primary")
        assert (
            project.json("audit", "log")["decisions"][0]["attributes"]["proof"]
            == "os-user:" + small_project.os_user()
        )
        # The other way round: another primary, back by `rollback`, alone and at once.
        asked_for = ask(project, "release", "promote", "late", "--bundle", standby)
        told = project.json("approve", asked_for, "--person", "ann", "--key", world.keys / "ann")
        assert (
            told["statement"] == project.json("approval", "show", asked_for)["statement"]
        ), "what was signed is said in JSON too"
        assert slots(project)["primary"] == standby
        works(project.run("release", "rollback", "late"))
        assert slots(project)["primary"] == bundle
        planes.until(lambda: planes.get("/v2/health/ready").status == 200, "the bundle answers")
        trip = {"date": "2001-01-10T05:00:00Z", "distance": 260, "origin": "AAA"}
        body = {"rows": [{**trip, "destination": "BBB"}], "request_id": "q-1"}
        assert planes.predict(body).status == 200
        works(project.run("why", "q-1", "--reproduce"))
        works(project.run("release", "history", "late"))
        works(project.run("release", "canary", "late"))
        compared = works(project.run("release", "compare", "late", "--bundle", standby)).out
        assert (
            "of the candidate's held-out rows" in compared and "not on recorded traffic" in compared
        ), compared
        # A canary and a shadow want a bundle that is in no slot: the standby's place is taken
        # first.
        third = world.other
        shutil.copytree(
            world.third / ".heddle/objects", project.root / ".heddle/objects", dirs_exist_ok=True
        )
        works(project.run("release", "shadow", "late", "--bundle", third))
        works(project.run("release", "shadow", "late", "--clear"))
        canary = ask(project, "release", "promote", "late", "--slot", "canary", "--bundle", third)
        assert '"weight"' in works(project.run("--json", "approval", "show", canary)).out
        works(approve(world, project, canary))
        works(project.run("release", "canary", "late"))
        raised = works(
            project.run("release", "promote", "late", "--slot", "canary", "--bundle", third)
        )
        assert "waits for approval" not in raised.err, "the next step is an engineer's"
        works(project.run("release", "abort", "late"))
        no = ask(project, "release", "promote", "late", "--bundle", third)
        done = works(project.run("reject", no, "--reason", "not on a Friday"))
        assert "--again" in done.err, done
        for words in (
            ["incident", "list"],
            ["quarantine", "list"],
            ["quarantine", "show", "late"],
            ["audit", "log"],
            ["audit", "prove", "0"],
        ):
            works(project.run(*words))
        why = ("--reason", "the feed is broken")
        opened = project.json("incident", "open", "late", *why)["incident"]
        for words in (["incident", "show", opened], ["bundle", "verify", third]):
            works(project.run(*words))
        for words in (
            ["incident", "ack", opened],
            ["incident", "comment", opened],
            ["quarantine", "add", "late", "default"],
            ["quarantine", "release", "late", "default"],
            ["incident", "close", opened],
        ):
            works(project.run(*words, *why))
        # Rows that were refused are settled in cleaning.py; here there are none.
        for words in (
            ["discard"],
            ["restore"],
            ["accept", "-o", "out.csv"],
            ["reprocess", "-o", "out.csv"],
        ):
            done = project.run("quarantine", words[0], "late", "--all", *words[1:], *why)
            refused(done, 6, "rows-unknown")
        rows = world.dir / "rows.csv"
        rows.write_text(
            "".join((project.root / "data/trips.csv").read_text().splitlines(True)[:200])
        )
        works(project.run("score", rows, "-o", world.dir / "scored.csv", "--service", "late"))
        with_a_fault(world, project, rows)
        # Nothing of this service comes from elsewhere.
        refused(project.run("skew", "late"), 2, "skew-no-upstream")
        works(project.run("stop", "late"))
        works(project.run("resume", "late"))
        told = project.json("stop", "--all")
        assert (told["service"], told["data_planes"], told["unrecorded"]) == ("*", ["late"], [])
        assert told["entry"] > 0 and "not_recorded" not in told, told
        works(project.run("resume"))
        works(project.run("audit", "verify"))
        works(project.run("audit", "verify", "--rebuild"))
        # Nothing is wrong with this clock and this state: that is said.
        refused(project.run("clock", "set", "late", *why), 7, "clock-agrees")
        refused(
            project.run("audit", "restore", *why, "--person", "ann", "--key", world.keys / "ann"),
            7,
            "restore-not-needed",
        )
    works(project.run("report", "trips", "--out", world.dir / "trips.html"))
    drafted = world.dir / "drafted"
    works(project.run("init", drafted, "--data", project.root / "data/trips.csv", "--yes"))
    refused(project.run("trainer", "lock"), 6, "trainer-none")
    # `heddle dev` is for who looks at Heddle itself.
    left = [
        words
        for words in commands_of(world.heddle)
        if words not in called and words[0] not in ("up", "dev")
    ]
    assert not left, f"commands that nobody tried: {left}"


@case
def a_report_of_any_file(world):
    """No project is needed; its own page alone is written over; drift is an exit code."""
    project, folder = world.copy(world.built), world.dir / "reports"
    folder.mkdir()
    rows = (project.root / "data/trips.csv").read_text().splitlines()
    old, new, page = folder / "old.csv", folder / "new.csv", folder / "report.html"
    old.write_text("\n".join(rows[:5001]) + "\n")
    moved = [line.split(",") for line in rows[5001:8001]]
    for line in moved:
        line[1] = str(int(line[1]) + 1000)
    new.write_text("\n".join([rows[0]] + [",".join(line) for line in moved]) + "\n")

    def outside(*words):
        return subprocess.run(
            [world.heddle, *map(str, words)], cwd=folder, capture_output=True, text=True
        )

    done = outside("report", "new.csv", "--reference", "old.csv", "--fail-on-drift")
    assert done.returncode == 3, done
    assert "wrote report.html" in done.stderr, done
    before = sorted(int(line.split(",")[1]) for line in rows[1:5001])
    now = sorted(int(line[1]) for line in moved)
    exact = max(
        bisect.bisect(before, at) / len(before) - bisect.bisect(now, at) / len(now) for at in before
    )
    told = float(re.search(r"`distance` moved \(ks ([\d.]+),", done.stdout)[1])
    assert exact - 0.02 < told < exact + 0.001, (exact, told)
    text = page.read_text()
    assert text.startswith("<!-- heddle.report/1 -->") and text.endswith("</html>\n")
    assert not re.search(r"https?:|src=|href=", text), "the page needs nothing beside it"
    # Against itself nothing changed, and the page is replaced.
    done = outside("report", "--reference", "old.csv", "old.csv", "--fail-on-drift")
    assert done.returncode == 0 and "every column is as in the reference" in done.stdout, done
    assert page.read_text() != text
    # In a project a source's name is enough; `--as` reads another file as it is declared.
    told = project.json("report", "trips", "--out", page, "--reference", old)
    assert told["format"] == "heddle.report/1" and told["rows"] == len(rows) - 1
    refused(project.run("report", old, "--as", "nothing", "--out", page), 6, "unknown-name")
    refused(project.run("report", "nowhere.csv", "--out", page), 6, "table-missing")
    refused(project.run("report", old, "--fail-on-drift"), 2, "usage")
    # The page's own example.
    manual = pathlib.Path(__file__).parents[2] / "docs/report.md"
    example = re.search(r"```sh\n(mkdir.*?)```", manual.read_text(), re.S)[1]
    path = f"{pathlib.Path(world.heddle).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", example],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and (folder / "try/report.html").exists(), done
    for said in ("`size` moved", "`colour` moved", "new: `green` (20 %)", "gone: `blue` (33 %)"):
        assert said in done.stdout, done
    page.write_text("somebody's")
    refused(project.run("report", "trips", "--out", page), 7, "report-would-overwrite")
    assert page.read_text() == "somebody's"


def completed(project, shell, line):
    """The words that `shell` proposes for the last word of `line`."""
    words = line.split(" ")
    scripts = {
        "bash": f"""source <(heddle completion bash)
            COMP_WORDS=({' '.join(each or "''" for each in words)}) COMP_CWORD={len(words) - 1}
            _heddle; printf '%s\\n' "${{COMPREPLY[@]}}" """,
        # What `_describe` is given: the line editor runs at a terminal alone.
        "zsh": f"""autoload -U compinit; compinit -u -D; source <(heddle completion zsh)
            _describe() {{ print -rl -- "${{(@)found%%:*}}" }}; _files() {{ : }}
            words=({' '.join(each or "''" for each in words)}) CURRENT={len(words)}
            _heddle""",
        "fish": f"""heddle completion fish | source
            complete -C '{line}' | string split -f 1 (printf '\\t')""",
    }
    path = f"{pathlib.Path(project.heddle).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [shell, *(["--norc"] if shell == "bash" else []), "-c", scripts[shell]],
        cwd=project.root,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done
    return done.stdout.split()


@case
def shells_and_machine(world):
    """What a shell proposes, and what the machine lacks."""
    project = world.copy(world.built)
    for shell in ("bash", "zsh", "fish"):
        script = works(project.run("completion", shell)).out
        if shutil.which(shell) is None:
            print(f"SKIPPED: no {shell}; its script has {len(script)} characters")
            continue
        for line, words in (
            ("heddle release pro", ["promote"]),
            ("heddle stop l", ["late"]),
            ("heddle run --model ", ["late"]),
            ("heddle release promote --slot s", ["standby", "shadow"]),
        ):
            assert sorted(completed(project, shell, line)) == sorted(words), (shell, line)
    shown = project.json("doctor")["checks"]
    by_name = {each["what"]: each for each in shown}
    assert all(by_name[each]["state"] == "ok" for each in ("library of files", "git")), shown
    # Without a PATH that has them, programs are missing, and the exit code says so.
    bare = project.run("doctor", env={"PATH": "/nonexistent"})
    assert bare.code == 10, bare
    for line in ("ssh-keygen: install it", "git: install it", "python3: install it"):
        assert line in bare.err, bare


@case
def nobody_known(world):
    """The user of the system is no person: what to add is said, and a key does as well."""
    project = world.copy(world.built)
    user = small_project.os_user()
    project.edit("people.yaml", f'    os_users: ["{user}"]\n', "")
    project.commit()
    works(project.run("apply"))  # the example lets the system apply
    add = f"add `os_users: [{user}]`"
    for words in (
        ["release", "promote", "late"],
        ["release", "promote", "late", "--requester", "bob"],
    ):
        assert add in refused(project.run(*words), 5, "release-denied").err
    assert (
        "the entry of `bob`" in project.run("release", "promote", "late", "--requester", "bob").err
    )
    refused(
        project.run("release", "promote", "late", "--requester", "ghost"), 5, "requester-unknown"
    )
    refused(
        project.run("release", "promote", "late", "--requester", "agent:recover"),
        5,
        "requester-unknown",
    )
    assert pending(project) == []
    bob = ("--requester", "bob", "--key", world.keys / "bob")
    refused(
        project.run(
            "release", "promote", "late", "--requester", "bob", "--key", world.keys / "ann"
        ),
        5,
        "approval-signature-invalid",
    )
    first = ask(project, "release", "promote", "late", *bob)
    refused(approve(world, project, first, "bob", "bob"), 5, "approval-by-requester")
    assert add in refused(project.run("reject", first, "--reason", "no"), 5, "person-unproven").err
    refused(project.run("reject", first, "--reason", "no", "--person", "ann"), 5, "person-unproven")
    refused(
        project.run(
            "reject", first, "--reason", "no", "--person", "ann", "--key", world.keys / "eve"
        ),
        5,
        "approval-signature-invalid",
    )
    works(
        project.run(
            "reject",
            first,
            "--reason",
            "not on a Friday",
            "--person",
            "ann",
            "--key",
            world.keys / "ann",
        )
    )
    assert project.json("approval", "show", first)["next"][0]["command"].endswith("--again")
    refused(project.run("release", "promote", "late", *bob), 7, "release-rejected")
    works(approve(world, project, ask(project, "release", "promote", "late", "--again", *bob)))
    works(
        approve(
            world,
            project,
            ask(project, "release", "promote", "late", "--bundle", world.candidate[1], *bob),
        )
    )
    assert add in refused(project.run("release", "rollback", "late"), 5, "release-denied").err
    works(project.run("release", "rollback", "late", *bob))
    assert slots(project)["primary"] == world.candidate[0]
    works(project.run("stop", "late"))
    refused(project.run("resume", "late"), 5, "person-unproven")
    refused(project.run("resume", "late", "--person", "ann"), 5, "person-unproven")
    refused(
        project.run("resume", "late", "--person", "ann", "--key", world.keys / "bob"),
        5,
        "approval-signature-invalid",
    )
    assert slots(project)["state"] == "stopped"
    works(project.run("resume", "late", "--person", "ann", "--key", world.keys / "ann"))
    # What is done by hand is done by a person: one who signs is one.
    why = ("--reason", "the feed is broken")
    for words in (["incident", "open", "late"], ["quarantine", "add", "late", "default"]):
        assert add in refused(project.run(*words, *why), 5, "person-unproven").err
        refused(project.run(*words, *why, "--person", "ann"), 5, "person-unproven")
        refused(project.run(*words, *why, "--person", "ghost"), 5, "person-unknown")
        refused(
            project.run(*words, *why, "--person", "ann", "--key", world.keys / "bob"),
            5,
            "approval-signature-invalid",
        )
        works(project.run(*words, *why, "--person", "ann", "--key", world.keys / "ann"))
    assert project.json("quarantine", "list")["sources"][0]["by"] == "ann"
    last = project.json("audit", "log")["decisions"][-1]
    assert (last["actor"], last["action"], last["reason"], last["attributes"]["proof"]) == (
        "ann",
        "source.quarantine",
        why[1],
        "signature",
    ), last
    works(project.run("audit", "verify"))


@case
def another_name(world):
    """Bob says that he is ann: it is on record, and neither of the two approves it."""
    project = world.copy(world.built)
    id_ = ask(project, "release", "promote", "late", "--requester", "ann")
    shown = project.json("approval", "show", id_)
    assert (shown["requester"], shown["claimed"]) == ("bob", "ann"), shown
    for person in ("ann", "bob"):
        refused(approve(world, project, id_, person, person), 5, "approval-by-requester")
    refused(project.run("reject", id_, "--reason", "no", "--person", "ann"), 5, "person-unproven")
    works(project.run("reject", id_, "--reason", "a mistake"))  # he asked, he takes it back


@case
def stale_yes(world):
    """Of two promotions that wait, the one that is answered ends the other, also after a
    restart.
    """
    project = world.copy(world.built)
    bundle, standby = world.candidate
    with Planes(project) as planes:
        planes.release(world)
        refused(
            project.run("release", "promote", "late", "--bundle", bundle), 7, "release-is-primary"
        )
        refused(
            project.run("release", "promote", "late", "--slot", "standby", "--bundle", standby),
            7,
            "release-in-use",
        )
        shutil.copytree(
            world.third / ".heddle/objects", project.root / ".heddle/objects", dirs_exist_ok=True
        )
        older = ask(project, "release", "promote", "late", "--bundle", standby)
        newer = ask(project, "release", "promote", "late", "--bundle", world.other)
        works(approve(world, project, newer))
        refused(approve(world, project, older), 7, "approval-void")
        shown = project.json("approval", "show", older)
        assert shown["state"] == "void" and bundle in shown["void_because"], shown
        assert slots(project)["primary"] == world.other
    with Planes(project) as planes:
        assert slots(project)["primary"] == world.other
        assert pending(project) == []
        works(project.run("audit", "verify"))


@case
def apply_needs_a_yes(world):
    """A policy may ask for a yes to new definitions; a new policy ends what waited under the old
    one.
    """
    project = world.copy(world.built)
    works(project.run("apply"))
    with Planes(project):
        waiting = ask(project, "release", "promote", "late")
        project.edit(
            "policies/default.yaml",
            "rules:\n",
            "rules:\n  - id: apply-needs-a-yes\n    effect: require_approval\n    who:"
            ' ["person:*"]\n    action: definition.apply\n    needs: {approvals: 1, role: approver,'
            " within: 7d}\n",
        )
        project.commit()
        works(project.run("apply"))  # by the policy of before
        assert project.json("approval", "show", waiting)["state"] == "void"
        project.edit("models/late.yaml", "seed: 7", "seed: 9")
        project.commit()
        first = ask(project, "apply")
        works(project.run("reject", first, "--reason", "another seed"))
        refused(project.run("apply"), 5, "apply-denied")
        assert "git commit" in project.json("approval", "show", first)["next"][0]["command"]
        project.edit("models/late.yaml", "seed: 9", "seed: 10")
        project.commit()
        done = works(approve(world, project, ask(project, "apply")))
        assert "next: heddle apply" in done.err, done
        assert "applied" in works(project.run("apply")).err
        works(project.run("audit", "verify"))


@case
def a_signed_request_serves_once(world):
    """What was signed and seen on the way cannot be sent again, nor for another act."""
    project = world.copy(world.built)
    with Planes(project) as planes:
        planes.release(world)
        works(project.run("stop", "late"))
        log = world.dir / "signer"
        log.write_text(
            '#!/bin/sh\nfor last; do :; done\ncp "$last" '
            + str(log)
            + ".statement\n"
            + shutil.which("ssh-keygen")
            + ' "$@" && cp "$last.sig" '
            + str(log)
            + ".sig\n"
        )
        folder = world.dir / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "ssh-keygen").write_text(log.read_text())
        (folder / "ssh-keygen").chmod(0o755)
        works(
            project.run(
                "resume",
                "late",
                "--person",
                "ann",
                "--key",
                world.keys / "ann",
                env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
            )
        )
        signed = {
            "statement": pathlib.Path(f"{log}.statement").read_text(),
            "signature": pathlib.Path(f"{log}.sig").read_text(),
        }
        works(project.run("stop", "late"))
        for request in (
            {"service": "late", "person": "ann", "signed": signed},
            {"service": "*", "person": "ann", "signed": signed},
            {"service": "late", "person": "bob", "signed": signed},
        ):
            reply = planes.operation("resume", request)
            assert reply.status == 403 and reply.json["id"] == "request-signature-invalid", reply
        assert slots(project)["state"] == "stopped"


ASK = """\
import os, socket, sys
path, secret, user = sys.argv[1:]
if int(user):
    os.setgroups([])
    os.setresgid(int(user), int(user), int(user))
    os.setresuid(int(user), int(user), int(user))
with socket.socket(socket.AF_UNIX) as one:
    one.connect(path)
    proof = f"Authorization: Bearer {secret}\\r\\n" if secret else ""
    head = f"POST /v1/ops/stop HTTP/1.1\\r\\nHost: localhost\\r\\n{proof}Connection: close\\r\\n"
    one.sendall(f"{head}Content-Length: 18\\r\\n\\r\\n".encode()
                + b'{"service":"late"}')
    answer = b""
    while more := one.recv(4096):
        answer += more
print(answer.split()[1].decode(), answer.decode().rsplit("\\r\\n", 1)[1])
"""


@case
def a_socket_is_no_proof(world):
    """Who can connect to the control socket is not yet the owner: the user of the system and the
    secret make one.
    """
    project = world.copy(world.built)
    with Planes(project) as planes:
        folder = project.root / ".heddle"
        path, secret = folder / "control.sock", folder / "keys/owner.secret"
        assert secret.stat().st_mode & 0o077 == 0, oct(secret.stat().st_mode)
        known = secret.read_text()

        def stop(proof, user=0):
            done = subprocess.run(
                [sys.executable, "-c", ASK, str(path), proof, str(user)],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, done
            return done.stdout

        for proof in (
            "",
            "x",
            known[:-1],
            known + "0",
            known.upper() if known.upper() != known else "x",
            project.token("caller"),
        ):
            said = stop(proof)
            assert said.startswith("401 ") and "not-the-owner" in said, said
        if os.geteuid() == 0:  # somebody else, whom the modes of the files let through
            opened = [project.root, *project.root.parents, folder]
            modes = [
                (each, each.stat().st_mode)
                for each in opened
                if each.stat().st_mode & 0o005 != 0o005
            ]
            for each, mode in modes:
                each.chmod(mode | 0o005)
            path.chmod(0o666)
            said = stop(known, 65534)
            assert said.startswith("401 ") and "not-the-owner" in said, said
            for each, mode in modes:
                each.chmod(mode)
        assert slots(project)["state"] != "stopped"
        secret.unlink()
        planes.until(lambda: secret.exists(), "the secret is written again")
        assert secret.read_text() == known
        assert stop(known).startswith("200 ")
        assert slots(project)["state"] == "stopped"


def main():
    os.environ["NO_COLOR"] = "1"
    small_project.FILES["policies/default.yaml"] = (
        pathlib.Path(sys.argv[2]) / "policies/default.yaml"
    ).read_text()
    people = small_project.FILES["people.yaml"]
    small_project.FILES["people.yaml"] = people.replace(
        "service_accounts:\n",
        "service_accounts:\n  - name: replayer\n    permissions: [predict, label, replay]\n",
    )
    small_project.FILES["faults/far.yaml"] = FAR
    world = World(sys.argv[1])
    try:
        candidate = world.built.json("run")["candidate"]
        world.candidate = candidate["bundle"], candidate["standby"]
        # A third bundle: the same with another seed.
        other = world.copy(world.built)
        other.edit("models/late.yaml", "seed: 7", "seed: 8")
        other.commit()
        world.third, world.other = other.root, other.json("run")["candidate"]["bundle"]
        assert world.other not in world.candidate
        return harness.run_cases(CASES, sys.argv[3:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
