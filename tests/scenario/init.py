#!/usr/bin/env python3
"""`heddle init` on files of one's own: every printed command runs as printed, up to an answer; a
second draft is shown and overwrites nothing; files that cannot become a project are refused in one
sentence and leave nothing behind.

    init.py HEDDLE [CASE...]      needs tests/requirements.txt; exit 0 when every case holds
"""

import contextlib
import datetime
import decimal
import gzip
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from harness import Ran, refused, works  # noqa: E402
from small_project import free_port  # noqa: E402

CASES = []


def case(function):
    CASES.append(function)
    return function


class World:
    """A folder for files and projects, and a home without and with an SSH key."""

    def __init__(self, heddle):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="heddle-init-"))
        self.bin = self.dir / "bin"
        self.bin.mkdir()
        (self.bin / "heddle").symlink_to(os.path.abspath(heddle))
        self.home = self.dir / "home"
        (self.home / ".ssh").mkdir(parents=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f"]
            + [str(self.home / ".ssh/id_ed25519")],
            check=True,
        )
        self.count = 0

    def environment(self, **more):
        return {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            **more,
        }

    def run(self, *words, **options):
        options.setdefault("timeout", 300)
        options.setdefault("cwd", self.dir)
        return Ran(
            subprocess.run(
                ["heddle", *map(str, words)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=self.environment(),
                **options,
            )
        )

    def file(self, text, name="rows.csv"):
        self.count += 1
        path = self.dir / f"f{self.count}-{name}"
        path.write_text(text)
        return path

    def project(self):
        self.count += 1
        return self.dir / f"p{self.count}"

    def init(self, text, *words, name="rows.csv"):
        root = self.project()
        return root, self.run(
            "init", root, "--data", self.file(text, name), "--yes", *words, cwd=self.dir
        )

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def shop(count=3000, seed=3):
    """Orders of a shop: whether one is sent back, by what it cost, where from and when."""
    draw = random.Random(seed)
    at = datetime.datetime(2020, 1, 1)
    yield "order_id,ordered_at,price_eur,country,items,member,returned"
    for i in range(count):
        at += datetime.timedelta(minutes=draw.randrange(1, 60))
        price = draw.lognormvariate(3, 1)
        country = draw.choices(["DE", "FR", "PL", "IT"], [5, 3, 2, 1])[0]
        items = draw.randrange(1, 9)
        member = draw.random() < 0.3
        odds = -2 + 0.02 * price + 0.2 * items + (country == "FR") - 0.5 * member
        sent_back = draw.random() < 1 / (1 + 2.718**-odds)
        yield (
            f"o-{i:05},{at.isoformat()}Z,{price:.2f},{country},{items},{str(member).lower()},"
            + ("yes" if sent_back else "no")
        )


def text_of(rows):
    return "".join(line + "\n" for line in rows)


def next_of(text):
    return re.findall(r"^next: (.*)$", text, re.M)[-1]


@contextlib.contextmanager
def planes_up(command, project, environment, path):
    """Runs the printed `command` that starts a project; what it said, in the file `path` too, once
    the request to try is there.
    """
    with open(path, "w+") as log:
        planes = subprocess.Popen(
            command,
            shell=True,
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + 90
            while "next: curl" not in (said := pathlib.Path(path).read_text()):
                assert planes.poll() is None and time.monotonic() < until, said
                time.sleep(0.1)
            yield said
        finally:
            os.killpg(planes.pid, signal.SIGTERM)
            planes.wait(30)


@case
def every_printed_command_runs_as_printed(world):
    root, done = world.init(text_of(shop()))
    works(done)
    assert "drafted" in done.out and "id_ed25519.pub" in done.out, done
    assert "id-like: `order_id`" in done.out, done
    # Ports of this test's own: another may run beside it.
    service = next((root / "services").glob("*.yaml"))
    port = free_port()
    service.write_text(
        service.read_text()
        .replace("port: 8000", f"port: {port}")
        .replace("port: 8001", f"port: {free_port()}")
    )
    heddle = root / "heddle.yaml"
    heddle.write_text(heddle.read_text().replace("8010", str(free_port())))
    subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@localhost"]
        + ["commit", "-qam", "ports"],
        check=True,
    )
    trained = Ran(
        subprocess.run(
            next_of(done.err),
            shell=True,
            cwd=world.dir,
            env=world.environment(),
            capture_output=True,
            text=True,
            timeout=400,
        )
    )
    works(trained)
    assert "candidate sha256:" in trained.out, trained
    with planes_up(next_of(trained.err), root, world.environment(), world.dir / "up.log") as said:
        asked = subprocess.run(
            next_of(said), shell=True, cwd=root, capture_output=True, text=True, timeout=60
        )
        answer = json.loads(asked.stdout)
        assert 0 < answer["predictions"][0]["probability"] < 1, answer


@case
def a_second_draft_is_shown_and_overwrites_nothing(world):
    data = world.file(text_of(shop(600)))
    root = world.project()
    works(world.run("init", root, "--data", data, "--yes"))
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    again = works(world.run("init", root, "--data", data, "--yes"))
    assert "is as it would be drafted now" in again.out, again
    data.write_text(text_of(shop(900, seed=4)).replace(",IT,", ",ES,"))
    changed = works(world.run("init", root, "--data", data, "--yes"))
    assert "nothing was written" in changed.out and '- {value: "ES"}' in changed.out
    assert before == {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    document = json.loads(works(world.run("--json", "init", root, "--data", data)).out)
    assert not document["created"] and document["changes"], document


@case
def a_folder_with_other_things_keeps_them(world):
    root = world.project()
    root.mkdir()
    (root / "notes.txt").write_text("mine\n")
    (root / "people.yaml").write_text("mine\n")
    data = world.file(text_of(shop(300)))
    refused(world.run("init", root, "--data", data, "--yes"), 7, "init-would-overwrite")
    assert sorted(os.listdir(root)) == ["notes.txt", "people.yaml"]
    (root / "people.yaml").unlink()
    works(world.run("init", root, "--data", data, "--yes"))
    assert (root / "notes.txt").read_text() == "mine\n" and (root / "heddle.yaml").exists()
    # In a repository of one's own nothing is committed.
    outer = world.project()
    outer.mkdir()
    subprocess.run(["git", "init", "-q", str(outer)], check=True)
    inside = works(world.run("init", outer / "model", "--data", data, "--yes"))
    assert "git -C" in next_of(inside.err) and not (outer / "model/.git").exists(), inside


@case
def a_folder_on_another_file_system_is_drafted_into(world):
    # As a volume that is mounted at the project's place.
    other = pathlib.Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == world.dir.stat().st_dev:
        print("skipped: there is no other file system to write to")
        return
    root = pathlib.Path(tempfile.mkdtemp(prefix="heddle-init-", dir=other))
    try:
        place = world.project()
        place.symlink_to(root)
        works(world.run("init", place, "--data", world.file(text_of(shop(300))), "--yes"))
        assert (root / "heddle.yaml").exists() and (root / ".git").exists(), os.listdir(root)
        assert not [each for each in os.listdir(root) if ".init-" in each], os.listdir(root)
    finally:
        shutil.rmtree(root)


@case
def a_document_says_all_of_it(world):
    data = world.file(text_of(shop(600)))
    root = world.project()
    document = json.loads(works(world.run("--json", "init", root, "--data", data)).out)
    assert document["target"] == "returned" and document["task"] == "binary", document
    assert document["time"] == "ordered_at" and document["created"], document
    assert {each["name"] for each in document["columns"]} >= {"order_id", "price_eur"}
    assert document["commit"] and len(document["keys"]) == 1, document


def typed(world, words, answers):
    """A command at a terminal; its output."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(world.dir)
        os.execvpe("heddle", ["heddle", *map(str, words)], world.environment(TERM="dumb"))
    said = b""
    answers = list(answers)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            read = os.read(terminal, 65536)
        except OSError:
            break
        if not read:
            break
        said += read
        if said.endswith(b"]: ") and answers:
            os.write(terminal, answers.pop(0).encode() + b"\n")
    os.waitpid(child, 0)
    return said.decode()


@case
def a_terminal_is_asked_what_to_predict(world):
    data = world.file(text_of(shop(600)))
    root = world.project()
    said = typed(world, ["init", root, "--data", data], ["price_eur"])
    assert said.count("]: ") == 1 and "target `price_eur`" in said, said
    assert (root / "models/price_eur.yaml").exists(), said


def numbers(count, seed=1):
    draw = random.Random(seed)
    return [(draw.random(), draw.random()) for _ in range(count)]


@case
def files_that_cannot_become_a_project_are_refused_in_a_sentence(world):
    plain = [f"{x:.4f},{y:.4f},{int(x + y > 1)}" for x, y in numbers(200)]
    cases = [
        ("", "table-empty-file"),
        ("a,b\n", "init-no-rows"),
        ("a,b,y\n1,2,0\n", "init-too-few-rows"),
        ("y\n" + "1\n0\n" * 50, "init-one-column"),
        (text_of(["a,a,y", *plain]), "table-column-twice"),
        (text_of(["a,b,y", *plain[:99], "1,2", *plain[99:]]), "table-row-width"),
        (text_of(["a,b,y", *(f"{x:.4f},{y:.4f},1" for x, y in numbers(200))]), ""),
        (text_of(["i,y", *(f"{i},{i % 2}" for i in range(200))]), "init-nothing-left"),
    ]
    for text, id_ in cases:
        words = [] if id_ else ["--target", "y"]
        root, done = world.init(text, *words)
        assert done.code != 0 and done.id == (id_ or "init-target-constant"), (text[:40], done)
        assert "hint:" in done.err and not root.exists(), (text[:40], done)
        assert not [each for each in os.listdir(world.dir) if ".init-" in each]
    good = world.file(text_of(["a,b,y", *plain]))
    for words, code, id_ in (
        (["--target", "z"], 2, "init-no-column"),
        (["--time", "a"], 2, "init-time-kind"),
        (["--task", "regressions"], 2, "usage"),
        (["--target", "a", "--task", "binary"], 2, "init-task"),
    ):
        refused(world.run("init", world.project(), "--data", good, "--yes", *words), code, id_)
    refused(world.run("init", world.project(), "--data", "nowhere.csv"), 6, "table-missing")
    refused(world.run("init", world.project()), 2, "usage")


@case
def the_target_under_another_name_is_found(world):
    rows = [f"{x:.4f},{y:.4f},{'won' if x > y else 'lost'},{int(x > y)}" for x, y in numbers(400)]
    root, done = world.init(text_of(["a,b,how_it_ended,target", *rows]))
    works(done)
    assert "target-leak: `how_it_ended` alone predicts `target`" in done.out, done
    features = next((root / "features").glob("*.yaml")).read_text()
    assert "# not `how_it_ended`" in features and 'name: "how_it_ended"' not in features
    works(world.run("--project", root, "check"))


@case
def ten_thousand_columns_and_a_million_categories_stay_bounded(world):
    draw = random.Random(5)
    head = ",".join(f"c{i}" for i in range(10_000)) + ",y"
    rows = [
        ",".join(str(draw.randrange(100)) for _ in range(10_000)) + f",{i % 2}" for i in range(120)
    ]
    root, done = world.init(text_of([head, *rows]))
    works(done)
    works(world.run("--project", root, "check"))
    many = [f"k{i},{draw.random():.3f},{draw.random():.3f}" for i in range(1_000_000)]
    root, done = world.init(text_of(["name,x,y", *many]))
    works(done)
    assert "id-like: `name`" in done.out, done
    works(world.run("--project", root, "check"))


@case
def other_forms_of_a_file_are_read(world):
    rows = [f"{x:.4f};{y:.3f};{int(x + y > 1)}".replace(".", ",") for x, y in numbers(600)]
    path = world.dir / "semicolons.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(text_of(["a;b;y", *rows]))
    root = world.project()
    document = json.loads(works(world.run("--json", "init", root, "--data", path)).out)
    kinds = {each["name"]: each["kind"] for each in document["columns"]}
    assert kinds == {"a": "numbers", "b": "numbers", "y": "whole numbers"}, kinds
    works(world.run("--project", root, "run"))
    folder = world.dir / "months"
    folder.mkdir()
    for month in (1, 2, 3):
        lines = [f"{x:.4f},{y:.4f},{int(x > y)}" for x, y in numbers(200, seed=month)]
        (folder / f"{month}.csv").write_text(text_of(["a,b,y", *lines]))
    root = world.project()
    document = json.loads(works(world.run("--json", "init", root, "--data", folder)).out)
    assert document["rows"] == 600, document
    works(world.run("--project", root, "check"))


@case
def words_for_no_value_are_declared(world):
    rows = [
        f"{'NA' if i % 7 == 0 else f'{x:.4f}'},{'?' if i % 50 == 3 else f'{y:.3f}'},{int(x > y)}"
        for i, (x, y) in enumerate(numbers(700))
    ]
    root, done = world.init(text_of(["a,b,y", *rows]))
    works(done)
    assert "missing-words" in done.out and "`NA` 100 times" in done.out, done
    assert "nulls:" in (root / "heddle.yaml").read_text()
    contract = next((root / "contracts").glob("*.yaml")).read_text()
    assert contract.count("logicalType: number") == 2, contract
    ran = works(world.run("--project", root, "run"))
    assert "0 refused" in ran.err, ran


@case
def mixed_time_zones_are_said(world):
    rows = [
        f"2020-01-{1 + i // 24:02}T{i % 24:02}:00:00{('Z', '', '+02:00')[i % 3]},{x:.3f},{y:.3f}"
        for i, (x, y) in enumerate(numbers(600))
    ]
    _, done = world.init(text_of(["when,x,y", *rows]))
    works(done)
    assert "mixed-time-zones" in done.out, done


@case
def columns_of_parquet_that_no_field_holds_are_left_out_and_said(world):
    count = 300
    draw = numbers(count)
    table = pa.table(
        {
            "nested": pa.array([[1, 2]] * count),
            "struct": pa.array([{"a": 1}] * count),
            "price": pa.array(
                [decimal.Decimal(f"{100 * x:.2f}") for x, _ in draw], pa.decimal128(12, 2)
            ),
            "kind": pa.array(["a" if x < 0.5 else "b" for x, _ in draw]).dictionary_encode(),
            "at": pa.array(
                [1_600_000_000_000_000_000 + i * 3_600_000_000_000 for i in range(count)],
                pa.timestamp("ns"),
            ),
            "y": pa.array([x + y for x, y in draw]),
        }
    )
    path = world.dir / "rows.parquet"
    pq.write_table(table, path)
    root = world.project()
    done = works(world.run("init", root, "--data", path, "--yes"))
    assert "column-not-read: `nested`, `struct`" in done.out, done
    assert "time `at`" in done.out, done
    contract = next((root / "contracts").glob("*.yaml")).read_text()
    assert 'name: "price"' in contract and 'name: "kind"' in contract
    works(world.run("--project", root, "check"))


def main():
    world = World(sys.argv[1])
    failed = 0
    try:
        for function in CASES:
            if sys.argv[2:] and function.__name__ not in sys.argv[2:]:
                continue
            began = time.monotonic()
            try:
                function(world)
                print(f"ok    {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            except Exception:  # noqa: BLE001
                failed += 1
                print(f"FAIL  {function.__name__}", flush=True)
                traceback.print_exc()
    finally:
        world.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
