#!/usr/bin/env python3
"""Tables of docs/ against the tables of the code: kinds of errors, operations of the control plane.
tests/check_tables.py ROOT
"""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])


def rows(page):
    """Cells of the table rows whose first cell is a name in backticks."""
    return [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in (root / "docs" / page).read_text().splitlines()
        if re.match(r"\| `", line)
    ]


wrong = []
code = (root / "src/base/error.cpp").read_text()
kinds = re.findall(r'\{"([a-z-]+)", (\d+), (\d+), (true|false)\}', code)
in_code = [
    (name, exit_code, status, "yes" if again == "true" else "no")
    for name, status, exit_code, again in kinds
]
in_docs = [(row[0].strip("`"), *row[1:4]) for row in rows("exit-codes.md")]
if not in_code or in_code != in_docs:
    wrong.append(
        f"docs/exit-codes.md and src/base/error.cpp differ: {sorted(set(in_code) ^ set(in_docs))}"
    )

code = (root / "src/control/operations.cpp").read_text()
in_code = re.findall(r'\brow\("([a-z.]+)",\s*"([a-z]+)",', code)
in_docs = [(row[0].strip("`"), row[1]) for row in rows("operations.md")]
if not in_code or in_code != in_docs:
    wrong.append(
        "docs/operations.md and src/control/operations.cpp differ:"
        f" {sorted(set(in_code) ^ set(in_docs))}"
    )
# Every member that the code sets in a reply is named on the page; the requests are held by a test
# of the module.
page = (root / "docs/operations.md").read_text()
for member in sorted(set(re.findall(r'\{\{?"(\w+)", ', code))):
    if f"`{member}`" not in page:
        wrong.append(f"docs/operations.md does not name the member `{member}`")
print(
    "\n".join(wrong)
    or f"{len(kinds)} kinds and {len(in_code)} operations are documented as they are"
)
sys.exit(1 if wrong else 0)
