#!/usr/bin/env python3
"""The repository in odd states: what runs is the set of definitions of the commit, or it is refused
clearly and nothing changes.

git_states.py HEDDLE [CASE...]      standard library only; exit 0 when every case holds
"""

import os
import pathlib
import shutil
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from definitions import FREEZE, asked, denied_by, entries, git, refused, with_file  # noqa: E402
from harness import Project, World  # noqa: E402

CASES = []
RULE = "policies/freeze.yaml"


def case(function):
    CASES.append(function)
    return function


def frozen(world):
    """A project whose HEAD denies promotions, and HEAD~1 does not."""
    return with_file(world, RULE, FREEZE)


def applies(project, *words, **options):
    done = project.run("apply", *words, **options)
    assert done.code == 0, done
    return done


def applied(project):
    return project.json("status")["applied"]


def nothing_changes(project, code, id_, *words, **options):
    before = applied(project)
    refused(project.run("apply", *words, **options), code, id_)
    assert applied(project) == before, "what was refused changed nothing"


@case
def the_environment_of_another_repository(world):
    """A hook, a rebase or a script leaves GIT_DIR and its like set: the project's own repository is
    read all the same.
    """
    project, other = frozen(world), world.copy(world.built)
    index = world.dir / "index"
    for variables in (
        {"GIT_DIR": f"{other.root}/.git"},
        {"GIT_DIR": f"{other.root}/.git", "GIT_WORK_TREE": str(other.root)},
        {"GIT_INDEX_FILE": str(index)},
        {"GIT_OBJECT_DIRECTORY": f"{other.root}/.git/objects"},
        {"GIT_NAMESPACE": "other"},
        {"GIT_CEILING_DIRECTORIES": str(project.root)},
        {"GIT_CONFIG_GLOBAL": "/nonexistent", "HOME": "/nonexistent"},
    ):
        env = {**os.environ, **variables}
        done = project.run("apply", env=env)
        assert done.code == 0, (variables, done)
        assert applied(project) == git(project, "rev-parse", "HEAD"), variables
    denied_by(project, "frozen")
    assert (
        git(other, "for-each-ref", "refs/heddle") == ""
    ), "nothing was written into the other repository"


@case
def replaced_and_grafted(world):
    """`git replace` and grafts change what git shows of a commit, not what its id names."""
    project = frozen(world)
    head, before = git(project, "rev-parse", "HEAD"), git(project, "rev-parse", "HEAD~1")
    git(project, "replace", head, before)
    assert "freeze" not in git(
        project, "ls-tree", "-r", "--name-only", head
    ), "git shows the other one"
    applies(project, head)
    assert applied(project) == head
    denied_by(project, "frozen")
    rule = git(project, "--no-replace-objects", "rev-parse", f"{head}:{RULE}")
    harmless = git(project, "rev-parse", f"{before}:policies/default.yaml")
    git(project, "replace", "-f", rule, harmless)
    denied_by(project, "frozen")
    (project.root / ".git/info").mkdir(exist_ok=True)
    (project.root / ".git/info/grafts").write_text(f"{head}\n")
    assert applied(project) == head
    denied_by(project, "frozen")


@case
def shallow_partial_and_bare_clones(world):
    source = frozen(world)
    git(source, "config", "uploadpack.allowFilter", "true")
    git(source, "config", "uploadpack.allowAnySHA1InWant", "true")
    for number, words in enumerate(
        (["--depth", "1"], ["--filter=blob:none"], ["--single-branch"], ["--shared"])
    ):
        clone = Project(world.heddle, world.dir / f"clone{number}")
        subprocess.run(
            [
                "git",
                "clone",
                "-q",
                *words,
                f"file://{source.root}" if words != ["--shared"] else str(source.root),
                str(clone.root),
            ],
            check=True,
            capture_output=True,
        )
        shutil.copytree(source.root / "data", clone.root / "data")
        shutil.copytree(source.root / ".heddle", clone.root / ".heddle", symlinks=True)
        applies(clone)
        denied_by(clone, "frozen")
        if words == ["--depth", "1"]:
            nothing_changes(clone, 6, "git-revision-not-found", "HEAD~1")
        elif words == ["--filter=blob:none"]:
            # HEAD's files were fetched to be checked out; the old heddle.yaml too, the old
            # people.yaml is the same.
            git(clone, "rm", "-q", RULE)
            git(clone, "commit", "-qm", "thaw")
            applies(clone)
            asked(clone)
    bare = Project(world.heddle, world.dir / "bare.git")
    subprocess.run(
        ["git", "clone", "-q", "--bare", str(source.root), str(bare.root)],
        check=True,
        capture_output=True,
    )
    refused(bare.run("apply"), 6, "project-not-found")


