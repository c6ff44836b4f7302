#!/usr/bin/env python3
"""`make dist`: what is built, as a relocatable tarball and as a wheel, with every library that a
plain Linux lacks.

    scripts/dist.py BUILD [OUT]      OUT: BUILD/dist

Writes OUT/heddle-VERSION-linux-ARCH.tar.gz, OUT/heddle-VERSION-py3-none-manylinux_X_Y_ARCH.whl,
OUT/heddle-VERSION-linux-ARCH.debug (the program's debug information; gdb finds it beside the
program) and OUT/SHA256SUMS. The same build gives the same bytes: entries are sorted, owners and
modes fixed, and every time is SOURCE_DATE_EPOCH, by default the commit's. The wheel's tag is
computed from the symbol versions that the files need. Standard library only; runs cmake, objcopy,
objdump, strip, ldconfig, dpkg-query.
"""

import base64
import gzip
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
ARCH = platform.machine()

# Opened with dlopen, so no file says that it needs it (src/trainer/xgboost.cpp).
OPENED = ["libxgboost.so.0"]
# The same, of our own (src/table/files.cpp).
FILES = "lib/heddle/libheddle_files.so"

# Never packed: they are glibc, or must be the system's own where a driver or a name service module
# brings C++ in.
SYSTEM = re.compile(
    r"(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|anl|mvec|stdc\+\+|gcc_s))\.so\.\d+$"
)

# Newest symbol versions that a system of each tag has at least. Source: auditwheel 6.8.2,
# policy/manylinux-policy.json.
POLICIES = [
    ("2_28", {"GLIBC": "2.28", "GLIBCXX": "3.4.24", "CXXABI": "1.3.11", "GCC": "7.0.0"}),
    ("2_31", {"GLIBC": "2.31", "GLIBCXX": "3.4.28", "CXXABI": "1.3.12", "GCC": "7.0.0"}),
    ("2_34", {"GLIBC": "2.34", "GLIBCXX": "3.4.29", "CXXABI": "1.3.13", "GCC": "7.0.0"}),
    ("2_35", {"GLIBC": "2.35", "GLIBCXX": "3.4.30", "CXXABI": "1.3.13", "GCC": "12.0.0"}),
    ("2_36", {"GLIBC": "2.36", "GLIBCXX": "3.4.30", "CXXABI": "1.3.13", "GCC": "12.0.0"}),
    ("2_38", {"GLIBC": "2.38", "GLIBCXX": "3.4.30", "CXXABI": "1.3.13", "GCC": "12.0.0"}),
    ("2_39", {"GLIBC": "2.39", "GLIBCXX": "3.4.33", "CXXABI": "1.3.15", "GCC": "14.0.0"}),
    ("2_41", {"GLIBC": "2.41", "GLIBCXX": "3.4.33", "CXXABI": "1.3.15", "GCC": "14.0.0"}),
]

# Compiled in, from headers alone: their licences go along as well.
HEADERS = ["libcli11-dev", "nlohmann-json3-dev"]


def die(message, hint):
    sys.exit(f"error[dist]: {message}\n\nhint: {hint}")


def run(*words):
    try:
        return subprocess.run(
            list(map(str, words)),
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ).stdout
    except FileNotFoundError:
        die(f"`{words[0]}` is not installed", "`make deps` installs what is needed")
    except subprocess.CalledProcessError as failure:
        die(
            f"`{' '.join(map(str, words))}` failed: {failure.stderr.strip()}",
            "build first: `make build`",
        )


class Elf:
    """What one program or library asks of others: `needed` sonames, and `versions`, a soname's
    symbol versions.
    """

    def __init__(self, file):
        text = run("objdump", "-p", file)
        self.needed = re.findall(r"^\s+NEEDED\s+(\S+)", text, re.M)
        self.runpath = re.findall(r"^\s+(?:RPATH|RUNPATH)\s+(\S+)", text, re.M)
        self.versions = {}
        for soname, block in re.findall(r"^\s+required from (\S+):\n((?:\s+0x.*\n)*)", text, re.M):
            self.versions[soname] = re.findall(r"(\S+)$", block, re.M)


def newer(a, b):
    return [int(part) for part in a.split(".")] > [int(part) for part in b.split(".")]


def system_needs(files):
    """family -> (newest version, file that needs it), over the libraries that are not packed."""
    needs = {}
    for file in files:
        for soname, versions in Elf(file).versions.items():
            for family, version in (
                v.split("_", 1)
                for v in versions
                if SYSTEM.match(soname) and re.fullmatch(r"[A-Z]+_[\d.]+", v)
            ):
                if family not in needs or newer(version, needs[family][0]):
                    needs[family] = (version, file.name)
    return needs


