#!/usr/bin/env python3
"""Stop always stops, and nobody is shut out by who does nothing: with the descriptors used up, the
disk full, the control plane busy or gone, thousands of idle connections. What happened is in the
ledger afterwards, once.

    stopping.py HEDDLE [--strict] [CASE...]      exit 0 when every case holds; --strict also wants
        each stop within a second
"""

import functools
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness  # noqa: E402
from harness import Planes, Skipped, World  # noqa: E402
from survive import row  # noqa: E402

CASES = []
STRICT = False


def case(function):
    """Each on a project of its own."""

    @functools.wraps(function)
    def alone(world):
        return function(world, world.copy(world.built))

    CASES.append(alone)
    return function


def limit(files):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))


class Idle:
    """Connections that send `first` and then nothing, from addresses 127.0.0.1 on."""

    def __init__(self, port, count, addresses, first=b""):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * count + 500
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise Skipped(f"{count} connections need a limit of open files above {hard}")
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        self.port, self.count, self.addresses, self.first, self.sockets = (
            port,
            count,
            addresses,
            first,
            [],
        )

    def __enter__(self):
        for number in range(self.count):
            s = socket.socket()
            s.settimeout(30)
            s.bind((f"127.0.0.{1 + number % self.addresses}", 0))
            s.connect(("127.0.0.1", self.port))
            if self.first:
                s.sendall(self.first)
            self.sockets.append(s)
        return self

    def __exit__(self, *unused):
        for s in self.sockets:
            s.close()


def is_stopped(planes):
    reply = planes.predict({"rows": [row(planes.project)]})
    return reply.status == 503 and reply.json["id"] == "service-stopped"


def serves(planes):
    reply = planes.predict({"rows": [row(planes.project)]})
    assert reply.status == 200, reply


def stops(planes, *words):
    """`heddle stop`, as it is typed; the time until nothing is answered any more."""
    began = time.monotonic()
    process = subprocess.Popen(
        [planes.project.heddle, "--project", str(planes.project.root), "stop", "late", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    planes.until(lambda: is_stopped(planes), "it is stopped")
    took = time.monotonic() - began
    assert not STRICT or took <= 1, f"the stop took {took:.2f} s"
    return process, took


def ended(process):
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0 and "stopped" in said, (process.returncode, said)
    return said


def entries(project, action="service.stop"):
    return [e for e in project.json("audit", "log")["decisions"] if e["action"] == action]


def resume(planes):
    done = planes.project.run("resume", "late")
    assert done.code == 0, done
    planes.until(
        lambda: planes.predict({"rows": [row(planes.project)]}).status == 200,
        "a person started it again",
    )


def cpu_seconds(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@case
def descriptors_used_up(world, project):
    """The hard limit is 1,024 and more than so many connect and say nothing."""
    with Planes(project, first=limit(1024)) as planes:
        planes.release(world)
        with Idle(project.port(), 1050, 3):
            serves(planes)
            assert planes.get("/health/live").status == 200
            before = cpu_seconds(planes.pid("data"))
            time.sleep(1)  # what it spends while nobody asks anything
            spent = cpu_seconds(planes.pid("data")) - before
            assert spent < 0.3, f"{spent:.2f} s of a processor in a second of silence"
            process, took = stops(planes)
            ended(process)
            assert project.json("status")["services"][0]["state"] == "stopped"
            resume(planes)
            return f"stopped in {took:.2f} s"


@case
def limit_is_raised(world, project):
    with Planes(
        project, first=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2000))
    ) as planes:
        for plane in ("up", "control", "data"):
            pid = planes.process.pid if plane == "up" else planes.pid(plane)
            files = [
                line
                for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()
                if line.startswith("Max open files")
            ][0].split()
            assert files[3:5] == ["2000", "2000"], (plane, files)
    return "supervisor, control and data plane"


@case
def idle_connections(world, project):
    """1,100 of one address, and 5,000 of five: silent, with half a head, or after a request for
    the health. Who comes is answered; health and stop work."""
    waited = []
    with Planes(project) as planes:
        planes.release(world)
        for count, addresses, first in (
            (1100, 1, b""),
            (5000, 5, b""),
            (5000, 5, b"GET / HTTP/1.1\r\nHo"),
            (5000, 5, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ):
            with Idle(project.port(), count, addresses, first):
                for _ in range(5):
                    serves(planes)
                assert planes.get("/health/live").status == 200
                process, took = stops(planes)
                waited.append(took)
                ended(process)
                resume(planes)
    return "stopped in " + ", ".join(f"{took:.2f}" for took in waited) + " s"


@case
def idle_connections_of_the_control_plane(world, project):
    port = int((project.root / "heddle.yaml").read_text().split("control_port: ")[1].split()[0])
    with Planes(project) as planes:
        with Idle(port, 5000, 5):
            planes.release(world)  # approves, over the owner's socket
            process, took = stops(planes)
            ended(process)
            assert planes.request("GET", "/health/live").status == 200
            with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                assert s.recv(100).startswith(b"HTTP/1.1 200 ")
    return f"approved, and stopped in {took:.2f} s"


@case
def control_plane_busy(world, project):
    """It is busy for as long as it takes: it stands still. The stop is entered when it goes on,
    once.
    """
    with Planes(project) as planes:
        planes.release(world)
        control = planes.pid("control")
        os.kill(control, signal.SIGSTOP)
        try:
            process, took = stops(planes)
        finally:
            os.kill(control, signal.SIGCONT)
        ended(process)
        planes.until(lambda: len(entries(project)) == 1, "the stop is in the ledger")
        time.sleep(0.2)
        assert len(entries(project)) == 1
        resume(planes)
        assert project.run("audit", "verify").code == 0
    return f"stopped in {took:.2f} s"


@case
def stops_again_and_again(world, project):
    """By an account, as fast as it can: one entry, and a person's resume stands."""
    with Planes(project) as planes:
        planes.release(world)
        for _ in range(300):
            assert (
                planes.request("POST", "/v1/services/late/stop", "{}", token="stopper").status
                == 200
            )
        planes.until(lambda: len(entries(project)) == 1, "the stop is in the ledger")
        for _ in range(3):
            ended(stops(planes)[0])
        for _ in range(300):
            planes.request("POST", "/v1/services/late/stop", "{}", token="stopper")
        assert len(entries(project)) == 1
        resume(planes)
        time.sleep(0.5)
        serves(planes)
        assert len(entries(project)) == 1
    return "600 stops, 1 entry"


def full_disk(project):
    """`.heddle` on a small disk of its own, until the end."""
    heddle = project.root / ".heddle"
    aside = project.root / "heddle-before"
    heddle.rename(aside)
    heddle.mkdir(mode=0o700)
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(heddle)],
            stderr=subprocess.DEVNULL,
        ).returncode
        != 0
    ):
        raise Skipped("a disk of its own needs root")
    subprocess.run(["cp", "-a", f"{aside}/.", str(heddle)], check=True)
    return heddle


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


