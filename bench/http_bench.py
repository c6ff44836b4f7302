#!/usr/bin/env python3
"""One-row predict over HTTP. Ours is the whole hot path of the data plane: contract, features,
trees, calibration, journal, shadow-scored standby. Against nginx `return 200` with an answer of the
same length, and against MLServer, BentoML, Ray Serve, FastAPI with XGBoost and PyTriton with the
same model. All but FastAPI get rows of features: their part is the model alone. Servers on core 0,
wrk on core 1, sides alternated, one peer up at a time.
  bench/http_bench.py [BUILD_DIR]      environment: BENCH_RUNS (5), BENCH_SECONDS (4), BENCH_PEERS
      (all; names with commas; `none`)
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time

from harness import peers, process
from harness.plane import PATH, TOKEN, Plane, build_folder, say
from harness.report import Report

BUILD = build_folder(sys.argv)
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
PEERS = os.environ.get("BENCH_PEERS", "all")
PEER_SECONDS = 600
SEARCH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def wrk(port, path, script, connections, seconds):
    """(requests/s, p50 us, p99 us); an error in an answer is an error."""
    out = subprocess.run(
        [
            *process.pin(process.CLIENT_CORE),
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            script,
            f"http://127.0.0.1:{port}{path}",
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
    ).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise peers.Unavailable(
            "errors under load: "
            + " ".join(
                line.strip()
                for line in out.splitlines()
                if "Non-2xx" in line or "Socket errors" in line
            )
        )
    unit = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}
    quantile = {
        q: float(v) * unit[u] for q, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s|m)", out)
    }
    return (
        float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        quantile["50"],
        quantile["99"],
    )


def script_for(directory, name, body):
    path = os.path.join(directory, name + ".lua")
    with open(path, "w") as file:
        file.write(
            f"wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.headers['Content-Type'] ="
            f" 'application/json'\nwrk.headers['Authorization'] = 'Bearer {TOKEN}'\n"
        )
    return path


def alternate(sides, connections):
    """Runs of each side in turn, the order turned round each time, after a warm-up: {side: [(rate,
    p50, p99), ...]}.
    """
    began = time.monotonic()
    for port, path, script in sides.values():
        wrk(port, path, script, connections, 2)
    seen = {name: [] for name in sides}
    for run in range(RUNS):
        for name in (list(sides) if run % 2 == 0 else list(reversed(sides))):
            port, path, script = sides[name]
            seen[name].append(wrk(port, path, script, connections, SECONDS))
        if time.monotonic() - began > PEER_SECONDS:
            raise peers.Unavailable(f"its runs took over {PEER_SECONDS} s: cut")
    return seen


def rows_of(report, peer, version, connections, ours, theirs, goals):
    for what, at, unit in (("throughput", 0, "requests/s"), ("p50", 1, "us"), ("p99", 2, "us")):
        a, b = [run[at] for run in ours], [run[at] for run in theirs]
        goal = goals.get(what)
        report.row(
            f"c={connections} {what}",
            peer,
            version,
            a,
            b,
            unit,
            [x / y for x, y in zip(a, b)],
            goal,
            at_least=what == "throughput",
        )


def start_nginx(directory, length):
    port = process.free_port()
    with open(os.path.join(directory, "nginx.conf"), "w") as file:
        file.write(f"""daemon off; worker_processes 1;
pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {directory}/tmp;
proxy_temp_path {directory}/tmp; fastcgi_temp_path {directory}/tmp;
uwsgi_temp_path {directory}/tmp; scgi_temp_path {directory}/tmp; default_type application/json;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 '{"x" * length}'; }} }} }}
""")
    nginx = shutil.which("nginx", path=SEARCH)
    version = (
        subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1]
    )
    return (
        process.start(
            [nginx, "-e", f"{directory}/nginx.log", "-c", os.path.join(directory, "nginx.conf")]
        ),
        port,
        version,
    )


def main():
    for tool in ("wrk", "nginx", "cmake"):
        if shutil.which(tool, path=SEARCH) is None:
            raise SystemExit(f"http_bench: `{tool}` is missing: scripts/install_deps.sh --bench")
    plane = Plane(BUILD, {"flights": ("model.json", 2)})
    primary, standby = plane.bundles["flights"]
    plane.serve(primary, standby)
    body, features = plane.bodies[0], plane.features[0]
    answer = plane.ask("POST", PATH, body)[1]
    probability = json.loads(answer)["predictions"][0]["probability"]
    script = script_for(plane.dir, "heddle", body)
    wrk_version = (
        subprocess.run(["wrk", "-v"], capture_output=True, text=True)
        .stdout.split(" [")[0]
        .replace("wrk ", "")
    )
    report = Report(
        BUILD,
        "http_bench",
        f"request {len(body)} bytes, answer {len(answer)} bytes; wrk {wrk_version}; the peers'"
        f" Python {peers.python_version(peers.base_python())}; {RUNS} runs of {SECONDS} s a side",
    )
    ours = (plane.port, PATH, script)

    server, port, version = start_nginx(plane.dir, len(answer))
    time.sleep(0.5)
    for connections in (1, 8, 32):
        seen = alternate({"ours": ours, "theirs": (port, "/", script)}, connections)
        rows_of(
            report,
            "nginx `return 200`",
            version,
            connections,
            seen["ours"],
            seen["theirs"],
            {"throughput": 0.60, "p50": 2.0} if connections == 8 else {},
        )
    process.end(server)

    best = None
    for peer in peers.ALL:
        if PEERS != "all" and peer.name not in PEERS.split(","):
            continue
        try:
            say(f"http_bench: {peer.title}: {peer.version}")
            request = peer.body(features, body)
            peer.start(BUILD, plane.dir)
            theirs = peer.probability(json.loads(peer.wait(request)))
            if abs(theirs - probability) > 1e-5:
                raise peers.Unavailable(f"it does not answer the same: {theirs} and {probability}")
            seen = alternate(
                {
                    "ours": ours,
                    "theirs": (peer.port, peer.path, script_for(plane.dir, peer.name, request)),
                },
                8,
            )
            rows_of(
                report,
                peer.title,
                peer.version,
                8,
                seen["ours"],
                seen["theirs"],
                {"throughput": 10.0, "p99": 0.2},
            )
            rate = sorted(run[0] for run in seen["theirs"])[RUNS // 2]
            if best is None or rate > best[1]:
                best = (peer.title, rate)
        except (peers.Unavailable, subprocess.SubprocessError) as reason:
            report.absent("c=8", peer.title, peer.version, str(reason))
        finally:
            peer.stop()
    if best:
        report.note(f"the fastest peer was {best[0]}")


try:
    main()
finally:
    process.end_all()