@case
def objects_that_are_missing_or_damaged(world):
    project = frozen(world)
    applies(project, "HEAD~1")
    blob = git(project, "rev-parse", f"HEAD:{RULE}")
    git(project, "unpack-objects", "-q", check=False)
    loose = project.root / ".git/objects" / blob[:2] / blob[2:]
    assert loose.exists(), "a new object is a file of its own"
    kept = loose.read_bytes()
    loose.chmod(0o644)
    for bytes_ in (kept[:-7], b"", bytes(len(kept)), None):
        loose.unlink() if bytes_ is None else loose.write_bytes(bytes_)
        nothing_changes(project, 3, "applied-invalid", "HEAD")
        asked(project)  # what was applied before goes on
    # Another object under its name: the content is not what the id says.
    harmless = git(project, "rev-parse", "HEAD:policies/default.yaml")
    shutil.copy(project.root / ".git/objects" / harmless[:2] / harmless[2:], loose)
    nothing_changes(project, 3, "applied-invalid", "HEAD")
    loose.chmod(0o644)
    loose.write_bytes(kept)
    applies(project, "HEAD")
    denied_by(project, "frozen")


@case
def worktrees_and_separate_folders(world):
    project = frozen(world)
    tree = Project(world.heddle, world.dir / "tree")
    git(project, "worktree", "add", "-q", "--detach", str(tree.root), "HEAD~1")
    shutil.copytree(project.root / "data", tree.root / "data")
    shutil.copytree(project.root / ".heddle", tree.root / ".heddle", symlinks=True)
    applies(project)
    applies(tree)
    assert applied(tree) == git(project, "rev-parse", "HEAD~1")
    asked(tree)
    denied_by(project, "frozen")
    # Each work tree has a place of its own in the repository for its ledger's checkpoint.
    assert project.run("audit", "verify").code == 0
    assert tree.run("audit", "verify").code == 0
    moved = Project(world.heddle, world.dir / "moved")
    project.root.rename(moved.root)
    denied_by(moved, "frozen")
    assert moved.run("audit", "verify").code == 0
    apart = world.copy(world.built)
    git(apart, "init", "-q", "--separate-git-dir", str(world.dir / "apart.git"))
    applies(apart)
    asked(apart)


@case
def two_projects_of_one_repository(world):
    """Each has its own definitions, its own ledger and its own checkpoint, though the names are the
    same.
    """
    top = world.dir / "both"
    projects = []
    for name in ("one", "two"):
        shutil.copytree(world.built.root, top / name, symlinks=True)
        shutil.rmtree(top / name / ".git")
        projects.append(Project(world.heddle, top / name))
    one, two = projects
    (two.root / RULE).write_text(FREEZE)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    git(one, "add", "-A")
    git(one, "commit", "-qm", "both")
    for project in projects:
        applies(project)
    asked(one)
    denied_by(two, "frozen")
    for project in (one, two, one):
        done = project.run("audit", "verify")
        assert done.code == 0 and "anchored at" in done.out, done
    # A change of the other one is nothing of this one's.
    (two.root / RULE).unlink()
    (two.root / "people.yaml").write_text("no people\n")
    applies(one)
    nothing_changes(two, 7, "apply-not-committed")


