#!/usr/bin/env python3
"""A page is run as a reader would: every `sh` block in order, in one shell, in an empty folder with
an empty home; what a block prints is what the `text` block under it says.

    pages.py HEDDLE PAGE [--section NAME] [--rows PAGE] [--python FOLDER] [--write]

A `python` block is the file that the words before it name last (`fit.py`). A line that ends in
`heddle up` is left running once it listens. In a `text` block, and in what was printed, digests,
moments, durations and decimals count as equal, the home is `~`, and of more than 14 lines
the first and the last count.

`--section`: only that heading's part. `--rows PAGE`: the first `python` block of that page is run
before, for the rows. `--python FOLDER`: an environment whose `python` the page means. `--write`:
puts what was printed into the page.
"""

import argparse
import array
import fcntl
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

FENCE = re.compile(r"^```(sh|text|python|yaml)[^\n]*\n(.*?)^```$", re.M | re.S)
MARK = "\x1e"  # between what blocks print
SHOWN, HEAD, TAIL = 14, 3, 4  # lines of a text; of a longer one the first and the last


class Block:
    """A fenced block of a page: its language and text, where it stands, the file that it is."""

    def __init__(self, found, before):
        self.language, self.text = found[1], found[2]
        self.start, self.end = found.start(2), found.end(2)
        names = re.findall(r"`([\w.-]+\.(?:py|yaml|sh))`", before)
        self.file = names[-1] if names else ""


def blocks_of(page, section=""):
    """Fenced blocks of the page's text, or of the part under the heading `section`."""
    begin, end = 0, len(page)
    if section:
        heading = re.search(rf"^(#+) {re.escape(section)}$", page, re.M)
        assert heading, f"there is no heading `{section}`"
        begin = heading.end()
        after = re.search(rf"^#{{1,{len(heading[1])}}} ", page[begin:], re.M)
        end = begin + after.start() if after else end
    blocks, at = [], begin
    for found in FENCE.finditer(page, begin, end):
        blocks.append(Block(found, page[at : found.start()]))
        at = found.end()
    return blocks


def script_of(blocks):
    """(bash script, the `sh` blocks that it runs): each ends with a mark and the time."""
    lines, shells = ["set -e -o pipefail"], []
    for block in blocks:
        if block.language == "python":
            assert block.file, f"no words name the file of: {block.text[:80]}"
            lines.append(f"printf %s {shlex.quote(block.text)} > {shlex.quote(block.file)}")
        if block.language != "sh":
            continue
        shells.append(block)
        for line in block.text.splitlines():
            command = line.split(" #")[0].rstrip()
            if not re.search(r"\bheddle up$", command):
                lines.append(line)
                continue
            lines.append(f"{{ {command}; }} > $HOME/up.log 2>&1 & up=$!")
            lines += [
                "until grep -qs '^next: curl' $HOME/up.log; do",
                "  kill -0 $up || { cat $HOME/up.log; exit 1; }; sleep 0.1",
                "done; sed '/^[0-9:.]* info /d; /^next: curl/q' $HOME/up.log",
                # It says so before it listens.
                "port=$(grep -o '127.0.0.1:[0-9]*' $HOME/up.log | tail -1 | cut -d: -f2)",
                "until (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do sleep 0.1; done",
            ]
        lines.append(f"printf '\\n{MARK}%s\\n' $(date +%s.%N)")
    # What is still running ends with the page.
    return "\n".join([*lines, "kill $(jobs -p) 2>/dev/null || true; wait"]) + "\n", shells


