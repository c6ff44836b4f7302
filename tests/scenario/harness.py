"""What the scenarios share: the real binary on a small project, its planes, and a raw HTTP client
that can misbehave.
"""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import traceback

import small_project


def sum_of(collection, key, value):
    """What `state.db` keeps beside a row (docs/formats/state.md)."""
    collection, key, value = (
        each.encode() if isinstance(each, str) else each for each in (collection, key, value)
    )
    data = (
        len(collection).to_bytes(8, "big") + collection + len(key).to_bytes(8, "big") + key + value
    )
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big", signed=True)


@contextlib.contextmanager
def forging(project):
    """The state of a project that nothing has open, for who edits it by hand and leaves no sum that
    gives it away.
    """
    (project.root / ".heddle/state.db.sum").unlink()
    with contextlib.closing(sqlite3.connect(project.root / ".heddle/state.db")) as state:
        state.create_function("heddle_sum", 3, sum_of)
        yield state
        state.execute("UPDATE kv SET sum = heddle_sum(collection, key, value)")
        state.commit()


class Ran:
    """One finished command. `id` is the permanent id of its error, or of its first diagnostic."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        ids = re.findall(r"^error\[([a-z0-9-]+)\]", self.err, re.M)
        self.ids, self.id = ids, ids[-1] if ids else ""

    def __repr__(self):
        return f"exit {self.code}\n{self.out[-1500:]}{self.err[-1500:]}"


def refused(done, code, id_):
    assert (done.code, done.id) == (code, id_), f"exit {code} with `{id_}` was expected: {done}"
    assert "hint:" in done.err, f"a hint was expected: {done}"
    return done


def works(done):
    assert done.code == 0, done
    return done


class Project:
    def __init__(self, heddle, root):
        self.heddle, self.root, self.keys = heddle, pathlib.Path(root), None

    def run(self, *words, **options):
        options.setdefault("timeout", 60)
        words = [self.heddle, "--project", str(self.root), *map(str, words)]
        return Ran(
            subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options
            )
        )

    def json(self, *words):
        done = self.run("--json", *words)
        assert done.code == 0, done
        return json.loads(done.out)

    def edit(self, file, old, new):
        text = (self.root / file).read_text()
        assert old in text, f"`{old}` is not in {file}"
        (self.root / file).write_text(text.replace(old, new, 1))

    def commit(self):
        git = [
            "git",
            "-C",
            str(self.root),
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@localhost",
            "-c",
            "commit.gpgsign=false",
        ]
        subprocess.run(git + ["commit", "-qam", "change"], check=True)

    def apply(self):
        """Makes the work tree what runs."""
        self.commit()
        done = self.run("apply")
        assert done.code == 0, done

    def port(self):
        return int(
            re.search(r"^port: (\d+)", (self.root / "services/late.yaml").read_text(), re.M)[1]
        )

    def token(self, account):
        return (self.root / ".heddle/tokens" / account).read_text().strip()


class World:
    """Makes projects in one temporary folder: `built` is a project after its first run, copied for
    each case.
    """

    def __init__(self, heddle):
        self.heddle = os.path.abspath(heddle)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="heddle-scenario-"))
        self.count = 0
        self.fresh = small_project.make(self.dir / "fresh")
        self.keys = self.dir / "fresh-keys"
        self.built = self.copy(self.fresh)
        done = self.built.run("run")
        assert done.code == 0, done

    def copy(self, source):
        self.count += 1
        root = self.dir / f"p{self.count}"
        shutil.copytree(source.root if isinstance(source, Project) else source, root, symlinks=True)
        return Project(self.heddle, root)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = {}

    def __repr__(self):
        return f"HTTP {self.status} {self.body[:400]!r}"


class Planes:
    """`heddle up` of a project, awaited until live; ended with SIGTERM. `locked`: its control plane
    does not come up, the data plane is awaited alone. `first`: runs in the child before it becomes
    `heddle`. `environment`: further variables.
    """

    def __init__(self, project, *words, locked=False, first=None, environment=None):
        self.project, self.words, self.locked, self.first = project, words, locked, first
        self.environment = dict(os.environ, **(environment or {}))
        self.log = open(project.root.parent / (project.root.name + ".log"), "w+")

    def __enter__(self):
        self.process = subprocess.Popen(
            [self.project.heddle, "--project", str(self.project.root), "up", *self.words],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=self.first,
            env=self.environment,
        )
        try:
            self.until(lambda: self.get("/health/live").status == 200, "the data plane is live")
            if not self.locked:
                self.until(lambda: self.control_live(), "the control plane is live")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def text(self):
        return pathlib.Path(self.log.name).read_text()

    def until(self, holds, what, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if holds():
                    return
            assert (
                self.process.poll() is None
            ), f"`heddle up` ended while waiting: {what}\n{self.text()[-2000:]}"
            time.sleep(0.01)
        raise AssertionError(f"in {seconds} s not: {what}\n{self.text()[-2000:]}")

    def control_live(self):
        return self.operation("status", {}).status == 200

    def pid(self, plane):
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                words = pathlib.Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
                if str(self.project.root).encode() in words and plane.encode() in words:
                    return int(entry)
        return None

    def kill(self, plane):
        pid = self.pid(plane)
        assert pid, f"no {plane} plane"
        os.kill(pid, signal.SIGKILL)

    def request(self, method, path, body=None, token="caller", timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.project.port(), timeout=timeout)
        try:
            headers = {
                "Authorization": "Bearer " + (self.project.token(token) if token else "none")
            }
            connection.request(
                method,
                path,
                body if body is None or isinstance(body, (str, bytes)) else json.dumps(body),
                headers,
            )
            reply = connection.getresponse()
            return Reply(reply.status, reply.headers, reply.read())
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def predict(self, body, **options):
        return self.request("POST", "/v1/services/late/predict", body, **options)

    def release(self, world):
        """Both slots filled as a person does it; returns when the primary answers."""
        project = self.project
        for words in (("--slot", "standby"), ("--requester", "bob")):
            done = project.run("release", "promote", "late", *words)
            assert done.code == 0, done
        approval = project.json("approval", "list")["approvals"][0]["id"]
        done = project.run("approve", approval, "--person", "ann", "--key", world.keys / "ann")
        assert done.code == 0, done
        self.until(
            lambda: self.get("/v2/health/ready").status == 200, "the released bundle answers"
        )

    def operation(self, name, request):
        """An operation as the owner, over the socket that `heddle` itself uses."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.project.root / ".heddle/control.sock"))
            body = json.dumps(request).encode()
            secret = (self.project.root / ".heddle/keys/owner.secret").read_bytes()
            connection.sendall(
                b"POST /v1/ops/%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer"
                b" %s\r\nContent-Length: %d\r\n\r\n" % (name.encode(), secret, len(body)) + body
            )
            reply = http.client.HTTPResponse(connection)
            reply.begin()
            return Reply(reply.status, reply.headers, reply.read())

    def raw(self):
        return socket.create_connection(("127.0.0.1", self.project.port()), timeout=30)