@case
def in_the_middle_of_something(world):
    """A detached HEAD, a merge and a rebase that wait, a lock that was left, flags that hide a
    change: HEAD's commit counts.
    """
    project = frozen(world)
    git(project, "checkout", "-q", "--detach", "HEAD~1")
    applies(project)
    asked(project)
    git(project, "checkout", "-q", "-b", "side")
    project.edit("evaluations/late.yaml", "auc > 0.55", "auc > 0.52")
    git(project, "commit", "-qam", "side")
    git(project, "checkout", "-q", "-")
    git(project, "checkout", "-q", "-b", "other", "side~1")
    project.edit("evaluations/late.yaml", "auc > 0.55", "auc > 0.53")
    git(project, "commit", "-qam", "other")
    git(project, "merge", "side", check=False)
    assert "<<<<<<<" in (project.root / "evaluations/late.yaml").read_text()
    nothing_changes(project, 7, "apply-not-committed")
    applies(project, "HEAD")
    assert applied(project) == git(project, "rev-parse", "other")
    git(project, "merge", "--abort")
    git(project, "rebase", "side", check=False)
    nothing_changes(project, 7, "apply-not-committed")
    git(project, "rebase", "--abort")
    (project.root / ".git/index.lock").write_text("")
    applies(project)
    (project.root / ".git/index.lock").unlink()
    for flag in ("--assume-unchanged", "--skip-worktree"):
        git(project, "update-index", flag, "policies/default.yaml")
        project.edit("policies/default.yaml", "effect: require_approval", "effect: allow")
        nothing_changes(project, 7, "apply-not-committed")
        git(project, "update-index", flag.replace("--", "--no-"), "policies/default.yaml")
        git(project, "checkout", "-q", "policies/default.yaml")


@case
def ignored_and_untracked(world):
    project = world.copy(world.built)
    applies(project)
    (project.root / ".gitignore").write_text("/.heddle/\n/data/\n/policies/freeze.yaml\n")
    git(project, "commit", "-qam", "ignore")
    (project.root / RULE).write_text(FREEZE)
    assert git(project, "status", "--porcelain") == "", "git says nothing of it"
    nothing_changes(project, 7, "apply-not-committed")
    (project.root / ".git/info/exclude").write_text("policies/\n")
    nothing_changes(project, 7, "apply-not-committed")
    git(project, "add", "-f", RULE)
    nothing_changes(project, 7, "apply-not-committed")
    git(project, "commit", "-qm", "freeze")
    applies(project)
    denied_by(project, "frozen")


@case
def attributes_and_filters(world):
    """Line ends, $Id$, encodings, filters, export-ignore: the commit's bytes run; what git itself
    would write there is no change.
    """
    text = FREEZE.replace("name: freeze\n", "name: freeze  # $Id$\n")
    for line in (
        "*.yaml text eol=crlf",
        "*.yaml ident",
        "policies/* export-ignore",
        "*.yaml -text",
        "*.yaml filter=nothing",
        "*.yaml linguist-generated",
    ):
        project = world.copy(world.built)
        (project.root / ".gitattributes").write_text(line + "\n")
        (project.root / RULE).write_text(text)
        git(project, "add", "-A")
        git(project, "commit", "-qm", line)
        # As a checkout writes them.
        for file in git(project, "ls-files", "*.yaml").splitlines():
            (project.root / file).unlink()
        git(project, "checkout", "-q", ".")
        written = (project.root / RULE).read_bytes()
        assert (b"\r\n" in written) == ("crlf" in line) and (b"$Id: " in written) == (
            line == "*.yaml ident"
        ), (line, written)
        applies(project)
        denied_by(project, "frozen")
        (project.root / RULE).write_bytes(written.replace(b"deny", b"allow"))
        nothing_changes(project, 7, "apply-not-committed")
    # What a driver of one's own makes of a file is not known here: refused, and the commit can be
    # applied as it is.
    project = world.copy(world.built)
    (project.root / ".gitattributes").write_text("*.yaml filter=noted\n")
    git(project, "config", "filter.noted.clean", "sed '/# noted/d'")
    git(project, "config", "filter.noted.smudge", "sed '1i # noted'")
    (project.root / RULE).write_text(FREEZE)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "filtered")
    (project.root / RULE).unlink()
    git(project, "checkout", "-q", RULE)
    assert (project.root / RULE).read_text().startswith("# noted\n")
    nothing_changes(project, 7, "apply-not-committed")
    applies(project, "HEAD")
    denied_by(project, "frozen")


