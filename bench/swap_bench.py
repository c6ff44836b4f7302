#!/usr/bin/env python3
"""1,000 swaps at 70 % load. An open loop at 70 % of the measured capacity, cut into blocks of 2 s: in every other one, primary and standby change
places again and again. Every answer is checked: status 200, its score is the one its bundle gives for that row, and route versions never fall on
a connection. The p99 of a block with swaps against that of its neighbour without, pair by pair, from intended send times.
  bench/swap_bench.py [BUILD_DIR]      environment: BENCH_PAIRS (20), BENCH_SWAPS (1000)"""
import json
import os
import sys
import time

from harness import process
from harness.plane import Plane, build_folder
from harness.report import Report

BUILD = build_folder(sys.argv)
PAIRS = int(os.environ.get("BENCH_PAIRS", "20"))
SWAPS = int(os.environ.get("BENCH_SWAPS", "1000"))
BLOCK_MS = 2000
SHARE = 0.7
EDGE_MS = 50  # a swapping block begins and ends without swaps, so that none reaches into its neighbour


def main():
    plane = Plane(BUILD, {"flights": ("model.json", 2)})
    plane.serve(*plane.bundles["flights"])
    golden = [plane.golden("flights")]
    capacity = plane.capacity(golden=golden)["served_per_second"]
    rate = SHARE * capacity
    per_block = -(-SWAPS // PAIRS)
    report = Report(BUILD, "swap_bench", f"capacity {capacity:.0f}/s, offered {rate:.0f}/s over 8 connections; {PAIRS} pairs of {BLOCK_MS / 1000:.0f} s blocks, {per_block} swaps a swapping block")
    start = time.monotonic_ns() + 2_000_000_000
    warmup_ms = 1000
    first = start + warmup_ms * 1_000_000
    client = plane.load(wait=False, rate=rate, warmup_ms=warmup_ms, duration_ms=2 * PAIRS * BLOCK_MS, slice_ms=BLOCK_MS, start_at_ns=start, golden=golden)
    every = (BLOCK_MS - 2 * EDGE_MS) * 1_000_000 // per_block
    before = plane.metric("heddle_routes_applied_total")
    for pair in range(PAIRS):
        # Blocks with swaps come first in every other pair, so that a drift of the machine favours neither.
        block = 2 * pair + (1 if pair % 2 == 0 else 0)
        plane.pen.stdin.write(f"swap {first + block * BLOCK_MS * 1_000_000 + EDGE_MS * 1_000_000} {every} {per_block}\n")
    plane.pen.stdin.flush()
    out = json.loads(client.communicate(timeout=60 + 2 * PAIRS * BLOCK_MS // 1000)[0])
    if client.returncode != 0:
        raise SystemExit("swap_bench: the client ended with an error")
    published = plane.hear(PAIRS * per_block)
    plane.wait_in_force(published[-1][0])
    # The data plane counts what it put in force: tables that overtook each other would be fewer swaps than were published.
    applied = plane.metric("heddle_routes_applied_total") - before
    slices = out["slices"]
    ratios, swapping, quiet = [], [], []
    for pair in range(PAIRS):
        a, b = slices[2 * pair], slices[2 * pair + 1]
        with_swaps, without = (b, a) if pair % 2 == 0 else (a, b)
        swapping.append(with_swaps["p99_us"])
        quiet.append(without["p99_us"])
        ratios.append(with_swaps["p99_us"] / without["p99_us"] if without["served"] and with_swaps["served"] else float("inf"))
    report.value("swaps put in force", [applied], "swaps", SWAPS, at_least=True)
    report.value("route versions that clients saw", [float(out["versions"])], "versions")
    report.value(f"failed of {out['scheduled']} requests", [float(out["failed"] - out["unsent"] + out["shed"])], "requests", 0)
    # Not the swaps' doing, but it spoils the comparison: the machine was slower than when its capacity was measured.
    report.value("never sent: the rate was too high for it", [float(out["unsent"])], "requests")
    report.value("mixed versions", [float(out["mixed"])], "answers", 0)
    report.value("route version fell on a connection", [float(out["backwards"])], "answers", 0)
    report.value("answers that say no bundle or score", [float(out["unread"])], "answers", 0)
    report.row("p99, blocks with swaps vs without", None, None, swapping, quiet, "us", ratios, 1.1, at_least=False)


try:
    main()
finally:
    process.end_all()
