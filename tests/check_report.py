#!/usr/bin/env python3
"""Checks a report.json of `heddle dev demo` against what the main job has to show. Prints each
point; exit 1 when one is missed.

tests/check_report.py build/demo/report.json [--same-decisions OTHER.json]
"""

import json
import sys

MEMBERS = [
    "schema",
    "versions",
    "phases",
    "training",
    "traffic",
    "quarantine",
    "quality",
    "end",
    "incidents",
    "false_incidents",
    "swaps",
    "approvals",
    "ledger",
    "memory_peak_bytes",
    "latency_us",
]
INCIDENT = [
    "id",
    "true_cause",
    "diagnosed_cause",
    "response",
    "rows_to_alert",
    "rows_to_confirm",
    "rows_to_response",
    "event_time_to_response",
]


def main(path, other=None):
    with open(path) as file:
        report = json.load(file)
    missed = []

    def show(ok, what):
        print(("ok      " if ok else "MISSED  ") + what)
        if not ok:
            missed.append(what)

    absent = [name for name in MEMBERS if name not in report]
    show(
        report.get("schema") == "heddle.demo/1" and not absent,
        f"schema heddle.demo/1, absent members: {absent or 'none'}",
    )
    if absent:
        return 1
    traffic = report["traffic"]
    show(traffic["rows"] > 600_000, f"{traffic['rows']} rows replayed (about 680,000)")
    show(report["training"]["trials"] >= 20, f"{report['training']['trials']} trials (at least 20)")
    show(traffic["failed"] == 0, f"{traffic['failed']} failed requests of {traffic['requests']}")
    faults = {q["fault"]: q for q in report["quarantine"]}
    for name in ("a", "b"):
        q = faults.get(name, {"precision": 0, "recall": 0, "named": ""})
        show(q["recall"] >= 0.98, f"fault ({name}): recall {q['recall']:.4f} (at least .98)")
        show(
            q["precision"] >= 0.98, f"fault ({name}): precision {q['precision']:.4f} (at least .98)"
        )
    named = faults.get("a", {}).get("named", "")
    show("1.6" in named, f"fault (a): the ratio is named: {named!r}")
    for incident in report["incidents"]:
        lacking = [name for name in INCIDENT if name not in incident]
        if lacking:
            show(False, f"{incident.get('id')} has {lacking}")

    def answered(cause, *words):
        found = [
            i
            for i in report["incidents"]
            if i["true_cause"] == cause and i["diagnosed_cause"] == cause
        ]
        texts = " ".join(i["response"] for i in found).lower()
        show(
            bool(found) and any(word in texts for word in words),
            f"{cause}: confirmed, diagnosed, answered: {texts or 'nothing'!r}",
        )

    answered("unit change", "quarantine", "shut", "refus")
    answered("time shift", "transform", "repair")
    answered("concept shift", "retrain", "promot")
    answered("outlived repair", "transform taken back")
    ends = [
        i
        for i in report["incidents"]
        if i["true_cause"] == "outlived repair" and "transform" in i["response"]
    ]
    show(
        any(0 <= i["rows_to_response"] <= 1000 for i in ends),
        "the end of the shift: its repair is taken back within rows:"
        f" {[i['rows_to_response'] for i in ends]}",
    )
    show(report["false_incidents"] <= 1, f"{report['false_incidents']} false incidents (at most 1)")
    months = {m["month"]: m for m in report["quality"]}
    for month in ("2001-05", "2001-06"):
        ours, never = months[month]["heddle"]["log_loss"], months[month]["never"]["log_loss"]
        show(ours < never, f"{month}: log loss {ours:.4f} below never updated {never:.4f}")
    ours, oracle = report["end"]["heddle"]["log_loss"], report["end"]["oracle"]["log_loss"]
    show(
        report["end"]["from"] == "2001-06-24" and ours - oracle <= 0.02,
        f"from {report['end']['from']}: log loss {ours:.4f} within .02 of the oracle {oracle:.4f}",
    )
    show(
        all(swap["failed_requests"] == 0 for swap in report["swaps"]) and len(report["swaps"]) >= 2,
        f"{len(report['swaps'])} swaps without a failed request",
    )
    show(
        report["ledger"]["audit"] == "ok",
        f"audit {report['ledger']['audit']}, {report['ledger']['entries']} entries",
    )
    if other is not None:
        with open(other) as file:
            second = json.load(file)
        show(
            report["decisions"]["digest"] == second["decisions"]["digest"],
            "two runs: the same decisions in the same order",
        )
    return 1 if missed else 0


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--same-decisions"]
    if not arguments:
        sys.exit(__doc__)
    sys.exit(main(*arguments[:2]))
