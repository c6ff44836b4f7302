#!/usr/bin/env python3
"""A bundle of 500 trees becomes Ready: from the moment its route table is written to the first
answer that names it as in force. Each one is new to the data plane: read, verified, built, proven
on its reference rows. The table's fsync and the asking (every ms) are in the time. No load beside
it.
  bench/ready_bench.py [BUILD_DIR]      environment: BENCH_RUNS (20)
"""

import os
import sys

from harness import process
from harness.plane import TREES, Plane, build_folder
from harness.report import Report

BUILD = build_folder(sys.argv)
RUNS = int(os.environ.get("BENCH_RUNS", "20"))
GOAL_MS = 100


def main():
    plane = Plane(BUILD, {"flights": ("model.json", 2), "big": ("model500.json", RUNS)})
    plane.serve(plane.bundles["flights"][0])
    report = Report(
        BUILD,
        "ready_bench",
        f"route table written to in force, {TREES['model500.json']} trees, {RUNS} different"
        " bundles",
    )
    taken = []
    for digest in plane.bundles["big"]:
        version, written = plane.route(digest)
        taken.append((plane.wait_in_force(version) - written) / 1e6)
    report.value(f"bundle to Ready, {TREES['model500.json']} trees", taken, "ms", GOAL_MS)
    # A bundle that is loaded already: what a swap costs.
    taken = []
    for i in range(RUNS):
        version, written = plane.route(
            plane.bundles["big"][-1 - i % 2], plane.bundles["big"][-2 + i % 2]
        )
        taken.append((plane.wait_in_force(version) - written) / 1e6)
    report.value("the same, loaded before", taken, "ms")


try:
    main()
finally:
    process.end_all()
