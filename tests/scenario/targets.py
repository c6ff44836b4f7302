#!/usr/bin/env python3
"""Targets that cannot be learned, and labels that are none of the task: each is told where it is,
what is wrong and what to do, and nothing of it is trained on.

targets.py HEDDLE [CASE...]      standard library only, but for what tasks.py needs
"""

import json
import random
import sys

import harness
import several_services
import tasks
from harness import Planes, refused, works

CLASSES = ("ash", "birch", "cedar")


def rows_of(count, label, seed=3):
    """Rows of two numbers and what `label(first, second, i)` makes of them."""
    draw = random.Random(seed)
    for i in range(count):
        first, second = draw.gauss(0, 1), draw.gauss(0, 1)
        yield [f"{first:.5g}", f"{second:.5g}", label(first, second, i)]


def tree(first, second, _):
    return CLASSES[0] if first > 0.4 else CLASSES[1] if second > 0 else CLASSES[2]


def project_of(world, label, kind="string", model="", count=600):
    gates = "metrics.mae < 60.0" if kind == "number" else "metrics.accuracy > 0.1"
    return world.project(
        {"first": "number", "second": "number", "tree": kind},
        "tree",
        model,
        gates,
        rows_of(count, label),
    )


def told(project, code, id_, *words):
    """`heddle run` is refused so, names all of `words`, and leaves no candidate."""
    done = refused(project.run("run", timeout=200), code, id_)
    for word in words:
        assert word in done.err, f"`{word}` is not named: {done}"
    assert not (project.root / ".heddle/runs/late.candidate.json").exists(), done
    return done


def a_class_that_is_not_declared(world):
    """At training."""
    project = project_of(world, tree, model=f"classes: [{CLASSES[0]}, {CLASSES[1]}]\n")
    text = (project.root / "data/rows.csv").read_text()
    rows = text.count(",cedar\n")
    told(project, 3, "target-class-unknown", f"in {rows} of 600 rows", "`cedar`")


def a_class_with_one_row(world):
    project = project_of(world, lambda a, b, i: "larch" if i == 77 else tree(a, b, i))
    done = project.run("run", timeout=200)
    assert done.code != 0 and "larch" in done.err and "hint:" in done.err, done
    return done.id


def a_target_that_does_not_vary(world):
    said = []
    for label, kind in ((lambda *_: CLASSES[0], "string"), (lambda *_: "4.5", "number")):
        done = project_of(world, label, kind).run("run", timeout=200)
        assert done.code != 0 and done.id and "hint:" in done.err, done
        said.append(done.id)
    return said


def a_target_that_is_missing(world):
    """Of every row; of some, these alone are refused."""
    project = project_of(world, lambda *_: "", "number")
    done = project.run("run", timeout=200)
    assert done.code != 0 and done.id and "hint:" in done.err, done
    project = project_of(world, lambda a, b, i: "" if i % 50 == 0 else f"{a + b:.4g}", "number")
    ran = works(project.run("--json", "run", timeout=200))
    bundle = json.loads(ran.out)["candidate"]["bundle"]
    shown = project.json("bundle", "inspect", bundle)
    assert shown["evaluation"]["metrics"]["rows"] < 0.15 * 600, shown["evaluation"]["metrics"]
    return done.id


def numbers_that_are_none(world):
    """Infinite and NaN labels: the rows are refused, and a source of them alone gives nothing."""
    for word in ("inf", "-inf", "nan", "1e999"):
        project = project_of(world, lambda *_: word, "number")
        done = project.run("run", timeout=200)
        assert done.code != 0 and done.id and "hint:" in done.err, (word, done)
        project = project_of(
            world, lambda a, b, i: word if i == 5 else f"{a + b:.4g}", "number", count=400
        )
        done = project.run("--json", "run", timeout=200)
        if done.code == 0:
            bundle = json.loads(done.out)["candidate"]["bundle"]
            metrics = project.json("bundle", "inspect", bundle)["evaluation"]["metrics"]
            assert metrics["mae"] is not None and metrics["mae"] < 10, (word, metrics)
        else:
            assert done.id and "hint:" in done.err, (word, done)


