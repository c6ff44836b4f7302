#!/usr/bin/env python3
"""Every relative link of a Markdown file leads to a file that exists.   tests/check_docs.py ROOT"""

import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
files = [
    *root.glob("*.md"),
    *root.glob("docs/**/*.md"),
    *root.glob("src/**/*.md"),
    *root.glob("examples/**/*.md"),
]
broken = []
for file in files:
    for number, line in enumerate(file.read_text().splitlines(), 1):
        for target in re.findall(r"\]\(([^)#\s]+)", line):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (file.parent / target).exists()
            ):
                broken.append(f"{file.relative_to(root)}:{number}: `{target}` does not exist")
print("\n".join(broken) or f"{len(files)} files, every link leads somewhere")
sys.exit(1 if broken else 0)
