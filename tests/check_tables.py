#!/usr/bin/env python3
"""Tables of docs/ against the tables of the code: kinds of errors, operations of the control plane.   tests/check_tables.py ROOT"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])


def rows(page):
    """Cells of the table rows whose first cell is a name in backticks."""
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in (root / "docs" / page).read_text().splitlines()
            if re.match(r"\| `", line)]


wrong = []
code = (root / "src/base/error.cpp").read_text()
kinds = re.findall(r'\{"([a-z-]+)", (\d+), (\d+), (true|false)\}', code)
in_code = [(name, exit_code, status, "yes" if again == "true" else "no") for name, status, exit_code, again in kinds]
in_docs = [(row[0].strip("`"), *row[1:4]) for row in rows("exit-codes.md")]
if not in_code or in_code != in_docs:
    wrong.append(f"docs/exit-codes.md and src/base/error.cpp differ: {sorted(set(in_code) ^ set(in_docs))}")

code = (root / "src/control/operations.cpp").read_text()
in_code = re.findall(r'\{\{"([a-z.]+)",\s*"([a-z]+)",\s*"[^"]*"\},\s*[\w:]+(?:\([\w:]+\))?\}', code)
in_docs = [(row[0].strip("`"), row[1]) for row in rows("operations.md")]
if not in_code or in_code != in_docs:
    wrong.append(f"docs/operations.md and src/control/operations.cpp differ: {sorted(set(in_code) ^ set(in_docs))}")
# What a request may have: the same members, and the same of them may be left out.
members = (root / "src/control/request_members.cpp").read_text()
known = {}
of_incident, of_source = (re.search(rf"{name} = by_person\((.*?)\);", members, re.S)[1] for name in ("kOfIncident", "kOfSource"))
for name, text in re.findall(r'\{"([a-z.]+)",\s*(.*?)\},\n(?=\s+(?:\{"|\};))', members, re.S):
    text = {"kOfIncident": f"by_person({of_incident})", "kOfSource": f"by_person({of_source})"}.get(text, text)
    needed = set(re.findall(r'needed\("(\w+)"\)', text)) | set(re.findall(r'(?:object|number)\("(\w+)"[^)]*, true\)', text))
    every = set(re.findall(r'\w+\("(\w+)"', text)) | ({"requester", "signed"} if "asked_for(" in text else set()) | ({"person", "signed"} if "by_person(" in text else set())
    known[name] = (every, needed)
requests = {}
for row in rows("operations.md"):
    name, cell = row[0].strip("`"), re.sub(r"\([^()]*\)", "", row[2])
    found = re.findall(r"`([\w.]+)`(\??)", cell)
    requests[name] = requests[found[0][0]] if cell.startswith("as ") else ({member for member, _ in found}, {member for member, mark in found if not mark})
for name in sorted(set(known) | set(requests)):
    if known.get(name) != requests.get(name):
        wrong.append(f"the request of `{name}` is {requests.get(name)} in docs/operations.md and {known.get(name)} in src/control/request_members.cpp")
# Every member that the code reads from a request or sets in a reply is named on the page.
page = (root / "docs/operations.md").read_text()
for member in sorted(set(re.findall(r'request\.\w+_or\("(\w+)"', code)) | set(re.findall(r'\{\{?"(\w+)", ', code))):
    if f"`{member}`" not in page:
        wrong.append(f"docs/operations.md does not name the member `{member}`")
print("\n".join(wrong) or f"{len(kinds)} kinds and {len(in_code)} operations are documented as they are")
sys.exit(1 if wrong else 0)
