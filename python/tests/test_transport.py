"""A request that may have been read is never sent twice; one that certainly was not is. The other
end is a socket that misbehaves.
"""

import json
import socket
import threading
import time
import unittest

import heddle
from heddle.transport import Transport

OK = b'{"ok":true}'


def answer(status=200, body=OK, extra=b""):
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n" % (status, len(body), extra) + body


class Server:
    """Each connection follows the next of `scripts`: a list of what to do with its 1st, 2nd, ...
    request; then it is closed.
    """

    def __init__(self, *scripts):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.read = []  # the bodies of the requests that were read whole
        self.closed = threading.Semaphore(0)
        self.thread = threading.Thread(target=self.run, args=(scripts,), daemon=True)
        self.thread.start()

    def run(self, scripts):
        for script in scripts:
            connection, _ = self.listener.accept()
            with connection:
                for reply in script:
                    self.request(connection)
                    if callable(reply):
                        reply = reply()
                    connection.sendall(reply)
            self.closed.release()

    def request(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, body = data.split(b"\r\n\r\n", 1)
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            ),
            0,
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.read.append(body)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()
        self.thread.join(10)


class Transports(unittest.TestCase):
    def call(self, server, **options):
        transport = Transport(server.url, "t", options.pop("timeout", 10))
        self.addCleanup(transport.close)
        return transport, transport.call("POST", "/p", {"n": 1}, **options)

    def test_keeps_its_connection(self):
        with Server([answer(), answer()]) as server:  # one connection for both
            transport, first = self.call(server)
            self.assertEqual(
                (first, transport.call("POST", "/p", {"n": 2})), ({"ok": True}, {"ok": True})
            )
        self.assertEqual(server.read, [b'{"n":1}', b'{"n":2}'])

    def test_a_connection_closed_while_it_rested_is_not_used(self):
        with Server([answer()], [answer()]) as server:
            transport, _ = self.call(server)
            self.assertTrue(server.closed.acquire(timeout=10))
            self.assertEqual(transport.call("POST", "/p", {"n": 2}), {"ok": True})
        self.assertEqual(len(server.read), 2)

    def test_a_lost_answer_is_not_asked_for_again(self):
        with Server([b""]) as server, self.assertRaises(heddle.ConnectionLost):
            self.call(server)  # a second try would find nobody who answers, and time out
        self.assertEqual(server.read, [b'{"n":1}'])

    def test_half_an_answer_is_lost(self):
        with Server([answer()[:-3]]) as server, self.assertRaises(heddle.ConnectionLost):
            self.call(server)

    def test_shed_requests_are_sent_again(self):
        with Server(
            [
                answer(429, b'{"error":"busy"}', b"Retry-After: 0\r\n"),
                answer(503, b"{}", b"Retry-After: 0\r\n"),
                answer(),
            ]
        ) as server:
            _, got = self.call(server)
            self.assertEqual(got, {"ok": True})
        self.assertEqual(server.read, [b'{"n":1}'] * 3)

    def test_not_for_ever_and_not_when_stopped(self):
        busy = answer(429, b'{"error":"busy","id":"b"}', b"Retry-After: 0\r\n")
        with Server([busy] * 4) as server, self.assertRaises(heddle.Overloaded):
            self.call(server)
        self.assertEqual(len(server.read), 4)
        stopped = answer(
            503,
            b'{"error":"stopped","id":"service-stopped","hint":"resume"}',
            b"Retry-After: 1\r\n",
        )
        with Server([stopped]) as server, self.assertRaises(heddle.Unavailable) as caught:
            self.call(server)
        self.assertEqual(
            (caught.exception.id, caught.exception.hint, caught.exception.status),
            ("service-stopped", "resume", 503),
        )
        self.assertEqual(len(server.read), 1)

    def test_each_status_has_its_type(self):
        for status, kind in (
            (400, heddle.InvalidRequest),
            (401, heddle.Unauthenticated),
            (403, heddle.Denied),
            (404, heddle.NotFound),
            (413, heddle.InvalidRequest),
            (500, heddle.ServerError),
            (504, heddle.TimedOut),
        ):
            with Server(
                [answer(status, b'{"error":"why","id":"the-id","hint":"do"}')]
            ) as server, self.assertRaises(kind) as caught:
                self.call(server)
            self.assertEqual(
                (caught.exception.message, caught.exception.id, str(caught.exception)),
                ("why", "the-id", "why [the-id]\nhint: do"),
            )
        with Server([answer(200, b"<html>")]) as server, self.assertRaises(
            heddle.ServerError
        ) as caught:
            self.call(server)
        self.assertEqual(caught.exception.id, "answer-invalid")

    def test_times_out_and_does_not_send_again(self):
        done = threading.Event()
        with Server([lambda: done.wait(10) and b""]) as server:
            start = time.monotonic()
            with self.assertRaises(heddle.TimedOut):
                self.call(server, timeout=0.2)
            self.assertLess(time.monotonic() - start, 5)
            done.set()
        self.assertEqual(len(server.read), 1)

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with self.assertRaises(heddle.Unreachable):
            Transport(f"127.0.0.1:{port}", "t", 5).call("GET", "/")

    def test_a_batch_over_the_services_limit_is_halved(self):
        def batch(size):
            return answer(
                200,
                json.dumps(
                    {
                        "request_id": "r",
                        "bundle": "b",
                        "slot": "primary",
                        "predictions": [{"probability": 0.5}] * size,
                    }
                ).encode(),
            )

        with Server([answer(413, b'{"error":"rows"}'), batch(2), batch(2), batch(1)]) as server:
            with heddle.load("s", url=server.url, token="t") as service:
                got = service.predict([{"a": i} for i in range(5)], request_id="q")
        sent = [json.loads(body) for body in server.read]
        self.assertEqual(
            [[row["a"] for row in each["rows"]] for each in sent],
            [[0, 1, 2, 3, 4], [0, 1], [2, 3], [4]],
        )
        self.assertEqual([each["request_id"] for each in sent], ["q", "q.0", "q.1", "q.2"])
        self.assertEqual(([answer.first for answer in got.answers], len(got)), ([0, 2, 4], 5))


if __name__ == "__main__":
    unittest.main()
