#!/usr/bin/env python3
"""Byte streams that two readers could understand differently (ambiguous.tsv), read by our server
and by h11. For each, our server either reads the same requests with the same bodies and ends, or
refuses with 400, 413, 431, 501 or 505 and closes. What h11 refuses we refuse too, but for ACCEPTED
below. Prints what differs; exit 1 when there is anything.
    ambiguous.py NET_ECHO_SERVER [-v]
"""

import concurrent.futures
import os
import re
import socket
import sys

import h11

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from echo_process import EchoProcess  # noqa: E402

REFUSALS = {400, 413, 431, 501, 505}
# What we read and h11 does not, each with the reason why there is no second meaning.
ACCEPTED = {
    "http10-keep-alive": (
        "h11 ends every HTTP/1.0 connection; RFC 9112 9.3 allows `keep-alive`, and the end of the"
        " message is its empty line"
    ),
}
ESCAPE = re.compile(r"\\(r|n|t|\\|x[0-9a-f]{2})|\$\{(.)\*(\d+)\}")


def unescape(text):
    def one(match):
        if match.group(2):
            return match.group(2) * int(match.group(3))
        kind = match.group(1)
        return {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}.get(kind) or chr(int(kind[1:], 16))

    return ESCAPE.sub(one, text).encode("latin-1")


def by_h11(data):
    """The requests it reads, as (method, target, body), and how it ends: `end` or `refused`."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    requests, request, body = [], None, b""
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                return requests, "end"  # what is not whole by now never will be
            if isinstance(event, h11.Request):
                request, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                requests.append((request.method, request.target, body))
                request = None
                status = 405 if requests[-1][0] == b"CONNECT" else 200
                connection.send(h11.Response(status_code=status, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return requests, "end"
                connection.start_next_cycle()
            elif event is h11.PAUSED:
                return requests, "end"
            elif isinstance(event, h11.ConnectionClosed):
                return requests, "end"
    except h11.RemoteProtocolError:
        return requests, "refused"


def by_ours(port, data):
    """The same of our server's answers; a refusal is `STATUS` or `STATUS open` when it does not
    close.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while block := s.recv(65536):
            answer += block
    requests = []
    method_of_head = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n")
    at = 0
    while at < len(answer):
        head = method_of_head.match(answer, at)
        if not head:
            return requests, f"unreadable answer {answer[at:at + 80]!r}"
        at = head.end()
        status = int(head.group(1))
        if status == 100:
            continue
        length = re.search(rb"(?i)content-length: (\d+)", head.group(2))
        size = int(length.group(1)) if length else 0
        text = answer[at : at + size]
        if status != 200:
            closes = b"Connection: close" in head.group(2) and at + size == len(answer)
            return requests, f"{status}" if closes else f"{status} open"
        parts = text.split(b" ")
        if len(parts) == 4 and not text.startswith(b"HTTP/"):
            at += size
            path, query, body = (bytes.fromhex(p.decode()) for p in parts[1:])
            requests.append((parts[0], (path, query), body))
        else:  # to HEAD: a head alone
            requests.append((None, None, None))
    return requests, "end"


def differs(name, ours, theirs):
    requests, end = ours
    expected, their_end = theirs
    for mine, other in zip(requests, expected):
        if mine[0] is None:
            continue
        path, _, query = other[1].partition(b"?")
        if (mine[0], mine[1], mine[2]) != (other[0], (path, query), other[2]):
            return f"reads {mine}, h11 {other}"
    if len(requests) > len(expected) and name not in ACCEPTED:
        return f"reads {len(requests)} requests, h11 {len(expected)} and then {their_end}"
    if end == "end":
        if len(requests) < len(expected):
            return (
                f"stops after {len(requests)} requests without a refusal, h11 reads {len(expected)}"
            )
        if their_end == "refused" and name not in ACCEPTED:
            return "ends without a refusal, h11 refuses"
    elif (
        not (end.isdigit() and int(end) in REFUSALS) and end != "421"
    ):  # 421: understood, and served by nobody here
        return f"refuses with {end}"
    return None


def main(binary, verbose):
    with open(
        os.path.join(os.path.dirname(os.path.abspath(__file__)), "ambiguous.tsv"), encoding="ascii"
    ) as file:
        entries = [line.rstrip("\n").split("\t", 1) for line in file if not line.startswith("#")]
    findings = refused = agreed = 0
    with EchoProcess(binary, "--http", "0") as server, concurrent.futures.ThreadPoolExecutor(
        8
    ) as pool:
        data = [unescape(text) for _, text in entries]
        for (name, text), ours, theirs in zip(
            entries, pool.map(lambda d: by_ours(server.http, d), data), map(by_h11, data)
        ):
            finding = differs(name, ours, theirs)
            refused += ours[1] != "end"
            agreed += ours[1] == "end"
            if finding or verbose:
                print(f"{name}: {finding or 'fine'}; ours {ours[1]}, h11 {theirs[1]}: {text[:100]}")
            findings += finding is not None
    print(
        f"{len(entries)} byte streams: {agreed} read as h11 reads them, {refused} refused and"
        f" closed, {findings} findings; h11 {h11.__version__}"
    )
    return 1 if findings else 0


sys.exit(main(sys.argv[1], "-v" in sys.argv))
