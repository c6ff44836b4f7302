#!/usr/bin/env python3
"""A binary upgrade under load: the listening sockets go from process to process, and no request
fails, over kept and new connections and over gRPC.
    handover.py NET_ECHO_SERVER [UPGRADES]
"""

import http.client
import os
import re
import signal
import sys
import threading
import time

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from echo_process import EchoProcess  # noqa: E402

stop = threading.Event()
failed, counts, pids = [], {"kept": 0, "new": 0, "grpc": 0}, set()


def guarded(what, work):
    try:
        while not stop.is_set():
            work()
            counts[what] += 1
    except Exception as error:  # whatever it is, a request failed
        failed.append(f"{what}: {error!r}")


def kept(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def one():
        connection.request("GET", "/stats")
        reply = connection.getresponse()  # `Connection: close` makes http.client connect anew
        body = reply.read()
        assert reply.status == 200, reply.status
        pids.add(re.search(rb'"pid":(\d+)', body).group(1))

    guarded("kept", one)


def new(port):
    def one():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/x", body=b"abc")
        reply = connection.getresponse()
        assert reply.status == 200 and reply.read() == b"POST 2f78  616263"
        connection.close()

    guarded("new", one)


def calls(port):
    with grpc.insecure_channel(
        f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        echo = channel.unary_unary(
            "/test.Echo/Unary", request_serializer=lambda b: b, response_deserializer=lambda b: b
        )

        def one():
            assert echo(b"abc", timeout=10) == b"abc"

        guarded("grpc", one)


def main(binary, upgrades):
    with EchoProcess(binary, "--http", "0", "--grpc", "0") as server:
        threads = [
            threading.Thread(target=f, args=(p,))
            for f, p in (
                [(kept, server.http)] * 3 + [(new, server.http)] * 2 + [(calls, server.grpc)] * 2
            )
        ]
        for thread in threads:
            thread.start()
        pid = server.pid
        chain = [pid]
        for _ in range(upgrades):
            seen = sum(counts.values())
            while sum(counts.values()) < seen + 500 and not failed:
                time.sleep(0.01)
            os.kill(pid, signal.SIGUSR2)
            line = (
                server.process.stdout.readline()
            )  # the successor says that it listens, on the same ports
            http_port, grpc_port, pid = (
                int(x) for x in re.match(r"http=(\d+) grpc=(\d+) pid=(\d+)", line).groups()
            )
            chain.append(pid)
            if (http_port, grpc_port) != (server.http, server.grpc):
                failed.append(f"other ports: {line}")
        server.process.wait(30)  # the first has drained by itself
        seen = sum(counts.values())
        while sum(counts.values()) < seen + 500 and not failed:
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        os.kill(pid, signal.SIGKILL)
    print(
        f"{upgrades} upgrades, processes {chain}, requests {counts}, failed {len(failed)}, first"
        f" exit {server.process.returncode}"
    )
    for text in failed[:10]:
        print(text, file=sys.stderr)
    answered = len(pids) == len(chain)
    if not answered:
        print(f"only {len(pids)} of {len(chain)} processes answered", file=sys.stderr)
    return 1 if failed or not answered or server.process.returncode != 0 else 0


sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3))
