"""Every `heddle ...` command that a text of src/ or a page names exists, with the options that it
gives it.   check_commands.py HEDDLE ROOT
"""

import pathlib
import re
import subprocess
import sys

# Words before `heddle` where the program is meant and no command.
PROSE = {"of", "newer", "this", "another", "the", "a", "no"}
LITERAL = re.compile(
    r'R"(?P<tag>\w*)\((?P<raw>.*?)\)(?P=tag)"|"(?P<text>(?:[^"\\\n]|\\.)*)"'
    r"|//[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.)+'",
    re.S,
)


def literals(source):
    """Texts of a C++ file, those that stand side by side as one, with the line each begins on."""
    text, line, end = None, 0, 0
    for found in LITERAL.finditer(source):
        part = found["raw"] if found["raw"] is not None else found["text"]
        if part is None:
            continue
        if text is not None and not source[end : found.start()].strip():
            text += part
        else:
            if text is not None:
                yield line, text
            text, line = part, source.count("\n", 0, found.start()) + 1
        end = found.end()
    if text is not None:
        yield line, text


class Command:
    def __init__(self, heddle, path=()):
        said = subprocess.run(
            [heddle, *path, "--help"], capture_output=True, text=True, check=True
        ).stdout
        self.options = set(re.findall(r"--[a-z][a-z-]*", said))
        names = (
            re.findall(r"^  ([a-z]+) ", said.split("Subcommands:")[1], re.M)
            if "Subcommands:" in said
            else []
        )
        self.commands = {name: Command(heddle, (*path, name)) for name in names}


def what_is_wrong(root, said):
    """Of the text that follows `heddle `; empty: nothing."""
    at, path = root, []
    words = re.split(r"[`\"'.;,:()\n]|\\n| \|", said)[0].split()
    while words and at.commands:
        if words[0].startswith("--"):
            break
        if words[0] not in at.commands:
            return f"`heddle {' '.join([*path, words[0]])}` is no command"
        path.append(words.pop(0))
        at = at.commands[path[-1]]
    if at.commands and path:
        return f"`heddle {' '.join(path)}` does nothing by itself"
    for option in re.findall(r"--[a-z][a-z-]*", " ".join(words)):
        if option not in at.options | root.options:
            return f"`heddle {' '.join(path)}` has no `{option}`"
    return ""


def main():
    heddle, root = sys.argv[1], pathlib.Path(sys.argv[2])
    commands = Command(heddle)
    named, wrong = 0, []
    for file in sorted((root / "src").rglob("*.[ch]pp")):
        if file.name.endswith("_test.cpp"):
            continue
        for line, text in literals(file.read_text()):
            for found in re.finditer(r"(\w*)(\W*)\bheddle (?=[a-z-])", text):
                is_prose = found[1].lower() in PROSE and found[2] == " "
                if is_prose or found[2].endswith(("/", ".")):
                    continue
                named += 1
                if said := what_is_wrong(commands, text[found.end() :]):
                    wrong.append(f"{file.relative_to(root)}:{line}: {said}")
    for file in [
        root / "README.md",
        root / "CONTRIBUTING.md",
        *sorted((root / "docs").rglob("*.md")),
    ]:
        for found in re.finditer(r"`heddle ([a-z-][^`]*)`", file.read_text()):
            named += 1
            if said := what_is_wrong(commands, found[1].replace("|", "\n")):
                wrong.append(f"{file.relative_to(root)}: {said}")
    print("\n".join(wrong))
    assert named > 100, f"only {named} commands were found: the reader of texts is wrong"
    assert not wrong, f"{len(wrong)} texts name a command that there is not"
    # The check itself: what it is to find, it finds.
    for text, expected in (
        ("quarantine let-in late", "no command"),
        ("incident", "nothing by itself"),
        ("status --loud", "no `--loud`"),
        ("approval show X", ""),
    ):
        assert expected in what_is_wrong(commands, text) and bool(expected) == bool(
            what_is_wrong(commands, text)
        ), text
    print(f"commands: {named} texts name a command that exists")


if __name__ == "__main__":
    main()
