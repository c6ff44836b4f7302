"""Who may decide changes by a decision alone: a hostile work tree, a state that was edited and
`sudo` decide nothing, with planes up
and down.   who_decides.py HEDDLE EXAMPLE [CASE...]      standard library only
"""

import contextlib
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess
import sys

import harness
import small_project
from harness import Planes, World, refused, works

CASES = []


def case(function):
    CASES.append(function)
    return function


def pending(project):
    return [
        each for each in project.json("approval", "list")["approvals"] if each["state"] == "pending"
    ]


def entries(project):
    return project.json("audit", "log")["decisions"]


class Alone(Planes):
    """One plane by itself: it is up when it says so."""

    def __enter__(self):
        only = self.words[1]
        self.process = subprocess.Popen(
            [self.project.heddle, "--project", str(self.project.root), "up", *self.words],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        commit = self.project.json("status")["applied"]
        self.until(lambda: f"{only} plane of" in self.text(), f"the {only} plane is up")
        assert only == "data" or commit[:12] in self.text(), self.text()
        return self


OPEN = """\
apiVersion: heddle/v1
kind: Policy
name: default
rules:
  - {id: everything, effect: allow, who: "*", action: "*"}
"""


def make_hostile(project, keys):
    """Eve is an approver and the user of the system; ann is a nobody with another key, bob is gone;
    the policy lets everything; the account `reader` may do all; heddle.yaml has another name.
    """
    eve = (keys / "eve.pub").read_text().strip()
    (project.root / "policies/default.yaml").write_text(OPEN)
    (project.root / "people.yaml").write_text(f"""\
apiVersion: heddle/v1
kind: People
people:
  - name: eve
    roles: [ml-engineer, approver]
    keys: ["{eve}"]
    os_users: ["{small_project.os_user()}"]
service_accounts:
  - name: caller
    permissions: [predict, label]
  - name: reader
    permissions: [read, predict, label, replay, stop]
  - name: stopper
    permissions: [stop]
""")
    project.edit("heddle.yaml", "name: trips", "name: mine")


def try_everything(project, keys, standby):
    """Every command that decides, as eve and as nobody: it counts what was applied."""
    before = len(entries(project))
    signed_by_eve = ("--person", "eve", "--key", keys / "eve")
    why = ("--reason", "because")
    plain = ("release", "promote", "late", "--bundle", standby)
    promote = (*plain, "--again")
    refused(project.run(*promote, "--requester", "eve"), 5, "requester-unknown")
    refused(
        project.run(*promote, "--requester", "eve", "--key", keys / "eve"), 5, "requester-unknown"
    )
    assert (
        "waits for approval" in works(project.run(*promote)).err
    ), "the applied policy asks a person"
    waiting = pending(project)[-1]
    assert waiting["requester"] == "bob", "the user of the system is bob, as it was applied"
    refused(project.run("approve", waiting["id"], *signed_by_eve), 5, "approval-unknown-person")
    refused(
        project.run("approve", waiting["id"], "--person", "ann", "--key", keys / "eve"),
        5,
        "approval-signature-invalid",
    )
    refused(
        project.run("approve", waiting["id"], "--person", "bob", "--key", keys / "bob"),
        5,
        "approval-by-requester",
    )
    refused(
        project.run("reject", waiting["id"], *why, *signed_by_eve), 5, "approval-unknown-person"
    )
    for words in (["incident", "open", "late"], ["quarantine", "add", "late", "one"]):
        refused(project.run(*words, *why, *signed_by_eve), 5, "person-unknown")
    refused(
        project.run("release", "rollback", "late", "--requester", "eve"), 5, "requester-unknown"
    )
    refused(
        project.run("release", "shadow", "late", "--clear", "--requester", "eve"),
        5,
        "requester-unknown",
    )
    refused(
        project.run("apply", "HEAD", "--requester", "eve", "--key", keys / "eve"),
        5,
        "requester-unknown",
    )
    works(project.run("stop", "late"))
    refused(project.run("resume", "late", *signed_by_eve), 5, "resume-not-a-person")
    works(project.run("resume", "late", "--person", "ann", "--key", keys / "ann"))
    works(project.run("reject", waiting["id"], *why, "--person", "ann", "--key", keys / "ann"))
    refused(project.run(*plain), 7, "release-rejected")
    assert not [
        e for e in entries(project)[before:] if re.search(r"\beve\b", json.dumps(e))
    ], "nothing of hers is on record"
    assert "ok" in works(project.run("audit", "verify")).out


@case
def a_hostile_work_tree(world):
    """Attacks on people.yaml and policies: edited and not committed, committed and not applied,
    with planes up and down.
    """
    project = world.copy(world.built)
    works(project.run("apply"))
    with Planes(project) as planes:
        planes.release(world)
    standby = project.json("status")["services"][0]["standby"]
    for committed in (False, True):
        make_hostile(project, world.keys) if not committed else project.commit()
        try_everything(project, world.keys, standby)
        with Planes(project) as planes:
            row = {
                "date": "2001-04-10T05:00:00Z",
                "distance": 260,
                "origin": "AAA",
                "destination": "BBB",
            }
            planes.until(
                lambda: planes.predict({"rows": [row]}).status == 200, "the released bundle answers"
            )
            assert planes.predict({"rows": [row]}, token="reader").status == 403
            planes.process.send_signal(signal.SIGUSR2)
            planes.until(
                lambda: "the data plane is replaced by" in planes.text(),
                "the data plane is replaced",
            )
            planes.until(
                lambda: planes.predict({"rows": [row]}).status == 200, "its successor answers"
            )
            assert planes.predict({"rows": [row]}, token="reader").status == 403
            try_everything(project, world.keys, standby)
        for only in ("control", "data"):
            with Alone(project, "--only", only):  # each plane alone reads what was applied as well
                pass
    # Somebody whom an apply took away does not come back by a file.
    subprocess.run(["git", "-C", str(project.root), "reset", "-q", "--hard", "HEAD~1"], check=True)
    people = (project.root / "people.yaml").read_text()
    start = people.index("  - name: ann")
    (project.root / "people.yaml").write_text(
        people[:start] + people[people.index("  - name: bob") :]
    )
    project.apply()
    (project.root / "people.yaml").write_text(people)
    works(project.run("release", "promote", "late", "--bundle", standby, "--again"))
    for up in (False, True):
        with Planes(project) if up else contextlib.nullcontext():
            refused(
                project.run(
                    "approve",
                    pending(project)[-1]["id"],
                    "--person",
                    "ann",
                    "--key",
                    world.keys / "ann",
                ),
                5,
                "approval-unknown-person",
            )
    works(project.run("audit", "verify"))


@case
def the_state_says_something_else(world):
    """Whoever edits the state makes nobody an approver: what runs is what the newest decision of
    the ledger applied.
    """
    project = world.copy(world.built)
    works(project.run("apply"))
    with Planes(project) as planes:
        planes.release(world)
    first = project.json("status")["applied"]
    project.edit("heddle.yaml", "owners: [ann]", "owners: [ann, bob]")
    project.apply()
    second = project.json("status")["applied"]
    by_entry = {
        e["attributes"]["commit"]: e["seq"]
        for e in entries(project)
        if e["action"] == "definition.apply"
    }
    make_hostile(project, world.keys)
    project.commit()
    hostile = subprocess.run(
        ["git", "-C", str(project.root), "rev-parse", "HEAD"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    edits = {
        "another commit": {"applied": hostile},
        "an older decision": {"applied": first, "applied-entry": str(by_entry[first])},
        "another entry": {"applied": hostile, "applied-entry": str(by_entry[second] + 1)},
        "none": {"applied": None, "applied-entry": None, "applied-digest": None},
    }
    for what, rows in edits.items():
        one = world.copy(project)
        with harness.forging(one) as state:
            for key, value in rows.items():
                where = "collection = 'control' AND key = ?"
                if value is None:
                    state.execute(f"DELETE FROM kv WHERE {where}", (key.encode(),))
                else:
                    state.execute(
                        f"UPDATE kv SET value = ? WHERE {where}", (value.encode(), key.encode())
                    )
        for words in (
            ["release", "promote", "late"],
            ["apply", "HEAD"],
            ["release", "rollback", "late"],
            ["resume", "late"],
            ["quarantine", "add", "late", "one", "--reason", "no"],
            ["audit", "verify"],
        ):
            done = one.run(*words)
            assert done.code == 13 and done.id == "applied-not-decided" and "hint:" in done.err, (
                what,
                words,
                done,
            )
        with Planes(one, locked=True) as planes:
            row = {
                "date": "2001-04-10T05:00:00Z",
                "distance": 260,
                "origin": "AAA",
                "destination": "BBB",
            }
            planes.until(
                lambda: planes.predict({"rows": [row]}).status == 200,
                f"{what}: the released bundle answers",
            )
            planes.until(
                lambda: "applied-not-decided" in planes.text(),
                f"{what}: the control plane says why it does not decide",
            )


def ports_of(project):
    """Other ports for a copy, committed and applied."""
    text = (project.root / "services/late.yaml").read_text()
    for key in ("port", "grpc_port"):
        text = re.sub(rf"^{key}: \d+", f"{key}: {small_project.free_port()}", text, flags=re.M)
    (project.root / "services/late.yaml").write_text(text)
    text = (project.root / "heddle.yaml").read_text()
    (project.root / "heddle.yaml").write_text(
        re.sub(r"control_port: \d+", f"control_port: {small_project.free_port()}", text)
    )
    project.apply()


@case
def a_copy_has_its_own_secrets(world):
    """Neither's tokens open the other; a project that was moved, or came back from a backup, keeps
    them.
    """
    project = world.copy(world.built)
    works(project.run("apply"))
    with Planes(project) as planes:
        planes.release(world)
        tokens = {name: project.token(name) for name in ("caller", "reader", "stopper")}
        secret = (project.root / ".heddle/keys/owner.secret").read_text()
        row = {
            "date": "2001-04-10T05:00:00Z",
            "distance": 260,
            "origin": "AAA",
            "destination": "BBB",
        }
        assert planes.predict({"rows": [row]}).status == 200
    copy = world.copy(project)
    ports_of(copy)
    with Planes(copy) as planes:
        planes.until(
            lambda: planes.predict({"rows": [row]}).status == 200,
            "the copy answers by its own tokens",
        )
        assert "is a copy of" in planes.text() and str(project.root) in planes.text(), planes.text()
        own = {name: copy.token(name) for name in tokens}
        assert not set(own.values()) & set(tokens.values())
        assert (copy.root / ".heddle/keys/owner.secret").read_text() != secret
        (copy.root / ".heddle/tokens/caller").write_text(tokens["caller"])
        assert planes.predict({"rows": [row]}).status == 401, "the other's token is nobody's here"
    (copy.root / ".heddle/tokens/caller").write_text(own["caller"])
    # Moved: the same folder under another name.
    moved = harness.Project(world.heddle, project.root.parent / "moved")
    project.root.rename(moved.root)
    # Back from a backup: another folder in the same place.
    os.rename(copy.root / ".heddle", copy.root / "old")
    subprocess.run(["cp", "-a", str(copy.root / "old"), str(copy.root / ".heddle")], check=True)
    for one, known in ((moved, tokens), (copy, own)):
        with Planes(one) as planes:
            planes.until(lambda: planes.predict({"rows": [row]}).status == 200, "it answers")
            assert {name: one.token(name) for name in known} == known
            assert "is a copy of" not in planes.text()
    assert (moved.root / ".heddle/keys/owner.secret").read_text() == secret


@case
def by_sudo(world):
    """Who types `sudo heddle` asks as himself, not as whoever root is."""
    if os.geteuid() != 0:
        raise harness.Skipped("only root is believed who called `sudo`")
    other = next((each for each in pwd.getpwall() if each.pw_uid != 0), None)
    if other is None:
        raise harness.Skipped("the machine has no other user")
    project = world.copy(world.built)
    project.edit(
        "people.yaml",
        f'os_users: ["{small_project.os_user()}"]',
        f'os_users: ["{small_project.os_user()}"]\n  - name: cyd\n    roles: [ml-engineer,'
        f' approver]\n    os_users: ["{other.pw_name}"]',
    )
    project.apply()
    sudo = {**os.environ, "SUDO_UID": str(other.pw_uid)}
    for up in (False, True):
        with Planes(project) if up else contextlib.nullcontext():
            works(project.run("release", "promote", "late", "--again", env=sudo))
            waiting = pending(project)[-1]
            assert waiting["requester"] == "cyd", waiting
            asked_for = next(e for e in entries(project) if e["approval"] == waiting["id"])
            assert asked_for["attributes"]["proof"] == "sudo:" + other.pw_name, asked_for
            # A name that he only gives counts as who asked too, and who he is not he cannot be.
            refused(
                project.run("reject", waiting["id"], "--reason", "no", "--person", "bob", env=sudo),
                5,
                "person-unproven",
            )
            works(project.run("reject", waiting["id"], "--reason", "no", env=sudo))
            assert entries(project)[-1]["actor"] == "cyd"
            # A user of the system who is no person is none by sudo either.
            done = refused(
                project.run("resume", "late", env={**os.environ, "SUDO_UID": "54321"}),
                5,
                "person-unproven",
            )
            assert 'add `os_users: ["54321"]`' in done.err, done
    works(project.run("audit", "verify"))


@case
def kinds_of_keys(world):
    """Whatever kind of key `ssh-keygen` makes and verifies: a person signs with it; others are
    refused by `check` with what to do.
    """
    project = world.copy(world.built)
    folder = world.dir / "kinds"
    folder.mkdir()
    people = ""
    for name, kind in {"rsa": ["rsa", "-b", "2048"], "ecdsa": ["ecdsa", "-b", "384"]}.items():
        subprocess.run(
            ["ssh-keygen", "-q", "-N", "", "-C", name, "-f", str(folder / name), "-t", *kind],
            check=True,
        )
        key = (folder / f"{name}.pub").read_text().strip()
        people += f'  - name: {name}\n    roles: [ml-engineer, approver]\n    keys: ["{key}"]\n'
    project.edit("people.yaml", "people:\n", "people:\n" + people)
    project.apply()
    for person, asks in (("rsa", "ecdsa"), ("ecdsa", "rsa")):
        works(
            project.run(
                "release", "promote", "late", "--again", "--requester", asks, "--key", folder / asks
            )
        )
        id_ = pending(project)[-1]["id"]
        refused(
            project.run("approve", id_, "--person", asks, "--key", folder / asks),
            5,
            "approval-by-requester",
        )
        works(
            project.run(
                "reject", id_, "--reason", "no", "--person", person, "--key", folder / person
            )
        )
    works(
        project.run(
            "release",
            "promote",
            "late",
            "--again",
            "--requester",
            "ecdsa",
            "--key",
            folder / "ecdsa",
        )
    )
    works(
        project.run(
            "approve", pending(project)[-1]["id"], "--person", "rsa", "--key", folder / "rsa"
        )
    )
    works(project.run("audit", "verify"))
    subprocess.run(
        [
            "ssh-keygen",
            "-q",
            "-s",
            str(folder / "ecdsa"),
            "-I",
            "id",
            "-n",
            "ann",
            str(folder / "rsa.pub"),
        ],
        check=True,
    )
    for bad, said in (
        ((folder / "rsa-cert.pub").read_text().strip(), "a certificate"),
        ("cert-authority " + key, "stands before the key"),
        ("ssh-ed448 AAAA", "no type of an SSH key"),
        (key + "\\nmore", "more than one line"),
    ):
        other = world.copy(project)
        text = (other.root / "people.yaml").read_text()
        (other.root / "people.yaml").write_text(text.replace(f'"{key}"', f'"{bad}"'))
        done = other.run("check")
        assert (
            done.code == 2 and "people-key" in done.ids and said in done.err and "hint:" in done.err
        ), done


def main():
    os.environ["NO_COLOR"] = "1"
    for name in ("SUDO_UID", "SUDO_USER"):
        os.environ.pop(name, None)
    small_project.FILES["policies/default.yaml"] = (
        pathlib.Path(sys.argv[2]) / "policies/default.yaml"
    ).read_text()
    world = World(sys.argv[1])
    try:
        return harness.run_cases(CASES, sys.argv[3:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
