#!/usr/bin/env python3
"""How the sources read, in figures.   scripts/figures.py [--above N] [ROOT]

Prints cyclomatic and cognitive complexity (lizard; SonarSource's rules) of the functions of src/
without tests, lines over 100 columns by kind of file, the share of comments by kind, and what
codec_lines.py prints. Exit 1 when a figure is past its bound in BOUNDS. `--above N` also lists the
functions of which one of the two is above N, the largest first.
"""

import argparse
import collections
import io
import pathlib
import re
import subprocess
import sys
import tokenize

# What holds today; each change that makes a figure better lowers its bound, until the goal.
#           figure: (bound, goal)
BOUNDS = {
    "complexity p95": (10, 10),
    "complexity maximum": (25, 25),
    "functions above 25": (0, 0),
    "cognitive maximum": (25, 25),
    "cognitive above 25": (0, 0),
    "long lines, C++": (0, 0),
    "long lines, Python": (0, 0),
    "long lines, shell": (0, 0),
    "long lines, CMake": (0, 0),
}
COLUMNS = 100
LARGE = 25
TEST = re.compile(r"_test\.|_fixture\.|_conformance\.")
# A literal, which may hold `//`, or a comment; what does not match is passed over.
CPP = re.compile(
    r'R"(?P<raw>[^(\s]*)\(.*?\)(?P=raw)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![\w])'(?:\\.|[^'\\\n])+'"
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)",
    re.S,
)


def kind_of(path):
    name = path.name
    if name == "CMakeLists.txt" or name.endswith(".cmake"):
        return "CMake"
    if name.endswith(".md"):
        return "prose"
    return {".cpp": "C++", ".hpp": "C++", ".py": "Python", ".sh": "shell"}.get(path.suffix)


def comments_of_cpp(text):
    """Numbers of the lines that hold a comment."""
    for match in CPP.finditer(text):
        if match.group("comment"):
            first = text.count("\n", 0, match.start())
            yield from range(first, first + match.group().count("\n") + 1)


def comments_of_python(text):
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0] - 1
        # A string that is a statement of its own is a docstring.
        elif token.type == tokenize.STRING and token.line.lstrip().startswith(('"""', 'r"""')):
            yield from range(token.start[0] - 1, token.end[0])


def comments_of_shell(text):
    for number, line in enumerate(text.splitlines()):
        if line.lstrip().startswith("#") and not line.startswith("#!"):
            yield number


COMMENTS = {
    "C++": comments_of_cpp,
    "Python": comments_of_python,
    "shell": comments_of_shell,
    "CMake": comments_of_shell,
}


def part_of(path, kind):
    """What the share of comments is told for: C++ headers, sources and tests apart."""
    if kind != "C++":
        return kind
    if TEST.search(path.name) or path.parts[0] != "src":
        return "C++ tests, bench, fuzz"
    return "C++ headers" if path.suffix == ".hpp" else "C++ sources"


def read_files(root):
    listed = subprocess.run(
        ["git", "-C", root, "ls-files"], check=True, capture_output=True, text=True
    ).stdout
    for name in listed.splitlines():
        path = pathlib.Path(name)
        if (kind := kind_of(path)) and (root / path).is_file():
            yield path, kind, (root / path).read_text()


def measure_functions(root, paths):
    """(cyclomatic, cognitive, lines, path:line, name) of each function, the largest first."""
    import lizard  # the pinned one of tests/requirements.txt

    files = [str(root / path) for path in paths]
    found = []
    for file in lizard.analyze_files(files, threads=2, exts=lizard.get_extensions(["cognitive"])):
        for f in file.function_list:
            place = f"{pathlib.Path(file.filename).relative_to(root)}:{f.start_line}"
            found.append((f.cyclomatic_complexity, f.cognitive_complexity, f.nloc, place, f.name))
    return sorted(found, reverse=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--above", type=int, metavar="N")
    parser.add_argument("root", nargs="?", type=pathlib.Path)
    arguments = parser.parse_args()
    root = (arguments.root or pathlib.Path(__file__).parent.parent).resolve()

    product = []
    long_lines = collections.Counter()
    shares = collections.defaultdict(lambda: [0, 0, 0])  # lines with text, own-line, any comment
    for path, kind, text in read_files(root):
        lines = text.splitlines()
        long_lines[kind] += sum(len(line) > COLUMNS for line in lines)
        part = part_of(path, kind)
        if part in ("C++ headers", "C++ sources"):
            product.append(path)
        if kind not in COMMENTS:
            continue
        commented = set(COMMENTS[kind](text))
        starts = ("//", "/*", "#", '"""', 'r"""')
        share = shares[part]
        share[0] += sum(bool(line.strip()) for line in lines)
        share[1] += sum(lines[n].lstrip().startswith(starts) for n in commented)
        share[2] += len(commented)

    try:
        functions = measure_functions(root, product)
    except ModuleNotFoundError as missing:
        print(
            f"error: `{missing.name}` is missing in {sys.executable}\n\n"
            "hint: scripts/install_deps.sh --tests puts it into build/test-venv; run this with "
            "build/test-venv/bin/python",
            file=sys.stderr,
        )
        return 1

    count = len(functions)
    large = [f for f in functions if f[0] > LARGE]
    dense = sum(f[0] > 10 for f in functions)
    figures = {
        "complexity p95": functions[int(count * 0.05)][0],
        "complexity maximum": functions[0][0],
        "functions above 25": len(large),
        "cognitive maximum": max(f[1] for f in functions),
        "cognitive above 25": sum(f[1] > LARGE for f in functions),
        **{f"long lines, {kind}": long_lines[kind] for kind in COMMENTS},
    }
    print(f"{count} functions; {dense} ({dense / count:.1%}) with a complexity above 10")
    print(f"{'':24}{'now':>8}{'bound':>8}{'goal':>8}")
    for name, value in figures.items():
        print(f"{name:24}{value:8}{BOUNDS[name][0]:8}{BOUNDS[name][1]:8}")
    print(f"{'long lines, prose':24}{long_lines['prose']:8}{'-':>8}{'-':>8}")
    least = LARGE if arguments.above is None else arguments.above
    for cyclomatic, cognitive, lines, place, name in functions:
        if max(cyclomatic, cognitive) > least:
            print(f"  {cyclomatic:3} {cognitive:3} in {lines:3} lines  {place}  {name}")

    print(f"\n{'comments':24}{'lines':>8}{'own line':>10}{'any':>8}")
    for part, (lines, own, any_comment) in sorted(shares.items()):
        print(f"{part:24}{lines:8}{own / lines:10.1%}{any_comment / lines:8.1%}")
    print(flush=True)
    subprocess.run([sys.executable, root / "scripts" / "codec_lines.py"], check=True)

    worse = [n for n, value in figures.items() if value > BOUNDS[n][0]]
    for name in worse:
        print(f"error: {name}: {figures[name]}, at most {BOUNDS[name][0]}", file=sys.stderr)
    if worse:
        print(
            "\nhint: `--above 10` lists the functions; give a step of a large one a name of"
            " its own",
            file=sys.stderr,
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
