#!/usr/bin/env python3
"""One-row predict over HTTP: the whole hot path of the data plane against nginx `return 200` with an answer of the same length,
and against FastAPI with XGBoost on the same model. Servers on core 0, wrk on core 1, sides alternated.
  bench/http_bench.py [BUILD_DIR]      BENCH_RUNS, BENCH_SECONDS: environment, default 5 and 4"""
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build"))
DIR = os.path.join(BUILD, "bench", "http")
VENV = os.path.join(BUILD, "bench", "venv-fastapi")
RUNS = int(os.environ.get("BENCH_RUNS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
CONNECTIONS = (1, 8, 32)
TOKEN = "bench-token-0123456789abcdef"
PEER = ["fastapi==0.115.6", "uvicorn==0.34.0", "uvloop==0.21.0", "httptools==0.6.4", "xgboost-cpu==3.0.2", "numpy==2.2.1"]
GOALS = {"nginx": 0.35, "fastapi": 8.0}
ROW = {"date": "2001-04-10T07:35:00Z", "distance": 0, "origin": "", "destination": ""}
started = []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pin(core):
    return ["taskset", "-c", str(core)] if shutil.which("taskset") and (os.cpu_count() or 1) > 1 else []


def start(argv, **kwargs):
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, **kwargs)
    started.append(process)
    return process


def post(url, body, token=None):
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})})
    with urllib.request.urlopen(request, timeout=5) as reply:
        return reply.read(), dict(reply.headers)


def wait_for(url, body, token=None, seconds=60):
    end = time.time() + seconds
    while True:
        try:
            return post(url, body, token)
        except (urllib.error.URLError, OSError) as error:
            if time.time() > end:
                raise SystemExit(f"http_bench: {url} does not answer: {error}") from None
            time.sleep(0.05)


def prepare():
    os.makedirs(DIR, exist_ok=True)
    shutil.rmtree(os.path.join(DIR, "state"), ignore_errors=True)
    shutil.rmtree(os.path.join(DIR, "objects"), ignore_errors=True)
    subprocess.run(["cmake", "--build", BUILD, "--target", "http_plane"], check=True, stdout=subprocess.DEVNULL)
    if not os.path.exists(os.path.join(VENV, ".ready")):
        print("http: making a Python environment for FastAPI:", " ".join(PEER), file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV + "/bin/pip", "install", "-q", "--disable-pip-version-check", *PEER], check=True)
        open(os.path.join(VENV, ".ready"), "w").close()
    # Flights as examples/flights has them in shape: 300 airports, routes that fix the distance, lateness by hour and origin.
    rng = random.Random(7)
    airports = sorted({"".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(3)) for _ in range(320)})[:300]
    routes = [(a, b, rng.randint(60, 2700)) for a, b in ((rng.choice(airports), rng.choice(airports)) for _ in range(4000)) if a != b]
    routes = list({(a, b): (a, b, d) for a, b, d in routes}.values())
    with open(os.path.join(DIR, "rows.csv"), "w") as file:
        file.write("date,distance,origin,destination,late\n")
        for i in range(60000):
            a, b, d = routes[i] if i < len(routes) else rng.choice(routes)
            hour = rng.randint(5, 22)
            late = rng.random() < 0.08 + 0.012 * (hour - 5) + 0.1 * (airports.index(a) % 7 == 0)
            file.write(f"2001-0{1 + i // 30000}-{1 + i // 1100 % 28:02}T{hour:02}:{rng.randint(0, 59):02}:00,{d},{a},{b},{int(late)}\n")
    ROW["origin"], ROW["destination"], ROW["distance"] = routes[17]
    subprocess.run([os.path.join(BUILD, "bench", "http_plane"), "fit", DIR], check=True)
    subprocess.run([VENV + "/bin/python", "-c", """
import json, csv, sys, numpy, xgboost
d = sys.argv[1]
shape = json.load(open(d + "/train.json"))
x = numpy.fromfile(d + "/train.f32", dtype=numpy.float32).reshape(shape["rows"], shape["columns"])
y = numpy.array([int(r["late"]) for r in csv.DictReader(open(d + "/rows.csv"))])
b = xgboost.train({"objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "nthread": 2, "seed": 1, "tree_method": "hist", "base_score": 0.5},
                  xgboost.DMatrix(x, y), num_boost_round=150)
b.save_model(d + "/model.json")
""", DIR], check=True)


def wrk(port, path, script, connections, seconds):
    out = subprocess.run([*pin(1), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}{path}"],
                         check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"http_bench: errors from {path}:\n{out}")
    unit = {"us": 1.0, "ms": 1e3, "s": 1e6}
    quantile = {q: float(v) * unit[u] for q, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), quantile["50"], quantile["99"]


