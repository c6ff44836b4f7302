#!/usr/bin/env python3
"""Checking a file of rows: 20 columns, 40 rules (types besides: ranges, enums, patterns, one unique
key, expressions, two dependencies), no faulty row and 1 % of them, Parquet and CSV, against
DuckDB's SQL and polars' expressions on the same files. First all sides must list the same faulty
rows with the same rules; then they take turns. Each is a process of its own with two threads; the
time is from the first statement to the last row listed, without starting the process and importing
libraries. CPU time is of the whole process: on a machine that does other things beside it says more
than time does.
  bench/data_bench.py [BUILD_DIR]     environment: BENCH_ROWS (1,000,000), BENCH_RUNS (5)
"""

import json
import os
import shutil
import subprocess
import sys

from harness import peers
from harness.plane import build_folder
from harness.report import Report

sys.path.append(peers.PEERS)
import data_rules  # what all sides are asked

BUILD = build_folder(sys.argv)
ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
FOLDER = os.path.join(BUILD, "bench", f"data-{ROWS}")
OURS = os.path.join(BUILD, "bench", "data_check")
PEERS = {"duckdb": "DuckDB", "polars": "polars"}
THREADS = "2"


def python_of(name):
    return peers.environment(BUILD, "data_" + name)


def script(name):
    return os.path.join(peers.PEERS, f"data_{name}.py")


def make_files():
    """Once for each size, and again when what makes them is newer."""
    stamp = os.path.join(FOLDER, "learned.json")
    sources = [script("make"), os.path.join(peers.PEERS, "data_rules.py")]
    if os.path.exists(stamp) and all(
        os.path.getmtime(path) < os.path.getmtime(stamp) for path in sources
    ):
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(FOLDER)
    print(f"making {ROWS} rows in {FOLDER}", file=sys.stderr, flush=True)
    subprocess.run([python_of("duckdb"), script("make"), FOLDER, str(ROWS)], check=True)
    contract, reference = (os.path.join(FOLDER, f) for f in ("contract.json", "reference.parquet"))
    subprocess.run([OURS, "learn", contract, reference, stamp], check=True)


class Side:
    """One program; `run` gives what it printed of one file and keeps the rows that it listed."""

    def __init__(self, name):
        self.name = name
        self.out = os.path.join(FOLDER, f"listed-{name}.csv")

    def argv(self, path):
        if self.name == "ours":
            learned, order = (os.path.join(FOLDER, f) for f in ("learned.json", "order.txt"))
            return [OURS, "check", learned, path, self.out, THREADS, order]
        return [python_of(self.name), script(self.name), FOLDER, path, self.out]

    def run(self, path):
        environment = {**os.environ, "OMP_NUM_THREADS": THREADS, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            self.argv(path), check=True, stdout=subprocess.PIPE, text=True, env=environment
        )
        return json.loads(done.stdout)

    def listed(self):
        """The rows listed, in an order of their own: which rows, not in which order."""
        with open(self.out) as file:
            return sorted(file.read().splitlines()[1:])


def check_equal(sides, path):
    answers, lists = {}, {}
    for side in sides:
        answer = side.run(path)
        answers[side.name] = (answer["rows"], answer["repeats"])
        lists[side.name] = side.listed()
    for name, listed in lists.items():
        if answers[name] != answers["ours"] or listed != lists["ours"]:
            other = sorted(set(listed) ^ set(lists["ours"]))[:3]
            raise SystemExit(
                f"{os.path.basename(path)}: {name} says {answers[name]} and lists {len(listed)}"
                f" rows, we say {answers['ours']} and list {len(lists['ours'])}: {other}"
            )
    return len(lists["ours"])


def measure(report, sides, path, what):
    taken = {side.name: [] for side in sides}
    for _ in range(RUNS):
        for side in sides:
            taken[side.name].append(side.run(path))
    ours = taken["ours"]
    for name, title in PEERS.items():
        if name not in taken:
            continue
        theirs = taken[name]
        for member, unit in (("seconds", "ms"), ("cpu", "ms"), ("peak_mb", "MB")):
            scale = 1 if member == "peak_mb" else 1000
            a, b = ([scale * run[member] for run in runs] for runs in (ours, theirs))
            ratios = [y / x for x, y in zip(a, b)]
            label = what + {"seconds": "", "cpu": ", CPU", "peak_mb": ", memory"}[member]
            goal = None if member == "cpu" else 1
            report.row(label, title, theirs[0]["version"], a, b, unit, ratios, goal)
    report.value(what + ", of it waiting for rows", [1000 * run["reading"] for run in ours], "ms")
    report.value(what + ", CPU of checking", [1000 * run["checking"] for run in ours], "ms")


def measure_row(report):
    """One row, values in memory to a verdict, by the fields' own rules without the time."""
    contract = data_rules.contract()
    contract["row_rules"], contract["set_rules"] = [], []
    contract["fields"] = [field for field in contract["fields"] if field["type"] != "timestamp"]
    path, rows = os.path.join(FOLDER, "fields.json"), os.path.join(FOLDER, "rows-1.parquet")
    with open(path, "w") as file:
        json.dump(contract, file)
    what = "one row, 19 fields"
    try:
        python = python_of("row")
    except peers.Unavailable as reason:
        report.absent(what, "pydantic, fastjsonschema, pandera", None, str(reason))
        return
    taken = []
    for _ in range(RUNS):
        ours, theirs = (
            json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout)
            for argv in ([OURS, "row", path, rows, "5000"], [python, script("row"), rows, "5000"])
        )
        taken.append((ours, theirs))
    for name in theirs:
        refused = [place for place in ours["refused"] if place < theirs[name]["rows"]]
        if refused != theirs[name]["refused"]:
            raise SystemExit(f"{name} refuses other rows than we: {theirs[name]['refused'][:9]}")
        a = [1e6 * run["seconds"] for run, _ in taken]
        b = [1e6 * run[name]["seconds"] for _, run in taken]
        goal = 100 if name == "pandera" else None
        ratios = [y / x for x, y in zip(a, b)]
        report.row(what, name, theirs[name]["version"], a, b, "us", ratios, goal)
    report.value(what + ", ours", [1e6 * run["seconds"] for run, _ in taken], "us", 2)


def main():
    subprocess.run(
        ["cmake", "--build", BUILD, "--target", "data_check"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    make_files()
    report = Report(BUILD, "data_bench", f"{ROWS} rows of 20 columns, 40 rules, 2 threads a side")
    sides = [Side("ours")]
    for name, title in PEERS.items():
        try:
            python_of(name)
            sides.append(Side(name))
        except peers.Unavailable as reason:
            report.absent("check a file", title, None, str(reason))
    measure_row(report)
    for kind in ("parquet", "csv"):
        for share in (0, 1):
            path = os.path.join(FOLDER, f"rows-{share}.{kind}")
            listed = check_equal(sides, path)
            report.note(f"{kind}, {share} % faulty: all sides list the same {listed} rows")
            measure(report, sides, path, f"{kind}, {share} % faulty")


main()
