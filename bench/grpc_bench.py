#!/usr/bin/env python3
"""One row over gRPC: `inference.GRPCInferenceService/ModelInfer`, against MLServer and PyTriton.
The client is h2load with a prebuilt request: the same for all sides, and faster than all of them.
Ours takes a row as it arrives and does the whole hot path; the peers get a row of features. 8
connections, one request at a time each; servers on core 0, h2load on core 1, alternated.
  bench/grpc_bench.py [BUILD_DIR]      environment: BENCH_RUNS (5), BENCH_SECONDS (4)
"""

import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

from harness import peers, process
from harness.plane import TOKEN, Plane, build_folder, say
from harness.report import Report

BUILD = build_folder(sys.argv)
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
CONNECTIONS = 8
METHOD = "/inference.GRPCInferenceService/ModelInfer"
PEER_SECONDS = 600


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes([*out, n])


def field(number, payload):
    """Length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def tensor(name, datatype, shape):
    """ModelInferRequest.InferInputTensor: name 1, datatype 2, shape 3 (packed)."""
    return (
        field(1, name.encode())
        + field(2, datatype.encode())
        + field(3, b"".join(varint(n) for n in shape))
    )


def request(model, tensors):
    """ModelInferRequest (model_name 1, inputs 5, raw_input_contents 7) behind gRPC's five bytes:
    not compressed, length.
    """
    message = field(1, model.encode())
    message += b"".join(
        field(5, tensor(name, datatype, shape)) for name, datatype, shape, _ in tensors
    )
    message += b"".join(field(7, raw) for *_, raw in tensors)
    return struct.pack(">BI", 0, len(message)) + message


def bytes_tensor(text):
    return struct.pack("<I", len(text)) + text.encode()


def features_request(row):
    return request(
        "flights", [("features", "FP32", [1, len(row)], struct.pack(f"<{len(row)}f", *row))]
    )


def fields_request(row):
    return request(
        "flights",
        [
            ("date", "BYTES", [1], bytes_tensor(row["date"])),
            ("distance", "INT64", [1], struct.pack("<q", row["distance"])),
            ("origin", "BYTES", [1], bytes_tensor(row["origin"])),
            ("destination", "BYTES", [1], bytes_tensor(row["destination"])),
        ],
    )


# One call by a real client, whose answer must be OK: h2load sees only that HTTP said 200. The
# peer's own environment has grpcio.
CALL = """
import sys, grpc
body = open(sys.argv[2], "rb").read()[5:]
metadata = [("authorization", "Bearer " + sys.argv[3])] if len(sys.argv) > 3 else []
with grpc.insecure_channel("127.0.0.1:" + sys.argv[1]) as channel:
    infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    answer = infer(body, timeout=10, metadata=metadata, wait_for_ready=True)