def main():
    for tool in ("wrk", "nginx", "cmake"):
        if shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin") is None:
            raise SystemExit(f"http_bench: `{tool}` is missing: scripts/install_deps.sh --bench")
    prepare()
    body = json.dumps({"rows": [ROW]}, separators=(",", ":")).encode()
    script = os.path.join(DIR, "post.lua")
    with open(script, "w") as file:
        file.write(f"wrk.method = 'POST'\nwrk.body = '{body.decode()}'\nwrk.headers['Content-Type'] = 'application/json'\n"
                   f"wrk.headers['Authorization'] = 'Bearer {TOKEN}'\n")
    ports = {name: free_port() for name in ("heddle", "nginx", "fastapi")}
    start([*pin(0), os.path.join(BUILD, "bench", "http_plane"), "serve", DIR, str(ports["heddle"]), TOKEN], stderr=subprocess.DEVNULL)
    path = {"heddle": "/v1/services/flights/predict", "nginx": "/", "fastapi": "/predict"}
    answer, _ = wait_for(f"http://127.0.0.1:{ports['heddle']}{path['heddle']}", body, TOKEN)
    # nginx: an answer of the same length, nothing else to do.
    with open(os.path.join(DIR, "nginx.conf"), "w") as file:
        file.write(f"""daemon off; worker_processes 1; pid {DIR}/nginx.pid; error_log {DIR}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {DIR}/tmp; proxy_temp_path {DIR}/tmp; fastcgi_temp_path {DIR}/tmp;
uwsgi_temp_path {DIR}/tmp; scgi_temp_path {DIR}/tmp; default_type application/json;
server {{ listen 127.0.0.1:{ports['nginx']}; location / {{ return 200 '{"x" * len(answer)}'; }} }} }}
""")
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    start([*pin(0), nginx, "-e", f"{DIR}/nginx.log", "-c", os.path.join(DIR, "nginx.conf")], stderr=subprocess.DEVNULL)
    start([*pin(0), VENV + "/bin/uvicorn", "http_fastapi:app", "--port", str(ports["fastapi"]), "--loop", "uvloop", "--http", "httptools",
           "--no-access-log", "--log-level", "warning"], cwd=os.path.join(ROOT, "bench", "peers"), env={**os.environ, "HTTP_PEER_DIR": DIR})
    floor, _ = wait_for(f"http://127.0.0.1:{ports['nginx']}/", body)
    assert len(floor) == len(answer)
    peer, _ = wait_for(f"http://127.0.0.1:{ports['fastapi']}/predict", body)
    ours, theirs = (json.loads(text)["predictions"][0]["probability"] for text in (answer, peer))
    if abs(ours - theirs) > 1e-5:
        raise SystemExit(f"http_bench: the peers do not answer the same: {ours} and {theirs}")
    versions = {
        "nginx": subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1],
        "fastapi": ", ".join(PEER).replace("==", " "),
        "wrk": subprocess.run(["wrk", "-v"], capture_output=True, text=True).stdout.split(" [")[0].replace("wrk ", ""),
    }
    print(f"request {len(body)} bytes, answer {len(answer)} bytes; nproc {os.cpu_count()}, load {os.getloadavg()[0]:.1f}; "
          f"nginx {versions['nginx']}, wrk {versions['wrk']}; {versions['fastapi']}; Python {sys.version.split()[0]}")
    for name in ports:
        wrk(ports[name], path[name], script, 8, 2)  # warm
    seen = {(name, c): [] for name in ports for c in CONNECTIONS}
    for run in range(RUNS):
        for c in CONNECTIONS:
            for name in (list(ports) if run % 2 == 0 else list(reversed(ports))):
                seen[name, c].append(wrk(ports[name], path[name], script, c, SECONDS))
    results = []
    print(f"{'':28}{'heddle':>12}{'peer':>12}{'ratio':>8}  spread")
    for name in ("nginx", "fastapi"):
        for c in CONNECTIONS:
            for what, at, unit in (("throughput", 0, "requests/s"), ("p50", 1, "us"), ("p99", 2, "us")):
                a = [s[at] for s in seen["heddle", c]]
                b = [s[at] for s in seen[name, c]]
                ratios = sorted(x / y for x, y in zip(a, b))
                ratio = statistics.median(ratios)
                goal = GOALS[name] if at == 0 and c == 8 else None
                met = None if goal is None else ratio >= goal
                results.append({"what": f"one-row predict over HTTP, {c} connections, {what}", "peer": name, "peer_version": versions[name],
                                "ours": statistics.median(a), "theirs": statistics.median(b), "unit": unit, "ratio": round(ratio, 3),
                                "spread": [round(ratios[0], 3), round(ratios[-1], 3)], "runs": RUNS, "goal": goal, "met": met})
                print(f"{name + f' c={c} ' + what:28}{statistics.median(a):12.0f}{statistics.median(b):12.0f}{ratio:8.2f}  {ratios[0]:.2f}-{ratios[-1]:.2f}"
                      + ("" if goal is None else f"  goal {goal}: {'met' if met else 'MISSED'}"))
    with open(os.path.join(BUILD, "bench", "http.json"), "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")


try:
    main()
finally:
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
