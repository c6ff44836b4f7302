#!/usr/bin/env python3
"""A model is served at 70 % load while other bundles of 500 trees load again and again in the same
data plane (what TensorFlow Serving #1866 and Triton #8117 are about), in every other block of an
open loop. The standby, which is scored in the shadow, has 500 trees in both kinds of block: only
the loading differs. The whole server, its loader too, has one core.
  bench/isolation_bench.py [BUILD_DIR]      environment: BENCH_PAIRS (40)
"""

import os
import sys

from harness import process
from harness.blocks import BLOCK_NS, Blocks
from harness.plane import Plane, build_folder
from harness.report import Report

BUILD = build_folder(sys.argv)
PAIRS = int(os.environ.get("BENCH_PAIRS", "40"))
# different bundles: the data plane keeps a few loaded, and a load that was kept would be none
BIG = 24
EDGE_NS = 50_000_000


def main():
    plane = Plane(BUILD, {"flights": ("model.json", 2), "big": ("model500.json", BIG)})
    plane.serve(plane.bundles["flights"][0], plane.bundles["big"][0])
    blocks = Blocks(plane, [plane.golden("flights")], PAIRS)
    report = Report(
        BUILD, "isolation_bench", f"{blocks.about()}, a load of 500 trees in each loading block"
    )
    digests = ",".join(plane.bundles["big"][1:])
    blocks.run(lambda start: f"cycle {start + EDGE_NS} {BLOCK_NS} 1 {digests}", 1)
    blocks.compare(report, "p99 of the served model, loading vs not", "p99_us", 1.1)
    blocks.compare(report, "p50 of the served model, loading vs not", "p50_us", None)
    report.value("loads put in force", [blocks.applied], "bundles")
    report.value(
        "loads put in force within their block",
        [float(sum(blocks.in_time))],
        f"of {PAIRS}; the pairs of the others are not judged",
    )
    report.value(
        f"failed or wrong of {blocks.out['scheduled']} requests",
        [float(blocks.out["failed"] + blocks.out["shed"] + blocks.out["wrong"])],
        "requests",
        0,
    )
    report.value("taken by the host from both cores", blocks.stolen_ms, "ms a pair")


try:
    main()
finally:
    process.end_all()
