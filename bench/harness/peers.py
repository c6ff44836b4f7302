"""Servers of other makers: a Python environment of its own for each (build/bench/venv-NAME, pinned
in bench/peers/NAME.txt), one start script each. All serve the same XGBoost model on one core, with
access logs off.
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import time

from . import process

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
INSTALL_SECONDS = 600
START_SECONDS = 120


class Unavailable(Exception):
    """Why a peer cannot be measured here."""


def base_python():
    """The system's Python where it can make environments: Debian's is built with profile-guided
    optimisation, and PyTriton's stub, which is built against an early 3.11, fails with the standard
    library of 3.11.7. Else the one that runs this.
    """
    system = "/usr/bin/python3"
    able = (
        os.path.exists(system)
        and subprocess.run([system, "-c", "import ensurepip, venv"], capture_output=True).returncode
        == 0
    )
    return system if able else sys.executable


def python_version(python):
    return subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def environment(build, name):
    """The Python of the peer's environment, made on first use. Unavailable: why it cannot be
    installed.
    """
    venv = os.path.join(build, "bench", "venv-" + name)
    python, wanted, stamp = (
        os.path.join(venv, "bin", "python"),
        os.path.join(PEERS, name + ".txt"),
        os.path.join(venv, ".requirements"),
    )
    base = base_python()
    with open(wanted) as file:
        text = file.read() + f"# {base} {python_version(base)}\n"
    if os.path.exists(stamp) and open(stamp).read() == text:
        return python
    print(
        f"making a Python environment for {name}: bench/peers/{name}.txt",
        file=sys.stderr,
        flush=True,
    )
    shutil.rmtree(venv, ignore_errors=True)
    try:
        subprocess.run([base, "-m", "venv", venv], check=True, capture_output=True, text=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted],
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"installing it took over {INSTALL_SECONDS} s: cut") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or "").splitlines() if line.strip()] or [
            "no message"
        ]
        raise Unavailable(
            f"it cannot be installed (Python {python_version(base)}): {lines[-1][:200]}"
        ) from None
    with open(stamp, "w") as file:
        file.write(text)
    return python


def version_of(name, packages):
    """`name==version` of the named packages in the peer's requirements."""
    with open(os.path.join(PEERS, name + ".txt")) as file:
        pinned = dict(line.strip().split("==", 1) for line in file if "==" in line)
    return ", ".join(f"{package} {pinned[package]}" for package in packages)


def oip_body(row):
    return {
        "inputs": [{"name": "features", "shape": [1, len(row)], "datatype": "FP32", "data": row}]
    }


class Peer:
    """`body(row of features, body of ours)` is one request; `probability(answer)` reads it back, so
    that all are seen to answer the same.
    """

    def __init__(self, name, title, packages, path, body, probability, argv=None, grpc=False):
        self.name, self.title, self.packages, self.path = name, title, packages, path
        self.body, self.probability, self.argv, self.grpc = body, probability, argv, grpc
        self.process = self.port = self.grpc_port = None

    @property
    def version(self):
        return version_of(self.name, self.packages)

    def start(self, build, directory):
        python = environment(build, self.name)
        self.port, self.grpc_port = process.free_port(), process.free_port()
        self.log = os.path.join(directory, self.name + ".log")
        argv = (
            self.argv(python, self.port)
            if self.argv
            else [
                python,
                os.path.join(PEERS, self.name + "_server.py"),
                directory,
                str(self.port),
                *([str(self.grpc_port)] if self.grpc else []),
            ]
        )
        self.process = process.start(
            argv,
            log=self.log,
            cwd=PEERS,
            env={**os.environ, "BENCH_DIR": directory, "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def wait(self, body):
        """Until it answers `body` with 200."""
        deadline = time.monotonic() + START_SECONDS
        said = "no answer"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Unavailable(f"it ended while starting: {process.tail(self.log)}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("POST", self.path, body, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                text = reply.read()
                if reply.status == 200:
                    return text
                said = f"status {reply.status}: {text[:160]!r}"
            except (OSError, http.client.HTTPException) as error:
                said = str(error)
            finally:
                connection.close()
            time.sleep(0.25)
        raise Unavailable(
            f"it did not answer within {START_SECONDS} s ({said}): {process.tail(self.log)}"
        )

    def stop(self):
        if self.process is not None:
            process.end(self.process)
            self.process = None


ALL = [
    Peer(
        "mlserver",
        "MLServer",
        ["mlserver", "mlserver-xgboost", "xgboost"],
        "/v2/models/flights/infer",
        lambda row, ours: json.dumps(oip_body(row)),
        lambda answer: answer["outputs"][0]["data"][0],
        grpc=True,
    ),
    Peer(
        "bentoml",
        "BentoML",
        ["bentoml", "uvicorn", "xgboost-cpu"],
        "/predict",
        lambda row, ours: json.dumps({"rows": [row]}),
        lambda answer: answer[0],
    ),
    Peer(
        "ray",
        "Ray Serve",
        ["ray", "xgboost-cpu"],
        "/predict",
        lambda row, ours: json.dumps({"rows": [row]}),
        lambda answer: answer[0],
    ),
    # Raw rows like ours, its checks and features in Python by hand: what a team writes. One worker,
    # uvloop and httptools, no access log.
    Peer(
        "fastapi",
        "FastAPI",
        ["fastapi", "uvicorn", "uvloop", "httptools", "xgboost-cpu"],
        "/predict",
        lambda row, ours: ours,
        lambda answer: answer["predictions"][0]["probability"],
        argv=lambda python, port: [
            python,
            "-m",
            "uvicorn",
            "fastapi_server:app",
            "--port",
            str(port),
            "--loop",
            "uvloop",
            "--http",
            "httptools",
            "--no-access-log",
            "--log-level",
            "warning",
        ],
    ),
    Peer(
        "pytriton",
        "PyTriton",
        ["nvidia-pytriton", "tritonclient", "xgboost-cpu"],
        "/v2/models/flights/infer",
        lambda row, ours: json.dumps(oip_body(row)),
        lambda answer: next(o for o in answer["outputs"] if o["name"] == "probability")["data"][0],
        grpc=True,
    ),
]
