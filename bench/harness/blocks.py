"""One open loop at a share of the capacity, cut into blocks of 2 s: in every other one the
publisher does what is under measure. The p99 of such a block is held against that of its neighbour,
pair by pair, from intended send times.
"""

import json
import re
import statistics
import threading
import time

BLOCK_NS = 2_000_000_000
WARMUP_MS = 1000
SHARE = 0.7
CAPACITY_RUNS = 5
PREPARING_NS = 10_000_000  # a table, at most


class Blocks:
    """`active` and `quiet`: the pairs' slices of the generator's outcome `out`, whose blocks the
    publisher worked in or not; `stolen_ms`: what the host took from each pair. `applied`: tables
    put in force. `in_time`: of each pair, whether all tables of its active block were in force
    before that block ended; where not, the quiet one beside it may not have been quiet.
    """

    def __init__(self, plane, golden, pairs):
        self.plane, self.golden, self.pairs = plane, golden, pairs
        # The machine's speed changes from second to second: one run's capacity may be half as much
        # again as the next one's.
        self.capacities = [
            plane.capacity(seconds=2, golden=golden)["served_per_second"]
            for _ in range(CAPACITY_RUNS)
        ]
        self.rate = SHARE * statistics.median(self.capacities)

    def about(self):
        return (
            f"capacity {statistics.median(self.capacities):.0f}/s"
            f" ({min(self.capacities):.0f}-{max(self.capacities):.0f}), offered {self.rate:.0f}/s"
            f" over 8 connections; {self.pairs} pairs of {BLOCK_NS // 10**9} s blocks"
        )

    def run(self, line, tables):
        """`line(start_ns)`: what the publisher is told for the active block that begins then; it
        publishes `tables` route tables in each.
        """
        plane, count = self.plane, 2 * self.pairs
        # The publisher writes and signs everything before the first request is sent.
        start = time.monotonic_ns() + 3_000_000_000 + tables * self.pairs * PREPARING_NS
        first = start + WARMUP_MS * 1_000_000
        # Active blocks come first in every other pair, so that a drift of the machine favours
        # neither.
        active = [2 * pair + (1 if pair % 2 == 0 else 0) for pair in range(self.pairs)]
        plane.pen.stdin.write(
            "".join(line(first + block * BLOCK_NS) + "\n" for block in active) + "go\n"
        )
        plane.pen.stdin.flush()
        before = plane.metric("heddle_routes_applied_total")
        client = plane.load(
            wait=False,
            rate=self.rate,
            warmup_ms=WARMUP_MS,
            duration_ms=count * BLOCK_NS // 1_000_000,
            slice_ms=BLOCK_NS // 1_000_000,
            start_at_ns=start,
            golden=self.golden,
        )
        stolen = _Stolen(first, self.pairs)
        self.out = json.loads(client.communicate(timeout=60 + count * BLOCK_NS // 10**9)[0])
        if client.returncode != 0:
            raise SystemExit("the client ended with an error")
        published = plane.hear(self.pairs * tables)
        plane.wait_in_force(published[-1][0])
        self.applied = plane.metric("heddle_routes_applied_total") - before
        slices = self.out["slices"]
        self.active = [slices[block] for block in active]
        self.quiet = [slices[block ^ 1] for block in active]
        self.stolen_ms = stolen.of_pairs()
        at = self._in_force_at()
        self.in_time = [
            all(
                at.get(version, float("inf")) <= first + (block + 1) * BLOCK_NS
                for version, _ in published[pair * tables : (pair + 1) * tables]
            )
            for pair, block in enumerate(active)
        ]

    def _in_force_at(self):
        """{route version: monotonic ns}, by the lines that the data plane logs."""
        at, day_ns = {}, 86_400_000_000_000
        now, wall = (
            time.monotonic_ns(),
            time.time_ns() % day_ns,
        )  # lines say the time of day, in UTC
        with open(self.plane.log) as file:
            for hours, minutes, seconds, ms, version in re.findall(
                r"^(\d\d):(\d\d):(\d\d)\.(\d\d\d) .*: route table (\d+) in force", file.read(), re.M
            ):
                said = (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1_000_000_000 + int(
                    ms
                ) * 1_000_000
                at[int(version)] = now - (wall - said) % day_ns
        return at

    def compare(self, report, what, member, goal):
        """All pairs, and, judged, of those in time the half from which the host took the least: a
        pause of the machine is of no block's doing, and one of some milliseconds alone decides its
        p99.
        """
        pairs = [(a[member], q[member]) for a, q in zip(self.active, self.quiet)]
        calm = sorted((stolen, i) for i, stolen in enumerate(self.stolen_ms) if self.in_time[i])
        calm = [pairs[i] for _, i in calm[: (len(calm) + 1) // 2]]
        for name, some, judged in ((what + ", all", pairs, None), (what, calm, goal)):
            if not some:
                report.absent(name, "own", None, "nothing was in force before its block ended")
                continue
            report.row(
                name,
                None,
                None,
                [a for a, _ in some],
                [q for _, q in some],
                "us",
                [a / q if a and q else float("inf") for a, q in some],
                judged,
                at_least=False,
            )


class _Stolen(threading.Thread):
    """Time that the host gave to others while a core here had work, pair by pair of blocks (`steal`
    of /proc/stat, in ticks of 10 ms).
    """

    def __init__(self, first_ns, pairs):
        super().__init__(daemon=True)
        self.first_ns, self.pairs, self.ticks = first_ns, pairs, []
        self.start()

    def run(self):
        for pair in range(self.pairs + 1):
            time.sleep(max(0, self.first_ns + 2 * pair * BLOCK_NS - time.monotonic_ns()) / 1e9)
            with open("/proc/stat") as file:
                self.ticks.append(int(file.readline().split()[8]))

    def of_pairs(self):
        self.join()
        return [10.0 * (b - a) for a, b in zip(self.ticks, self.ticks[1:])]
