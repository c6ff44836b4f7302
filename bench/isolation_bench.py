#!/usr/bin/env python3
"""A model is served at 70 % load while other bundles of 500 trees load again and again in the same data plane (what TensorFlow Serving #1866 and Triton #8117
are about). Blocks of 2 s, loading in every other one. The standby, which is scored in the shadow, has 500 trees in both kinds of block: only the loading
differs. The whole server, its loader too, has one core.
  bench/isolation_bench.py [BUILD_DIR]      environment: BENCH_PAIRS (20)"""
import json
import os
import sys
import time

from harness import process
from harness.plane import Plane, build_folder
from harness.report import Report

BUILD = build_folder(sys.argv)
PAIRS = int(os.environ.get("BENCH_PAIRS", "20"))
BLOCK_MS = 2000
LOADS = 8       # a block
BIG = 24        # different bundles: the data plane keeps a few loaded, and a load that was kept would be none
EDGE_MS = 50


def main():
    plane = Plane(BUILD, {"flights": ("model.json", 2), "big": ("model500.json", BIG)})
    plane.serve(plane.bundles["flights"][0], plane.bundles["big"][0])
    golden = [plane.golden("flights")]
    capacity = plane.capacity(golden=golden)["served_per_second"]
    rate = 0.7 * capacity
    report = Report(BUILD, "isolation_bench", f"capacity {capacity:.0f}/s, offered {rate:.0f}/s over 8 connections; {PAIRS} pairs of {BLOCK_MS / 1000:.0f} s blocks, {LOADS} loads of 500 trees a loading block")
    start = time.monotonic_ns() + 2_000_000_000
    warmup_ms = 1000
    first = start + warmup_ms * 1_000_000
    client = plane.load(wait=False, rate=rate, warmup_ms=warmup_ms, duration_ms=2 * PAIRS * BLOCK_MS, slice_ms=BLOCK_MS, start_at_ns=start, golden=golden)
    # The last load of a block has its time to end before the neighbour begins.
    every = (BLOCK_MS - EDGE_MS - 200) * 1_000_000 // LOADS
    before = plane.metric("heddle_routes_applied_total")
    digests = ",".join(plane.bundles["big"][1:])
    for pair in range(PAIRS):
        block = 2 * pair + (1 if pair % 2 == 0 else 0)
        plane.pen.stdin.write(f"cycle {first + block * BLOCK_MS * 1_000_000 + EDGE_MS * 1_000_000} {every} {LOADS} {digests}\n")
    plane.pen.stdin.flush()
    out = json.loads(client.communicate(timeout=60 + 2 * PAIRS * BLOCK_MS // 1000)[0])
    if client.returncode != 0:
        raise SystemExit("isolation_bench: the client ended with an error")
    published = plane.hear(PAIRS * LOADS)
    plane.wait_in_force(published[-1][0])
    applied = plane.metric("heddle_routes_applied_total") - before
    slices = out["slices"]
    for what, member, goal in (("p99 of the served model, loading vs not", "p99_us", 1.1), ("p50 of the served model, loading vs not", "p50_us", None)):
        loading, quiet = [], []
        for pair in range(PAIRS):
            a, b = slices[2 * pair], slices[2 * pair + 1]
            with_loads, without = (b, a) if pair % 2 == 0 else (a, b)
            loading.append(with_loads[member])
            quiet.append(without[member])
        report.row(what, None, None, loading, quiet, "us", [x / y if x and y else float("inf") for x, y in zip(loading, quiet)], goal, at_least=False)
    report.value("loads put in force", [applied], "bundles", PAIRS * LOADS * 0.9, at_least=True)
    report.value(f"failed or wrong of {out['scheduled']} requests", [float(out["failed"] + out["shed"] + out["wrong"])], "requests", 0)


try:
    main()
finally:
    process.end_all()
