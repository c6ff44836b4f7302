"""`heddle run` of the flights, everything but the trials, against the build of an earlier commit:
wall time and peak memory, alternated.

BENCH_PEER names a commit that is built in a worktree of its own (build/bench/before), or a `heddle`
binary that is there already.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness.report import Report

RUNS = 5
GOAL = 0.5


def binary_before(build, before):
    """The binary of `before`: itself, or built from that commit with what this build has
    installed.
    """
    if os.path.isfile(before) and os.access(before, os.X_OK):
        return before, "given"
    tree = os.path.abspath(os.path.join(build, "bench", "before"))
    if not os.path.isdir(tree):
        subprocess.run(["git", "worktree", "add", "--detach", tree, before], check=True)
    subprocess.run(["git", "-C", tree, "checkout", "--quiet", "--detach", before], check=True)
    venv = os.path.join(tree, "build", "venv")  # the libraries that this build links
    if not os.path.exists(venv):
        os.makedirs(os.path.dirname(venv), exist_ok=True)
        os.symlink(os.path.abspath(os.path.join(build, "venv")), venv)
    subprocess.run(
        [
            "cmake",
            "-S",
            tree,
            "-B",
            os.path.join(tree, "build"),
            "-G",
            "Ninja",
            "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(
        ["cmake", "--build", os.path.join(tree, "build"), "--target", "heddle"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return (
        os.path.join(tree, "build", "bin", "heddle"),
        subprocess.run(
            ["git", "-C", tree, "rev-parse", "--short", "HEAD"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip(),
    )


def project(folder, data):
    """The example with one trial of two trees: what is left is Heddle's own."""
    shutil.copytree("examples/flights", folder)
    os.makedirs(os.path.join(folder, "data"))
    for name in ("flights-3m.parquet", "airports.csv"):
        os.symlink(os.path.join(data, name), os.path.join(folder, "data", name))
    model = os.path.join(folder, "models", "delay.yaml")
    with open(model) as file:
        text = file.read()
    text = re.sub(r"trials: \d+", "trials: 1", text)
    text = re.sub(r"max_rounds: \d+", "max_rounds: 2", text)
    with open(model, "w") as file:
        file.write(text)
    evaluation = os.path.join(folder, "evaluations", "delay.yaml")  # two trees pass no gate
    with open(evaluation) as file:
        text = file.read()
    with open(evaluation, "w") as file:
        file.write(
            re.sub(
                r"gates:\n.*?(?=leakage:)",
                "gates:\n  - {id: any, when: metrics.auc > 0.0}\n",
                text,
                flags=re.S,
            )
        )


def measure(heddle, data):
    """Seconds and MiB of one run from nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = os.path.join(scratch, "flights")
        project(folder, data)
        begin = time.monotonic()
        child = subprocess.Popen(
            [heddle, "--project", folder, "run"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begin
        if status != 0:
            raise SystemExit(f"{heddle} run: {said}")
        return seconds, usage.ru_maxrss / 1024


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    before = os.environ.get("BENCH_PEER")
    if not before:
        print(
            "run_before: name the commit or binary to compare with: BENCH_PEER=REV make"
            " bench-run_before"
        )
        return
    theirs, version = binary_before(build, before)
    ours = os.path.join(build, "bin", "heddle")
    data = os.path.join(build, "data")
    report = Report(build, "run_before", "heddle run of the flights without the trials, alternated")
    pairs = []
    for turn in range(RUNS):
        order = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        results = {binary: measure(binary, data) for binary in order}
        pairs.append((results[ours], results[theirs]))
    for at, what, unit in ((0, "wall", "s"), (1, "peak memory", "MiB")):
        report.row(
            f"run without trials, {what}",
            "the build before",
            version,
            [a[at] for a, _ in pairs],
            [b[at] for _, b in pairs],
            unit,
            [a[at] / b[at] for a, b in pairs],
            goal=GOAL,
            at_least=False,
        )


if __name__ == "__main__":
    main()
