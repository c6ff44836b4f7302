"""HTTP to one host: connections kept alive and shared by threads, and a request that may have been
read is never sent twice.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
import ssl
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from . import errors

# The service closes a connection after 60 s between requests: one that rested this long is not
# trusted to be open.
_REST_SECONDS = 30.0
_MOST_IDLE = 8
_ATTEMPTS = 4
_MOST_ANSWER_BYTES = 64 << 20


class Transport:
    """Safe for threads: each call has a connection to itself. `timeout` (seconds) bounds one call,
    with its attempts and its waits.
    """

    def __init__(self, url: str, token: str, timeout: float) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or port == -1
            or parts.path not in ("", "/")
            or parts.query
        ):
            raise errors.ProjectError(
                f"`{url}` is no address of a service",
                id="url-invalid",
                hint="write `http://HOST:PORT`",
            )
        if any(c in token for c in "\r\n\0"):
            raise errors.ProjectError(
                "the token has a line break within",
                id="token-invalid",
                hint="pass the file's one line",
            )
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._secure, self._host, self._port = (
            parts.scheme == "https",
            parts.hostname,
            port or (443 if parts.scheme == "https" else 80),
        )
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []

    def call(
        self, method: str, path: str, body: Any = None, accept: tuple[int, ...] = (200,)
    ) -> Any:
        """The JSON of the answer. Sends again only after a refused connection, 429 and 503: then
        nothing was scored.
        """
        payload = (
            None
            if body is None
            else json.dumps(body, allow_nan=False, separators=(",", ":")).encode()
        )
        end = time.monotonic() + self._timeout
        pause, attempts = 0.05, _ATTEMPTS
        while True:
            wait = pause
            try:
                status, headers, data = self._once(method, path, payload, end)
            except errors.Unreachable as failure:
                error: errors.HeddleError = failure
            else:
                answer = _json(data)
                if status in accept:
                    if not isinstance(answer, dict):
                        raise errors.ServerError(
                            f"the answer of {self.url}{path} is no JSON object",
                            id="answer-invalid",
                            status=status,
                            hint="is it a Heddle service that listens there?",
                        )
                    return answer
                error = errors.from_answer(status, answer)
                # 429 and 503 say when to come back; without that they are final.
                if status not in (429, 503) or (wait := _seconds(headers.get("Retry-After"))) < 0:
                    raise error
                if error.id == "service-stopped":
                    raise error  # only a person clears a stop
            attempts -= 1
            if attempts == 0 or time.monotonic() + wait >= end:
                raise error
            time.sleep(wait)
            pause = min(pause * 2, 1.0)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _once(
        self, method: str, path: str, payload: bytes | None, end: float
    ) -> tuple[int, Any, bytes]:
        connection = self._take() or self._connect(end)
        keep = False
        try:
            assert connection.sock is not None
            connection.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                connection.request(method, path, payload, self._headers)
            except (BrokenPipeError, ConnectionResetError):
                # a body over the service's limit is answered before it is read to its end; no
                # answer raises below
                pass
            reply = connection.getresponse()
            data = reply.read(_MOST_ANSWER_BYTES + 1)
            if len(data) > _MOST_ANSWER_BYTES:
                raise errors.ServerError(
                    "the answer is over 64 MiB",
                    id="answer-too-large",
                    hint="send fewer rows a request",
                )
            if reply.length:  # bytes that were announced and did not come
                raise http.client.IncompleteRead(data, reply.length)
            keep = not reply.will_close and reply.isclosed()
            return reply.status, reply.headers, data
        except TimeoutError:
            raise errors.TimedOut(
                f"no answer from {self.url} in {self._timeout:g} s",
                id="timeout",
                hint="the rows may have been scored; pass a longer `timeout`",
            ) from None
        except (OSError, http.client.HTTPException) as failure:
            raise errors.ConnectionLost(
                f"the connection to {self.url} was lost: {failure!r}",
                id="connection-lost",
                hint="the rows may have been scored, so they were not sent again",
            ) from failure
        finally:
            if keep:
                self._give(connection)
            else:
                connection.close()

    def _connect(self, end: float) -> http.client.HTTPConnection:
        limit = max(0.001, end - time.monotonic())
        connection: http.client.HTTPConnection
        if self._secure:
            connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=limit, context=ssl.create_default_context()
            )
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=limit)
        try:
            connection.connect()
        except OSError as failure:
            raise errors.Unreachable(
                f"nobody answers at {self.url}: {failure}",
                id="unreachable",
                hint="`heddle up` starts the project's services; HEDDLE_URL names another address",
            ) from failure
        assert connection.sock is not None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _take(self) -> http.client.HTTPConnection | None:
        """A kept connection that is certainly open: one that became readable was closed by the
        service while it rested.
        """
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, connection = self._idle.pop()
            if (
                time.monotonic() - since < _REST_SECONDS
                and connection.sock is not None
                and not _readable(connection.sock)
            ):
                return connection
            connection.close()

    def _give(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _MOST_IDLE:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _seconds(text: str | None) -> float:
    """Retry-After in seconds; -1 when it is not there or a date."""
    return float(text) if text is not None and text.isdecimal() else -1.0
