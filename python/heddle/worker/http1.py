"""HTTP/1.1 on one connection, strict and bounded: what two readers could understand differently is
an error and closes it.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import time

MOST_HEAD = 16 << 10
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_TARGET = re.compile(rb"[\x21-\x7e]+\Z")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


class Refused(Exception):
    """The request is answered with `status` and an error, and the connection is closed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Gone(Exception):
    """The client ended the connection, or sent nothing between requests for too long: there is
    nobody to answer.
    """


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case; a repeated one is joined with commas
    body: bytes
    keep: bool  # the connection stays open after the answer


class Connection:
    """One request at a time. `most_body` in bytes; `idle_s` between requests, `request_s` for a
    whole one. One thread at a time.
    """

    def __init__(
        self, sock: socket.socket, most_body: int, idle_s: float, request_s: float
    ) -> None:
        self._sock, self._most_body, self._idle_s, self._request_s = (
            sock,
            most_body,
            idle_s,
            request_s,
        )
        self._in = bytearray()

    def read(self) -> Request:
        """Raises Refused or Gone."""
        if not self._in:
            self._sock.settimeout(self._idle_s)
            if not self._receive():
                raise Gone
        end = time.monotonic() + self._request_s
        while (at := self._in.find(b"\r\n\r\n")) < 0:
            if len(self._in) > MOST_HEAD:
                raise Refused(431, f"the head is over {MOST_HEAD} bytes")
            self._more(end)
        if at > MOST_HEAD:
            raise Refused(431, f"the head is over {MOST_HEAD} bytes")
        lines = bytes(self._in[:at]).split(b"\r\n")
        del self._in[: at + 4]
        method, target, version = _request_line(lines[0])
        headers = _headers(lines[1:])
        length = _body_length(headers, version)
        if length > self._most_body:
            raise Refused(413, f"the body of {length} bytes is over the limit of {self._most_body}")
        if headers.get("expect", "").lower() == "100-continue" and len(self._in) < length:
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(self._in) < length:
            self._more(end)
        body = bytes(self._in[:length])
        del self._in[:length]
        connection = {word.strip() for word in headers.get("connection", "").lower().split(",")}
        keep = "close" not in connection and (version == b"HTTP/1.1" or "keep-alive" in connection)
        return Request(method.decode(), target.split(b"?", 1)[0].decode(), headers, body, keep)

    def write(
        self, status: int, body: bytes, content_type: str, extra: dict[str, str], keep: bool
    ) -> None:
        head = [
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
        ]
        head += [f"{name}: {value}" for name, value in extra.items()]
        if not keep:
            head.append("Connection: close")
        self._sock.settimeout(self._request_s)
        self._sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    def part(self) -> None:
        """After a refusal: what the client still sends is read for a moment, else closing would
        take the answer from it.
        """
        self._sock.shutdown(socket.SHUT_WR)
        end = time.monotonic() + 1.0
        while (left := end - time.monotonic()) > 0:
            self._in.clear()
            self._sock.settimeout(left)
            if not self._receive():
                return

    def _receive(self) -> bool:
        try:
            chunk = self._sock.recv(1 << 18)
        except (TimeoutError, ConnectionError):
            return False
        self._in += chunk
        return bool(chunk)

    def _more(self, end: float) -> None:
        left = end - time.monotonic()
        if left <= 0:
            raise Refused(408, f"the request took longer than {self._request_s:g} s")
        self._sock.settimeout(left)
        if not self._receive():
            if time.monotonic() >= end:
                raise Refused(408, f"the request took longer than {self._request_s:g} s")
            raise Gone


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    words = line.split(b" ")
    if (
        len(words) != 3
        or not _TOKEN.match(words[0])
        or not _TARGET.match(words[1])
        or not words[1].startswith(b"/")
    ):
        raise Refused(400, "the request line is malformed")
    if words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Refused(505, "only HTTP/1.1 and HTTP/1.0 are spoken")
    return words[0], words[1], words[2]


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        # A folded line begins with a space, so its name is no token; a bare CR or LF or NUL would
        # end a line for another reader.
        if not colon or not _TOKEN.match(name) or any(c in value for c in b"\r\n\0"):
            raise Refused(400, "a header line is malformed")
        key = name.decode().lower()
        if key in headers and key in (
            "content-length",
            "host",
            "transfer-encoding",
            "inference-header-content-length",
        ):
            raise Refused(400, f"`{key}` appears more than once")
        headers[key] = (
            f"{headers[key]}, {value.decode('latin-1')}"
            if key in headers
            else value.decode("latin-1")
        )
    return headers


def _body_length(headers: dict[str, str], version: bytes) -> int:
    if version == b"HTTP/1.1" and "host" not in headers:
        raise Refused(400, "there is no Host")
    if "transfer-encoding" in headers:
        raise Refused(
            400 if "content-length" in headers else 501,
            "Transfer-Encoding is not spoken: send a Content-Length",
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "a compressed body is not read")
    text = headers.get("content-length", "0")
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise Refused(400, "Content-Length is no number")
    return int(text)
