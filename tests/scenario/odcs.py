#!/usr/bin/env python3
"""Contracts of the Open Data Contract Standard through the real binary: public files, and each kind
of rule of a set of rows on a small project whose rows break it.

    odcs.py HEDDLE ROOT [FOLDER]      standard library only; exit 0 when everything holds

FOLDER has public contracts (the standard's own examples begin with `standard__`). Without it,
`data/odcs` of a folder beside the project or beside a folder above it; that part is skipped where
there is none.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import small_project
from harness import Project

heddle, root = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()

# Why a file may be refused, and what is said of a file that is taken.
REASONS = {
    "bad-field",
    "bad-pattern",
    "bad-quality",
    "bad-schema",
    "duplicate-name",
    "missing-key",
    "out-of-range",
    "sql-not-enforced",
    "unknown-format",
    "unknown-key",
    "unknown-value",
    "wrong-type",
    "yaml-malformed",
    "yaml-documents",
    "yaml-duplicate-key",
}
WARNINGS = {
    "field-not-read",
    "no-fields",
    "not-enforced",
    "old-key",
    "type-from-physical",
    "unknown-severity",
}

# A key that is taken and not acted upon, as it looks in a file, and a word of the warning that must
# come.
SAID = [
    (r"^servers:\s*$", "`servers`"),
    (r"^slaProperties:\s*$", "`slaProperties`"),
    (r"^roles:\s*$", "`roles`"),
    (r"^\s+classification: *[^\s#]", "`classification`"),
    (r"^\s+encryptedName: *[^\s#]", "`encryptedName`"),
    (r"^\s+partitioned: *true", "`partitioned`"),
    (r"^\s+relationships: *$", "`relationships`"),
    (r"^\s+schedule: ", ("`schedule`", "`slaProperties`")),
    (r"type: *text\b", "`type: text`"),
    (r"engine: *soda", "`engine: soda`"),
    (r"engine: *greatExpectations", "`engine: greatExpectations`"),
    (r"logicalType: *array", "is of type"),
    (r"^\s+timezone: *true", "`timezone`"),
    (r"defaultTimezone: *\"?[A-Z][a-z]+/", "`defaultTimezone`"),
]


def check(path):
    done = subprocess.run(
        [heddle, "--json", "check", str(path)], capture_output=True, text=True, timeout=60
    )
    return done.returncode, json.loads(done.stdout)["diagnostics"]


def public_files():
    """Each is accepted, or refused with a named reason at a place; nothing that it asks for is
    dropped without a word.
    """
    folders = (
        [pathlib.Path(sys.argv[3])]
        if len(sys.argv) > 3
        else [found for above in root.parents for found in sorted(above.glob("*/data/odcs"))]
    )
    if not folders:
        print("no folder with public contracts: skipped")
        return
    accepted = 0
    files = sorted([*folders[0].glob("*.yaml"), *folders[0].glob("*.yml")])
    for file in files:
        code, found = check(file)
        text = file.read_text()
        errors = [each for each in found if each["severity"] == "error"]
        assert code == (2 if errors else 0), (file.name, code)
        for each in found:
            known = REASONS if each["severity"] == "error" else WARNINGS
            assert each["id"] in known and each["hint"] and each["line"] > 0, (file.name, each)
        messages = [
            (each["id"], each["message"]) for each in found if each["severity"] == "warning"
        ]
        assert len(messages) == len(set(messages)), (file.name, messages)
        assert len(messages) < 25, (file.name, "one warning a key, not one a place")
        assert not errors or not file.name.startswith("standard__"), (file.name, errors)
        accepted += not errors
        said = " ".join(message for _, message in messages)
        for pattern, words in SAID:
            words = (words,) if isinstance(words, str) else words
            if not errors and re.search(pattern, text, re.M):
                assert any(word in said for word in words), (file.name, pattern, said)
    print(
        f"{len(files)} public contracts: {accepted} accepted, {len(files) - accepted} refused with"
        " a reason"
    )


# What the rows of the small project break, as YAML put after a place of its contract, and the rule
# that a run names.
DISTANCE = "      - {name: distance, logicalType: integer, "
ORIGIN = "      - name: origin\n        logicalType: string\n"
QUALITY = "    quality:\n"
BROKEN = [
    (DISTANCE, DISTANCE + "unique: true, ", "distance-unique"),
    (ORIGIN, ORIGIN + "        primaryKey: true\n", "primary-key"),
    (
        QUALITY,
        QUALITY
        + "      - {type: sql, query: 'SELECT COUNT(*) FROM {object} WHERE distance < 500', mustBe:"
        " 0, severity: error}\n",
        "trips-sql",
    ),
    (
        ORIGIN,
        ORIGIN + "        quality: [{rule: validValues, validValues: [AAA, 7], mustBe: 0}]\n",
        "origin-invalidValues",
    ),
    (
        ORIGIN,
        ORIGIN
        + "        quality: [{metric: invalidValues, arguments: {pattern: '^A'}, unit: percent,"
        " mustBeLessThan: 50}]\n",
        "origin-invalidValues",
    ),
    (
        ORIGIN,
        ORIGIN
        + "        quality: [{metric: missingValues, arguments: {missingValues: [AAA]}, mustBe:"
        " 0}]\n",
        "origin-missingValues",
    ),
    (
        ORIGIN,
        ORIGIN + "        quality: [{rule: validValues, validValues: [AAA, 7]}]\n",
        "origin-invalidValues",
    ),
    (
        DISTANCE,
        DISTANCE
        + "quality: [{rule: between, customProperties: [{property: min, value: 0}, {property: max,"
        " value: 500}]}], ",
        "distance-between",
    ),
    (
        DISTANCE,
        DISTANCE + "quality: [{rule: minCheck, customProperties: [{property: min, value: 500}]}], ",
        "distance-minCheck",
    ),
]


def sets_of_rows():
    """All of them at once, each named; then none of them when the rows keep what is asked."""
    with tempfile.TemporaryDirectory(prefix="heddle-odcs-") as folder:
        project = Project(heddle, small_project.make(pathlib.Path(folder) / "p", 3000))
        file = project.root / "contracts/trips.odcs.yaml"
        before = file.read_text()
        for old, new, rule in BROKEN:
            assert old in before, old
            file.write_text(before.replace(old, new, 1))
            done = project.run("run", "--until", "validate.set")
            assert done.id == "set-refused" and f"`{rule}`" in done.err, (rule, done)
        file.write_text(
            before.replace(
                QUALITY,
                QUALITY
                + "      - {metric: rowCount, mustBeGreaterThan: 100, mustBeLessThan: 1000000}\n   "
                "   - {type: sql, query: 'SELECT MIN(distance) FROM trips', mustBeGreaterThan:"
                " 0}\n",
                1,
            )
        )
        done = project.run("run", "--until", "validate.set")
        assert done.code == 0, done


def patterns():
    """A pattern that cannot be compiled ends `check`, with its place, and not a run."""
    with tempfile.TemporaryDirectory(prefix="heddle-odcs-") as folder:
        file = pathlib.Path(folder) / "c.odcs.yaml"
        file.write_text(
            "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nschema:\n- name: rows\n"
            "  properties:\n  - name: a\n    logicalType: string\n    logicalTypeOptions: {pattern:"
            " '(?!x)y'}\n"
        )
        code, found = check(file)
        assert code == 2 and [(each["id"], each["line"], each["column"]) for each in found] == [
            ("bad-pattern", 10, 35)
        ], found
        code, found = check(folder)
        assert code == 2 and found[0]["file"] == "c.odcs.yaml", found


for part in (public_files, patterns, sets_of_rows):
    part()
    print(f"{part.__name__}: ok")