@case
def disk_full(world, project):
    """Not a byte is left: the stop is decided and entered on the room that is kept for it."""
    heddle = full_disk(project)
    try:
        with Planes(project) as planes:
            planes.release(world)
            fill(heddle)
            process, took = stops(planes)
            said = ended(process)
            assert "ledger entry" in said, said
            assert len(entries(project)) == 1
            (heddle / "filler").unlink()
            planes.until(
                lambda: (heddle / "reserve").stat().st_blocks > 0, "the room is kept again"
            )
            resume(planes)
            assert project.run("audit", "verify").code == 0
    finally:
        subprocess.run(["umount", "-l", str(heddle)], check=False)
    return f"stopped in {took:.2f} s"


@case
def control_plane_gone_and_disk_full(world, project):
    heddle = full_disk(project)
    try:
        with Planes(project) as planes:
            planes.release(world)
            fill(heddle)
            os.kill(planes.process.pid, signal.SIGSTOP)  # nobody starts it again
            try:
                os.kill(planes.pid("control"), signal.SIGKILL)
                process, took = stops(planes)
                said = process.communicate(timeout=60)[1]
                assert process.returncode == 0 and "stopped late on the data plane" in said, (
                    process.returncode,
                    said,
                )
                (heddle / "filler").unlink()
            finally:
                os.kill(planes.process.pid, signal.SIGCONT)
            planes.until(planes.control_live, "the control plane is back")
            planes.until(lambda: len(entries(project)) == 1, "the stop is in the ledger")
            assert is_stopped(planes)
            resume(planes)
            assert project.run("audit", "verify").code == 0
    finally:
        subprocess.run(["umount", "-l", str(heddle)], check=False)
    return f"stopped in {took:.2f} s"


def main(binary, *words):
    global STRICT
    STRICT = "--strict" in words
    wanted = [word for word in words if not word.startswith("--")]
    world = World(binary)
    try:
        return harness.run_cases(CASES, wanted, world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