print(answer.hex())
"""


def answer_of(python, port, body_file, token=None):
    """The answer's message; Unavailable with the status that the real client saw."""
    done = subprocess.run(
        [python, "-c", CALL, str(port), body_file, *([token] if token else [])],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        lines = [
            line.strip()
            for line in done.stderr.splitlines()
            if "details" in line or "status" in line
        ] or [done.stderr[-200:]]
        raise peers.Unavailable("a call fails: " + " ".join(lines)[:240])
    return bytes.fromhex(done.stdout.strip())


def h2load(port, body_file, log, seconds, token=None):
    """(requests/s, p50 us, p99 us) from h2load's log of every request."""
    if os.path.exists(log):
        os.remove(log)
    argv = [
        *process.pin(process.CLIENT_CORE),
        "h2load",
        "-t1",
        f"-c{CONNECTIONS}",
        "-m1",
        f"-D{seconds}",
        "--warm-up-time=1",
        "-d",
        body_file,
        f"--log-file={log}",
        "-H",
        "content-type: application/grpc",
        "-H",
        "te: trailers",
        *(["-H", f"authorization: Bearer {token}"] if token else []),
        f"http://127.0.0.1:{port}{METHOD}",
    ]
    out = subprocess.run(
        argv, check=True, capture_output=True, text=True, timeout=seconds + 60
    ).stdout
    said = re.search(
        r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+)"
        r" errored",
        out,
    )
    if said is None or int(said.group(4)) or int(said.group(5)) or not int(said.group(3)):
        raise peers.Unavailable("errors under load: " + (said.group(0) if said else out[-200:]))
    micros = []
    with open(log) as file:
        for line in file:  # start in us, HTTP status, us it took
            _, status, took = line.split()
            if status != "200":
                raise peers.Unavailable(f"status {status} under load")
            micros.append(int(took))
    micros.sort()
    return (
        int(said.group(3)) / seconds,
        float(micros[len(micros) // 2]),
        float(micros[min(len(micros) - 1, len(micros) * 99 // 100)]),
    )


def listens(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def main():
    if shutil.which("h2load") is None:
        raise SystemExit("grpc_bench: `h2load` is missing: scripts/install_deps.sh --bench")
    plane = Plane(BUILD, {"flights": ("model.json", 2)})
    grpc_port = process.free_port()
    plane.serve(*plane.bundles["flights"], BENCH_GRPC_PORT=str(grpc_port))
    version = (
        subprocess.run(["h2load", "--version"], capture_output=True, text=True)
        .stdout.strip()
        .split("/")[-1]
    )
    report = Report(
        BUILD,
        "grpc_bench",
        f"h2load {version}; {CONNECTIONS} connections, one request each; the peers' Python"
        f" {peers.python_version(peers.base_python())}; {RUNS} runs of {SECONDS} s a side",
    )

    def write(name, body):
        path = os.path.join(plane.dir, name + ".grpc")
        with open(path, "wb") as file:
            file.write(body)
        return path

    ours = None
    if listens(grpc_port):
        ours = (
            grpc_port,
            write("heddle", fields_request(json.loads(plane.bodies[0])["rows"][0])),
            TOKEN,
        )
    else:
        report.note(
            "http_plane opens no gRPC port (BENCH_GRPC_PORT is not taken): ours is not measured,"
            " the peers are"
        )
    log = os.path.join(plane.dir, "h2load.log")
    for peer in (p for p in peers.ALL if p.grpc):
        try:
            say(f"grpc_bench: {peer.title}: {peer.version}")
            peer.start(BUILD, plane.dir)
            peer.wait(peer.body(plane.features[0], plane.bodies[0]))
            body = write(peer.name, features_request(plane.features[0]))
            python = peers.environment(BUILD, peer.name)
            answer_of(python, peer.grpc_port, body)
            sides = {"theirs": (peer.grpc_port, body, None)}
            if ours is not None:
                answer_of(python, *ours)
                sides["ours"] = ours
            seen = {side: [] for side in sides}
            began = time.monotonic()
            for run in range(RUNS):
                for side in (list(sides) if run % 2 == 0 else list(reversed(sides))):
                    port, path, token = sides[side]
                    seen[side].append(h2load(port, path, log, SECONDS, token))
                if time.monotonic() - began > PEER_SECONDS:
                    raise peers.Unavailable(f"its runs took over {PEER_SECONDS} s: cut")
            for what, at, unit in (
                ("throughput", 0, "requests/s"),
                ("p50", 1, "us"),
                ("p99", 2, "us"),
            ):
                theirs = [run[at] for run in seen["theirs"]]
                if ours is None:
                    report.alone(f"gRPC one row {what}", peer.title, peer.version, theirs, unit)
                    continue
                mine = [run[at] for run in seen["ours"]]
                report.row(
                    f"gRPC one row {what}",
                    peer.title,
                    peer.version,
                    mine,
                    theirs,
                    unit,
                    [a / b for a, b in zip(mine, theirs)],
                    10.0 if at == 0 else None,
                )
        except (peers.Unavailable, subprocess.SubprocessError) as reason:
            report.absent("gRPC one row", peer.title, peer.version, str(reason))
        finally:
            peer.stop()


try:
    main()
finally:
    process.end_all()
