"""The worker's process: a listener, a thread for each connection, and an end that loses no
request.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pathlib
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from . import http1, models, oip
from .parent import Parent

MOST_CONNECTIONS = 256
_LOOK_SECONDS = 1.0  # how often the parent's id is looked at
_LONGEST_PATH = 100  # of a Unix socket: the kernel takes 107 bytes


class Worker:
    """Answers on `listener` until `stop`; owns it. `stop` may be called from a signal handler or
    any thread, more than once.
    """

    def __init__(
        self,
        endpoint: oip.Endpoint,
        listener: socket.socket,
        *,
        most_body: int = 64 << 20,
        idle_s: float = 3600.0,
        request_s: float = 60.0,
        grace_s: float = 10.0,
    ) -> None:
        self._endpoint, self._listener = endpoint, listener
        self._limits, self._grace_s = (most_body, idle_s, request_s), grace_s
        self._lock = threading.Lock()
        self._open: dict[socket.socket, bool] = (
            {}
        )  # connection -> whether a request is being answered on it
        self._threads: set[threading.Thread] = set()
        self._stopping = False
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_in, False)

    def stop(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            os.write(self._wake_in, b"x")

    def run(self, parent: Parent | None = None) -> None:
        """Returns when stopped, or when `parent` is gone; requests that had begun are answered
        first, for `grace_s` at most.
        """
        self._listener.setblocking(False)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._wake_out, select.POLLIN)
        while not self._stopping:
            ready = {fd for fd, _ in poll.poll(_LOOK_SECONDS * 1000)}
            if parent is not None and parent.gone():
                break
            if self._listener.fileno() in ready and not self._stopping:
                self._accept()
        self._drain()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError, InterruptedError):
            return
        except OSError as failure:  # out of descriptors: those who wait are taken when one is free
            print(f"heddle worker: {failure}", file=sys.stderr)
            time.sleep(0.05)
            return
        with self._lock:
            full = len(self._open) >= MOST_CONNECTIONS
            if not full:
                self._open[connection] = False
        if full:
            with contextlib.suppress(OSError):
                refused = oip.error(503, f"{MOST_CONNECTIONS} connections are open already")
                http1.Connection(connection, 0, 1.0, 1.0).write(
                    503, refused.body, refused.content_type, {"Retry-After": "1"}, False
                )
            connection.close()
            return
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve(self, connection: socket.socket) -> None:
        http = http1.Connection(connection, *self._limits)
        try:
            keep = True
            while keep and not self._stopping:
                try:
                    request = http.read()
                except http1.Refused as refused:
                    reply, keep, head, refusal = (
                        oip.error(refused.status, refused.message),
                        False,
                        False,
                        True,
                    )
                else:
                    refusal = False
                    self._mark(connection, True)
                    reply, keep, head = (
                        self._endpoint.answer(request),
                        request.keep and not self._stopping,
                        request.method == "HEAD",
                    )
                http.write(
                    reply.status,
                    b"" if head else reply.body,
                    reply.content_type,
                    reply.headers,
                    keep,
                )
                self._mark(connection, False)
                if refusal:
                    http.part()
        except (http1.Gone, OSError):
            pass
        finally:
            with self._lock:
                self._open.pop(connection, None)
            connection.close()
            self._threads.discard(threading.current_thread())

    def _mark(self, connection: socket.socket, busy: bool) -> None:
        with self._lock:
            if connection in self._open:
                self._open[connection] = busy

    def _drain(self) -> None:
        self._stopping = True
        self._listener.close()
        with self._lock:
            for connection, busy in self._open.items():
                if not busy:  # it waits for a request that shall not come here any more
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RD)
        end = time.monotonic() + self._grace_s
        for thread in list(self._threads):
            thread.join(max(0.0, end - time.monotonic()))
        os.close(self._wake_out)
        os.close(self._wake_in)


def listen_unix(path: str) -> socket.socket:
    """Listens at `path`, for this user only. The name appears once a connection would be taken; one
    left by a dead worker goes.
    """
    target = pathlib.Path(path).absolute()
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(target.stat().st_mode):
            raise SystemExit(
                f"error: `{target}` is there and is no socket\n\nhint: HEDDLE_WORKER_SOCKET names a"
                " path for a new one"
            )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    before = os.umask(0o077)
    try:
        beside = target.parent / f"{target.name[:64]}.{os.getpid()}"
        name = (
            str(beside)
            if len(os.fsencode(beside)) <= _LONGEST_PATH
            else f"/proc/self/fd/{folder}/{beside.name}"
        )
        listener.bind(name)
        listener.listen(512)
        os.rename(beside, target)
    finally:
        os.umask(before)
        os.close(folder)
    return listener


def listen_tcp(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), backlog=512, family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except OSError as failure:
        raise SystemExit(
            f"error: cannot listen on {host}:{port}: {failure.strerror}\n\nhint: choose another"
            " `--port`"
        ) from None


def serve(
    model: Any,
    *,
    socket: str | None = None,
    port: int | None = None,
    host: str = "127.0.0.1",
    name: str | None = None,
    threads: int = 1,
    output: str | None = None,
    features: Sequence[str] = (),
    positive: Any = None,
    most_body: int = 64 << 20,
) -> None:
    """Serves `model` (a decorated or plain function, a scikit-learn estimator, a torch.nn.Module,
    an onnxruntime.InferenceSession) and returns after SIGTERM or SIGINT. Where: `socket` or `port`,
    else HEDDLE_WORKER_SOCKET, which the data plane sets, else the command line's `--port PORT
    [--host HOST] [--name NAME]`. Under a data plane it ends with it. `threads` calls are in the
    model at once: more than one only for a model that is safe for threads. `output` and `features`
    are as in `@heddle.model`, but that the output of a classifier of more than two classes is
    `probabilities` and that of a regressor `value` by default; `positive` is the label of a
    classifier of two that is a true target, where its labels do not say it; `most_body` in bytes.
    """
    path = socket or (os.environ.get("HEDDLE_WORKER_SOCKET") if port is None else None)
    if path is None and port is None:
        port, host, name = _command_line(host, name)
    parent = Parent() if os.environ.get("HEDDLE_WORKER_SOCKET") and port is None else None
    name = name or os.environ.get("HEDDLE_WORKER_MODEL") or "model"
    if quote(name, safe="") != name:
        raise ValueError(
            f"`{name}` is no name of a model: letters, digits, `-`, `_`, `.` and `~` are"
        )
    endpoint = oip.Endpoint(
        models.as_model(model, output=output, features=features, positive=positive), name, threads
    )
    listener = listen_unix(path) if path is not None else listen_tcp(host, port or 0)
    where = path if path is not None else f"http://{host}:{listener.getsockname()[1]}"
    worker = Worker(endpoint, listener, most_body=most_body)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        signal.signal(signal.SIGINT, lambda *_: worker.stop())
        if parent is not None:
            parent.watch(worker.stop)
    print(f"heddle worker: `{name}` at {where}", file=sys.stderr, flush=True)
    try:
        worker.run(parent)
    finally:
        if path is not None:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _command_line(host: str, name: str | None) -> tuple[int, str, str | None]:
    parser = argparse.ArgumentParser(
        description="Serves the model over the Open Inference Protocol, version 2."
    )
    parser.add_argument(
        "--port", type=int, required=True, help="on which port; 0: a free one, said on stderr"
    )
    parser.add_argument("--host", default=host)
    parser.add_argument(
        "--name", default=name, help="the model's name in the protocol; default: `model`"
    )
    given = parser.parse_args()
    return given.port, given.host, given.name
