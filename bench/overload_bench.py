#!/usr/bin/env python3
"""Overload at 3 and 10 times the server's own peak, offered by an open loop that does not wait:
many connections, several requests out on each: 2,048 at once, since what is out when the server
sheds as fast as it can is what a shed answer waits for. Goodput is what was served of it, against
the peak of a closed loop measured next to it in the same run. Shed answers are timed from when the
request was handed to the connection; from the intended time is printed too.
  bench/overload_bench.py [BUILD_DIR]      environment: BENCH_RUNS (5), BENCH_SECONDS (3)
"""

import os
import sys

from harness import process
from harness.plane import Plane, build_folder
from harness.report import Report

BUILD = build_folder(sys.argv)
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
CONNECTIONS, PIPELINE = 64, 32
GOALS = {3: 0.9, 10: 0.8}
SHED_MS = 5.0


def main():
    plane = Plane(BUILD, {"flights": ("model.json", 2)})
    plane.serve(*plane.bundles["flights"], BENCH_QUEUE_MS="2")
    golden = [plane.golden("flights")]
    report = Report(
        BUILD,
        "overload_bench",
        f"peak: a closed loop over 32 connections; overload: {CONNECTIONS} connections of at most"
        f" {PIPELINE} requests, timeout 2 s; {RUNS} runs of {SECONDS} s",
    )
    shed_any = False
    for times, goal in GOALS.items():
        peaks, good, shed, shed_intended, offered, lost = [], [], [], [], [], []
        for _ in range(RUNS):
            peak = plane.capacity(seconds=SECONDS, connections=32, golden=golden)[
                "served_per_second"
            ]
            out = plane.load(
                rate=times * peak,
                connections=CONNECTIONS,
                pipeline=PIPELINE,
                duration_ms=SECONDS * 1000,
                warmup_ms=1000,
                timeout_ms=2000,
                golden=golden,
            )
            if out["wrong"]:
                raise SystemExit(f"overload_bench: {out['wrong']} wrong answers")
            peaks.append(peak)
            good.append(out["served_per_second"])
            # What really left: the generator cannot be above its own core either.
            offered.append((out["scheduled"] - out["unsent"]) / out["scheduled"])
            lost.append(float(out["failed"]))
            if out["shed"]:
                shed_any = True
                shed.append(out["shed_latency_from_send"]["p99_us"] / 1e3)
                shed_intended.append(out["shed_latency"]["p99_us"] / 1e3)
        report.row(
            f"goodput at {times}x vs own peak",
            None,
            None,
            good,
            peaks,
            "requests/s",
            [a / b for a, b in zip(good, peaks)],
            goal,
        )
        report.value(f"share of {times}x that could be sent", offered, "of the offered")
        report.value(f"without an answer at {times}x", lost, "requests")
        if shed:
            report.value(f"p99 of shed answers at {times}x, from sending", shed, "ms", SHED_MS)
            report.value(f"p99 of shed answers at {times}x, intended", shed_intended, "ms")
        else:
            report.absent(
                f"p99 of shed answers at {times}x",
                "own",
                None,
                "no request was shed: the data plane answered none with 429 or 503",
            )
    if not shed_any:
        report.note("nothing was shed: every request waited its turn (`queue_ms` is 2 here)")


try:
    main()
finally:
    process.end_all()
