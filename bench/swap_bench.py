#!/usr/bin/env python3
"""1,000 swaps at 70 % load: in every other block of an open loop, primary and standby change places
again and again. Every answer is checked: status 200, its score is the one its bundle gives for that
row, and route versions never fall on a connection. The p99 of a block with swaps against that of
its neighbour without.
  bench/swap_bench.py [BUILD_DIR]      environment: BENCH_PAIRS (100), BENCH_SWAPS (1000)
"""

import os
import sys

from harness import process
from harness.blocks import BLOCK_NS, Blocks
from harness.plane import Plane, build_folder
from harness.report import Report

BUILD = build_folder(sys.argv)
PAIRS = int(os.environ.get("BENCH_PAIRS", "100"))
SWAPS = int(os.environ.get("BENCH_SWAPS", "1000"))
# a swapping block begins and ends without swaps, so that none reaches into its neighbour
EDGE_NS = 50_000_000


def main():
    plane = Plane(BUILD, {"flights": ("model.json", 2)})
    plane.serve(*plane.bundles["flights"])
    blocks = Blocks(plane, [plane.golden("flights")], PAIRS)
    per_block = -(-SWAPS // PAIRS)
    report = Report(BUILD, "swap_bench", f"{blocks.about()}, {per_block} swaps a swapping block")
    every = (BLOCK_NS - 2 * EDGE_NS) // per_block
    blocks.run(lambda start: f"swap {start + EDGE_NS} {every} {per_block}", per_block)
    out = blocks.out
    # The data plane counts what it put in force: tables that overtook each other would be fewer
    # swaps than were published.
    report.value("swaps put in force", [blocks.applied], "swaps", SWAPS, at_least=True)
    report.value("route versions that clients saw", [float(out["versions"])], "versions")
    report.value(
        f"failed of {out['scheduled']} requests",
        [float(out["failed"] - out["unsent"] + out["shed"])],
        "requests",
        0,
    )
    # Not the swaps' doing, but it spoils the comparison: the machine was slower than when its
    # capacity was measured.
    report.value("never sent: the rate was too high for it", [float(out["unsent"])], "requests")
    report.value("mixed versions", [float(out["mixed"])], "answers", 0)
    report.value("route version fell on a connection", [float(out["backwards"])], "answers", 0)
    report.value("answers that say no bundle or score", [float(out["unread"])], "answers", 0)
    blocks.compare(report, "p99, blocks with swaps vs without", "p99_us", 1.1)
    report.value("taken by the host from both cores", blocks.stolen_ms, "ms a pair")


try:
    main()
finally:
    process.end_all()
