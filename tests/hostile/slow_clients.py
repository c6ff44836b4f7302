#!/usr/bin/env python3
"""Thousands of clients that send slowly, send half, close half, read nothing or send 100,000
headers, while a healthy one measures: its p99 with them and without, alternated, and the memory of
the server. Loopback only; hostile clients come from other addresses of 127/8.
    slow_clients.py NET_ECHO_SERVER [--clients N] [--rounds N] [--crowded] [--strict]
With --crowded the server has places for half of them: every one that comes takes the place of
another. Without --strict only refusals, answers and memory decide (timings on a shared machine do
not).
"""

import argparse
import os
import random
import resource
import selectors
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance"))
from echo_process import EchoProcess  # noqa: E402

HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"


class Healthy:
    """One kept connection, one request after the other."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = HEAD + b"Content-Length: 100\r\n\r\n" + b"x" * 100

    def measure(self, count):
        times = []
        for _ in range(count):
            began = time.perf_counter_ns()
            self.socket.sendall(self.request)
            answer = b""
            while b"\r\n\r\n" not in answer or not answer.endswith(b"78" * 100):
                block = self.socket.recv(4096)
                assert block, "the healthy client was cut off"
                answer += block
            assert answer.startswith(b"HTTP/1.1 200")
            times.append((time.perf_counter_ns() - began) / 1000)
        times.sort()
        return times[len(times) // 2], times[int(len(times) * 0.99)]


class Hostile(threading.Thread):
    """Keeps `count` connections of its kinds open, feeding a byte to each about every two seconds;
    those that are closed come again.
    """

    def __init__(self, port, count, seed):
        super().__init__(daemon=True)
        self.port, self.count, self.random = port, count, random.Random(seed)
        self.stopping, self.ready = threading.Event(), threading.Event()
        self.selector, self.open, self.opened, self.ended = selectors.DefaultSelector(), {}, 0, 0

    def connect(self):
        s = socket.socket()
        s.setblocking(False)
        number = self.opened % 200
        s.bind((f"127.0.{1 + number // 100}.{1 + number % 100}", 0))
        s.connect_ex(("127.0.0.1", self.port))
        self.opened += 1
        self.open[s] = (
            4 if self.opened % 50 == 0 else (0, 1, 2, 3, 5)[self.opened % 5]
        )  # half-closed ones end at once and come again
        self.selector.register(s, selectors.EVENT_READ)

    def first(self, s, kind):
        if kind == 0:
            s.send(HEAD + b"X-Slow: ")
        elif kind == 1:
            s.send(HEAD + b"Content-Length: 200000\r\n\r\nabc")
        elif kind == 2:
            s.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        elif kind == 3:
            s.send(b"GET / HT")
        elif kind == 5:  # says nothing
            pass
        else:  # half-closed before anything was sent, or after a part
            s.send(HEAD[: self.random.randrange(len(HEAD))])
            s.shutdown(socket.SHUT_WR)

    def feed(self, s, kind):
        s.send({0: b"y", 1: b"z", 2: b"1\r\nq\r\n", 3: b""}.get(kind, b""))

    def run(self):
        fed = {}
        while not self.stopping.is_set():
            for _ in range(200):
                if len(self.open) < self.count:
                    self.connect()
            if len(self.open) >= self.count:
                self.ready.set()
            for key, _ in self.selector.select(0.02):
                s = key.fileobj
                try:
                    gone = s.recv(4096) == b""
                except OSError as error:
                    gone = not isinstance(error, BlockingIOError)
                if gone:
                    self.drop(s)
            due = time.monotonic()
            for s, kind in list(self.open.items())[: self.count // 50] if self.open else []:
                del self.open[s]
                self.open[s] = kind  # to the end of the line: each in its turn
                try:
                    if s not in fed:
                        self.first(s, kind)
                        fed[s] = due
                    else:
                        self.feed(s, kind)
                except BlockingIOError:
                    pass
                except OSError:
                    self.drop(s)
            fed = {s: at for s, at in fed.items() if s in self.open}
            time.sleep(0.02)
        for s in list(self.open):
            self.drop(s)

    def drop(self, s):
        if self.open.pop(s, None) is not None:
            self.selector.unregister(s)
            s.close()
            self.ended += 1


def many_headers(port):
    """100,000 headers: 431, and the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        try:
            s.sendall(
                b"GET / HTTP/1.1\r\nHost: localhost\r\n"
                + b"".join(b"X%d: y\r\n" % i for i in range(100_000))
                + b"\r\n"
            )
        except OSError:
            pass  # cut off while sending is as good
        answer = b""
        try:
            while block := s.recv(65536):
                answer += block
        except OSError:
            pass
        return answer.startswith(b"HTTP/1.1 431 ")


