#!/usr/bin/env python3
"""`make dist`: what is built, as a relocatable tarball and as a wheel, with every library that a
plain Linux lacks.

    scripts/dist.py BUILD [OUT]      OUT: BUILD/dist

Writes OUT/heddle-VERSION-linux-ARCH.tar.xz, OUT/heddle-VERSION-py3-none-manylinux_X_Y_ARCH.whl,
OUT/heddle-VERSION-linux-ARCH.debug (the program's debug information; gdb finds it beside the
program) and OUT/SHA256SUMS. The same build gives the same bytes: entries are sorted, owners and
modes fixed, and every time is SOURCE_DATE_EPOCH, by default the commit's. The wheel's tag is
computed from the symbol versions that the files need. Prints the ten largest parts of each, and
fails when one is larger than LIMIT. Standard library only; runs cmake, objcopy, objdump, strip,
ldconfig, dpkg-query, libdeflate-gzip.
"""

import base64
import hashlib
import lzma
import os
import pathlib
import platform
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
ARCH = platform.machine()
# Bytes of the tarball and of the wheel at most: what somebody fetches to try it.
LIMIT = 30_000_000

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

# Compiled in, from headers or archives: their licences go along as well.
COMPILED_IN = ["libcli11-dev", "nlohmann-json3-dev"]
# The archives of cmake/HeddleLibraries.cmake, where the program is not linked to the shared one.
GIT_ARCHIVES = ["libgit2-dev", "libhttp-parser-dev", "libmbedtls-dev", "libpcre2-dev"]


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
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    compiled_in = list(COMPILED_IN)
    if not any(soname.startswith("libgit2.") for soname, _ in packed):
        compiled_in += GIT_ARCHIVES
    for soname, path in [*packed, *((None, package) for package in compiled_in)]:
        if soname is None:
            package = path
        elif wheel := re.search(r"^(.*/site-packages)/pyarrow/", path):
            info = next(pathlib.Path(wheel[1]).glob("pyarrow-*.dist-info"))
            for file in (*info.rglob("LICENSE*"), *info.rglob("NOTICE*")):
                shutil.copyfile(file, folder / f"pyarrow-{file.name}")
            lines.append(
                f"{soname:28} {info.name.removesuffix('.dist-info').replace('-', ' ')} (PyPI)"
            )
            continue
        else:
            package = package_of(path)
        name = package.split(":")[0]
        shutil.copyfile(f"/usr/share/doc/{name}/copyright", folder / f"{name}.txt")
        version = run("dpkg-query", "-W", "-f", "${Version}", package)
        lines.append(f"{soname or '(compiled in)':28} {name} {version} (Debian)")
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


class Xz:
    """A file that `tarfile` writes to, which counts what it became."""

    def __init__(self, raw):
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 3, "dict_size": 1 << 26}]
        if ARCH == "x86_64":  # calls of one function from many places become equal bytes
            filters.insert(0, {"id": lzma.FILTER_X86})
        self.raw, self.written, self.read = raw, 0, 0
        self.compressor = lzma.LZMACompressor(check=lzma.CHECK_CRC32, filters=filters)

    def write(self, data):
        self.read += len(data)
        self.written += self.raw.write(self.compressor.compress(data))
        return len(data)

    def tell(self):
        return self.read

    def close(self):
        self.written += self.raw.write(self.compressor.flush())


def write_tarball(stage, out, prefix, epoch):
    """Returns (bytes in the tarball, bytes, name) of each file. The first is right to some ten kB:
    neighbours are compressed together.
    """
    parts = []
    with open(out, "wb") as raw:
        packed = Xz(raw)
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name, file, mode in entries(stage):
                info = tarfile.TarInfo(f"{prefix}/{name}")
                info.size, info.mode, info.mtime = file.stat().st_size, mode, epoch
                before = packed.written
                with open(file, "rb") as data:
                    tar.addfile(info, data)
                parts.append((packed.written - before, info.size, name))
        packed.close()
    return parts


def deflated(data):
    """As small as DEFLATE (RFC 1951) makes it, which every installer of wheels reads."""
    if len(data) < 1024:  # not worth a process
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(data) + packer.flush()
    try:
        done = subprocess.run(
            ["libdeflate-gzip", "-12", "-c"], input=data, capture_output=True, check=True
        )
    except FileNotFoundError:
        die("`libdeflate-gzip` is not installed", "`make deps` installs what is needed")
    # RFC 1952: ten bytes and no optional field; after the data a checksum and the length
    assert done.stdout[:4] == b"\x1f\x8b\x08\0", "libdeflate-gzip wrote a header of another form"
    return done.stdout[10:-8]


class Zip:
    """An archive of entries that `deflated` has made, which `zipfile` does not take. Source: PKWARE
    APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
    """

    def __init__(self, path, date):
        self.file, self.directory, self.count = open(path, "wb"), b"", 0
        year, month, day, hour, minute, second = date
        self.stamp = (hour << 11 | minute << 5 | second // 2) | (
            (year - 1980) << 9 | month << 5 | day
        ) << 16

    def add(self, name, data, mode):
        """Returns how many bytes it takes compressed."""
        packed, encoded, at = deflated(data), name.encode(), self.file.tell()
        # needs version 2.0, names in UTF-8, DEFLATE
        shared = struct.pack("<HHHI", 20, 0x800, 8, self.stamp) + struct.pack(
            "<IIIHH", zlib.crc32(data), len(packed), len(data), len(encoded), 0
        )
        self.file.write(struct.pack("<I", 0x04034B50) + shared + encoded + packed)
        # made by Unix; no comment, the first disk, a regular file of that mode
        self.directory += (
            struct.pack("<IH", 0x02014B50, 3 << 8 | 20)
            + shared
            + struct.pack("<HHHII", 0, 0, 0, (0o100000 | mode) << 16, at)
            + encoded
        )
        self.count += 1
        return len(packed)

    def close(self):
        at = self.file.tell()
        self.file.write(self.directory)
        size = len(self.directory)
        self.file.write(
            struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, self.count, self.count, size, at, 0)
        )
        self.file.close()


def write_wheel(stage, out, version, tag, epoch):
    """The Python package at the root; program, libraries and the rest below the environment's
    prefix, in the tarball's places. Returns (bytes in the wheel, bytes, name) of each file.
    """
    date = time.gmtime(max(epoch, 315532800))[:6]  # ZIP begins in 1980
    records, parts = [], []
    wheel = Zip(out, date)

    def add(name, data, mode=0o644):
        parts.append((wheel.add(name, data, mode), len(data), name))
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
    wheel.add(f"{info}/RECORD", ("\n".join(records) + "\n").encode(), 0o644)
    wheel.close()
    return parts


def print_parts(file, parts):
    print(f"{file.name}: {len(parts)} files; the largest, in it and by itself, in bytes")
    for packed, size, name in sorted(parts, reverse=True)[:10]:
        print(f"{packed:12,} {size:12,}  {name}")


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
    tarball = out / f"{name}.tar.xz"
    wheel = out / f"heddle-{version}-py3-none-{tag}.whl"
    print_parts(tarball, write_tarball(stage, tarball, name, epoch))
    print_parts(wheel, write_wheel(stage, wheel, version, tag, epoch))
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
    for file in (tarball, wheel):
        if file.stat().st_size > LIMIT:
            die(
                f"{file.name} has {file.stat().st_size:,} bytes, more than {LIMIT:,}",
                "its largest parts are above: leave out what no command opens",
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
