#!/usr/bin/env python3
"""Work on bytes from outside grows as they do: every reader at n, 2n and 4n, its instructions
counted by callgrind, so that neither the machine nor its load matters. Twice as much may take at
most 2.6 times as long (a sort among it, tables that grow); what is named `flat:` at most 1.1 times
(an event time from outside is no amount of work).
    linear_work.py LINEAR_WORK      skips (exit 77) without valgrind
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

MOST, FLAT = 2.6, 1.1


def main(binary):
    if shutil.which("valgrind") is None:
        print("linear_work: SKIPPED: valgrind is not installed: scripts/install_deps.sh --bench")
        return 77
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        subprocess.run(
            [
                "valgrind",
                "-q",
                "--tool=callgrind",
                "--instr-atstart=no",
                f"--callgrind-out-file={out}",
                binary,
            ],
            check=True,
            timeout=900,
        )
        for name in os.listdir(folder):
            with open(os.path.join(folder, name)) as file:
                text = file.read()
            label = re.search(r"^desc: Trigger: Client Request: (.+)/(\d+)$", text, re.M)
            total = re.search(r"^totals: (\d+)", text, re.M)
            if label and total:
                counts.setdefault(label[1], {})[int(label[2])] = int(total[1])
    failed = 0 if counts else 1
    for name, by_size in sorted(counts.items()):
        sizes = sorted(by_size)
        ratios = [by_size[b] / by_size[a] for a, b in zip(sizes, sizes[1:])]
        wrong = len(sizes) != 3 or max(ratios) > (FLAT if name.startswith("flat:") else MOST)
        failed += wrong
        print(
            f"{name:28} {by_size[sizes[-1]]:12} instructions at {sizes[-1]},"
            f" {', '.join(f'{r:.2f}' for r in ratios)} times"
            f" each{'  GROWS TOO MUCH' if wrong else ''}"
        )
    print(f"{len(counts)} readers, {failed} too much")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
