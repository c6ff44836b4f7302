#!/usr/bin/env python3
"""What a command costs before it does anything: `heddle version` against `dvc --version`, started
in turn on one core. The wall time is from the fork to the exit, the processor time that of the
process.
  bench/start_bench.py [BUILD_DIR]      environment: BENCH_RUNS (50)
"""

import os
import resource
import subprocess
import sys
import time

from harness import peers
from harness.report import Report

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
RUNS = int(os.environ.get("BENCH_RUNS", "50"))
GOAL_MS = 10


def start(command):
    """Wall and processor time of one run in ms."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return 1000 * wall, 1000 * busy


def dvc():
    """The peer's command and version, or why there is none."""
    try:
        program = os.path.join(os.path.dirname(peers.environment(BUILD, "dvc")), "dvc")
        told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
        return program, told.stdout.strip()
    except peers.Unavailable as why:
        return None, str(why)


def main():
    os.sched_setaffinity(0, {0})
    program, version = dvc()
    report = Report(BUILD, "start_bench", "a command that only says its version, on core 0")
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(start([os.path.join(BUILD, "bin", "heddle"), "version"]))
        if program:
            theirs.append(start([program, "--version"]))
    report.value("start, wall", [wall for wall, _ in ours], "ms", GOAL_MS)
    report.value("start, processor", [busy for _, busy in ours], "ms")
    if program:
        walls = [wall for wall, _ in theirs]
        ratios = [own / other for (own, _), other in zip(ours, walls)]
        report.row("start, wall", "dvc", version, [wall for wall, _ in ours], walls, "ms", ratios)
    else:
        print(f"dvc was not measured: {version}")


main()
