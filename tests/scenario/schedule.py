"""A refit by a scheduler: with what the accepted search found, on the rows there are now, and every
command of examples/schedule.   schedule.py HEDDLE EXAMPLES [CASE...]
"""

import ast
import fcntl
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import yaml

import small_project
import harness
from harness import Planes, World, works

CASES = []
OLD, NEW = 20_000, 30_000  # rows of the source, before and after it grew
WINDOW_DAYS = 30


def case(function):
    CASES.append(function)
    return function


def grow(project):
    """As if a week of rows had come."""
    lines = [",".join(map(str, row)) + "\n" for row in small_project.rows(NEW)][OLD:]
    with open(project.root / "data/trips.csv", "a") as file:
        file.writelines(lines)


def promote(world, project):
    """The candidate is primary, as ann says."""
    with Planes(project):
        works(project.run("release", "promote", "late"))
        waits = [
            each
            for each in project.json("approval", "list")["approvals"]
            if each["state"] == "pending"
        ]
        works(
            project.run("approve", waits[-1]["id"], "--person", "ann", "--key", world.keys / "ann")
        )


def environment(project, **more):
    path = f"{pathlib.Path(project.heddle).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PROJECT": str(project.root), **more}


def shell(project, text, **more):
    return harness.Ran(
        subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=project.root,
            env=environment(project, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
    )


@case
def a_refit_needs_an_accepted_search(world):
    project = world.copy(world.built)
    for command in ("run", "plan"):
        done = project.run(command, "--refit")
        assert done.code == 6, done
        assert "refit-no-search" in done.err and "search with `heddle run`" in done.err, done


@case
def a_refit_learns_from_newer_rows_and_searches_nothing(world):
    project = world.copy(world.released)
    first = project.json("bundle", "inspect", world.first)["config"]["search"]
    grow(project)
    planned = {each["name"]: each["state"] for each in project.json("plan", "--refit")["steps"]}
    assert planned["train"] == "runs" and planned["validate.rows"] == "runs", planned
    done = works(project.run("--json", "run", "--refit", timeout=300))
    assert "trial" not in done.err, done
    result = json.loads(done.out)
    candidate = result["candidate"]
    assert candidate["trials"] == 0 and candidate["gates_passed"], candidate
    assert candidate["bundle"] != world.first
    refit = project.json("bundle", "inspect", candidate["bundle"])["config"]["search"]
    assert refit["bundle"] == world.first, refit
    assert (refit["parameters"], refit["rounds"]) == (first["parameters"], first["rounds"])
    # The rows of the window, as anybody counts them.
    times = [row[0] for row in small_project.rows(NEW)]
    seconds = [small_project.datetime.datetime.fromisoformat(t[:-1]) for t in times]
    begin = max(seconds) - small_project.datetime.timedelta(days=WINDOW_DAYS)
    assert candidate["rows"] == sum(begin < each for each in seconds), candidate
    again = project.json("run", "--refit")
    assert again["ran"] == 0 and again["candidate"]["bundle"] == candidate["bundle"], again
    # Released, it leaves the accepted search as it is.
    promote(world, project)
    assert project.json("run", "--refit")["ran"] == 0
    # An exclusive choice of words.
    project.edit("models/late.yaml", f"  window: {WINDOW_DAYS}d\n", "  window: 0d\n")
    done = project.run("check")
    assert done.code == 2 and "`window` holds no row" in done.err, done
    project.edit("models/late.yaml", "  window: 0d\n", '  window: 9d\n  to: "2001-03-01"\n')
    done = project.run("check")
    assert done.code == 2 and "window-and-times" in done.err, done
    assert "`to` stands without `from`" in done.err, done


@case
def another_trainer_is_another_search(world):
    project = world.copy(world.released)
    project.edit("models/late.yaml", "trainer: xgboost\n", "trainer: logistic\n")
    text = (project.root / "models/late.yaml").read_text()
    text = re.sub(r"parameters:\n(  .*\n)+?(?=search:)", "", text)
    text = re.sub(
        r"space:\n    - .*\n", "space:\n    - {name: l2, kind: uniform, low: 0, high: 1}\n", text
    )
    (project.root / "models/late.yaml").write_text(text)
    done = project.run("run", "--refit")
    assert done.code == 2 and "refit-other-trainer" in done.err, done


TRIGGERS = """\
triggers:
  - {name: rows, model: late, new_data: 1s}
  - {name: drift, model: late, alert: true}
  - {name: nightly, model: late, schedule: 0 0 1 1 *}
"""
TRIGGERS_REFIT = """\
  - {id: triggers-refit, effect: allow, who: "agent:trigger", action: run.start}
"""


@case
def triggers_start_refits(world):
    project = world.copy(world.released)
    with open(project.root / "heddle.yaml", "a") as file:
        file.write(TRIGGERS)
    project.apply()

    def trigger(name):
        return next(each for each in project.json("status")["triggers"] if each["name"] == name)

    def written(seconds_ago):
        path, at = project.root / "data/trips.csv", time.time() - seconds_ago
        os.utime(path, (at, at))

    written(60)
    with Planes(project) as planes:
        planes.until(lambda: trigger("rows")["state"] == "idle", "the triggers are looked at")
        # One look, so that what is there is known: a trigger that is new starts nothing.
        time.sleep(2.5)
        grow(project)
        written(30)
        planes.until(lambda: trigger("rows")["outcome"].startswith("denied"), "no rule lets it")
        assert trigger("rows")["candidate"] == "", trigger("rows")
        text = (project.root / "policies/default.yaml").read_text()
        project.edit("policies/default.yaml", "rules:\n", "rules:\n" + TRIGGERS_REFIT)
        assert TRIGGERS_REFIT in (project.root / "policies/default.yaml").read_text(), text
        project.apply()
        written(20)
        planes.until(lambda: trigger("rows")["candidate"], "a refit", seconds=120)
        done = trigger("rows")
        candidate = project.json("bundle", "inspect", done["candidate"])
        assert candidate["config"]["search"]["bundle"] == world.first, candidate
        shown = project.run("status").out
        assert "rows of `late`: " in shown and "candidate sha256:" in shown, shown
        assert "nightly of `late`: never started" in shown, shown
        # What a refit would not change is not made again, and is said.
        works(project.run("incident", "open", "late", "--reason", "the hours look wrong"))
        planes.until(lambda: "nothing to do" in trigger("drift")["outcome"], "the other", 120)
        assert trigger("drift")["reason"].startswith("incident late/"), trigger("drift")
    decisions = sorted(project.json("audit", "log")["decisions"], key=lambda each: each["seq"])
    entries = [each for each in decisions if each["action"].startswith("run.")]
    told = [(each["action"], each["target"], each["result"]) for each in entries]
    assert (
        told[-4:]
        == [
            ("run.start", "model/late", "applied"),
            ("run.ended", "model/late", "recorded"),
        ]
        * 2
    ), told
    assert ("run.start", "model/late", "denied") in told, told


@case
def the_script_for_cron(world):
    project = world.copy(world.released)
    script = world.examples / "schedule/refit.sh"
    call = f"{script} late late"
    works(shell(project, call))
    assert "nothing to do" in works(shell(project, call)).out
    with open(project.root / ".heddle/run.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert shell(project, call).code == 75
    grow(project)
    assert "approval" in works(shell(project, call)).err
    project.edit("evaluations/late.yaml", "metrics.auc > 0.55", "metrics.auc > 0.999")
    assert shell(project, call).code == 3
    # The lines of the crontab call it.
    lines = (world.examples / "schedule/heddle.cron").read_text().splitlines()
    jobs = [each for each in lines if re.match(r"[\d*]+ [\d*]+ ", each)]
    assert len(jobs) == 1, lines
    command = (
        jobs[0].split(None, 5)[5].replace("/usr/local/share/heddle/examples", str(world.examples))
    )
    assert shell(project, command).code == 3


@case
def the_workflow_of_github(world):
    project = world.copy(world.released)
    grow(project)
    workflow = yaml.safe_load((world.examples / "schedule/github-actions.yaml").read_text())
    steps = workflow["jobs"]["refit"]["steps"]
    outputs = project.root / "outputs"
    for gate, code in (("0.55", "0"), ("0.999", "3")):
        project.edit("evaluations/late.yaml", "metrics.auc > 0.55", f"metrics.auc > {gate}")
        outputs.write_text("")
        for step in steps:
            if "if" in step:
                assert step["if"] == "steps.refit.outputs.code == '0'", step
                if outputs.read_text().strip() != "code=0":
                    continue
            works(shell(project, step["run"], GITHUB_OUTPUT=str(outputs)))
        assert outputs.read_text().strip() == f"code={code}", outputs.read_text()


@case
def the_tasks_of_airflow(world):
    project = world.copy(world.released)
    grow(project)
    tree = ast.parse((world.examples / "schedule/airflow_dag.py").read_text())
    constants = {"PROJECT": str(project.root)}
    ran = []
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == "BashOperator"):
            continue
        words = {each.arg: each.value for each in call.keywords}
        command = eval(compile(ast.Expression(words["bash_command"]), "dag", "eval"), constants)
        works(shell(project, command))
        ran.append(words["task_id"].value)
    assert ran == ["check", "refit", "ask_for_the_release"], ran


def main():
    small_project.FILES["models/late.yaml"] = small_project.FILES["models/late.yaml"].replace(
        '  from: "2001-01-01"\n  to: "2001-03-01"\n', f"  window: {WINDOW_DAYS}d\n"
    )
    world = World(sys.argv[1])
    world.examples = pathlib.Path(sys.argv[2]).resolve()
    try:
        world.first = world.built.json("run")["candidate"]["bundle"]
        world.released = world.copy(world.built)
        promote(world, world.released)
        return harness.run_cases(CASES, sys.argv[3:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
