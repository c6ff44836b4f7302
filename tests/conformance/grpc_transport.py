#!/usr/bin/env python3
"""The gRPC transport against the client of grpcio: unary, streams, large messages, deadlines,
cancels, many at once, compression, TLS. grpc_transport.py NET_ECHO_SERVER
"""

import concurrent.futures
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import grpc

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from echo_process import EchoProcess  # noqa: E402

BINARY = sys.argv.pop(1)


def raw(channel, method, kind="unary_unary"):
    return getattr(channel, kind)(
        f"/test.Echo/{method}", request_serializer=lambda b: b, response_deserializer=lambda b: b
    )


class Transport(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = EchoProcess(BINARY, "--http", "0", "--grpc", "0")
        cls.channel = grpc.insecure_channel(
            f"127.0.0.1:{cls.server.grpc}", options=[("grpc.max_receive_message_length", 64 << 20)]
        )

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        cls.server.__exit__()

    def fails(self, code, call, *args, **kwargs):
        with self.assertRaises(grpc.RpcError) as raised:
            call(*args, timeout=kwargs.pop("timeout", 10), **kwargs)
        self.assertEqual(raised.exception.code(), code, raised.exception.details())
        return raised.exception

    def wait_for(self, what, seconds=10):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end, "it did not come to pass")
            time.sleep(0.01)

    def test_unary(self):
        echo = raw(self.channel, "Unary")
        for message in (b"", b"x", b"hello" * 1000, os.urandom(70000)):
            self.assertEqual(echo(message, timeout=10), message)

    def test_large_both_ways(self):
        echo = raw(self.channel, "Unary")
        message = os.urandom((4 << 20) - 100)
        self.assertEqual(echo(message, timeout=30), message)
        self.assertEqual(len(raw(self.channel, "Large")(b"20000000", timeout=30)), 20000000)

    def test_too_large(self):
        self.fails(
            grpc.StatusCode.RESOURCE_EXHAUSTED, raw(self.channel, "Unary"), bytes((4 << 20) + 1)
        )
        self.assertEqual(raw(self.channel, "Unary")(b"still", timeout=10), b"still")

    def test_status_and_message(self):
        error = self.fails(grpc.StatusCode.INVALID_ARGUMENT, raw(self.channel, "Unary"), b"fail")
        self.assertEqual(error.details(), "as you wish: 100 % \u00e9\n")
        self.fails(grpc.StatusCode.UNIMPLEMENTED, raw(self.channel, "Nothing"), b"")

    def test_metadata_token_and_deadline(self):
        text = raw(self.channel, "Call")(
            b"",
            timeout=5,
            metadata=(("authorization", "Bearer t0ken"), ("x-a", "1"), ("x-b-bin", b"\0\1")),
        ).decode()
        method, bearer, left, rest = text.split("\n", 3)
        self.assertEqual((method, bearer), ("/test.Echo/Call", "t0ken"))
        self.assertTrue(3000 < int(left) <= 5100, left)  # grpcio rounds a timeout up
        self.assertIn("x-a=1\n", rest)
        self.assertIn("x-b-bin=AAE\n", rest)

    def test_stream(self):
        messages = [b"%d" % i * (i % 50) for i in range(500)]
        self.assertEqual(
            list(raw(self.channel, "Stream", "stream_stream")(iter(messages), timeout=30)), messages
        )
        self.assertEqual(
            list(raw(self.channel, "Stream", "stream_stream")(iter([]), timeout=10)), []
        )

    def test_stream_answers_each_message_as_it_comes(self):
        gate = threading.Semaphore(1)

        def ask():
            for i in range(20):
                gate.acquire()
                yield b"%d" % i

        for i, answer in enumerate(raw(self.channel, "Stream", "stream_stream")(ask(), timeout=10)):
            self.assertEqual(answer, b"%d" % i)
            gate.release()

    def test_stream_of_large_messages_under_flow_control(self):
        message = os.urandom(1 << 20)
        count = 0
        for answer in raw(self.channel, "Stream", "stream_stream")(
            (message for _ in range(40)), timeout=60
        ):
            self.assertEqual(answer, message)
            count += 1
        self.assertEqual(count, 40)

    def test_stream_ends_with_a_status(self):
        call = raw(self.channel, "Stream", "stream_stream")(
            iter([b"a", b"fail", b"never"]), timeout=10
        )
        self.assertEqual(next(call), b"a")
        with self.assertRaises(grpc.RpcError) as raised:
            list(call)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)

    def test_later(self):
        self.assertEqual(raw(self.channel, "Later")(b"", timeout=10), b"late")
        self.assertEqual(
            list(
                raw(self.channel, "StreamLater", "stream_stream")(
                    iter([b"a", b"b", b"c"]), timeout=10
                )
            ),
            [b"late"] * 3,
        )

    def test_deadline_and_cancel_free_the_call(self):
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, raw(self.channel, "Never"), b"", timeout=0.2)
        self.wait_for(lambda: self.server.stats()["waiting"] == 0)
        future = raw(self.channel, "Never").future(b"")
        self.wait_for(lambda: self.server.stats()["waiting"] == 1)
        future.cancel()
        self.wait_for(lambda: self.server.stats()["waiting"] == 0)
        self.assertEqual(self.server.stats()["buffered"], 0)

    def test_many_at_once(self):
        echo = raw(self.channel, "Unary")
        messages = [b"%d" % i * 100 for i in range(100)]
        for _ in range(5):
            futures = [echo.future(m, timeout=30) for m in messages]
            self.assertEqual([f.result() for f in futures], messages)
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            self.assertEqual(
                list(pool.map(lambda m: raw(self.channel, "Later")(m, timeout=30), messages * 2)),
                [b"late"] * 200,
            )

    def test_gzip(self):
        echo = raw(self.channel, "Unary")
        message = b"compress me " * 20000
        self.assertEqual(echo(message, timeout=10, compression=grpc.Compression.Gzip), message)
        self.fails(
            grpc.StatusCode.UNIMPLEMENTED, echo, message, compression=grpc.Compression.Deflate
        )
        with grpc.insecure_channel(
            f"127.0.0.1:{self.server.grpc}", options=[("grpc.max_send_message_length", 100 << 20)]
        ) as channel:
            # A bomb: a small message that inflates to more than a message may have.
            self.fails(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                raw(channel, "Unary"),
                bytes(80 << 20),
                compression=grpc.Compression.Gzip,
                timeout=30,
            )

    def test_many_channels(self):
        channels = [
            grpc.insecure_channel(
                f"127.0.0.1:{self.server.grpc}", options=[("grpc.use_local_subchannel_pool", 1)]
            )
            for _ in range(16)
        ]
        futures = [
            raw(c, "Unary").future(b"%d" % i, timeout=20)
            for i, c in enumerate(channels)
            for _ in range(20)
        ]
        self.assertEqual(
            [f.result() for f in futures], [b"%d" % i for i in range(16) for _ in range(20)]
        )
        for c in channels:
            c.close()

    def test_drain_tells_clients_to_go_and_finishes(self):
        with EchoProcess(BINARY, "--http", "0", "--grpc", "0") as server, grpc.insecure_channel(
            f"127.0.0.1:{server.grpc}"
        ) as channel:
            late = raw(channel, "AtDrain").future(b"", timeout=20)
            self.assertEqual(raw(channel, "Unary")(b"x", timeout=10), b"x")
            # Two calls of a channel that still connects may be sent in either order: one that the
            # server hasn't seen is refused by a drain, and rightly.
            self.wait_for(lambda: server.stats()["waiting"] == 1)
            server.process.terminate()
            self.assertEqual(late.result(), b"late")
            self.assertEqual(server.process.wait(20), 0)

    def test_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            cert, key = f"{folder}/c.pem", f"{folder}/k.pem"
            subprocess.run(
                [
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-keyout",
                    key,
                    "-out",
                    cert,
                    "-days",
                    "2",
                    "-subj",
                    "/CN=localhost",
                    "-addext",
                    "subjectAltName=DNS:localhost",
                ],
                check=True,
                capture_output=True,
            )
            with EchoProcess(BINARY, "--grpc", "0", "--tls", cert, key) as server, open(
                cert, "rb"
            ) as file:
                with grpc.secure_channel(
                    f"localhost:{server.grpc}", grpc.ssl_channel_credentials(file.read())
                ) as channel:
                    message = os.urandom(3 << 20)
                    self.assertEqual(raw(channel, "Unary")(message, timeout=20), message)
                    self.assertEqual(
                        list(
                            raw(channel, "Stream", "stream_stream")(iter([b"a"] * 50), timeout=20)
                        ),
                        [b"a"] * 50,
                    )
                with grpc.insecure_channel(f"localhost:{server.grpc}") as channel:
                    self.fails(grpc.StatusCode.UNAVAILABLE, raw(channel, "Unary"), b"", timeout=5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
