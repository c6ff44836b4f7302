#!/usr/bin/env python3
"""What reads and writes stored or spoken structs by hand, and what does so by a schema.
    scripts/codec_lines.py [REV ...]

For the work tree and for each REV: reads of a member that fill in a default (`x_or("key")`) outside
of tests, functions that turn a struct into a value or back by hand with their lines, and schemas
with the members they describe. A read that is left is of a member that is truly optional, or of a
document that is not ours.
"""

import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
DEFAULTED = re.compile(r'\b(?:string|int|double|bool)_or\("')
BY_HAND = re.compile(
    r"^(?:[\w:<>&, ]+ )?(?:\w+::)*"
    r"(?:to_value|from_value|\w+_from_value|\w+_from|value_of|\w+_value|named_value)\([^;]*\{$"
)
MEMBER = re.compile(
    r"\bt\.(?:text|choice|integer|micros|number|boolean|duration|time|expression|digest|digests"
    r"|texts|numbers|integers|value|object|objects|objects_as|within|custom)\("
)
SCHEMA = re.compile(r"\bSchema<\w+>(?: t\(|::record\()|\brequest_of<\w+>\(\"")


def of_work_tree():
    for path in sorted((root / "src").rglob("*.[ch]pp")):
        yield str(path.relative_to(root)), path.read_text()


def of_revision(revision):
    names = subprocess.run(
        ["git", "-C", root, "ls-tree", "-r", "--name-only", revision, "src"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for name in names:
        if name.endswith((".cpp", ".hpp")):
            yield (
                name,
                subprocess.run(
                    ["git", "-C", root, "show", f"{revision}:{name}"],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout,
            )


def lines_of_functions(text):
    """Functions of a codec's name and their lines: up to the brace that stands where the function
    begins.
    """
    functions = lines = 0
    inside = False
    for line in re.sub(r"\(\n\s+|,\n\s+", " ", text).splitlines():
        if inside:
            lines += 1
            inside = line != "}"
        elif BY_HAND.match(line):
            functions, lines, inside = functions + 1, lines + 1, True
    return functions, lines


def measure(files):
    reads = functions = lines = schemas = members = 0
    for name, text in files:
        if "_test." in name or "_fixture." in name or "conformance" in name:
            continue
        reads += len(DEFAULTED.findall(text))
        found, its_lines = lines_of_functions(text)
        functions, lines = functions + found, lines + its_lines
        schemas += len(SCHEMA.findall(text))
        members += len(MEMBER.findall(text))
    return reads, functions, lines, schemas, members


print(
    f"{'':12} {'x_or reads':>10} {'codecs by hand':>15} {'their lines':>12} {'schemas':>8}"
    f" {'their members':>14}"
)
for revision in [*sys.argv[1:], None]:
    figures = measure(of_revision(revision) if revision else of_work_tree())
    print(
        f"{(revision or 'work tree')[:12]:12} {figures[0]:10} {figures[1]:15} {figures[2]:12}"
        f" {figures[3]:8} {figures[4]:14}"
    )