def a_coverage_that_is_none(world):
    project = project_of(
        world, lambda a, b, i: f"{a + b:.4g}", "number", "interval: {coverage: 0.9}\n"
    )
    before = "0.9"
    for wrong in ("0", "1", "1.5", "-0.1", ".nan", "'0.9'"):
        project.edit("models/late.yaml", f"coverage: {before}", f"coverage: {wrong}")
        before = wrong
        done = refused(project.run("check"), 2, "project-invalid")
        assert "models/late.yaml" in done.err and "coverage" in done.err, (wrong, done)
        refused(project.run("run"), 2, "project-invalid")
    # One that no file of rows is large enough for.
    project.edit("models/late.yaml", "coverage: '0.9'", "coverage: 0.9999999999999999")
    told(project, 2, "interval-few-rows", "90 rows are too few")


def labels_of_another_kind(world):
    """At labelling: a class that nobody declared, a number for a class, a text for a number."""
    for label, kind, good, wrong in (
        (tree, "string", "ash", (7, True, None, ["ash"], {"of": "ash"}, "larch", "")),
        (lambda a, b, i: f"{a + b:.4g}", "number", 1.5, ("1.5", True, None, [1], "ash")),
    ):
        project = project_of(world, label, kind)
        works(project.run("run", timeout=200))
        with Planes(project) as planes:
            planes.release(world)
            row = {"first": 0.5, "second": 0.5}
            reply = planes.predict({"rows": [row], "request_id": "a"})
            assert reply.status == 200, reply
            send = lambda *labels: planes.request(  # noqa: E731
                "POST",
                "/v1/services/late/labels",
                {"labels": [{"row_id": "a#0", "label": each} for each in labels]},
            )
            for each in wrong:
                reply = send(each)
                assert reply.status == 422, (each, reply)
                error = reply.json["errors"][0]
                assert error["id"].startswith("label-") and error["error"], error
            mixed = send(good, wrong[0])
            assert mixed.status == 202 and len(mixed.json["errors"]) == 1, mixed
            # A row that brings the target, or a value of another type, is none of the contract.
            for odd in ({**row, "tree": good}, {**row, "first": "much"}, {"first": 0.5}):
                reply = planes.predict({"rows": [odd]})
                assert reply.status in (200, 400, 422), reply
                if reply.status == 200:
                    answered = reply.json["predictions"][0]
                    assert answered.get("validation") or "tree" in odd, (odd, answered)
            # Infinite as JSON has it: a number that no double holds.
            assert planes.request(
                "POST",
                "/v1/services/late/labels",
                '{"labels": [{"row_id": "a#0", "label": 1e999}]}',
            ).status in (400, 422)


def a_thousand_classes(world):
    names = [f"class-{i:04}" for i in range(1000)]
    project = project_of(
        world,
        lambda a, b, i: names[i % 1000],
        model="trainer: logistic\nparameters: {max_iterations: 3}\n",
        count=4000,
    )
    text = (project.root / "models/late.yaml").read_text()
    begin, end = text.index("search:"), text.index("seed:")
    (project.root / "models/late.yaml").write_text(text[:begin] + text[end:])
    project.edit("evaluations/late.yaml", "metrics.accuracy > 0.1", "metrics.accuracy >= 0.0")
    project.commit()
    done = project.run("--json", "run", timeout=280)
    assert done.code == 0, done
    bundle = json.loads(done.out)["candidate"]["bundle"]
    task = project.json("bundle", "inspect", bundle)["config"]["task"]
    assert task["classes"] == names, len(task["classes"])
    with Planes(project) as planes:
        several_services.release(world, project, "late")
        # What answers is loaded on a thread of the lowest priority: on a busy machine that is long.
        planes.until(lambda: planes.get("/v2/health/ready").status == 200, "it answers", 200)
        reply = planes.predict({"rows": [{"first": 0.5, "second": 0.5}]})
        answered = reply.json["predictions"][0]
        assert answered["label"] in names and len(answered["probabilities"]) == 1000, answered


CASES = [
    a_class_that_is_not_declared,
    a_class_with_one_row,
    a_target_that_does_not_vary,
    a_target_that_is_missing,
    numbers_that_are_none,
    a_coverage_that_is_none,
    labels_of_another_kind,
    a_thousand_classes,
]

if __name__ == "__main__":
    made = tasks.World(sys.argv[1])
    try:
        sys.exit(harness.run_cases(CASES, sys.argv[2:], made))
    finally:
        made.close()
