"""Rows of a bench: printed as they are measured, kept as build/bench/NAME.json (a list of rows as
DESIGN's numbers are kept).
"""

import json
import os
import statistics


class Report:
    """Collects the rows of the bench `name`; prints the machine's state first, so that a figure is
    never without it.
    """

    def __init__(self, build, name, about):
        self.path = os.path.join(build, "bench", name + ".json")
        self.rows = []
        self.machine = {"nproc": os.cpu_count(), "load_at_start": round(os.getloadavg()[0], 2)}
        print(f"{name}: {about}")
        print(f"nproc {self.machine['nproc']}, load {self.machine['load_at_start']:.2f}")
        print(f"{'':46}{'ours':>12}{'theirs':>12}{'ratio':>9}  spread")

    def row(self, what, peer, version, ours, theirs, unit, ratios, goal=None, at_least=True):
        """`ours` and `theirs`: lists of runs; `ratios`: one a run (or pair), whose median is
        judged. `goal` None: not judged.
        """
        ratios = sorted(ratios)
        ratio = statistics.median(ratios)
        met = None if goal is None else (ratio >= goal if at_least else ratio <= goal)
        a, b = statistics.median(ours), (statistics.median(theirs) if theirs else None)
        self._keep(
            {
                "what": what,
                "peer": peer,
                "peer_version": version,
                "ours": a,
                "theirs": b,
                "unit": unit,
                "ratio": round(ratio, 4),
                "spread": [round(ratios[0], 4), round(ratios[-1], 4)],
                "runs": len(ratios),
                "goal": goal,
                "met": met,
            }
        )
        verdict = (
            ""
            if goal is None
            else f"  goal {'≥' if at_least else '≤'} {goal:g}: {'met' if met else 'MISSED'}"
        )
        against = f" vs {peer}" if peer else ""
        theirs_median = "" if b is None else f"{b:.1f}"
        print(
            f"{(what + against)[:45]:46}{a:12.1f}{theirs_median:>12}{ratio:9.3f}"
            f"  {ratios[0]:.2f}-{ratios[-1]:.2f} {unit}{verdict}",
            flush=True,
        )

    def value(self, what, values, unit, goal=None, at_least=False):
        """A figure of ours alone, judged by its median against `goal` in its own unit."""
        values = sorted(values)
        value = statistics.median(values)
        met = None if goal is None else (value >= goal if at_least else value <= goal)
        self._keep(
            {
                "what": what,
                "peer": None,
                "peer_version": None,
                "ours": value,
                "theirs": None,
                "unit": unit,
                "ratio": None,
                "spread": [values[0], values[-1]],
                "runs": len(values),
                "goal": goal,
                "met": met,
            }
        )
        verdict = (
            ""
            if goal is None
            else f"  goal {'≥' if at_least else '≤'} {goal:g}: {'met' if met else 'MISSED'}"
        )
        print(
            f"{what[:45]:46}{value:12.3f}{'':12}{'':9}  {values[0]:.3g}-{values[-1]:.3g}"
            f" {unit}{verdict}",
            flush=True,
        )

    def alone(self, what, peer, version, theirs, unit):
        """A peer's figure for which there is none of ours yet."""
        theirs = sorted(theirs)
        self._keep(
            {
                "what": what,
                "peer": peer,
                "peer_version": version,
                "ours": None,
                "theirs": statistics.median(theirs),
                "unit": unit,
                "ratio": None,
                "spread": [theirs[0], theirs[-1]],
                "runs": len(theirs),
                "goal": None,
                "met": None,
                "reason": "ours is not measured",
            }
        )
        print(
            f"{(what + ' of ' + peer)[:45]:46}{'':12}{statistics.median(theirs):12.1f}{'':9} "
            f" {theirs[0]:.1f}-{theirs[-1]:.1f} {unit}",
            flush=True,
        )

    def absent(self, what, peer, version, reason):
        """A peer that could not be measured: a row that says why, never a row less."""
        self._keep(
            {
                "what": what,
                "peer": peer,
                "peer_version": version,
                "ours": None,
                "theirs": None,
                "unit": None,
                "ratio": None,
                "spread": None,
                "runs": 0,
                "goal": None,
                "met": None,
                "reason": reason,
            }
        )
        print(f"{(what + ' vs ' + peer)[:45]:46}  not measured: {reason}", flush=True)

    def note(self, text):
        print(text, flush=True)

    def _keep(self, row):
        self.rows.append({**row, **self.machine, "load": round(os.getloadavg()[0], 2)})
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(
            self.path + ".part", "w"
        ) as file:  # after each row: what was measured before a failure stays
            json.dump(self.rows, file, indent=1)
            file.write("\n")
        os.replace(self.path + ".part", self.path)
