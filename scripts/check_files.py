#!/usr/bin/env python3
"""Checks of single files: a header has at most 400 lines, a source 1,000; no macro outside
src/base/result.hpp, but for one that its source undefines again; no <iostream> or <regex>; test
libraries only in tests. Prints each finding as file:line: message; exit 1 when there is one.

    scripts/check_files.py [ROOT]
"""

import pathlib
import re
import sys

LINES = {".hpp": 400, ".cpp": 1000}
MACROS = (  # HEDDLE_TRY, HEDDLE_ASSIGN_OR_RETURN, HEDDLE_CHECK and the pieces they are made of
    "src/base/result.hpp"
)
INCLUDES = {"iostream": "write with fmt or the log", "regex": "use RE2"}


def is_test(path):
    return (
        path.name.endswith(("_test.cpp", "_fixture.hpp", "_conformance.hpp"))
        or path.parts[0] == "fuzz"
    )


def check(path, text):
    lines = text.splitlines()
    limit = LINES[path.suffix]
    if len(lines) > limit:
        yield (
            limit + 1,
            (
                f"{len(lines)} lines, at most {limit}: look for the second thing that the file is"
                " about"
            ),
        )
    for number, line in enumerate(lines, 1):
        if macro := re.match(r"\s*#\s*define\s+(\w+)", line):
            undefined = path.suffix == ".cpp" and re.search(
                rf"^#undef {macro.group(1)}$", text, re.M
            )
            if str(path) != MACROS and not undefined:
                yield (
                    number,
                    (
                        f"macro `{macro.group(1)}`: write a function, or `#undef` it at the end of"
                        " a source"
                    ),
                )
        if include := re.match(r"\s*#\s*include\s+<([^>]+)>", line):
            if hint := INCLUDES.get(include.group(1)):
                yield number, f"`<{include.group(1)}>` is not used here: {hint}"
            if include.group(1).startswith(("gtest/", "gmock/")) and not is_test(path):
                yield number, "a test library outside a test"
        if path.suffix == ".hpp" and number == 1 and line != "#pragma once":
            yield number, "a header begins with `#pragma once`"


def main(root):
    findings = 0
    count = 0
    for folder in ("src", "bench", "fuzz"):
        for file in sorted((root / folder).rglob("*.[ch]pp")):
            count += 1
            path = file.relative_to(root)
            for number, message in check(path, file.read_text()):
                findings += 1
                print(f"{path}:{number}: {message}")
    print(f"{count} files, {findings} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(
        main(
            pathlib.Path(
                sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent
            )
        )
    )
