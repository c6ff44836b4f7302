#!/usr/bin/env python3
"""Lists the product's functions that no object of the product refers to: what only tests call,
and what nobody does. Reads the objects of a build (of x86-64, not linked yet), so that calls,
addresses taken and tables of virtual functions all count.

    scripts/uncalled.py [BUILD]      default: build, of all targets

A function is told when it has external linkage and is in no relocation of any object below
BUILD/src that is not a test's. What it cannot see: functions in headers that were inlined
wherever they are used, templates that nobody instantiates, and virtual functions, which their
table names. Exit 1: there is a function that nobody calls. What tests alone call is a list for
people, who know what a library's reader calls (`prove_consistency`, for example). Exit 77: not
everything is built, so nobody knows.
"""

import json
import pathlib
import re
import struct
import subprocess
import sys

FUNCTION, GLOBAL = 2, 1
RELA, SYMTAB = 4, 2


def sections(data):
    offset, size, count = struct.unpack_from("<Q", data, 0x28)[0], *struct.unpack_from(
        "<HH", data, 0x3A
    )
    return [struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size) for i in range(count)]


def symbols(data):
    """Functions that an object defines for others, and all symbols that it refers to."""
    heads = sections(data)
    defined, referred = set(), set()
    for head in heads:
        if head[1] != SYMTAB:
            continue
        names, start, size = heads[head[6]], head[4], head[5]

        def entry(i):
            name, info, _, place, _, _ = struct.unpack_from("<IBBHQQ", data, start + 24 * i)
            end = data.index(b"\0", names[4] + name)
            return data[names[4] + name : end], info & 15, info >> 4, place

        for i in range(size // 24):
            name, kind, binding, place = entry(i)
            if kind == FUNCTION and binding == GLOBAL and place != 0:
                defined.add(name)
        for rela in heads:
            if rela[1] != RELA:
                continue
            for at in range(rela[4], rela[4] + rela[5], 24):
                referred.add(entry(struct.unpack_from("<Q", data, at + 8)[0] >> 32)[0])
    return defined, referred


def one(name):
    """A constructor or destructor has several symbols for one body."""
    return re.sub(rb"([CD])[0125]E", rb"\1?E", name)


def demangled(names):
    text = subprocess.run(
        ["c++filt"], input=b"\n".join(names), capture_output=True, check=True
    ).stdout.decode()
    return text.splitlines()


def objects_of(build):
    """The objects that the build has now; what a source left that is gone is not among them."""
    commands = build / "compile_commands.json"
    if not commands.exists():
        print(f"{build} has no compile_commands.json: configure and build first")
        sys.exit(77)
    outputs = [
        re.search(r" -o (\S+)", entry["command"])[1] for entry in json.loads(commands.read_text())
    ]
    missing = [output for output in outputs if not (build / output).exists()]
    if missing:
        print(
            f"{len(missing)} objects of {build} are not built, `{missing[0]}` for one:"
            " build everything first"
        )
        sys.exit(77)
    return sorted({build / output for output in outputs if output.endswith(".o")})


def main(build):
    build = build.resolve()
    defined, by_product, by_tests = {}, set(), set()
    for file in objects_of(build):
        place = file.relative_to(build).as_posix()
        product = place.startswith("src/") and "_test.dir/" not in place
        here, referred = symbols(file.read_bytes())
        (by_product if product else by_tests).update(map(one, referred))
        if product:
            defined.update(
                (name, place) for name in here if name.startswith(b"_ZN") and b"heddle" in name
            )
    if not defined:
        sys.exit(f"{build} has no objects: build first")
    idle = sorted({one(name): name for name in defined if one(name) not in by_product}.values())
    tested = [name for name in idle if one(name) in by_tests]
    for title, names in (
        ("called by tests alone", tested),
        ("called by nobody", [name for name in idle if one(name) not in by_tests]),
    ):
        print(f"{title}: {len(names)}")
        for name, text in sorted(
            zip(names, demangled(names) if names else []),
            key=lambda pair: (defined[pair[0]], pair[1]),
        ):
            source = defined[name].split(".dir/")[-1].removesuffix(".o")
            folder = "/".join(defined[name].split("/CMakeFiles")[0].split("/")[1:])
            print(f"  {folder}/{source}: {text}")
    if len(tested) < len(idle):
        sys.exit("delete what nobody calls, or call it")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build"))
