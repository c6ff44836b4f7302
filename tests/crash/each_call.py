#!/usr/bin/env python3
"""A decision is written while the disk fails at one call after the other: each open, write, sync
and rename below `.heddle`, once and from there on, with EIO and ENOSPC, and by SIGKILL. What was
acknowledged is in the ledger once, and both verifiers agree, at every point.

    each_call.py HEDDLE FAULTY_DISK_LIBRARY [--every N] [--seed N]      every Nth call only; the
        first one is drawn by the seed
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenario")]

from faulty_disk import CODES, FaultyDisk  # noqa: E402
from harness import World  # noqa: E402

FAULTS = [("EIO", False), ("EIO", True), ("ENOSPC", False), ("ENOSPC", True), ("SIGKILL", False)]


class Deciding:
    """`heddle incident open`, one after the other, with nothing running beside it."""

    def __init__(self, world, library, seed):
        self.project = world.copy(world.built)
        self.disk = FaultyDisk(
            library, self.project.root.parent / "calls", self.project.root / ".heddle", seed
        )
        self.acknowledged, self.count = [], 0

    def decide(self):
        self.count += 1
        text = f"decision {self.count}"
        done = self.project.run(
            "incident",
            "open",
            "late",
            "--reason",
            text,
            env=dict(os.environ, **self.disk.environment()),
        )
        if done.code == 0:
            self.acknowledged.append(text)
        return done

    def calls(self):
        """How many a decision makes, undisturbed."""
        self.disk.arm_call(CODES["EIO"], 1 << 30)
        done = self.decide()
        assert done.code == 0, done
        return self.disk.calls()

    def at(self, name, number, rest):
        self.disk.arm_call(CODES[name], number, rest)
        done = self.decide()
        self.disk.clear()
        where = (
            f"{name} at call {number}{' and after it' if rest else ''}: exit {done.code}"
            f" {done.err[-500:]}"
        )
        entries = [
            each
            for each in self.project.json("audit", "log")["decisions"]
            if each["action"] == "incident.open" and each["result"] == "applied"
        ]
        for text in self.acknowledged:
            count = sum(
                text in json.dumps(each) for each in entries if f'"{text}"' in json.dumps(each)
            )
            assert (
                count == 1
            ), f"`{text}` was acknowledged and is in the ledger {count} times; {where}"
        ids = [each["op_id"] for each in entries]
        assert len(ids) == len(set(ids)), f"an act was applied twice; {where}"
        verified = self.project.run("audit", "verify")
        assert verified.code == 0, f"{verified}; {where}"
        return done.code

    def second_opinion(self):
        verifier = HERE.parent.parent / "python/heddle/verify.py"
        done = subprocess.run(
            [sys.executable, str(verifier), str(self.project.root)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("heddle")
    parser.add_argument("library")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    world = World(arguments.heddle)
    points, codes = 0, {}
    try:
        deciding = Deciding(world, os.path.abspath(arguments.library), arguments.seed)
        done = deciding.project.run("apply")
        assert done.code == 0, done
        most = deciding.calls()
        for name, rest in FAULTS:
            for number in range(
                1 + random.Random(f"{arguments.seed}/{name}/{rest}").randrange(arguments.every),
                most + 1,
                arguments.every,
            ):
                code = deciding.at(name, number, rest)
                codes[code] = codes.get(code, 0) + 1
                points += 1
            deciding.second_opinion()
    except AssertionError as failure:
        print(f"FAILED after {points} points: {failure} (seed {arguments.seed})")
        return 1
    finally:
        world.close()
    print(
        f"{points} points of {most} calls x {len(FAULTS)} faults; {len(deciding.acknowledged)}"
        f" decisions acknowledged, all there once; exit codes {codes}; both verifiers agree"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
