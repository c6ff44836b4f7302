#!/usr/bin/env python3
"""What it takes to build Heddle: everything from nothing, without a compiler cache; `make` when
nothing changed; `make` when one source changed.
  bench/build_bench.py [BUILD_DIR]      environment: BENCH_RUNS (5) of the two short ones
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

from harness.report import Report

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build").resolve()
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
CLEAN = BUILD / "bench" / "clean"
SOURCE = ROOT / "src" / "serve" / "engine.cpp"


def timed(command):
    """Seconds of one run; what it prints goes into a file beside the build."""
    environment = dict(os.environ, CCACHE_DISABLE="1")
    with open(CLEAN / "bench.log", "ab") as log:
        begun = time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=log, stderr=log)
        return time.perf_counter() - begun


def touched():
    SOURCE.touch()
    return timed(["make", f"BUILD={CLEAN}"])


def main():
    shutil.rmtree(CLEAN, ignore_errors=True)
    CLEAN.mkdir(parents=True)
    for needed in ("venv", "data"):  # as `make deps` left them
        (CLEAN / needed).symlink_to(BUILD / needed)
    report = Report(str(BUILD), "build_bench", "the whole build, all processors, no compiler cache")
    report.value("clean build", [timed(["make", f"BUILD={CLEAN}"])], "s", 360)
    report.value(
        "make, nothing changed",
        [timed(["make", f"BUILD={CLEAN}"]) for _ in range(RUNS)],
        "s",
        2,
    )
    report.value("make, one source changed", [touched() for _ in range(RUNS)], "s", 20)
    shutil.rmtree(CLEAN)


main()
