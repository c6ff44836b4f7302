#!/usr/bin/env python3
"""Serving goes on when what is around it does not: the control plane killed, the disk full, the
ledger locked, the binary replaced. What happened meanwhile is in the ledger afterwards. Every case
asks without a pause, and no request may fail.

    survive.py HEDDLE      exit 0 when everything holds; the full disk needs root (a small tmpfs)
"""

import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import Planes, World  # noqa: E402


def row(project):
    """A row that the contract takes: one of the data's."""
    with open(project.root / "data/trips.csv") as file:
        names = file.readline().strip().split(",")
        values = file.readline().strip().split(",")
    fields = dict(zip(names, values))
    fields.pop("delay")
    fields["distance"] = int(fields["distance"])
    return fields


class Asking:
    """Asks all the time from a thread of its own, on new and on kept connections."""

    def __init__(self, planes):
        self.planes, self.counts, self.failures = planes, {}, []
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        body = {"rows": [row(self.planes.project)]}
        while not self.ending.is_set():
            try:
                reply = self.planes.predict(body)
                self.counts[reply.status] = self.counts.get(reply.status, 0) + 1
                if reply.status != 200:
                    self.failures.append(repr(reply))
            except (OSError, ValueError) as failure:
                self.failures.append(repr(failure))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.ending.set()
        self.thread.join()

    def more(self, count=50, seconds=30):
        """Waits until so many more were answered."""
        wanted, end = self.counts.get(200, 0) + count, time.monotonic() + seconds
        while self.counts.get(200, 0) < wanted:
            assert time.monotonic() < end, (
                f"only {self.counts} were answered;"
                f" {self.failures[:3]}\n{self.planes.text()[-1500:]}"
            )
            time.sleep(0.005)

    def none_failed(self):
        assert not self.failures, self.failures[:3]


def stop_on_the_data_plane(planes):
    reply = planes.request("POST", "/v1/services/late/stop", "{}", token="stopper")
    assert reply.status == 200 and reply.json["recorded"], reply
    return reply.json["id"]


def control_killed(world, planes):
    with Asking(planes) as asking:
        for _ in range(3):
            asking.more()
            before = planes.pid("control")
            os.kill(before, signal.SIGKILL)
            asking.more()
            planes.until(
                lambda: planes.pid("control") not in (None, before) and planes.control_live(),
                "the control plane is back",
            )
    asking.none_failed()
    assert planes.project.run("audit", "verify").code == 0
    return f"3 kills, {asking.counts[200]} answered, 0 failed"


def ledger_locked(world, planes):
    """Another process holds the database when the control plane comes back: it waits for it, and
    serving does not notice.
    """
    with Asking(planes) as asking:
        asking.more()
        planes.process.send_signal(
            signal.SIGSTOP
        )  # so that the control plane does not come back before the lock is taken
        os.kill(planes.pid("control"), signal.SIGKILL)
        holder = sqlite3.connect(
            planes.project.root / ".heddle/state.db", timeout=30, isolation_level=None
        )
        holder.execute("BEGIN EXCLUSIVE")
        planes.process.send_signal(signal.SIGCONT)
        asking.more(300)
        time.sleep(3)  # longer than the planes wait for each other anywhere
        asking.more(300)
        holder.execute("ROLLBACK")
        holder.close()
        planes.until(planes.control_live, "the control plane has its ledger", 60)
        asking.more()
    asking.none_failed()
    assert planes.project.run("audit", "verify").code == 0
    return f"{asking.counts[200]} answered, 0 failed"


def disk_full(world, planes):
    """The spool has no byte left: requests are answered, what went unrecorded is counted, a stop is
    accepted and reaches the ledger.
    """
    spool = planes.project.root / ".heddle/spool/late"
    filler = spool / "filler"
    with Asking(planes) as asking:
        asking.more()
        with open(filler, "wb", buffering=0) as file:
            size = 1 << 20
            while size:
                try:
                    file.write(b"x" * size)
                except OSError:
                    size //= 2
        # What was allocated ahead of the records is still theirs: wide requests use it up in a few
        # dozen, on any machine.
        wide, asked = {"rows": [row(planes.project)] * 1000}, 0
        while planes.request("GET", "/v1/services/late").json["recording"]:
            assert (
                asked < 1000
            ), f"{asked} requests of 1,000 rows and no record was dropped\n{planes.text()[-1500:]}"
            reply = planes.predict(wide)
            assert reply.status == 200, reply
            asked += 1
        asking.more(100)
    asking.none_failed()
    id_ = stop_on_the_data_plane(planes)
    stopped = planes.predict({"rows": [row(planes.project)]})
    assert stopped.status == 503 and stopped.json["id"] == "service-stopped", stopped
    filler.unlink()
    planes.until(
        lambda: "service.stop" in planes.project.run("audit", "log").out,
        "the stop is in the ledger",
    )
    assert planes.project.run("audit", "verify").code == 0
    done = planes.project.run("resume", "late")
    assert done.code == 0, done
    planes.until(
        lambda: planes.predict({"rows": [row(planes.project)]}).status == 200,
        "a person started it again",
    )
    return f"{asking.counts[200]} answered, 0 failed; stop {id_[:8]} accepted and in the ledger"


def binary_replaced(world, planes):
    """SIGUSR2 to `heddle up`: the data plane becomes its successor with its sockets open."""
    before = planes.pid("data")
    started = pathlib.Path(f"/proc/{before}/stat").read_text().split()[21]
    with Asking(planes) as asking:
        for _ in range(2):
            asking.more()
            mark = planes.text().count("the data plane is replaced by")
            planes.process.send_signal(signal.SIGUSR2)
            planes.until(
                lambda: planes.text().count("the data plane is replaced by") > mark,
                "the data plane is replaced",
            )
            asking.more()
    asking.none_failed()
    assert (
        planes.pid("data") == before
        and pathlib.Path(f"/proc/{before}/stat").read_text().split()[21] == started
    ), "the process changed"
    return f"2 times, {asking.counts[200]} answered, 0 failed"


CASES = [control_killed, ledger_locked, binary_replaced, disk_full]


def main(binary):
    world = World(binary)
    spool = None
    try:
        project = world.copy(world.built)
        spool = project.root / ".heddle/spool/late"
        spool.mkdir(parents=True)
        # 24 MiB: three segments of the journal.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(spool)], check=True)
        with Planes(project) as planes:
            planes.release(world)
            for check in CASES:
                print(f"{check.__name__}: {check(world, planes)}", flush=True)
    finally:
        if spool is not None:
            subprocess.run(["umount", "-l", str(spool)], check=False)
        world.close()
    print(f"{len(CASES)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
