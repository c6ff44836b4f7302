"""The worker's protocol, on real connections: what is read, what is refused, and that nothing a
model does ends it.
"""

import contextlib
import io
import json
import os
import socket
import sys
import tempfile
import threading
import unittest

import numpy
import pandas

import heddle
from heddle.worker import http1, models, oip, server, tensors


@heddle.model
def half(df):
    if "boom" in df:
        raise {1: ValueError("boom"), 2: SystemExit(3), 3: KeyboardInterrupt()}[int(df["boom"][0])]
    if "short" in df:
        return [0.5]
    if "object" in df:
        return [object() for _ in range(len(df))]
    if "text" in df:
        return {"probability": [0.5] * len(df), "why": ["because"] * len(df)}
    return df["x"] / 2


def tensor(name, datatype, data, shape=None):
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


class Running:
    """A worker in this process, on a Unix socket in a temporary folder."""

    def __init__(self, model, **options):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "w.sock")
        endpoint = oip.Endpoint(models.as_model(model), "m", options.pop("threads", 1))
        self.worker = server.Worker(endpoint, server.listen_unix(self.path), **options)
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        try:
            connection.connect(self.path)
        except OSError:
            connection.close()
            raise
        return connection

    def raw(self, data, end=False):
        """Everything that comes back until the worker closes; `end`: nothing more is sent."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                if end:
                    connection.shutdown(socket.SHUT_WR)
            out = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(65536):
                    out += chunk
            return out

    def infer(self, body, headers=b""):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        out = self.raw(
            b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length:"
            b" %d\r\n\r\n" % (headers, len(body)) + body
        )
        head, body = out.split(b"\r\n\r\n", 1)
        return int(head.split()[1]), head, body

    def json(self, body, headers=b""):
        status, _, body = self.infer(body, headers)
        return status, json.loads(body)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.worker.stop()
        self.thread.join(20)
        self.folder.cleanup()


class Protocol(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.running = cls.enterClassContext(Running(half, most_body=1 << 20, request_s=0.5))
        cls.enterClassContext(
            contextlib.redirect_stderr(io.StringIO())
        )  # tracebacks of the models below

    def get(self, path):
        out = self.running.raw(
            b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode()
        )
        head, body = out.split(b"\r\n\r\n", 1)
        return int(head.split()[1]), json.loads(body)

    def test_health_and_metadata(self):
        self.assertEqual(self.get("/v2/health/ready"), (200, {"ready": True}))
        self.assertEqual(self.get("/v2/health/live"), (200, {"live": True}))
        self.assertEqual(self.get("/v2/models/m/ready"), (200, {"name": "m", "ready": True}))
        self.assertEqual(self.get("/v2")[1]["extensions"], ["binary_tensor_data"])
        self.assertEqual(
            self.get("/v2/models/m")[1]["outputs"],
            [{"name": "probability", "datatype": "FP64", "shape": [-1]}],
        )
        for path, status in (
            ("/v2/models/other", 404),
            ("/nope", 404),
            ("/v2/models/m/infer", 405),
        ):
            status_, body = self.get(path)
            self.assertEqual(status_, status)
            self.assertIn("error", body)

    def test_json(self):
        status, body = self.running.json(
            {"id": "7", "inputs": [tensor("x", "FP64", [1.0, None, 3])]}
        )
        self.assertEqual(
            (status, body),
            (
                200,
                {
                    "model_name": "m",
                    "model_version": "1",
                    "id": "7",
                    "outputs": [
                        {
                            "name": "probability",
                            "datatype": "FP64",
                            "shape": [3],
                            "data": [0.5, None, 1.5],
                        }
                    ],
                },
            ),
        )
        self.assertEqual(
            self.running.json({"inputs": [tensor("x", "FP64", [[1], [2]], [2, 1])]})[1]["outputs"][
                0
            ]["data"],
            [0.5, 1.0],
        )

    def test_binary_in_and_out(self):
        x = numpy.array([1, numpy.nan, 3], "<f8").tobytes()
        head = json.dumps(
            {
                "parameters": {"binary_data_output": True},
                "inputs": [
                    {
                        "name": "x",
                        "datatype": "FP64",
                        "shape": [3],
                        "parameters": {"binary_data_size": 24},
                    }
                ],
            }
        ).encode()
        status, answer, body = self.running.infer(
            head + x, b"Inference-Header-Content-Length: %d\r\n" % len(head)
        )
        self.assertEqual(status, 200)
        length = int(answer.lower().split(b"inference-header-content-length: ")[1].split()[0])
        described = json.loads(body[:length])["outputs"][0]
        self.assertEqual(
            (described["shape"], described["parameters"]), ([3], {"binary_data_size": 24})
        )
        numpy.testing.assert_array_equal(numpy.frombuffer(body[length:]), [0.5, numpy.nan, 1.5])

    def test_outputs_are_chosen(self):
        inputs = [tensor("text", "BYTES", ["a", "b"])]
        status, body = self.running.json({"inputs": inputs, "outputs": [{"name": "why"}]})
        self.assertEqual(
            (status, [each["name"] for each in body["outputs"]], body["outputs"][0]["data"]),
            (200, ["why"], ["because", "because"]),
        )
        status, _, body = self.running.infer(
            {
                "inputs": inputs,
                "outputs": [
                    {"name": "why", "parameters": {"binary_data": True}},
                    {"name": "probability"},
                ],
            }
        )
        self.assertTrue(body.endswith(b"\7\0\0\0because" * 2))
        self.assertEqual(
            self.running.json({"inputs": inputs, "outputs": [{"name": "nope"}]})[0], 400
        )

    def test_a_model_that_fails_is_an_error_and_the_worker_goes_on(self):
        for kind, name in ((1, "ValueError: boom"), (2, "SystemExit: 3"), (3, "KeyboardInterrupt")):
            status, body = self.running.json({"inputs": [tensor("boom", "INT64", [kind])]})
            self.assertEqual((status, body["id"]), (500, "model-failed"))
            self.assertIn(name, body["error"])
        for field in ("short", "object"):
            status, body = self.running.json({"inputs": [tensor(field, "INT64", [1, 2])]})
            self.assertEqual((status, body["id"]), (500, "model-answer-invalid"))
        self.assertEqual(self.get("/v2/health/ready")[0], 200)

    def test_tensors_that_cannot_be_read(self):
        good = tensor("x", "FP64", [1.0])
        bad = {
            "no JSON": b"{",
            "no object": b"[]",
            "NaN": b'{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[NaN]}]}',
            "deep": b'{"inputs":' + b"[" * 200000 + b"]" * 200000 + b"}",
            "long number": b'{"inputs":' + b"9" * 9999 + b"}",
            "no inputs": {},
            "empty inputs": {"inputs": []},
            "no name": {"inputs": [{"datatype": "FP64", "shape": [1], "data": [1]}]},
            "twice": {"inputs": [good, good]},
            "datatype": {"inputs": [tensor("x", "FP8", [1])]},
            "shape": {"inputs": [tensor("x", "FP64", [1.0], [-1])]},
            "count": {"inputs": [tensor("x", "FP64", [1.0], [2])]},
            "huge shape": {"inputs": [tensor("x", "FP64", [1.0], [1 << 40, 1 << 40])]},
            "text in numbers": {"inputs": [tensor("x", "FP64", ["1"])]},
            "number in text": {"inputs": [tensor("x", "BYTES", [1])]},
            "fraction in INT64": {"inputs": [tensor("x", "INT64", [1.5])]},
            "bool in INT64": {"inputs": [tensor("x", "INT64", [True])]},
            "null in INT64": {"inputs": [tensor("x", "INT64", [None])]},
            "over INT8": {"inputs": [tensor("x", "INT8", [300])]},
            "uneven": {"inputs": [tensor("x", "FP64", [[1.0], 2.0], [2])]},
            "rows": {"inputs": [good, tensor("y", "FP64", [1.0, 2.0])]},
            "parameters": {"inputs": [good], "parameters": 3},
            "outputs": {"inputs": [good], "outputs": [3]},
            "size without bytes": {
                "inputs": [
                    {
                        "name": "x",
                        "datatype": "FP64",
                        "shape": [1],
                        "parameters": {"binary_data_size": 8},
                    }
                ]
            },
            "data and size": {"inputs": [good | {"parameters": {"binary_data_size": 0}}]},
            "negative size": {
                "inputs": [
                    {
                        "name": "x",
                        "datatype": "FP64",
                        "shape": [0],
                        "parameters": {"binary_data_size": -1},
                    }
                ]
            },
        }
        for what, body in bad.items():
            status, answer = self.running.json(body)
            self.assertEqual((status, type(answer.get("error"))), (400, str), what)

    def test_binary_bytes_that_do_not_fit(self):
        def send(datatype, shape, data, size=None, extra=b"", length=None):
            head = json.dumps(
                {
                    "inputs": [
                        {
                            "name": "x",
                            "datatype": datatype,
                            "shape": shape,
                            "parameters": {"binary_data_size": len(data) if size is None else size},
                        }
                    ]
                }
            ).encode()
            header = b"Inference-Header-Content-Length: %s\r\n" % (
                str(len(head)).encode() if length is None else length
            )
            return self.running.infer(head + data + extra, header)[0]

        self.assertEqual(send("FP64", [2], bytes(16)), 200)
        self.assertEqual(send("FP64", [2], bytes(16), extra=b"x"), 400)
        self.assertEqual(send("FP64", [2], bytes(15)), 400)
        self.assertEqual(send("FP64", [2], bytes(8), size=16), 400)
        self.assertEqual(send("FP64", [2], bytes(16), length=b"99999"), 400)
        self.assertEqual(send("FP64", [2], bytes(16), length=b"-1"), 400)
        for data in (b"\1\0\0\0", b"\0\0\0\0x", b"\xff\xff\xff\xff", b"\1\0\0\0\xff", b"\1\0"):
            self.assertEqual(send("BYTES", [1], data), 400, data)
        self.assertEqual(send("BYTES", [1 << 31], bytes(8)), 400)

    def test_http_that_is_ambiguous_or_over_a_bound_is_refused_and_closed(self):
        bad = {
            b"GET / HTTP/1.1\r\n\r\n": 400,
            b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n": 400,
            b"GET / HTTP/2.0\r\nHost: x\r\n\r\n": 505,
            b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n": 400,
            b"GET x HTTP/1.1\r\nHost: x\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1,1\r\n\r\nx": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n": 400,
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n": 501,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx": (
                415
            ),
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n": 413,
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n": 400,
            b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17000 + b"\r\n\r\n": 431,
            b"GET /" + b"a" * 17000: 431,
            b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc": 408,
            b"GET / HT": 408,
        }
        for data, status in bad.items():
            out = self.running.raw(
                data
                + (b"" if status == 408 else b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
            )
            self.assertEqual(int(out.split()[1]), status, data[:80])
            self.assertEqual(out.count(b"Content-Type:"), 1, data[:80])

    def test_a_client_that_leaves_is_no_matter(self):
        for data in (b"", b"GET", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"):
            self.assertEqual(self.running.raw(data, end=True), b"")
        self.assertEqual(self.get("/v2/health/ready")[0], 200)

    def test_keep_alive_pipelining_and_continue(self):
        one = b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
        out = self.running.raw(one * 3, end=True)
        self.assertEqual(out.count(b"HTTP/1.1 200"), 3)
        with self.running.connect() as connection:
            connection.sendall(
                b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nExpect:"
                b" 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 100 "))
            connection.sendall(b"{}")
            self.assertTrue(connection.recv(100).startswith(b"HTTP/1.1 400 "))
        self.assertTrue(
            self.running.raw(b"GET /v2/health/live HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
        )  # and closes


class Lifecycle(unittest.TestCase):
    def test_a_request_that_had_begun_is_answered_before_the_end(self):
        begun, go = threading.Event(), threading.Event()

        @heddle.model
        def slow(df):
            begun.set()
            go.wait(20)
            return df["x"]

        with Running(slow) as running:
            idle = running.connect()
            got = []
            asker = threading.Thread(
                target=lambda: got.append(running.json({"inputs": [tensor("x", "FP64", [0.25])]}))
            )
            asker.start()
            self.assertTrue(begun.wait(20))
            running.worker.stop()
            self.assertEqual(idle.recv(1), b"")  # an idle connection ends at once
            go.set()
            asker.join(20)
            self.assertEqual(got[0][1]["outputs"][0]["data"], [0.25])
            running.thread.join(20)
            self.assertFalse(running.thread.is_alive())
            with self.assertRaises(ConnectionError):
                running.connect()
            idle.close()

    def test_calls_are_in_the_model_one_at_a_time_unless_asked_for(self):
        for threads in (1, 3):
            lock, inside, most = threading.Lock(), [0], [0]
            meet = threading.Barrier(threads, timeout=20)

            @heddle.model
            def counted(df):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                meet.wait()  # with three threads, three have to be inside at once
                with lock:
                    inside[0] -= 1
                return df["x"]

            with Running(counted, threads=threads) as running:
                askers = [
                    threading.Thread(
                        target=running.json, args=({"inputs": [tensor("x", "FP64", [0.25])]},)
                    )
                    for _ in range(6)
                ]
                for asker in askers:
                    asker.start()
                for asker in askers:
                    asker.join(30)
            self.assertEqual(most[0], threads)

    def test_a_path_over_the_kernels_limit_and_one_left_behind(self):
        with tempfile.TemporaryDirectory() as folder:
            deep = os.path.join(folder, "d" * 90, "e" * 60)
            os.makedirs(deep)
            path = os.path.join(deep, "w.sock")
            for _ in range(2):  # the second finds the name of the first
                with server.listen_unix(path):
                    self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)
                    with socket.socket(socket.AF_UNIX) as client:
                        fd = os.open(deep, os.O_RDONLY)
                        client.connect(f"/proc/self/fd/{fd}/w.sock")
                        os.close(fd)
            open(os.path.join(folder, "file"), "w").close()
            with self.assertRaises(SystemExit):
                server.listen_unix(os.path.join(folder, "file"))


class Inputs(unittest.TestCase):
    def test_missing_values_of_fields(self):
        arrays = {
            "i": numpy.array([1, 2]),
            "s": numpy.array(["a", ""], object),
            "b": numpy.array([True, False]),
            "f": numpy.array([0.5, numpy.nan]),
            "one": numpy.array([[1.0], [2.0]]),
            "alone.missing": numpy.array([True, False]),
        }
        arrays |= {f"{name}.missing": numpy.array([False, True]) for name in "isb"}
        frame = models.frame(arrays)
        self.assertEqual(list(frame), ["i", "s", "b", "f", "one", "alone.missing"])
        self.assertEqual(frame["i"].isna().tolist(), [False, True])
        self.assertEqual(frame["i"].dtype, "float64")
        self.assertEqual((frame["s"][0], pandas.isna(frame["s"][1])), ("a", True))
        self.assertEqual((frame["b"][0], frame["b"][1]), (True, None))

    def test_columns_of_a_matrix(self):
        arrays = {"features": numpy.zeros((2, 3), "f4")}
        self.assertEqual(list(models.frame(arrays)), ["features_0", "features_1", "features_2"])
        self.assertEqual(list(models.frame(arrays, ["a", "b", "c"])), ["a", "b", "c"])

    def test_without_pandas_it_is_a_dict_of_arrays(self):
        keep = sys.modules["pandas"]
        sys.modules["pandas"] = None  # what an import of a module that is not there meets
        try:
            self.assertEqual(
                list(models.frame({"features": numpy.zeros((2, 2))}, ["a", "b"])), ["a", "b"]
            )
        finally:
            sys.modules["pandas"] = keep

    def test_matrix_of_fields(self):
        got = models.matrix(
            {
                "a": numpy.array([1, 2]),
                "b": numpy.array([True, False]),
                "a.missing": numpy.array([False, True]),
            }
        )
        self.assertEqual(got.dtype, numpy.float32)
        numpy.testing.assert_array_equal(got, [[1, 1], [numpy.nan, 0]])
        with self.assertRaises(heddle.InvalidRequest):
            models.matrix({"s": numpy.array(["a"], object)})

    def test_what_cannot_be_served(self):
        with self.assertRaises(TypeError):
            models.as_model(3)
        with self.assertRaises(TypeError):
            heddle.model(3)

    def test_a_decorated_function_is_still_one(self):
        self.assertEqual(half(pandas.DataFrame({"x": [1.0]})).tolist(), [0.5])
        self.assertEqual((half.__name__, half.output), ("half", "probability"))
        self.assertEqual(heddle.model(output="score")(lambda df: df).output, "score")

    def test_round_trip_of_every_datatype(self):
        for datatype, code in tensors._DTYPES.items():
            array = numpy.array([0, 1, 1], code)
            request = {
                "inputs": [
                    {
                        "name": "x",
                        "datatype": datatype,
                        "shape": [3],
                        "parameters": {"binary_data_size": array.nbytes},
                    }
                ]
            }
            head = json.dumps(request).encode()
            _, arrays = tensors.read_request(head + array.tobytes(), str(len(head)))
            numpy.testing.assert_array_equal(arrays["x"], array)
            body, headers, _ = tensors.write_response(
                {"parameters": {"binary_data_output": True}}, "m", arrays
            )
            length = int(headers["Inference-Header-Content-Length"])
            self.assertEqual(
                (json.loads(body[:length])["outputs"][0]["datatype"], body[length:]),
                (datatype, array.tobytes()),
            )


class Head(unittest.TestCase):
    def test_bytes_in_any_pieces(self):
        whole = (
            b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc"
        )
        for cut in range(len(whole)):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                connection = http1.Connection(ours, 10, 10, 10)
                theirs.sendall(whole[:cut])
                later = threading.Thread(target=theirs.sendall, args=(whole[cut:],))
                later.start()
                request = connection.read()
                later.join()
                self.assertEqual(
                    (
                        request.method,
                        request.path,
                        request.body,
                        request.headers["x-a"],
                        request.keep,
                    ),
                    ("POST", "/a", b"abc", "1, 2", True),
                )


if __name__ == "__main__":
    unittest.main()
