#!/usr/bin/env python3
"""What runs is what was applied, and what was applied is a commit: the work tree, the index and
what is broken in them change nothing; what a bundle was built from is on it, and policy decides.

    definitions.py HEDDLE [CASE...]      standard library only; exit 0 when every case holds
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
from harness import Planes, Project, World  # noqa: E402

CASES = []
FREEZE = """\
apiVersion: heddle/v1
kind: Policy
name: freeze
rules:
  - {id: frozen, effect: deny, who: "*", action: release.promote}
"""
CLEAN = """\
apiVersion: heddle/v1
kind: Policy
name: clean
rules:
  - id: what-answers-is-committed
    effect: deny
    who: "*"
    action: [release.promote, canary.start]
    when: attributes.slot != "standby" && attributes.dirty
"""


def case(function):
    CASES.append(function)
    return function


def git(project, *words, check=True):
    command = [
        "git",
        "-C",
        str(project.root),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "-c",
        "commit.gpgsign=false",
    ]
    return subprocess.run(
        command + list(words), check=check, capture_output=True, text=True
    ).stdout.strip()


def refused(done, code, id_):
    assert (
        done.code == code and id_ in done.ids and "hint: " in done.err
    ), f"exit {code}, {id_}, a hint were expected: {done}"


def denied_by(project, rule):
    done = project.run("release", "promote", "late", "--requester", "bob")
    assert done.code == 5 and rule in done.err, f"rule `{rule}` was expected: {done}"


def asked(project):
    done = project.run("release", "promote", "late", "--requester", "bob")
    assert done.code == 0 and "waits for approval" in done.err, done


def entries(project, action):
    return [e for e in project.json("audit", "log")["decisions"] if e["action"] == action]


def with_file(world, name, text, source=None):
    project = world.copy(source or world.built)
    (project.root / name).write_text(text)
    git(project, "add", "-A")
    git(project, "commit", "-qm", name)
    return project


# ---- what apply takes
# ------------------------------------------------------------------------------------------


@case
def a_deletion_that_is_not_committed(world):
    """Not staged, staged only, renamed away, left out by a sparse checkout: the commit still holds
    the rule, so it counts.
    """

    def plain(project):
        (project.root / "policies/freeze.yaml").unlink()

    def staged(project):
        git(project, "rm", "-q", "policies/freeze.yaml")

    def renamed(project):
        git(project, "mv", "policies/freeze.yaml", "policies/freeze.txt")

    def sparse(project):
        git(project, "sparse-checkout", "set", "--no-cone", "/*", "!/policies/freeze.yaml")
        assert not (project.root / "policies/freeze.yaml").exists()

    for remove in (plain, staged, renamed, sparse):
        project = with_file(world, "policies/freeze.yaml", FREEZE)
        remove(project)
        done = project.run("apply")
        refused(done, 7, "apply-not-committed")
        assert "`policies/freeze.yaml` is in the commit and not in the work tree" in done.err, done
        assert project.run("apply", "HEAD").code == 0, "the commit as it is can be applied"
        denied_by(project, "frozen")
        # Committed, the deletion counts.
        git(project, "add", "-A", "--sparse") if remove is sparse else git(project, "add", "-A")
        git(project, "rm", "-q", "--cached", "--ignore-unmatch", "--sparse", "policies/freeze.yaml")
        git(project, "commit", "-qm", "thaw")
        assert project.run("apply").code == 0
        asked(project)


@case
def what_is_not_in_the_commit(world):
    """An untracked rule, a changed rule and a staged change are named by apply and do not count."""
    open_ = FREEZE.replace("freeze", "open").replace("frozen", "opened").replace("deny", "allow")
    for staged in (False, True):
        project = world.copy(world.built)
        (project.root / "policies/open.yaml").write_text(open_)
        project.edit("people.yaml", "roles: [ml-engineer, approver]", "roles: [approver]")
        if staged:
            git(project, "add", "-A")
        done = project.run("apply")
        refused(done, 7, "apply-not-committed")
        assert (
            "`policies/open.yaml` is in the work tree and not in the commit" in done.err
            and "`people.yaml` was changed" in done.err
        ), done
        assert project.run("apply", "HEAD").code == 0
        asked(project)


@case
def any_revision_and_back(world):
    project = with_file(world, "policies/freeze.yaml", FREEZE)
    frozen, before = git(project, "rev-parse", "HEAD"), git(project, "rev-parse", "HEAD~1")
    for revision, commit in (
        ("HEAD", frozen),
        ("HEAD~1", before),
        (frozen[:10], frozen),
        ("HEAD~1", before),
    ):
        reply = project.json("apply", revision)
        assert reply["commit"] == commit and reply["changed"], reply
        assert project.json("status")["applied"] == commit
        denied_by(project, "frozen") if commit == frozen else asked(project)
    assert not project.json("apply", "HEAD~1")["changed"], "what runs already is no decision"
    applied = entries(project, "definition.apply")
    assert [e["attributes"]["commit"] for e in applied] == [frozen, before, frozen, before], applied
    refused(project.run("apply", "no-such-revision"), 6, "git-revision-not-found")
    # A commit whose definitions are broken is refused with the place, and what ran goes on.
    (project.root / "models/late.yaml").write_text("kind: Model\nname: late\nfeatures: nowhere\n")
    git(project, "commit", "-qam", "broken")
    done = project.run("apply", "HEAD")
    refused(done, 3, "applied-invalid")
    assert "models/late.yaml:" in done.err, done
    assert project.json("status")["applied"] == before


@case
def a_project_below_the_top_of_its_repository(world):
    outer = Project(world.heddle, world.dir / "outer/team/trips")
    outer.root.parent.mkdir(parents=True)
    shutil.copytree(world.built.root, outer.root, symlinks=True)
    shutil.rmtree(outer.root / ".git")
    (outer.root / "policies/freeze.yaml").write_text(FREEZE)
    subprocess.run(["git", "init", "-q", str(world.dir / "outer")], check=True)
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "all")
    # Another project's files are nothing of this one's.
    (world.dir / "outer/policies").mkdir()
    (world.dir / "outer/policies/x.yaml").write_text("kind: [\n")
    assert outer.run("apply").code == 0
    denied_by(outer, "frozen")
    (outer.root / "policies/freeze.yaml").unlink()
    refused(outer.run("apply"), 7, "apply-not-committed")
    assert outer.run("apply", "HEAD").code == 0
    denied_by(outer, "frozen")


@case
def who_may_approve_changes_by_apply_alone(world):
    project = world.copy(world.built)
    eve = (world.keys / "eve.pub").read_text().strip()
    assert project.run("apply").code == 0
    project.edit(
        "people.yaml",
        "people:\n",
        f'people:\n  - name: eve\n    roles: [approver]\n    keys: ["{eve}"]\n',
    )
    asked(project)
    approval = project.json("approval", "list")["approvals"][0]["id"]
    refused(
        project.run("approve", approval, "--person", "eve", "--key", world.keys / "eve"),
        5,
        "approval-unknown-person",
    )
    git(project, "commit", "-qam", "eve")
    refused(
        project.run("approve", approval, "--person", "eve", "--key", world.keys / "eve"),
        5,
        "approval-unknown-person",
    )
    assert project.run("apply").code == 0
    asked(project)  # under other rules it is asked anew
    approval = project.json("approval", "list")["approvals"][-1]["id"]
    done = project.run("approve", approval, "--person", "eve", "--key", world.keys / "eve")
    assert done.code == 0, done


@case
def an_apply_can_need_a_yes(world):
    project = with_file(
        world,
        "policies/apply.yaml",
        FREEZE.replace("name: freeze", "name: apply").replace(
            '{id: frozen, effect: deny, who: "*", action: release.promote}',
            '{id: applies-are-signed, effect: require_approval, who: "*", action: definition.apply,'
            " needs: {role: approver}}",
        ),
    )
    assert project.run("apply", "HEAD~1").code == 0
    assert project.run("apply", "HEAD").code == 0, "judged by what counted before it"
    project.edit("heddle.yaml", "owners: [ann]", "owners: [ann, bob]")
    project.commit()
    reply = project.json("apply", "--requester", "bob")
    assert not reply["applied"] and reply["approval"], reply
    assert project.json("status")["applied"] != reply["commit"]
    assert (
        project.run(
            "approve", reply["approval"], "--person", "ann", "--key", world.keys / "ann"
        ).code
        == 0
    )
    assert project.json("apply", "--requester", "bob")["applied"]


# ---- what runs
# ------------------------------------------------------------------------------------------


@case
def edits_and_a_restart_change_nothing(world):
    """A policy, the people, broken YAML, a definition that is gone, even heddle.yaml: planes and
    commands run what was applied.
    """
    project = with_file(world, "policies/clean.yaml", CLEAN)
    assert project.run("run").code == 0
    assert project.run("apply").code == 0
    with Planes(project) as planes:
        planes.release(world)
        assert not project.json("status")["work_tree"]["differs"]
    project.edit("policies/default.yaml", "effect: require_approval", "effect: allow")
    project.edit("people.yaml", "permissions: [read]", "permissions: [read, predict, replay]")
    (project.root / "monitors/late.yaml").write_text("kind: Monitor\n  name: [\n")
    (project.root / "contracts/trips.odcs.yaml").unlink()
    standby = project.json("status")["services"][0]["standby"]

    def promotion_is_asked():
        done = project.run("release", "promote", "late", "--requester", "bob", "--bundle", standby)
        assert done.code == 0 and "waits for approval" in done.err, done

    promotion_is_asked()  # the planes are down: B of the attacks
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
        assert (
            planes.predict({"rows": [row]}, token="reader").status == 403
        ), "an account may what was applied"
        planes.process.send_signal(signal.SIGUSR2)
        planes.until(
            lambda: "the data plane is replaced by" in planes.text(), "the data plane is replaced"
        )
        planes.until(lambda: planes.predict({"rows": [row]}).status == 200, "its successor answers")
        assert (
            planes.predict({"rows": [row]}, token="reader").status == 403
        ), "also after it was replaced"
        promotion_is_asked()
        status = project.json("status")
        changes = " ".join(status["work_tree"]["changes"])
        for file in (
            "policies/default.yaml",
            "people.yaml",
            "monitors/late.yaml",
            "contracts/trips.odcs.yaml",
        ):
            assert file in changes, status["work_tree"]
        said = project.run("status")
        assert "the work tree differs" in said.err and "heddle apply" in said.err, said
        assert "definitions-not-applied" not in planes.text()
        (project.root / "heddle.yaml").unlink()
        assert project.run("status").code == 0
    with Planes(project) as planes:
        planes.until(
            lambda: planes.predict({"rows": [row]}).status == 200, "the released bundle answers"
        )
    git(project, "checkout", "-q", ".")
    plan = project.json("plan")
    assert not plan["work_tree"]["differs"] and not plan["dirty"], plan


@case
def an_apply_beside_running_planes(world):
    """What accounts may do counts with the decision, in both planes. Services and monitors wait for
    the next start, whatever became of their names.
    """
    project = world.copy(world.built)
    project.edit("people.yaml", "permissions: [read]", "permissions: [read, predict]")
    project.commit()
    assert project.run("apply").code == 0
    row = {"date": "2001-04-10T05:00:00Z", "distance": 260, "origin": "AAA", "destination": "BBB"}
    with Planes(project) as planes:
        planes.release(world)
        port = re.search(r"control_port: ([0-9]+)", (project.root / "heddle.yaml").read_text())[1]
        control = f"http://127.0.0.1:{port}/metrics"

        def metrics(token):
            asked_for = urllib.request.Request(
                control, headers={"Authorization": "Bearer " + project.token(token)}
            )
            try:
                return urllib.request.urlopen(asked_for).status
            except urllib.error.HTTPError as error:
                return error.code

        assert (
            planes.predict({"rows": [row]}).status,
            planes.predict({"rows": [row]}, token="reader").status,
            metrics("reader"),
        ) == (200, 200, 200)
        project.edit("people.yaml", "  - name: caller\n    permissions: [predict, label]\n", "")
        project.edit("people.yaml", "permissions: [read, predict]", "permissions: [predict]")
        project.commit()
        assert project.run("apply").code == 0
        assert metrics("reader") == 403, "the control plane asks what counts now"
        planes.until(
            lambda: planes.predict({"rows": [row]}).status == 401,
            "the token of an account that is gone is not known",
        )
        assert planes.predict({"rows": [row]}, token="reader").status == 200
        assert planes.request("GET", "/v1/services/late", token="stopper").status == 403
        project.edit(
            "people.yaml",
            "  - name: reader\n",
            "  - name: caller\n    permissions: [label]\n  - name: reader\n",
        )
        project.commit()
        assert project.run("apply").code == 0
        planes.until(
            lambda: planes.predict({"rows": [row]}).status == 403,
            "it is known again, and may do something else",
        )
        # Everything under another name: what runs goes on as it was started.
        project.edit("monitors/late.yaml", "name: late\n", "name: other\n")
        project.edit("services/late.yaml", "monitor: late", "monitor: other")
        project.edit("models/late.yaml", "name: late", "name: model")
        project.edit("services/late.yaml", "model: late", "model: model")
        project.edit("evaluations/late.yaml", "model: late", "model: model")
        project.commit()
        assert project.run("apply").code == 0
        assert project.json("status")["control_plane"] == "running"
        assert planes.predict({"rows": [row]}, token="reader").status == 200
        assert project.run("release", "history", "late").code == 0
        assert "was ended by signal" not in planes.text(), planes.text()[-2000:]
    with Planes(project) as planes:
        planes.until(
            lambda: planes.predict({"rows": [row]}, token="reader").status == 200,
            "the released bundle answers",
        )


@case
def definitions_with_an_error_build_nothing(world):
    """As text and as JSON: the exit code and the id are the same, and nothing is made."""
    project = world.copy(world.fresh)
    (project.root / "policies/bad.yaml").write_text("kind: Policy\nname: default\nrules: [\n")
    for words in (["plan"], ["run"]):
        for flags in ([], ["--json"]):
            done = project.run(*flags, *words)
            assert done.code == 2 and done.out == "", done
            assert "project-invalid" in done.err and "policies/bad.yaml" in done.err, done
    assert not (project.root / ".heddle/objects/index.json").exists(), "nothing was packed"


@case
def of_two_applies_that_wait(world):
    """The one that is carried out ends the other, and who signs reads from which commit to
    which.
    """
    project = with_file(
        world,
        "policies/apply.yaml",
        FREEZE.replace("name: freeze", "name: apply").replace(
            '{id: frozen, effect: deny, who: "*", action: release.promote}',
            '{id: applies-are-signed, effect: require_approval, who: "*", action: definition.apply,'
            " needs: {role: approver}}",
        ),
    )
    # The first apply of all needs a yes as well, and gets it.
    first = project.json("apply")["approval"]
    assert project.run("approve", first, "--person", "ann", "--key", world.keys / "ann").code == 0
    assert project.json("apply")["applied"]
    base = git(project, "rev-parse", "HEAD")
    asked_for = []
    for owner in ("bob", "eve"):
        project.edit("heddle.yaml", "owners: [", f"owners: [{owner}, ")
        project.commit()
        reply = project.json("apply")
        asked_for.append((reply["approval"], reply["commit"]))
    (first, _), (second, commit) = asked_for
    done = project.run("approve", second, "--person", "ann", "--key", world.keys / "ann")
    assert (
        done.code == 0 and commit in done.err and base in done.err
    ), f"both commits are to be shown: {done}"
    assert project.run("apply").code == 0
    assert project.json("status")["applied"] == commit
    shown = project.json("approval", "show", first)
    assert shown["state"] == "void" and commit in shown["void_because"], shown
    refused(
        project.run("approve", first, "--person", "ann", "--key", world.keys / "ann"),
        7,
        "approval-void",
    )


@case
def a_signature_names_the_project_that_runs(world):
    """A request is signed for the project as it was applied, whatever the work tree calls it, or
    when heddle.yaml is gone.
    """
    project = world.copy(world.built)
    assert project.run("apply").code == 0
    assert project.run("stop", "late").code == 0
    project.edit("heddle.yaml", "name: trips", "name: renamed")
    assert project.run("resume", "late", "--person", "ann", "--key", world.keys / "ann").code == 0
    assert project.run("stop", "late").code == 0
    (project.root / "heddle.yaml").unlink()
    assert project.run("resume", "late", "--person", "ann", "--key", world.keys / "ann").code == 0


@case
def another_name_is_another_project(world):
    """The ledger is signed in the project's name: a commit that changes it is not applied, and what
    ran goes on.
    """
    project = world.copy(world.built)
    for applied in (False, True):
        if applied:
            assert project.run("apply").code == 0
        project.edit("heddle.yaml", "name: trips", "name: renamed")
        project.commit()
        if not applied:  # the name of HEAD counts until something is applied
            refused(project.run("apply", "HEAD~1"), 7, "apply-other-project")
        else:
            refused(project.run("apply"), 7, "apply-other-project")
            assert project.run("audit", "verify").code == 0
            asked(project)
        git(project, "reset", "-q", "--hard", "HEAD~1")


@case
def before_the_first_apply(world):
    """What runs first is the commit of HEAD, by a decision: never the work tree."""
    project = world.copy(world.built)
    head = git(project, "rev-parse", "HEAD")
    project.edit("policies/default.yaml", "effect: require_approval", "effect: allow")
    assert project.json("status")["applied"] == "", "to look decides nothing"
    asked(project)
    first = entries(project, "definition.apply")
    assert (
        len(first) == 1
        and first[0]["attributes"]["commit"] == head
        and first[0]["actor"].startswith("system:")
    ), first
    project.commit()
    asked(project)
    assert project.json("status")["applied"] == head, "a commit alone changes nothing"
    # Where policy keeps the system from it, a person has to.
    other = world.copy(world.built)
    other.edit(
        "policies/default.yaml",
        'who: ["role:ml-engineer", "system:*"]\n    action: [run.start',
        'who: ["role:ml-engineer"]\n    action: [run.start',
    )
    other.commit()
    known = (other.root / "people.yaml").read_text()
    (other.root / "people.yaml").write_text(
        "".join(line for line in known.splitlines(True) if "os_users" not in line)
    )
    other.commit()
    refused(other.run("release", "promote", "late", "--requester", "bob"), 5, "nothing-applied")
    refused(other.run("up"), 5, "nothing-applied")
    refused(other.run("apply"), 5, "apply-denied")
    (other.root / "people.yaml").write_text(known)
    other.commit()
    assert other.run("apply").code == 0
    asked(other)


@case
def outside_git(world):
    """Definitions of no commit can be checked, planned and built; nothing can be applied or run."""
    project = world.copy(world.built)
    shutil.rmtree(project.root / ".git")
    done = project.run("run")
    assert done.code == 0 and "in no git commit" in done.err, done
    built = project.json("run")
    config = project.json("bundle", "inspect", built["candidate"]["bundle"])["config"]
    assert (
        built["dirty"]
        and built["commit"] == ""
        and config["dirty"] is True
        and config["commit"] == ""
    ), config
    for words in (
        ["up"],
        ["apply"],
        ["release", "promote", "late", "--requester", "bob"],
        ["status"],
    ):
        refused(project.run(*words), 6, "git-not-found")
    git(project, "init", "-q")
    refused(project.run("up"), 6, "git-no-commit")


@case
def what_was_applied_is_kept(world):
    project = with_file(world, "policies/freeze.yaml", FREEZE)
    assert project.run("apply").code == 0
    commit = git(project, "rev-parse", "HEAD")
    (project.root / "policies/freeze.yaml").unlink()
    git(project, "commit", "-qam", "amended away", "--amend", "--allow-empty")
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "-q", "--prune=now")
    assert git(project, "cat-file", "-t", commit) == "commit"
    denied_by(project, "frozen")
    # Without its objects nothing else is taken in their place.
    git(project, "update-ref", "-d", f"refs/heddle/applied/{commit}")
    git(project, "gc", "-q", "--prune=now")
    refused(project.run("release", "promote", "late", "--requester", "bob"), 6, "applied-missing")


@case
def a_lost_state_leaves_the_release_answering(world):
    project = world.copy(world.built)
    assert project.run("apply").code == 0
    with Planes(project) as planes:
        planes.release(world)
    (project.root / ".heddle/state.db").write_bytes(
        b"no database at all, but long enough to be read as one" * 200
    )
    for file in (project.root / ".heddle").glob("state.db-*"):
        file.unlink()
    planes = Planes(project)
    planes.control_live = lambda: True
    with planes:
        planes.until(
            lambda: planes.get("/v2/health/ready").status == 200, "the released bundle answers"
        )
        planes.until(
            lambda: planes.text().count("the control plane ended") > 1,
            "the control plane is tried again",
        )
        assert planes.get("/v2/health/ready").status == 200


# ---- what a bundle names
# ------------------------------------------------------------------------------------------


@case
def a_bundle_of_uncommitted_definitions(world):
    project = with_file(world, "policies/clean.yaml", CLEAN)
    project.edit("evaluations/late.yaml", "auc > 0.55", "auc > 0.54")
    plan = project.json("plan")
    assert plan["dirty"] and plan["commit"] == git(project, "rev-parse", "HEAD"), plan
    assert "`evaluations/late.yaml` was changed" in project.run("plan").err
    built = project.json("run")
    config = project.json("bundle", "inspect", built["candidate"]["bundle"])["config"]
    assert config["dirty"] is True and config["commit"] == git(project, "rev-parse", "HEAD"), config
    denied_by(project, "what-answers-is-committed")
    assert (
        project.run("release", "promote", "late", "--slot", "standby").code == 0
    ), "a standby may be"
    assert (
        project.run("release", "promote", "late", "--slot", "canary", "--requester", "bob").code
        == 5
    )

    project.commit()
    denied_by(
        project, "what-answers-is-committed"
    )  # to commit afterwards does not change what the bundle says
    ran = project.json("run")
    assert ran["ran"] == 2, "the two bundles alone are made again"
    bundle = ran["candidate"]["bundle"]
    config = project.json("bundle", "inspect", bundle)["config"]
    assert bundle != built["candidate"]["bundle"] and config["dirty"] is False, config
    assert config["commit"] == git(project, "rev-parse", "HEAD")
    assert project.json("run")["ran"] == 0
    asked(project)
    entry = entries(project, "release.promote")[-1]
    assert (
        entry["attributes"]["dirty"] is False and entry["attributes"]["commit"] == config["commit"]
    ), entry


@case
def the_same_commit_gives_the_same_bundle(world):
    one = world.copy(world.fresh)
    two = Project(world.heddle, world.dir / "clone")
    subprocess.run(["git", "clone", "-q", str(one.root), str(two.root)], check=True)
    shutil.copytree(one.root / "data", two.root / "data")
    assert one.json("run")["candidate"]["bundle"] == two.json("run")["candidate"]["bundle"]
    (two.root / "README.md").write_text("no definition\n")
    assert not two.json("plan")["dirty"], "what is no definition does not count"
    # Data that git holds counts as a definition does.
    (two.root / ".gitignore").write_text("/.heddle/\n")
    git(two, "add", "-A")
    git(two, "commit", "-qm", "data")
    assert not two.json("plan")["dirty"]
    with open(two.root / "data/places.csv", "a") as file:
        file.write("GGG\n")
    plan = two.json("plan")
    assert plan["dirty"] and "data/places.csv" in two.run("plan").err, plan


@case
def a_bundle_that_does_not_say(world):
    """One of no commit is dirty; one that does not say of which it is, is refused."""
    project = with_file(world, "policies/clean.yaml", CLEAN)
    built = project.json("run")["candidate"]["bundle"]
    blobs = project.root / ".heddle/objects/blobs/sha256"

    def put(value):
        import hashlib

        data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        name = hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        return "sha256:" + name, len(data)

    manifest = json.loads((blobs / built[7:]).read_bytes())
    layer = next(
        each
        for each in manifest["layers"]
        if each["annotations"]["org.opencontainers.image.title"] == "heddle.json"
    )
    config = json.loads((blobs / layer["digest"][7:]).read_bytes())

    def promoted(config):
        layer["digest"], layer["size"] = put(config)
        bundle, _ = put(manifest)
        return project.run("release", "promote", "late", "--requester", "bob", "--bundle", bundle)

    done = promoted(config | {"commit": "", "dirty": True})
    assert done.code == 5 and "what-answers-is-committed" in done.err, done
    attributes = entries(project, "release.promote")[-1]["attributes"]
    assert attributes["dirty"] is True and attributes["commit"] == "", attributes
    for key in ("commit", "dirty"):
        done = promoted({name: value for name, value in config.items() if name != key})
        assert done.code == 13 and done.ids == ["bundle-corrupt"], done
        assert f"`heddle.json`: `{key}` is missing" in done.err, done


def main():
    world = World(sys.argv[1])
    try:
        return harness.run_cases(CASES, sys.argv[2:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