def tag_of(needs):
    for tag, has in POLICIES:
        if all(not newer(version, has.get(family, "0")) for family, (version, _) in needs.items()):
            return f"manylinux_{tag}_{ARCH}"
    die(
        f"no manylinux tag holds {needs}",
        "build on an older system, or add the tag to POLICIES with auditwheel's table",
    )


def library_paths(program):
    """soname -> file: as the built program finds it, then as the system does."""
    found = dict(
        re.findall(
            r"^\s+(\S+) \(.*?\) => (\S+)$",
            run(shutil.which("ldconfig") or "/sbin/ldconfig", "-p"),
            re.M,
        )[::-1]
    )
    for file in (program, program.parent.parent / FILES):
        found.update(re.findall(r"^\s+(\S+) => (/\S+) ", run("ldd", file), re.M))
    return found


def pack_libraries(program, stage, paths):
    """Copies into lib/heddle what the program, and what is packed, needs. Returns (name, source
    file) of each.
    """
    folder = stage / "lib/heddle"
    folder.mkdir(parents=True, exist_ok=True)
    packed = {}
    run("strip", "--strip-unneeded", stage / FILES)
    todo = [*Elf(stage / "bin/heddle").needed, *Elf(stage / FILES).needed, *OPENED]
    while todo:
        soname = todo.pop()
        if soname in packed or SYSTEM.match(soname):
            continue
        if soname not in paths:
            die(f"`{soname}` is not installed", "`make deps` installs what Heddle is built from")
        target = folder / soname
        shutil.copyfile(
            os.path.realpath(paths[soname]), target
        )  # over what `cmake --install` put there, which is the same
        run("strip", "--strip-unneeded", target)
        packed[soname] = paths[soname]
        elf = Elf(target)
        if any(path != "$ORIGIN" for path in elf.runpath):
            die(
                f"`{soname}` looks for its libraries in `{elf.runpath[0]}`",
                "a packed library may look beside itself only",
            )
        todo += elf.needed
    return sorted(packed.items())


def licences(stage, packed):
    """share/doc/heddle: the licence of everything that is packed, and a list of what it is."""
    folder = stage / "share/doc/heddle/licences"
    lines = []

    def take(source, name, label):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
        return label

    for soname, path in [*packed, *((None, header) for header in HEADERS)]:
        if soname is None:
            package = path
        elif wheel := re.search(r"^(.*/site-packages)/pyarrow/", path):
            info = next(pathlib.Path(wheel[1]).glob("pyarrow-*.dist-info"))
            for file in (*info.rglob("LICENSE*"), *info.rglob("NOTICE*")):
                take(file, f"pyarrow-{file.name}", None)
            lines.append(
                f"{soname:28} {info.name.removesuffix('.dist-info').replace('-', ' ')} (PyPI)"
            )
            continue
        else:
            package = package_of(path)
        label = take(
            f"/usr/share/doc/{package.split(':')[0]}/copyright",
            f"{package.split(':')[0]}.txt",
            None,
        )
        version = run("dpkg-query", "-W", "-f", "${Version}", package)
        lines.append(
            f"{soname or '(headers)':28} {package.split(':')[0]} {version} (Debian){label or ''}"
        )
    (stage / "share/doc/heddle/libraries.txt").write_text("\n".join(lines) + "\n")


