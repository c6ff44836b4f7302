#!/usr/bin/env python3
"""Every variant of bench/heal over every third flight of the example (tests/healing plays them).

heal.py BUILD [--every N] [--only A,B]    two at once; the table goes to BUILD/bench/heal.json.
Prints of each what was wrong, what was named first and how long after it began, the response, and
log loss by month of Heddle, of the release that was never updated, and of the oracle.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
VARIANTS = ROOT / "bench" / "heal"
AT_ONCE = 2


def play(build, every, names, at):
    out = build / "bench" / f"heal-{at}.json"
    out.unlink(missing_ok=True)
    command = ["sh", str(ROOT / "tests/healing/run.sh"), str(build / "tests/healing_test")]
    command += [str(build / "bin/heddle"), str(ROOT), str(build), "--every", str(every)]
    command += ["--only", ",".join(names), "--json", str(out)]
    return out, subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def months(row):
    return "  ".join(
        f"{m['month'][5:]} {m['heddle']:.3f}/{m['never']:.3f}/{m['oracle']:.3f}"
        for m in row["months"]
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    (build / "bench").mkdir(exist_ok=True)
    targets = ["cmake", "--build", str(build), "--target", "healing_test", "heddle"]
    subprocess.run(targets, check=True, stdout=subprocess.DEVNULL)
    names = sorted(path.stem for path in VARIANTS.glob("*.yaml"))
    if arguments.only:
        names = arguments.only.split(",")
    parts = [names[at::AT_ONCE] for at in range(AT_ONCE)]
    runs = [play(build, arguments.every, part, at) for at, part in enumerate(parts) if part]
    for out, run in runs:
        said, _ = run.communicate()
        # It ends with 1 also where a variant harmed, and then has written what it saw.
        if not out.exists():
            sys.exit(f"{out} was not written: {said[-2000:]}")
    rows = [row for out, _ in runs for row in json.loads(out.read_text())]
    rows.sort(key=lambda row: row["variant"])
    print(f"every {arguments.every}. flight, March to June 2001")
    print("log loss by month: Heddle/never updated/oracle")
    for row in rows:
        print(f"{row['variant']:<22} {'right' if row['right'] else 'WRONG'} {row['causes'] or '-'}")
        print(
            f"    named {row['named'] or 'nothing'} after {row['after'] or '-'}: {row['response']}"
        )
        print(f"    {months(row)}  refused {row['refused']}")
        if row["failed"]:
            print(f"    FAILED: {row['failed']}")
    right = sum(row["right"] for row in rows)
    failed = sum(bool(row["failed"]) for row in rows)
    print(
        f"{right} of {len(rows)} named right ({right / len(rows):.0%}, goal 90 %), {failed} failed"
    )
    (build / "bench" / "heal.json").write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
