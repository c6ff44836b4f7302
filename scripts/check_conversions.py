#!/usr/bin/env python3
"""Conversions that may change a value, told by GCC.   scripts/check_conversions.py BUILD FILE...

Compiles each source once more as BUILD/compile_commands.json says, without an object, with
-Wconversion. Exit 1 where one warns. It is not a flag of the build: each file is told about when
it changes, and those that nobody touches cost nothing.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys


def sources_of(entry):
    """The sources that an entry compiles: itself, or those that a unity build puts together."""
    if not entry["file"].endswith("_cxx.cxx"):
        return [entry["file"]]
    return re.findall(r'^#include "(.+)"$', pathlib.Path(entry["file"]).read_text(), re.MULTILINE)


def command_of(entry, source):
    """The entry's command for one of its sources, which leaves no file."""
    words = iter(shlex.split(entry["command"]))
    kept = []
    for word in words:
        if word == "-o":
            next(words)
        elif word == entry["file"]:
            kept.append(source)
        elif word not in ("-c", "-Werror"):
            kept.append(word)
    return [*kept, "-fsyntax-only", "-Wconversion", "-Werror=conversion"]


def main():
    build, *files = sys.argv[1:]
    wanted = {str(pathlib.Path(file).resolve()) for file in files}
    entries = json.loads((pathlib.Path(build) / "compile_commands.json").read_text())
    failed = False
    for entry in entries:
        for source in sources_of(entry):
            if source in wanted:
                wanted.remove(source)
                command = command_of(entry, source)
                done = subprocess.run(command, cwd=entry["directory"], check=False)
                failed = failed or done.returncode != 0
    for source in sorted(wanted):
        print(f"{source} is in no target of {build}: it was not checked", file=sys.stderr)
    return 1 if failed or wanted else 0


if __name__ == "__main__":
    sys.exit(main())