def run_script(words, script, folder, environment, seconds=900):
    """What each block printed and the seconds that it took: [(text, seconds)...], all of the output
    and the exit code. `words`: the command that reads the script.
    """
    log = folder / "printed"
    begun = time.time()
    with open(log, "w+b") as printed:
        child = subprocess.Popen(
            [*words, script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            # `heddle up` of a page that failed
            try:
                os.killpg(child.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
    everything = log.read_text(errors="replace").replace(environment["HOME"], "~")
    # What curl says of a try after which it tries again.
    everything = re.sub(r"^curl: \(\d+\) .*\n", "", everything, flags=re.M)
    if "VIRTUAL_ENV" in environment:
        everything = everything.replace(environment["VIRTUAL_ENV"], "~/env")
    told = []
    for text, moment in re.findall(rf"(.*?)\n?{MARK}([\d.]+)\n", everything, re.S):
        told.append((text.strip("\n"), float(moment) - begun))
        begun = float(moment)
    return told, everything, code


def shortened(text):
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    if len(lines) > SHOWN:
        lines = lines[:HEAD] + ["..."] + lines[-TAIL:]
    return "\n".join(lines)


def normal(text):
    """The text without what differs from day to day and from machine to machine."""
    for pattern, by in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?", "TIME"),
        (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID"),
        (
            r"sha256:[0-9a-f]{12,64}|\b[0-9a-f]{40}\b|\b[0-9a-f]{12}\b",
            "ID",
        ),
        (r"SHA256:\S+", "ID"),
        (r"(?<![\w.])\d[\d,]*\.\d+(e-?\d+)?", "N"),
        (r"(?<![\w.])\d+ rounds", "N rounds"),
        (r"about \d+ s\b", "about N s"),
        (r"`[\w-]+` may approve", "`you` may approve"),
        (r"\bN ?(ms|s)\b|\b\d+ ?ms\b", "N s"),
        (r"[ \t]+", " "),
    ):
        text = re.sub(pattern, by, text)
    return text.strip()


def expected_of(blocks, shell):
    """The `text` block that follows at once; None: there is none."""
    at = blocks.index(shell) + 1
    return blocks[at] if at < len(blocks) and blocks[at].language == "text" else None


def differences(blocks, shells, told):
    wrong = []
    for shell, (text, _) in zip(shells, told):
        expected = expected_of(blocks, shell)
        if expected and normal(shortened(expected.text)) != normal(shortened(text)):
            wrong.append(
                f"after\n{shell.text}the page says\n{expected.text}"
                f"and it printed\n{shortened(text)}\n"
            )
    return wrong


def written(page, blocks, shells, told):
    """The page with what was printed in its `text` blocks."""
    for shell, (text, _) in sorted(zip(shells, told), key=lambda each: -each[0].start):
        if expected := expected_of(blocks, shell):
            page = page[: expected.start] + shortened(text) + "\n" + page[expected.end :]
    return page


def report(path, blocks, shells, told, write):
    """Says what each block took; compares with the page, or writes it."""
    if write:
        path.write_text(written(path.read_text(), blocks, shells, told))
    for shell, (_, seconds) in zip(shells, told):
        print(f"{seconds:6.1f} s  {shell.text.splitlines()[0]}")
    wrong = [] if write else differences(blocks, shells, told)
    print("\n".join(wrong))
    assert not wrong, f"{len(wrong)} texts of {path} are not what its commands print"
    print(f"{path}: {len(shells)} blocks of commands run as they are printed")


def loopback():
    """Brings up `lo` of a new network namespace. Source: netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = array.array("B", struct.pack("16sh14x", b"lo", 1))  # IFF_UP
        fcntl.ioctl(control, 0x8914, request)  # SIOCSIFFLAGS


def apart(*more):
    """Runs this program again in a network namespace of its own, where every port is free, and in
    those that options of unshare(1) name; where none is allowed, goes on as it is.
    """
    if os.environ.pop("HEDDLE_PAGES_APART", ""):
        loopback()
        return
    for words in (["unshare", "-n", *filter(None, more)], ["unshare", "-rn", *filter(None, more)]):
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            environment = {**os.environ, "HEDDLE_PAGES_APART": "1"}
            os.execvpe(words[0], [*words, sys.executable, *sys.argv], environment)
    print("pages: no network namespace is allowed here: ports 8000, 8001 and 8010 have to be free")


class Reader:
    """Somebody who has a `heddle` and nothing else: an empty home with a key, an empty folder."""

    def __init__(self, heddle, python=""):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="heddle-page-"))
        self.home, self.folder, programs = (self.dir / each for each in ("home", "work", "bin"))
        for each in (self.home / ".ssh", self.folder, programs):
            each.mkdir(parents=True)
        key = str(self.home / ".ssh/id_ed25519")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (programs / "heddle").symlink_to(os.path.abspath(heddle))
        interpreter = (
            pathlib.Path(python).absolute() / "bin" / "python" if python else sys.executable
        )
        (programs / "python").write_text(f'#!/bin/sh\nexec "{interpreter}" "$@"\n')
        (programs / "python").chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if python:
            self.environment["VIRTUAL_ENV"] = os.path.abspath(python)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("heddle")
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--section", default="")
    parser.add_argument("--rows", type=pathlib.Path)
    parser.add_argument("--python", default="")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    apart()
    page = options.page.read_text()
    blocks = blocks_of(page, options.section)
    script, shells = script_of(blocks)
    assert shells, f"{options.page} has no command"
    reader = Reader(options.heddle, options.python)
    try:
        if options.rows:
            rows = next(b for b in blocks_of(options.rows.read_text()) if b.language == "python")
            (reader.folder / "rows.py").write_text(rows.text)
            subprocess.run([sys.executable, "rows.py"], cwd=reader.folder, check=True)
            (reader.folder / "rows.py").unlink()
        told, everything, code = run_script(
            ["bash", "-c"], script, reader.folder, reader.environment
        )
    finally:
        reader.close()
    assert code == 0 and len(told) == len(shells), f"exit {code} after {everything[-3000:]}"
    report(options.page, blocks, shells, told, write=options.write)


if __name__ == "__main__":
    main()
