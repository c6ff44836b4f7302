#!/usr/bin/env python3
"""Checks what the build cannot see: that a source includes only modules its own module links, that
headers keep heavy libraries out, and that every *_test.cpp is registered. Prints each finding as
file:line: message; exit 1 when there is one.

    scripts/check_layers.py [ROOT]
"""

import pathlib
import re
import sys

HEAVY = re.compile(r"<(arrow/|parquet/|nlohmann/|simdjson|yaml-cpp/|boost/|xgboost/|sqlite3|git2)")


def modules_of(src):
    """name -> (layer, deps, test_deps, tests, folder), from the heddle_module calls."""
    out = {}
    for file in sorted(src.rglob("CMakeLists.txt")):
        text = re.sub(r"#.*", "", file.read_text())
        lists = {}
        for name, values in re.findall(
            r"(?:set|list\(APPEND|list)\s*\(?\s*(?:APPEND\s+)?(\w+)([^)]*)\)", text
        ):
            lists.setdefault(name, []).extend(values.split())
        for call in re.findall(r"heddle_module\((.*?)\)", text, re.S):
            words = [
                w
                for word in call.split()
                for w in (lists.get(word[2:-1], []) if word.startswith("${") else [word])
            ]
            fields, key = {}, None
            for word in words:
                if word in ("NAME", "LAYER", "SRCS", "DEPS", "LIBS", "TESTS", "TEST_DEPS"):
                    key = word
                    fields.setdefault(key, [])
                elif key:
                    fields[key].append(word)
            if not fields.get("NAME"):
                continue
            name = fields["NAME"][0]
            out[name] = (
                float(fields["LAYER"][0]),
                fields.get("DEPS", []),
                fields.get("TEST_DEPS", []),
                fields.get("TESTS", []),
                file.parent,
            )
    return out


def reachable(modules, names):
    seen, todo = set(), [n.replace("adapters_", "adapters/") for n in names]
    while todo:
        name = todo.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        todo += modules[name][1]
    return seen


def main(root):
    src = root / "src"
    modules = modules_of(src)
    findings = []
    folders = {str(folder.relative_to(src)): name for name, (_, _, _, _, folder) in modules.items()}
    for name, (layer, deps, test_deps, tests, folder) in modules.items():
        allowed = reachable(modules, deps)
        for file in sorted([*folder.glob("*.hpp"), *folder.glob("*.cpp")]):
            test = file.name.endswith("_test.cpp") or file.name.endswith("_fixture.hpp")
            if file.suffix == ".cpp" and file.name not in (folder / "CMakeLists.txt").read_text():
                findings.append(
                    f"{file.relative_to(root)}:1: no build file of {folder.relative_to(root)} names"
                    " this source"
                )
            if file.name.endswith("_test.cpp") and file.name not in tests:
                findings.append(
                    f"{file.relative_to(root)}:1: this test is not registered in"
                    f" {folder.relative_to(root)}/CMakeLists.txt"
                )
            ours = allowed | (reachable(modules, test_deps) if test else set())
            for number, line in enumerate(file.read_text().splitlines(), 1):
                if (
                    file.suffix == ".hpp"
                    and not name.startswith("adapters/")
                    and HEAVY.search(line)
                    and line.lstrip().startswith("#include")
                ):
                    findings.append(
                        f"{file.relative_to(root)}:{number}: a heavy library in a public header:"
                        f" {line.strip()}"
                    )
                match = re.match(r'\s*#include "([^"]+)/[^"/]+"', line)
                if not match or match.group(1) == str(folder.relative_to(src)):
                    continue
                other = folders.get(match.group(1))
                if other is None:
                    continue
                if other not in ours:
                    findings.append(
                        f"{file.relative_to(root)}:{number}: `{name}` includes `{other}` but does"
                        " not link it"
                    )
                elif not test and modules[other][0] >= layer:
                    findings.append(
                        f"{file.relative_to(root)}:{number}: `{name}` (layer {layer}) includes"
                        f" `{other}` (layer {modules[other][0]})"
                    )
    for finding in findings:
        print(finding)
    print(f"{len(modules)} modules, {len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(
        main(
            pathlib.Path(
                sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
            )
        )
    )
