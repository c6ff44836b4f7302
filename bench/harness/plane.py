"""The data plane under measure: bench/http_plane over bundles of flights, its publisher, and load
on it. Server on core 0; client and publisher on core 1.
"""

import fcntl
import http.client
import json
import os
import shutil
import subprocess
import sys
import time

from . import process

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOKEN = "bench-token-0123456789abcdef"
PATH = "/v1/services/flights/predict"
TREES = {"model.json": 150, "model500.json": 500}  # as http_plane makes them


def build_folder(argv):
    return os.path.abspath(argv[1] if len(argv) > 1 else os.path.join(ROOT, "build"))


class Plane:
    """Bundles, one running data plane, and the pen that publishes its route tables."""

    def __init__(self, build, bundles):
        """`bundles`: {name: (model file, count)}."""
        self.build, self.dir = build, os.path.join(build, "bench", "serving")
        os.makedirs(self.dir, exist_ok=True)
        self.lock = open(os.path.join(self.dir, ".lock"), "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SystemExit(
                f"another bench uses {self.dir}: two at once would measure each other"
            ) from None
        subprocess.run(
            ["cmake", "--build", build, "--target", "http_plane", "checked_load"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.binary = os.path.join(build, "bench", "http_plane")
        self._train()
        self.bundles = {}
        for name, (model, count) in bundles.items():
            subprocess.run([self.binary, "pack", self.dir, name, model, str(count)], check=True)
            with open(self.golden(name)) as file:
                self.bundles[name] = [bundle["digest"] for bundle in json.load(file)]
        with open(os.path.join(self.dir, "bodies.json")) as file:
            sample = json.load(file)
        self.bodies, self.features = sample["bodies"], sample["features"]
        self.port = self.server = self.pen = None

    def _train(self):
        """Rows, features and models stay from bench to bench; they are made again when the program
        that makes them is newer.
        """
        stamp = os.path.join(self.dir, ".trained")
        if os.path.exists(stamp) and os.path.getmtime(stamp) > os.path.getmtime(self.binary):
            return
        shutil.rmtree(os.path.join(self.dir, "objects"), ignore_errors=True)
        subprocess.run([self.binary, "fit", self.dir], check=True)
        open(stamp, "w").close()

    def golden(self, name):
        return os.path.join(self.dir, name + ".bundles.json")

    def serve(self, primary, standby="-", **environ):
        """Starts the data plane from an empty state with this route table, and waits until it
        answers.
        """
        shutil.rmtree(os.path.join(self.dir, "state"), ignore_errors=True)
        self.port = process.free_port()
        self.log = os.path.join(self.dir, "plane.log")
        self.pen = process.start(
            [self.binary, "publish", self.dir],
            core=process.CLIENT_CORE,
            log=os.path.join(self.dir, "publish.log"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.route(primary, standby)
        self.server = process.start(
            [self.binary, "serve", self.dir, str(self.port), TOKEN],
            log=self.log,
            env={**os.environ, **environ},
        )
        self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.ask("POST", PATH, self.bodies[0])[0] == 200:
                    return
            except OSError:
                self.http.close()
            if time.monotonic() > deadline or self.server.poll() is not None:
                raise SystemExit(f"the data plane does not answer: {process.tail(self.log)}")
            time.sleep(0.05)

    def stop(self):
        for p in (self.pen, self.server):
            if p is not None:
                process.end(p)
        self.pen = self.server = None

    def ask(self, method, path, body=None):
        self.http.request(
            method,
            path,
            body,
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        reply = self.http.getresponse()
        answer = reply.status, reply.read()
        # opened again by the next request: a kept one would be closed by the server between long
        # blocks
        self.http.close()
        return answer

    def metric(self, name):
        """The value of a metric without labels but the service's."""
        for line in self.ask("GET", "/metrics")[1].decode().splitlines():
            if line.split("{")[0] == name:
                return float(line.split()[-1])
        raise SystemExit(f"the data plane has no metric {name}")

    def route(self, primary, standby="-"):
        """Publishes a route table; (version, monotonic ns before it was written)."""
        return self.tell(f"route {primary} {standby}", 1)[0]

    def tell(self, line, answers):
        self.pen.stdin.write(line + "\n")
        self.pen.stdin.flush()
        return self.hear(answers)

    def hear(self, answers):
        out = []
        for _ in range(answers):
            line = self.pen.stdout.readline()
            if not line:
                raise SystemExit(
                    f"the publisher ended: {process.tail(os.path.join(self.dir, 'publish.log'))}"
                )
            out.append(tuple(int(word) for word in line.split()))
        return out

    def wait_in_force(self, version, seconds=60):
        """Asks again and again, without a pause longer than what is measured; monotonic ns when the
        answer came that named `version`.
        """
        deadline = time.monotonic() + seconds
        while True:
            _, text = self.ask("GET", "/v1/services/flights")
            now = time.monotonic_ns()
            if json.loads(text)["route_version"] >= version:
                return now
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"route table {version} was not applied within {seconds} s:"
                    f" {process.tail(self.log)}"
                )
            time.sleep(0.001)

    def load(self, limit_s=None, wait=True, **config):
        """Runs checked_load on the client's core; its outcome, or the process when `wait` is
        false.
        """
        config = {
            "port": self.port,
            "path": PATH,
            "token": TOKEN,
            "bodies": os.path.join(self.dir, "bodies.json"),
            "connections": 8,
            **config,
        }
        path = os.path.join(self.dir, "load.json")
        with open(path, "w") as file:
            json.dump(config, file)
        argv = [
            *process.pin(process.CLIENT_CORE),
            os.path.join(self.build, "bench", "checked_load"),
            path,
        ]
        if not wait:
            return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        return json.loads(
            subprocess.run(
                argv, check=True, stdout=subprocess.PIPE, text=True, timeout=limit_s or 120
            ).stdout
        )

    def capacity(self, seconds=3, connections=8, golden=()):
        """Answers a second of a closed loop: the most that these connections get out of one
        core.
        """
        out = self.load(
            closed=True,
            duration_ms=seconds * 1000,
            warmup_ms=1000,
            connections=connections,
            golden=list(golden),
        )
        if out["failed"] or out["wrong"] or not out["served"]:
            raise SystemExit(
                f"the closed loop failed: {out['failed']} without an answer, {out['wrong']} wrong,"
                f" {out['served']} served"
            )
        return out


def say(text):
    print(text, file=sys.stderr, flush=True)
