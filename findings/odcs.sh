#!/usr/bin/env bash
# Open Data Contract Standard 3.2.0: the standard calls `logicalType` optional, and every version
# before took a property without it. The JSON schema of the PyPI package refuses such a property,
# with "'map' is a required property", and each of its options: the `if` of every type,
# `{properties: {logicalType: {const: ...}}}`, lacks `required`, so that it holds where the key is
# absent and all `then`s apply at once. A good guess was: a column with only a `physicalType` is
# valid.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check --no-deps \
  open-data-contract-standard==3.2.0
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check jsonschema==4.25.1
"$work/venv/bin/python" - <<'PY'
import importlib.util
import json
import pathlib
from importlib.metadata import version

import jsonschema

package = importlib.util.find_spec("open_data_contract_standard")
folder = pathlib.Path(package.submodule_search_locations[0])
schema = json.loads((folder / "schema.json").read_text())
validator = jsonschema.validators.validator_for(schema)(schema)


def errors(**keys):
    code = {"name": "code", "physicalType": "varchar(3)", **keys}
    contract = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": "c",
        "version": "1.0.0",
        "schema": [{"name": "rows", "properties": [code]}],
    }
    return [each.message for each in validator.iter_errors(contract)]


typed = errors(logicalType="string", logicalTypeOptions={"maxLength": 3})
untyped = errors()
options = errors(logicalTypeOptions={"maxLength": 3})
for name in ("open-data-contract-standard", "jsonschema"):
    print(name, version(name))
print(f"with logicalType: {typed}\nwithout: {untyped}")
print(f"without, maxLength: {options[:1]} and {len(options) - 1} more")
assert typed == [], "the behaviour changed"
assert untyped == ["'map' is a required property"], "the behaviour changed"
assert len(options) > 1, "the behaviour changed"
PY
