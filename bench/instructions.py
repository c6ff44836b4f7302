#!/usr/bin/env python3
"""Instructions a request takes in the data plane's thread, by protocol, counted by callgrind, the
least of three counts: a number that noise on the machine hardly moves. Compared with
bench/instructions.json, which is in git and changes only with a reason; more than 2 % away, either
way, fails.
  bench/instructions.py [BUILD_DIR] [--update "REASON"] [--binary FILE]
The count depends on compiler, libraries and the processor's instruction sets (memcpy and JSON
parsers choose by them), which the file records. Where they differ from the record the counts cannot
be judged: it prints both and skips (exit 77). Without valgrind it skips too, and fails where CI is
set in the environment.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RECORD = os.path.join(ROOT, "bench", "instructions.json")
# The standby is the primary with another calibration, then a model of its own.
PROTOCOLS = ("rows-json", "oip-json", "rows-json/other-model")
REQUESTS = 1000
TOLERANCE = 0.02
SKIPPED = 77


def skip(why, fails_in_ci=False):
    fails = fails_in_ci and os.environ.get("CI")
    print(f"instructions: {'failed' if fails else 'skipped'}: {why}")
    sys.exit(1 if fails else SKIPPED)


def output(*argv):
    return subprocess.run(argv, capture_output=True, text=True).stdout.strip()


def toolchain(build):
    """What the count depends on besides our source."""
    cache = open(os.path.join(build, "CMakeCache.txt")).read()
    compiler = re.search(r"^CMAKE_CXX_COMPILER:\w+=(.*)$", cache, re.M).group(1)
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(.*)$", cache, re.M).group(1) or "RelWithDebInfo"
    flags = (
        set(re.search(r"^flags\s*:\s*(.*)$", open("/proc/cpuinfo").read(), re.M).group(1).split())
        if os.path.exists("/proc/cpuinfo")
        else set()
    )
    libraries = {}
    for package in ("libc6", "libstdc++6", "libsimdjson14", "libfmt9", "libre2-9", "libxgboost0"):
        libraries[package] = (
            output("dpkg-query", "-W", "-f=${Version}", package)
            if shutil.which("dpkg-query")
            else ""
        )
    return {
        "compiler": output(compiler, "-dumpfullversion") + " " + os.path.basename(compiler),
        "build_type": kind,
        "valgrind": output("valgrind", "--version"),
        "machine": platform.machine(),
        "instruction_sets": sorted(
            flags & {"sse4_2", "avx2", "avx512f", "erms", "fsrm", "bmi2", "pclmulqdq"}
        ),
        "libraries": libraries,
    }


def count(binary, folder, protocol):
    """Instructions of the loop's thread, a request."""
    out = os.path.join(folder, "callgrind." + protocol.replace("/", "-"))
    for name in os.listdir(folder):
        if name.startswith(os.path.basename(out)):
            os.remove(os.path.join(folder, name))
    shutil.rmtree(os.path.join(folder, "state"), ignore_errors=True)
    subprocess.run(
        [
            "valgrind",
            "-q",
            "--tool=callgrind",
            "--instr-atstart=no",
            "--separate-threads=yes",
            f"--callgrind-out-file={out}",
            binary,
            "drive",
            folder,
            str(REQUESTS),
            protocol,
        ],
        check=True,
        timeout=600,
        env={**os.environ, "HEDDLE_TREE_LAYOUT": "interleaved"},
    )  # chosen by time otherwise
    # One file a thread; the first is the main thread, which is the loop.
    with open(out + "-01") as file:
        return int(re.search(r"^totals: (\d+)", file.read(), re.M).group(1)) / REQUESTS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", nargs="?", default=os.path.join(ROOT, "build"))
    parser.add_argument(
        "--update", metavar="REASON", help="write the counts down, and why they changed"
    )
    parser.add_argument("--binary", help="request_instructions; built when it is not named")
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    if shutil.which("valgrind") is None:
        skip("valgrind is not installed: scripts/install_deps.sh --bench", fails_in_ci=True)
    binary = arguments.binary
    if binary is None:
        subprocess.run(
            ["cmake", "--build", build, "--target", "request_instructions"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        binary = os.path.join(build, "bench", "request_instructions")
    folder = os.path.join(build, "bench", "instructions")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    subprocess.run([binary, "prepare", folder], check=True)
    now = toolchain(build)
    # Timers wake the loop between requests, now and then some hundred times more: what is counted
    # is never too little, so that the least of three is nearest to what requests take.
    counted = {
        protocol: round(min(count(binary, folder, protocol) for _ in range(3)))
        for protocol in PROTOCOLS
    }
    record = (
        json.load(open(RECORD)) if os.path.exists(RECORD) else {"instructions": {}, "toolchain": {}}
    )
    differences = [
        f"{key}: recorded {record['toolchain'].get(key)}, here {value}"
        for key, value in now.items()
        if record["toolchain"].get(key) != value
    ]
    rows, off = [], []
    print(
        f"{'one request, instructions':28}{'recorded':>10}{'here':>10}{'ratio':>8}   nproc"
        f" {os.cpu_count()}, load {os.getloadavg()[0]:.2f}"
    )
    for protocol, here in counted.items():
        before = record["instructions"].get(protocol)
        ratio = here / before if before else None
        met = ratio is not None and abs(ratio - 1) <= TOLERANCE
        said = "-" if ratio is None else f"{ratio:.4f}"
        print(
            f"{protocol:28}{before or '-':>10}{here:>10}{said:>8}"
            f"   goal {1 - TOLERANCE:.2f}-{1 + TOLERANCE:.2f}: {'met' if met else 'MISSED'}"
        )
        if not met:
            off.append(protocol)
        rows.append(
            {
                "what": f"instructions a request, {protocol}",
                "peer": "bench/instructions.json",
                "peer_version": None,
                "ours": here,
                "theirs": before,
                "unit": "instructions",
                "ratio": ratio,
                "spread": None,
                "runs": 1,
                "goal": TOLERANCE,
                "met": met,
                "nproc": os.cpu_count(),
                "load": round(os.getloadavg()[0], 2),
            }
        )
    with open(os.path.join(build, "bench", "instructions.json"), "w") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    if arguments.update:
        with open(RECORD, "w") as file:
            json.dump(
                {
                    "reason": arguments.update,
                    "requests": REQUESTS,
                    "toolchain": now,
                    "instructions": counted,
                },
                file,
                indent=1,
            )
            file.write("\n")
        print(f"wrote {os.path.relpath(RECORD)}")
        return 0
    if differences:
        print("the record is of another toolchain or processor:", *differences, sep="\n  ")
        skip(
            "counts of different toolchains say nothing about our source; record them again where"
            ' CI runs: bench/instructions.py --update "REASON"'
        )
    if off:
        print(
            f"{', '.join(off)}: more than {100 * TOLERANCE:.0f} % away. Where the change is meant:"
            f' bench/instructions.py {os.path.relpath(build)} --update "REASON"'
        )
        return 1
    return 0


sys.exit(main())
