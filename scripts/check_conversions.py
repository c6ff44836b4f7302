#!/usr/bin/env python3
"""Conversions that may change a value, told by GCC.   scripts/check_conversions.py BUILD FILE...

Compiles each source once more as BUILD/compile_commands.json says, without an object, with
-Wconversion. Exit 1 where one warns. It is not a flag of the build: each file is told about when
it changes, and those that nobody touches cost nothing.
"""

import json
import pathlib
import shlex
import subprocess
import sys


def command_of(entry):
    """The entry's command, which leaves no file."""
    words = iter(shlex.split(entry["command"]))
    kept = []
    for word in words:
        if word == "-o":
            next(words)
        elif word not in ("-c", "-Werror"):
            kept.append(word)
    return [*kept, "-fsyntax-only", "-Wconversion", "-Werror=conversion"]


def main():
    build, *files = sys.argv[1:]
    wanted = {str(pathlib.Path(file).resolve()) for file in files}
    entries = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    failed = 0
    for entry in entries:
        if entry["file"] in wanted:
            done = subprocess.run(command_of(entry), cwd=entry["directory"], check=False)
            failed += done.returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
