#!/usr/bin/env python3
"""docs/transcript.md from a wheel: in an empty home of this machine, or in a root that holds the
smallest Debian and nothing that Heddle was built with.

    empty_root.py PAGE WHEELS [--root SUITE --roots FOLDER] [--write]

WHEELS: a wheel, or a folder that holds one. `--root`: one of SUITES, which debootstrap fetches,
once, into FOLDER, and of which a copy is used; that needs root, a network and debootstrap, and
skips (exit 77) with the reason where one is missing. The commands themselves have no network.
`--write`: what was printed goes into the page, and how long it took.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pages  # noqa: E402

# Of each suite the mirror (empty: this machine's own), the keyring (empty: Debian's) and its
# components. The second is Ubuntu 22.04, the oldest system that the wheel is for.
SUITES = {
    "bookworm": ("", "", "main"),
    "jammy": (
        "http://archive.ubuntu.com/ubuntu",
        "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        "main,universe",
    ),
}
# What the page names besides the smallest system.
PACKAGES = ["python3-venv", "openssh-client", "git", "curl"]
MOST = 300  # seconds from the wheel to the first answer


def skip(why):
    print(f"empty_root: SKIPPED: {why}")
    sys.exit(77)


def mirror():
    """Where this machine's apt has its packages from."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    return listed[0] if listed else "http://deb.debian.org/debian"


def fetched(suite, roots):
    """The folder of a root of that suite, which is fetched if it is not there."""
    if os.geteuid() != 0:
        skip("a root is made by root alone")
    root = roots / suite
    if (root / "usr/bin/curl").exists():
        return root
    if not shutil.which("debootstrap"):
        skip("debootstrap is not installed")
    shutil.rmtree(root, ignore_errors=True)
    roots.mkdir(parents=True, exist_ok=True)
    site, keyring, components = SUITES[suite]
    if keyring and not pathlib.Path(keyring).exists():
        skip(f"there is no `{keyring}` to check the packages of `{suite}` with")
    words = ["debootstrap", "--variant=minbase", f"--components={components}"]
    words += [f"--keyring={keyring}"] if keyring else []
    done = subprocess.run(
        [*words, f"--include={','.join(PACKAGES)}", suite, str(root), site or mirror()],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(root, ignore_errors=True)
        skip(f"debootstrap cannot fetch `{suite}`: {done.stdout[-500:]}")
    return root


def took(shells, told):
    """The table of the page that says how long each block took."""
    rows = [
        f"| `{shell.text.splitlines()[0].split(' -H ')[0]}` | {seconds:.1f} |"
        for shell, (_, seconds) in zip(shells, told)
    ]
    total = sum(seconds for _, seconds in told)
    return "\n".join(
        ["| block that begins with | seconds |", "|---|---|", *rows, f"| all | {total:.1f} |"]
    )


def run_in(folder, source, wheel, script):
    """Runs the script in `folder`, or in a copy of the root `source` below it. Of the machine the
    copy sees /proc alone; its few devices are its own.
    """
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
    }
    if not source:
        shutil.copy(wheel, folder)
        return pages.run_script(["bash", "-c"], script, folder, environment)
    root = folder / "root"
    subprocess.run(["cp", "-a", str(source), str(root)], check=True)
    shutil.copy(wheel, root / "root")
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    environment["HOME"] = "/root"
    words = ["chroot", str(root), "bash", "-c"]
    try:
        return pages.run_script(words, f"cd\n{script}", root / "root", environment)
    finally:
        subprocess.run(["umount", "-l", str(root / "proc")], check=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("wheels", type=pathlib.Path)
    parser.add_argument("--root", default="")
    parser.add_argument("--roots", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    wheels = [options.wheels] if options.wheels.is_file() else [*options.wheels.glob("*.whl")]
    if len(wheels) != 1:
        skip(f"`{options.wheels}` holds no wheel: `make dist` makes one")
    source = fetched(options.root, options.roots) if options.root else None
    pages.apart("-m" if source else "")
    page = options.page.read_text()
    blocks = pages.blocks_of(page)
    script, shells = pages.script_of(blocks)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="heddle-root-"))
    try:
        told, everything, code = run_in(folder, source, wheels[0], script)
    finally:
        # Never into what is mounted there.
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=True)
    assert code == 0 and len(told) == len(shells), f"exit {code} after {everything[-3000:]}"
    pages.report(options.page, blocks, shells, told, write=options.write)
    if options.write:
        mark = "<!-- empty_root.py --write -->\n"
        text, _ = options.page.read_text().split(mark)
        options.page.write_text(f"{text}{mark}{took(shells, told)}\n")
    total = sum(seconds for _, seconds in told)
    print(f"{total:6.1f} s  from the wheel to the first answer")
    assert total < MOST, f"it took {total:.0f} s, more than {MOST}"


if __name__ == "__main__":
    main()