@case
def names_and_places(world):
    """Moved, renamed, in other letters: a rule counts where definitions are read, and what is not
    read is said.
    """
    project = frozen(world)
    # Any folder of definitions, by its kind.
    git(project, "mv", RULE, "models/freeze.yml")
    git(project, "commit", "-qm", "moved")
    applies(project)
    denied_by(project, "frozen")
    for to in (
        "policies/old/freeze.yaml",
        "policies/FREEZE.YAML",
        "policies/deep/er/../freeze.yaml",
    ):
        other = frozen(world)
        applies(other)
        target = other.root / to
        target.parent.mkdir(parents=True, exist_ok=True)
        (other.root / RULE).rename(target)
        git(other, "add", "-A")
        git(other, "commit", "-qm", to)
        checked = other.run("check")
        assert checked.code == 0 and "definition-not-read" in checked.err, checked
        done = applies(other)
        assert (
            "is not read: nothing in it counts" in done.err
        ), "who applies it is told that the rule is gone"
        asked(other)
    for name in ("people.yml", "People.yaml", "HEDDLE.yaml"):
        other = world.copy(world.built)
        (other.root / name).write_text("kind: People\n")
        assert "definition-not-read" in other.run("check").err, name
    # The same name twice, once in each ending.
    (project.root / RULE).write_text(FREEZE)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "twice")
    nothing_changes(project, 3, "applied-invalid")


@case
def links_and_modules(world):
    project = world.copy(world.built)
    applies(project)
    (project.root / "common").mkdir()
    (project.root / "common/rule.yaml").write_text(FREEZE)
    (project.root / RULE).symlink_to("../common/rule.yaml")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a link")
    applies(project)
    denied_by(project, "frozen")
    project.edit("common/rule.yaml", "deny", "allow")
    nothing_changes(project, 7, "apply-not-committed")
    git(project, "checkout", "-q", ".")
    outside = world.dir / "outside.yaml"
    outside.write_text(FREEZE.replace("freeze", "outside"))
    (project.root / "policies/outside.yaml").symlink_to(outside)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a link out")
    nothing_changes(project, 3, "applied-invalid", "HEAD")
    git(project, "rm", "-q", "policies/outside.yaml")
    module = world.dir / "module"
    module.mkdir()
    (module / "rule.yaml").write_text(FREEZE.replace("freeze", "module"))
    subprocess.run(["git", "init", "-q", str(module)], check=True)
    for words in (
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@l", "commit", "-qm", "rule"],
    ):
        subprocess.run(["git", "-C", str(module), *words], check=True)
    git(project, "mv", "policies", "rules")
    git(
        project,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        str(module),
        "policies",
    )
    git(project, "commit", "-qm", "a submodule")
    nothing_changes(project, 3, "applied-invalid", "HEAD")
    denied_by(project, "frozen")


@case
def what_a_revision_may_be(world):
    project = frozen(world)
    head = git(project, "rev-parse", "HEAD")
    git(project, "tag", "-a", "v1", "-m", "v1")
    git(project, "branch", "release/2001")
    for revision in ("v1", "release/2001", "HEAD^{commit}", head[:9], "v1^{}"):
        applies(project, revision)
        assert applied(project) == head, revision
    for revision in (
        "HEAD:policies",
        f"HEAD:{RULE}",
        "HEAD~99",
        "HEAD..v1",
        "-x",
        "",
        "refs/heads/none",
        head[:3],
        "0" * 40,
    ):
        words = ["apply", "--", revision] if revision.startswith("-") else ["apply", revision]
        if revision == "":
            continue  # none is given
        done = project.run(*words)
        assert done.code in (2, 6) and "hint: " in done.err, (revision, done)
    assert applied(project) == head
    assert [e["attributes"]["commit"] for e in entries(project, "definition.apply")] == [head]