def package_of(path):
    real = os.path.realpath(path)
    for candidate in (
        path,
        real,
        real.removeprefix("/usr"),
        path.removeprefix("/usr"),
        "/usr" + path,
        "/usr" + real,
    ):
        done = subprocess.run(
            ["dpkg-query", "-S", candidate], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout.split(": ")[0].split(",")[0]
    die(
        f"no Debian package owns `{path}`",
        "its licence has to go along: pack a library that a package brought",
    )


def debug_apart(program, debug):
    run("objcopy", "--only-keep-debug", "--compress-debug-sections=zlib", program, debug)
    run("strip", "--strip-all", program)
    run("objcopy", f"--add-gnu-debuglink={debug}", program)


def entries(folder):
    """(name, file, mode) of every file below, sorted."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            yield (
                file.relative_to(folder).as_posix(),
                file,
                0o755 if os.access(file, os.X_OK) and file.parent.name == "bin" else 0o644,
            )


def write_tarball(stage, out, prefix, epoch):
    with open(out, "wb") as raw, gzip.GzipFile(
        "", "wb", 6, raw, mtime=epoch
    ) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, file, mode in entries(stage):
            info = tarfile.TarInfo(f"{prefix}/{name}")
            info.size, info.mode, info.mtime = file.stat().st_size, mode, epoch
            with open(file, "rb") as data:
                tar.addfile(info, data)


def write_wheel(stage, out, version, tag, epoch):
    """The Python package at the root; program, libraries and the rest below the environment's
    prefix, in the tarball's places.
    """
    date = time.gmtime(max(epoch, 315532800))[:6]  # ZIP begins in 1980
    records = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as wheel:

        def add(name, data, mode=0o644):
            info = zipfile.ZipInfo(name, date)
            info.external_attr, info.compress_type, info.create_system = (
                (0o100000 | mode) << 16,
                zipfile.ZIP_DEFLATED,
                3,
            )
            wheel.writestr(info, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            records.append(f"{name},sha256={digest},{len(data)}")

        info = f"heddle-{version}.dist-info"
        for name, file, mode in entries(stage):
            if name.startswith("share/heddle/python/"):
                add(name.removeprefix("share/heddle/python/"), file.read_bytes())
            elif name == "bin/heddle":
                add(f"heddle-{version}.data/scripts/heddle", file.read_bytes(), 0o755)
            else:
                add(f"heddle-{version}.data/data/{name}", file.read_bytes(), mode)
        add(f"{info}/licenses/LICENSE", (ROOT / "LICENSE").read_bytes())
        add(f"{info}/METADATA", METADATA.format(version=version).encode())
        add(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: heddle dist\nRoot-Is-Purelib: false\nTag:"
            f" py3-none-{tag}\n".encode(),
        )
        records.append(f"{info}/RECORD,,")
        record = zipfile.ZipInfo(f"{info}/RECORD", date)
        record.external_attr, record.compress_type, record.create_system = (
            0o100644 << 16,
            zipfile.ZIP_DEFLATED,
            3,
        )
        wheel.writestr(record, "\n".join(records) + "\n")


METADATA = """\
Metadata-Version: 2.4
Name: heddle
Version: {version}
Summary: An autonomous MLOps fabric: the program, a client, and a wrapper for a model of your own
License-Expression: Apache-2.0
License-File: LICENSE
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Python :: 3
Requires-Python: >=3.10
Provides-Extra: worker
Requires-Dist: numpy; extra == "worker"
"""


def epoch_of():
    if text := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(text)
    done = subprocess.run(
        ["git", "-C", ROOT, "log", "-1", "--format=%ct"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        die("this source tree is no git repository, so it has no date", "set SOURCE_DATE_EPOCH")
    return int(done.stdout)


def version_of(build):
    version = re.search(
        r"^CMAKE_PROJECT_VERSION:STATIC=(.+)$", (build / "CMakeCache.txt").read_text(), re.M
    )[1]
    package = re.search(
        r'^__version__ = "(.+)"$', (ROOT / "python/heddle/__init__.py").read_text(), re.M
    )[1]
    if version != package:
        die(
            f"CMakeLists.txt says version {version}, python/heddle/__init__.py {package}",
            "give both the same",
        )
    return version


def main(build, out):
    program = build / "bin/heddle"
    if not program.is_file():
        die(f"there is no `{program}`", "build first: `make build`")
    version, epoch = version_of(build), epoch_of()
    name = f"heddle-{version}-linux-{ARCH}"
    shutil.rmtree(out, ignore_errors=True)
    stage = out / "stage"
    run("cmake", "--install", build, "--prefix", stage.absolute())
    debug_apart(stage / "bin/heddle", out / f"{name}.debug")
    packed = pack_libraries(program, stage, library_paths(program))
    licences(stage, packed)
    needs = system_needs([stage / "bin/heddle", *(stage / "lib/heddle").iterdir()])
    tag = tag_of(needs)
    write_tarball(stage, out / f"{name}.tar.gz", name, epoch)
    write_wheel(stage, out / f"heddle-{version}-py3-none-{tag}.whl", version, tag, epoch)
    shutil.rmtree(stage)
    lines = []
    for file in sorted(out.iterdir()):
        lines.append(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
        print(f"{file.stat().st_size / 1e6:7.1f} MB  {file}")
    (out / "SHA256SUMS").write_text("".join(lines))
    print(
        f"{len(packed)} libraries packed; of the system it needs "
        + ", ".join(f"{family} {version} ({by})" for family, (version, by) in sorted(needs.items()))
    )
    return 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.exit(
        main(
            pathlib.Path(sys.argv[1]),
            pathlib.Path(sys.argv[2] if len(sys.argv) == 3 else sys.argv[1] + "/dist"),
        )
    )
