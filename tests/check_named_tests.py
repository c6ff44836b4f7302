#!/usr/bin/env python3
"""Every test that a table of docs/attacks.md, docs/goals.md or docs/security-bounds.md names
exists, and every row names one or says `not yet`.

    tests/check_named_tests.py ROOT BUILD      BUILD: whose tests ctest lists

In the columns `test`, `tests` and `shown by`, between backticks: `Suite.Name`, `MODULE Name` (or
`MODULE_test`, `FILE_test`), `script.py case`, a name that ctest knows, or `bench-NAME`. A name may
be its beginning and `...`.
"""

import pathlib
import re
import subprocess
import sys

PAGES = ["attacks.md", "goals.md", "security-bounds.md"]
COLUMNS = {"test", "tests", "shown by"}


def unit_tests(root):
    """(module, file, `Suite.Name`) of each."""
    for file in [*root.glob("src/**/*_test.cpp"), *root.glob("tests/**/*_test.cpp")]:
        for suite, name in re.findall(
            r"^TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", file.read_text(), re.M
        ):
            yield file.parent.name, file.stem, f"{suite}.{name}"


class Known:
    def __init__(self, root, build):
        self.root, self.units = root, list(unit_tests(root))
        listed = subprocess.run(
            ["ctest", "--test-dir", build, "-N"], capture_output=True, text=True, check=True
        ).stdout
        self.ctest = set(re.findall(r"Test +#\d+: (\S+)", listed))

    def has(self, token):
        if token in self.ctest:
            return True
        if match := re.fullmatch(r"bench-(\w+)", token):
            return any(self.root.glob(f"bench/{match[1]}.*"))
        if match := re.fullmatch(r"(\w+?)(?:\.py)? (\w+)", token):
            scripts = list(self.root.glob(f"tests/**/{match[1]}.py"))
            if scripts:
                return any(
                    re.search(rf"^def {match[2]}\(", file.read_text(), re.M) for file in scripts
                )
        where, _, name = token.rpartition(" ")
        units = [
            unit
            for module, file, unit in self.units
            if not where or where in (module, file, f"{module}_test")
        ]
        if re.fullmatch(r"\w+_test", token):
            return any(token in (file, f"{module}_test") for module, file, _ in self.units)
        start = name.removesuffix("...")
        whole = start == name
        return any(
            unit == start
            or (not whole and (unit.startswith(start) or unit.split(".")[1].startswith(start)))
            or (whole and (unit.split(".")[1] == start or unit.split(".")[0] == start))
            for unit in units
        )


def rows(text):
    """(line number, cells that name tests, the row) of each row of each table that has such a
    column.
    """
    columns = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not columns:
            columns = [at for at, cell in enumerate(cells) if cell in COLUMNS] or [None]
        elif columns != [None] and not set(line) <= set("|- "):
            yield number, " ".join(cells[at] for at in columns if at < len(cells)), line


def main(root, build):
    root = pathlib.Path(root)
    known, wrong, count = Known(root, build), [], 0
    for page in PAGES:
        for number, cell, line in rows((root / "docs" / page).read_text()):
            tokens = re.findall(r"`([^`]+)`", cell)
            count += len(tokens)
            if not tokens and "not yet" not in line:
                wrong.append(f"docs/{page}:{number}: names no test and does not say `not yet`")
            wrong += [
                f"docs/{page}:{number}: there is no test `{token}`"
                for token in tokens
                if not known.has(token)
            ]
    print("\n".join(wrong) or f"{count} tests are named, and each exists")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