@case
def repositories_that_cannot_be_read(world):
    made = subprocess.run(
        ["git", "init", "-q", "--object-format=sha256", str(world.dir / "sha256")],
        capture_output=True,
    )
    if made.returncode == 0:
        project = Project(world.heddle, world.dir / "sha256")
        shutil.copytree(
            world.built.root,
            project.root,
            symlinks=True,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(".git"),
        )
        git(project, "add", "-A")
        git(project, "commit", "-qm", "all")
        refused(project.run("apply"), 12, "git-failed")
    project = world.copy(world.built)
    applies(project)
    head = project.root / ".git/HEAD"
    kept = head.read_text()
    for text, code, id_ in (
        ("ref: refs/heads/none\n", 6, "git-no-commit"),
        ("garbage\n", 12, "git-failed"),
        ("", 12, "git-failed"),
        ("0" * 40 + "\n", 6, "git-no-commit"),
    ):
        head.write_text(text)
        done = project.run("apply")
        assert done.code in (6, 12) and "hint: " in done.err, (text, done)
        head.write_text(kept)
        asked(project)
    config = project.root / ".git/config"
    config.write_text(config.read_text() + "[broken\n")
    refused(project.run("apply"), 12, "git-failed")


@case
def locks_that_were_left(world):
    """A process that was killed while git moved a ref leaves the ref's lock file."""
    project = world.copy(world.built)
    applies(project)
    assert project.run("audit", "verify").code == 0
    anchor = next((project.root / ".git/refs/heddle/anchor").iterdir())
    lock = anchor.with_name(anchor.name + ".lock")
    before = anchor.read_text()
    lock.touch()
    project.edit("people.yaml", "roles: [ml-engineer, approver]", "roles: [approver, ml-engineer]")
    git(project, "commit", "-qam", "another")
    head = git(project, "rev-parse", "HEAD")
    left = project.root / ".git/refs/heddle/applied" / f"{head}.lock"
    left.touch()
    applies(project)
    assert not lock.exists() and not left.exists()
    assert (
        anchor.read_text() != before
        and git(project, "rev-parse", f"refs/heddle/applied/{head}") == head
    )
    # What cannot be removed keeps the checkpoint from git, and no command from its work.
    lock.mkdir()
    project.edit("people.yaml", "roles: [approver, ml-engineer]", "roles: [ml-engineer, approver]")
    git(project, "commit", "-qam", "and back")
    before = anchor.read_text()
    applies(project)
    done = project.run("audit", "verify")
    assert done.code == 0 and str(lock) in done.err and "git fsck" not in done.err, done
    assert anchor.read_text() == before
    lock.rmdir()
    done = project.run("audit", "verify")
    assert done.code == 0 and "not kept" not in done.err and anchor.read_text() != before, done


@case
def files_beside_definitions(world):
    """people.yaml, heddle.yaml and files of values count as definitions do."""
    project = world.copy(world.built)
    git(project, "add", "-f", "data/places.csv")
    git(project, "commit", "-qm", "places")
    applies(project)
    for file, before, after in (
        ("people.yaml", "roles: [ml-engineer, approver]", "roles: [approver]"),
        ("heddle.yaml", "owners: [ann]", "owners: [bob]"),
        ("data/places.csv", "AAA", "ZZZ"),
    ):
        project.edit(file, before, after)
        done = project.run("apply")
        # A list of values is data where it is named as a source: what a bundle was built from says
        # so, and it is no change to apply.
        assert done.code == 7 and f"`{file}` was changed" in done.err, done
        git(project, "checkout", "-q", file)
    (project.root / "people.yaml").unlink()
    nothing_changes(project, 7, "apply-not-committed")
    git(project, "commit", "-qam", "nobody")
    # Nobody may approve then, and the rules name a role: the definitions are refused as a whole.
    nothing_changes(project, 3, "applied-invalid")


def main():
    world = World(sys.argv[1])
    chosen = [c for c in CASES if not sys.argv[2:] or c.__name__ in sys.argv[2:]]
    failed = []
    try:
        for check in chosen:
            try:
                check(world)
                print(f"ok   {check.__name__}", flush=True)
            except Exception:  # noqa: BLE001 - every case is tried
                failed.append(check.__name__)
                print(f"FAIL {check.__name__}\n{traceback.format_exc()}", flush=True)
    finally:
        world.close()
    print(f"{len(chosen) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
