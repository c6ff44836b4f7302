"""The environment of a trainer, written down and held against what is installed.

A lock is a requirements file: `NAME==VERSION`, one a line, which pip installs from. What Heddle
adds stands in comments: the interpreter, and the sum of what each package installed.

    # python cpython 3.11.7 x86_64
    numpy==2.4.6  # sha256:4f53...
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import pathlib
import platform
import re
import sys
from typing import Any

_LINE = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*==\s*([^\s;\\#]+)")
_SUM = re.compile(r"#\s*sha256:([0-9a-f]{64})")
_PYTHON = re.compile(r"^#\s*python\s+(.+?)\s*$")
_UNTOLD = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}  # of how, not of what
_LEFT_OUT = {"pip"}  # installs, and is not imported


def python() -> str:
    return f"{sys.implementation.name} {platform.python_version()} {platform.machine()}"


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _told(distribution: importlib.metadata.Distribution) -> list[tuple[str, str]]:
    """Files and their sums as the wheel brought them; scripts have the place in them."""
    out = []
    for line in (distribution.read_text("RECORD") or "").splitlines():
        path, _, rest = line.rpartition(",")[0].rpartition(",")
        path = path.strip('"')
        if not rest.startswith("sha256=") or path.startswith(("../", "/")):
            continue
        if path.endswith(".pyc") or (".dist-info/" in path and path.rsplit("/", 1)[1] in _UNTOLD):
            continue
        out.append((path, rest))
    return sorted(out)


def installed() -> dict[str, dict[str, Any]]:
    """Packages by their plain name: version, sum (empty: nothing tells its files), and whose."""
    out: dict[str, dict[str, Any]] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if not name or _name(name) in _LEFT_OUT or _name(name) in out:
            continue
        told = _told(distribution)
        lines = "".join(f"{path},{sum_}\n" for path, sum_ in told)
        out[_name(name)] = {
            "name": name,
            "version": distribution.version,
            "sum": hashlib.sha256(lines.encode()).hexdigest() if told else "",
            "of": distribution,
            "told": told,
        }
    return out


def text() -> str:
    """The lock of the environment that runs this."""
    lines = [f"# python {python()}"]
    for _, each in sorted(installed().items()):
        tail = f"  # sha256:{each['sum']}" if each["sum"] else ""
        lines.append(f"{each['name']}=={each['version']}{tail}")
    return "\n".join(lines) + "\n"


def _read(path: pathlib.Path) -> tuple[str, dict[str, tuple[str, str]], list[str]]:
    """The interpreter, the packages, and lines that say neither."""
    wanted, packages, unread = "", {}, []
    for line in path.read_text().replace("\\\n", " ").splitlines():
        if found := _PYTHON.match(line):
            wanted = found[1]
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if match is None:
            unread.append(line)
            continue
        sum_ = _SUM.search(line)
        packages[_name(match[1])] = (match[2], sum_[1] if sum_ else "")
    return wanted, packages, unread


def _altered(package: dict[str, Any]) -> str:
    """A file of a package that is not what was installed; empty: there is none."""
    import base64

    for path, sum_ in package["told"]:
        try:
            whole = pathlib.Path(str(package["of"].locate_file(path))).read_bytes()
        except OSError:
            return path
        digest = base64.urlsafe_b64encode(hashlib.sha256(whole).digest()).rstrip(b"=")
        if "sha256=" + digest.decode() != sum_:
            return path
    return ""


def check(path: pathlib.Path, *, deep: bool) -> dict[str, Any]:
    """What runs, and where it is not what the lock says. `deep` reads every file of every package:
    a second a gigabyte.
    """
    wanted, locked, unread = _read(path)
    present = installed()
    changes = [f"`{line[:60]}` is no `NAME==VERSION`" for line in unread]
    if not locked:
        changes.append("it locks no package")
    if wanted and wanted != python():
        changes.append(f"the interpreter is {python()}, locked is {wanted}")
    for name, (version, sum_) in sorted(locked.items()):
        package = present.get(name)
        if package is None:
            changes.append(f"{name} {version} is not installed")
        elif package["version"] != version:
            changes.append(f"{name} is {package['version']}, locked is {version}")
        elif sum_ and package["sum"] != sum_:
            changes.append(f"{name} {version} has other files than were locked")
        elif deep and (file := _altered(package)):
            changes.append(f"{name} {version}: `{file}` was changed after it was installed")
    for name, package in sorted(present.items()):
        if name not in locked:
            changes.append(f"{name} {package['version']} is installed and not locked")
    return {
        "python": python(),
        "packages": [
            {"name": each["name"], "version": each["version"], "sha256": each["sum"]}
            for _, each in sorted(present.items())
        ],
        "changes": changes,
    }


if __name__ == "__main__":
    sys.stdout.write(text())
