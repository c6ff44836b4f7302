#!/usr/bin/env python3
"""What the sandbox costs a request: one-row predicts of a service whose model is a worker, one
after the other on one connection, against another build of Heddle, in turns. Both planes are up all
the time, one of them idle.
  bench/worker_bench.py [BUILD_DIR]      environment: BENCH_PEER (a `heddle` to compare with),
      BENCH_PAIRS (20), BENCH_REQUESTS (400)
"""

import http.client
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import sys
import time

from harness.plane import build_folder
from harness.report import Report

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests/scenario"))
# It has the name that the benches' own harness has.
_found = importlib.util.spec_from_file_location(
    "scenario_harness", ROOT / "tests/scenario/harness.py"
)
scenario = importlib.util.module_from_spec(_found)
_found.loader.exec_module(scenario)

BUILD = build_folder(sys.argv)
PAIRS = int(os.environ.get("BENCH_PAIRS", "20"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "400"))
PEER = os.environ.get("BENCH_PEER")
ROW = {"date": "2001-04-10T05:00:00Z", "distance": 260, "origin": "AAA", "destination": "BBB"}


class Served:
    """A project of one binary, its worker released and answering."""

    def __init__(self, heddle):
        self.world = scenario.World(heddle)
        project = self.world.built
        shutil.copytree(
            ROOT / "tests/fixtures/worker",
            project.root / "worker",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        file = project.root / "models/late.yaml"
        text = file.read_text()
        start, end = text.index("trainer: xgboost"), text.index("standby:")
        file.write_text(
            text[:start]
            + "runtime:\n  kind: process\n  files: worker\n  inputs: features\n  command:"
            " [/usr/bin/python3, serve.py]\n" + text[end:]
        )
        project.commit()
        done = project.run("run")
        assert done.code == 0, done
        secret = (
            project.root / ".heddle/keys/owner.secret"
        )  # a build of before makes none, and asks for none
        secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret.write_text("0" * 64)
        secret.chmod(0o600)
        self.planes = scenario.Planes(project).__enter__()
        self.planes.release(self.world)
        self.connection = http.client.HTTPConnection("127.0.0.1", project.port(), timeout=30)
        self.headers = {"Authorization": "Bearer " + project.token("caller")}

    def block(self):
        """Microseconds of each of the requests."""
        body = json.dumps({"rows": [ROW]})
        took = []
        for _ in range(REQUESTS):
            begin = time.perf_counter_ns()
            self.connection.request("POST", "/v1/services/late/predict", body, self.headers)
            reply = self.connection.getresponse()
            value = reply.read()
            took.append((time.perf_counter_ns() - begin) / 1000)
            assert reply.status == 200, value
        return took

    def close(self):
        self.planes.__exit__()
        self.world.close()


def main():
    report = Report(
        BUILD, "worker_bench", f"{REQUESTS} requests of one row a block, {PAIRS} pairs of blocks"
    )
    ours = theirs = None
    try:
        ours = Served(os.path.join(BUILD, "bin/heddle"))
        theirs = Served(PEER) if PEER else None
        blocks = {"ours": [], "theirs": []}
        for side in (ours, theirs):
            if side is not None:
                side.block()  # the first answers are of cold code
        for pair in range(PAIRS):
            sides = [("ours", ours), ("theirs", theirs)]
            for name, side in sides if pair % 2 else reversed(sides):
                if side is not None:
                    blocks[name].append(side.block())
        for what, of in {
            "p50": statistics.median,
            "p99": lambda took: statistics.quantiles(took, n=100)[98],
        }.items():
            mine, other = [of(block) for block in blocks["ours"]], [
                of(block) for block in blocks["theirs"]
            ]
            if other:
                report.row(
                    f"{what} of a worker's answer",
                    "BENCH_PEER",
                    "another build",
                    mine,
                    other,
                    "us",
                    [a / b for a, b in zip(mine, other)],
                    1.05 if what == "p50" else None,
                    at_least=False,
                )
            else:
                report.value(f"{what} of a worker's answer", mine, "us")
    finally:
        for side in (ours, theirs):
            if side is not None:
                side.close()


main()