def half_closed(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(HEAD + b"Content-Length: 3\r\n\r\nabc")
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while block := s.recv(65536):
            answer += block
        return answer.endswith(b"POST 2f78  616263")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("binary")
    options.add_argument("--clients", type=int, default=5000)
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--crowded", action="store_true")
    options.add_argument("--strict", action="store_true")
    o = options.parse_args()
    wanted = o.clients + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    cores = sorted(os.sched_getaffinity(0))
    wrong = []
    places = o.clients // 2 if o.crowded else o.clients + 200
    most_connected = min(places, o.clients) * 0.9
    with EchoProcess(
        o.binary, "--http", "0", "--connections", str(places), "--read-ms", "5000"
    ) as server:
        if len(cores) > 1:
            os.sched_setaffinity(server.pid, {cores[0]})
            os.sched_setaffinity(0, {cores[1]})
        answered = sum(many_headers(server.http) for _ in range(20))
        if answered != 20:
            wrong.append(f"{answered} of 20 requests with 100,000 headers were answered by 431")
        if sum(half_closed(server.http) for _ in range(50)) != 50:
            wrong.append("a half-closed client was not answered")
        healthy = Healthy(server.http)
        healthy.measure(2000)
        before_kib = server.memory_kib()
        pairs, most = [], 0
        seen = connected = 0
        for round_number in range(o.rounds):
            quiet = healthy.measure(3000)
            # A process of its own, so that its Python does not measure itself against the healthy
            # client's.
            pid = os.fork()
            if pid == 0:
                os.sched_setscheduler(
                    0, os.SCHED_IDLE, os.sched_param(0)
                )  # their own work is not to slow the healthy client
                hostile = Hostile(server.http, o.clients, round_number)
                hostile.start()
                while True:
                    time.sleep(3600)
            end = time.monotonic() + 20
            while (
                connected := server.stats()["connections"]
            ) < most_connected and time.monotonic() < end:
                time.sleep(0.05)
            loud = healthy.measure(3000)
            most = max(most, server.memory_kib("VmHWM"))
            seen = max(seen, connected)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            end = time.monotonic() + 20
            while server.stats()["connections"] > 20 and time.monotonic() < end:
                time.sleep(0.05)
            pairs.append((quiet, loud))
            if connected < most_connected:
                wrong.append(f"only {connected} hostile clients were connected")
        left = server.stats()["connections"]
        if left > 20:
            wrong.append(f"{left} connections are left over")
        many = sum(many_headers(server.http) for _ in range(5))
        if many != 5:
            wrong.append("100,000 headers are not refused after all that")
    ratios = sorted(loud[1] / quiet[1] for quiet, loud in pairs)
    ratio = statistics.median(ratios)
    per_client = (most - before_kib) / o.clients
    print(
        f"{seen} slow clients, {o.rounds} pairs: healthy p50"
        f" {statistics.median(q[0] for q, _ in pairs):.0f} ->"
        f" {statistics.median(l[0] for _, l in pairs):.0f} us, p99"
        f" {statistics.median(q[1] for q, _ in pairs):.0f} ->"
        f" {statistics.median(l[1] for _, l in pairs):.0f} us, ratio {ratio:.2f}"
        f" ({ratios[0]:.2f}-{ratios[-1]:.2f}); memory {before_kib} -> {most} KiB at most,"
        f" {per_client:.1f} KiB a client"
    )
    if most - before_kib > 4 * o.clients + 8192:
        wrong.append(f"the server grew by {most - before_kib} KiB")
    if o.strict and ratio > 1.2:
        wrong.append(f"the healthy p99 is {ratio:.2f} times what it was")
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