class Skipped(Exception):
    """Raised by a case that the machine cannot give what it needs."""


def run_cases(cases, names, *arguments):
    """Every case of `cases` (those in `names`, when it names any), also after one has failed. The
    exit status of the test.
    """
    chosen = [case for case in cases if not names or case.__name__ in names]
    failed, skipped = [], 0
    for case in chosen:
        begun = time.monotonic()
        try:
            told = case(*arguments)
            print(
                f"ok   {case.__name__} ({time.monotonic() - begun:.1f} s)"
                + (f": {told}" if told else ""),
                flush=True,
            )
        except Skipped as why:
            skipped += 1
            print(f"SKIPPED {case.__name__}: {why}", flush=True)
        except Exception:  # every other case is still of interest
            failed.append(case.__name__)
            print(f"FAIL {case.__name__}\n{traceback.format_exc()}", flush=True)
    print(
        f"{len(chosen) - len(failed) - skipped} of {len(chosen)} hold"
        + (f", {skipped} skipped" if skipped else "")
        + (f"; not: {', '.join(failed)}" if failed else "")
    )
    return 1 if failed or not chosen else 0


def read_status(connection):
    """Status of the answer on a raw connection; 0 when it was closed without one."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n" not in data:
            more = connection.recv(4096)
            if not more:
                break
            data += more
    return int(data.split()[1]) if data.startswith(b"HTTP/") else 0
