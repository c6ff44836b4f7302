"""Processes of a bench: pinned, started in a session of their own, and ended with all their
children.
"""

import os
import shutil
import signal
import socket
import subprocess
import time

SERVER_CORE, CLIENT_CORE = 0, 1
_started = []


def pin(core):
    return (
        ["taskset", "-c", str(core)]
        if shutil.which("taskset") and (os.cpu_count() or 1) > 1
        else []
    )


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(argv, core=SERVER_CORE, log=None, **kwargs):
    """Its output goes to the file `log` (its end is the reason when it does not start)."""
    out = open(log, "wb") if log else subprocess.DEVNULL
    process = subprocess.Popen(
        [*pin(core), *argv],
        stdout=kwargs.pop("stdout", out),
        stderr=out,
        start_new_session=True,
        **kwargs
    )
    _started.append(process)
    return process


def end(process, seconds=15):
    if process in _started:
        _started.remove(process)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    # Whatever it started is in its session's process group; peers leave workers behind when they
    # are killed.
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sig)
            time.sleep(0.3)
        except ProcessLookupError:
            break
    process.wait()


def end_all():
    for process in list(_started):
        end(process, 5)


def tail(path, lines=3):
    try:
        with open(path, errors="replace") as file:
            return (
                " | ".join(line.strip() for line in file.readlines()[-40:] if line.strip())[-300:]
                or "nothing in its log"
            )
    except OSError as error:
        return str(error)
