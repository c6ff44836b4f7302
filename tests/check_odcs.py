#!/usr/bin/env python3
"""docs/odcs.md against the keys that Heddle reads and those of the standard.   tests/check_odcs.py
    HEDDLE ROOT [--write]

The standard's keys are kept in tests/fixtures/odcs/keys.tsv; where the package
`open-data-contract-standard` or `datacontract-cli` is installed, they are held against its JSON
schema.
"""

import importlib.util
import json
import pathlib
import subprocess
import sys

heddle, root = sys.argv[1], pathlib.Path(sys.argv[2])
STOPS = (".items", ".map.key", ".map.value")


def keys_of(schema, document):
    """Paths of all keys of a JSON schema, wherever `$ref`, `allOf`, `if` and the like put them."""
    found = set()

    def walk(node, path, opened):
        if not isinstance(node, dict):
            return
        if "$ref" in node:
            if node["$ref"] in opened:
                return
            target = document
            for part in node["$ref"].lstrip("#/").split("/"):
                target = target[part]
            walk(target, path, opened + [node["$ref"]])
        for word in ("allOf", "anyOf", "oneOf"):
            for each in node.get(word, []):
                walk(each, path, opened)
        for word in ("if", "then", "else"):
            walk(node.get(word), path, opened)
        for name, value in node.get("properties", {}).items():
            key = f"{path}.{name}" if path else name
            found.add(key)
            if key != "servers" and not key.endswith(STOPS):
                walk(value, key, opened)
        walk(node.get("items"), path + "[]", opened)

    walk(schema, "", [])
    return found


def treatments(node, path=""):
    """(key, treatment, what it does) of every key in `heddle schema DataContract`, in its order."""
    for name, value in node.get("properties", {}).items():
        key = f"{path}.{name}" if path else name
        yield key, value.get("x-treatment", "enforced"), value.get("description", "")
        yield from treatments(value, key)
        if isinstance(value.get("items"), dict):
            yield from treatments(value["items"], key + "[]")


def covering(key, table):
    """The key itself or the block around it that is treated as a whole."""
    while key not in table and key:
        cut = max(key.rfind("."), key.rfind("[]"))
        key = key[:cut] if cut > 0 else ""
    return key


wrong = []
schema = json.loads(
    subprocess.run(
        [heddle, "schema", "DataContract"], check=True, capture_output=True, text=True
    ).stdout
)
rows = list(treatments(schema))
table = {key: treatment for key, treatment, _ in rows}
standard = {}
for line in (root / "tests/fixtures/odcs/keys.tsv").read_text().splitlines():
    if not line.startswith("#"):
        key, versions = line.split("\t")
        standard[key] = versions.split()

for key in standard:
    block = covering(key, table)
    # A block that is read has each of its keys in the table; one that is not read is treated as a
    # whole.
    if not block or (block != key and table[block] == "enforced"):
        wrong.append(f"the standard's key `{key}` has no treatment")
# Keys that no schema of 3.x has, and where they come from: the text of 3.0, version 2, tools that
# write contracts.
ours = {
    "schema[].properties[].quality[].validValues": "3.0 (text)",
    "schema[].quality[].validValues": "3.0 (text)",
    "type": "2",
    "schema[].properties[].isNullable": "2",
    "schema[].properties[].isUnique": "2",
    "schema[].properties[].logicalTypeOptions.precision": "tools",
    "schema[].properties[].logicalTypeOptions.scale": "tools",
}
for key in table:
    # `vendor` came with 3.2; every key of an enum value, a custom property and so on is the
    # standard's own.
    if key not in standard and key not in ours:
        wrong.append(f"`{key}` is no key of the standard")

versions = ["3.0.0", "3.0.1", "3.0.2", "3.1.0", "3.2.0"]
lines = ["| key | since | treatment | what Heddle does |", "|---|---|---|---|"]
for key, treatment, about in rows:
    since = next(
        (version for version in versions if version in standard.get(key, [])), ours.get(key)
    )
    lines.append(f"| `{key}` | {since} | {treatment} | {about.replace('|', chr(92) + '|')} |")
page = root / "docs/odcs.md"
text = page.read_text()
begin, end = "<!-- keys: written by tests/check_odcs.py --write -->\n", "<!-- end of keys -->"
before, rest = text.split(begin)
made = before + begin + "\n" + "\n".join(lines) + "\n\n" + end + rest.split(end)[1]
if "--write" in sys.argv:
    page.write_text(made)
elif made != text:
    wrong.append("docs/odcs.md is not what `tests/check_odcs.py HEDDLE ROOT --write` makes")

compared = 0
for package, places in (
    ("open_data_contract_standard", ["schema.json"]),
    ("datacontract", [f"schemas/odcs-{version}.schema.json" for version in versions]),
):
    spec = importlib.util.find_spec(package)
    for place in places if spec else []:
        file = pathlib.Path(spec.submodule_search_locations[0]) / place
        if not file.exists():
            continue
        document = json.loads(file.read_text())
        version = next((each for each in reversed(versions) if each in file.name), "3.2.0")
        theirs = keys_of(document, document)
        kept = {key for key, known in standard.items() if version in known}
        compared += 1
        if theirs != kept:
            wrong.append(
                f"keys of {version} in {file.name} and in keys.tsv differ:"
                f" {sorted(theirs ^ kept)[:10]}"
            )

print(
    "\n".join(wrong)
    or f"{len(standard)} keys of the standard are treated as docs/odcs.md says;"
    f" {compared} JSON schemas of installed packages agree"
)
sys.exit(1 if wrong else 0)
