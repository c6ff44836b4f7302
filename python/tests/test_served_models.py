"""Real models, fitted here, each served by its few lines as a process of its own and called over
its Unix socket or its port.

PyTorch is tried where it is installed.
"""

import concurrent.futures
import http.client
import importlib.util
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import joblib
import numpy
import pandas
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SDK = pathlib.Path(__file__).resolve().parents[1]

FIVE_LINES = """\
import heddle, joblib
model = joblib.load("model.joblib")
@heddle.model
def predict(df): return model.predict_proba(df)
heddle.serve(predict)
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("worker", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Served:
    """`script` as a data plane starts it: its folder as the working one, a clean environment, the
    socket's path in it.
    """

    def __init__(self, folder, script, *arguments, name="delay", launcher=(), **environment):
        self.path = os.path.join(folder, "w.sock")
        file = pathlib.Path(folder, "serve.py")
        file.write_text(script)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(SDK),
            "HEDDLE_WORKER_SOCKET": self.path,
            "HEDDLE_WORKER_MODEL": name,
            "OMP_NUM_THREADS": "1",
            **environment,
        }
        if arguments:
            del environment["HEDDLE_WORKER_SOCKET"]
        self.process = subprocess.Popen(
            [*launcher, sys.executable, str(file), *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self.said = []
        for line in self.process.stderr:  # ends with the process
            self.said.append(line)
            if line.startswith("heddle worker: `"):
                break
        else:
            raise AssertionError("the worker ended: " + "".join(self.said))
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stderr))
        self.reader.start()
        self.port = int(match[1]) if (match := re.search(r":(\d+)\n", self.said[-1])) else None

    def connect(self):
        return (
            UnixConnection(self.path)
            if self.port is None
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        )

    def call(self, connection, body, headers=None, model="delay"):
        connection.request(
            "POST",
            f"/v2/models/{model}/infer",
            body if isinstance(body, bytes) else json.dumps(body),
            headers or {},
        )
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()

    def infer(self, body, **options):
        connection = self.connect()
        try:
            status, _, data = self.call(connection, body, **options)
            return status, json.loads(data)
        finally:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(30)
        self.reader.join(30)
        self.process.stderr.close()
        if unused[0] is None and code != 0:
            raise AssertionError(f"exit {code} after SIGTERM: {''.join(self.said)}")


def tensor(name, datatype, data, shape=None):
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def column(answer):
    output = answer["outputs"][0]
    return numpy.array(output["data"], float).reshape(output["shape"])


class ServedModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        random = numpy.random.default_rng(7)
        n = 600
        cls.frame = pandas.DataFrame(
            {
                "distance": random.integers(50, 3000, n),
                "origin": random.choice(["LAX", "JFK", "SFO"], n),
                "wind": random.normal(0, 10, n),
            }
        )
        cls.target = ((cls.frame.distance > 1200) ^ (random.random(n) < 0.1)).astype(int)
        cls.matrix = cls.frame[["distance", "wind"]].to_numpy("float32")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def pipeline(self):
        """Text and numbers in, with missing values allowed in both."""
        encode = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["origin"]),
            remainder="passthrough",
        )
        model = make_pipeline(
            encode, HistGradientBoostingClassifier(max_iter=20, random_state=0)
        ).fit(self.frame, self.target)
        joblib.dump(model, os.path.join(self.folder, "model.joblib"))
        return model

    def fields(self, rows):
        part = self.frame.iloc[rows]
        return [
            tensor("distance", "INT64", part.distance.tolist()),
            tensor("origin", "BYTES", part.origin.tolist()),
            tensor("wind", "FP64", part.wind.tolist()),
        ]

    def test_five_lines_serve_a_scikit_learn_pipeline(self):
        model = self.pipeline()
        with Served(self.folder, FIVE_LINES) as served:
            status, answer = served.infer({"inputs": self.fields(slice(0, 5))})
            self.assertEqual(status, 200, answer)
            numpy.testing.assert_array_equal(
                column(answer), model.predict_proba(self.frame.iloc[:5])
            )
            # Missing: a null in FP64, and the tensor beside a field that has no null of its own.
            missing = self.fields(slice(0, 2))
            missing[2]["data"][0] = None
            missing.append(tensor("distance.missing", "BOOL", [False, True]))
            missing.append(tensor("origin.missing", "BOOL", [True, False]))
            status, answer = served.infer({"inputs": missing})
            self.assertEqual(status, 200, answer)
            rows = self.frame.iloc[:2].astype({"distance": float, "origin": object})
            rows.loc[0, "wind"], rows.loc[1, "distance"], rows.loc[0, "origin"] = (
                numpy.nan,
                numpy.nan,
                None,
            )
            numpy.testing.assert_array_equal(column(answer), model.predict_proba(rows))
            # A model that fails, and a request that names another model, leave it as it was.
            status, answer = served.infer({"inputs": self.fields(slice(0, 5))[:2]})
            self.assertEqual((status, answer["id"]), (500, "model-failed"))
            self.assertEqual(served.infer({"inputs": []}, model="other")[0], 404)
            self.assertEqual(served.infer({"inputs": self.fields(slice(0, 5))})[0], 200)
        self.assertIn("Traceback", "".join(served.said))
        self.assertFalse(os.path.exists(served.path))

    def test_fifty_at_once_each_get_their_own_answer(self):
        model = self.pipeline()
        wanted = model.predict_proba(self.frame)
        with Served(self.folder, FIVE_LINES) as served:

            def ask(k):
                connection = served.connect()
                try:
                    for i in range(4):  # on one connection
                        first = (k * 4 + i) * 3
                        status, _, body = served.call(
                            connection,
                            {"id": f"{k}.{i}", "inputs": self.fields(slice(first, first + 3))},
                        )
                        answer = json.loads(body)
                        self.assertEqual((status, answer["id"]), (200, f"{k}.{i}"))
                        numpy.testing.assert_array_equal(column(answer), wanted[first : first + 3])
                    return 4
                finally:
                    connection.close()

            with concurrent.futures.ThreadPoolExecutor(50) as pool:
                self.assertEqual(sum(pool.map(ask, range(50))), 200)

    def test_an_estimator_as_it_is_over_binary_tensors(self):
        model = LogisticRegression().fit(self.matrix, self.target)
        joblib.dump(model, os.path.join(self.folder, "model.joblib"))
        with Served(
            self.folder, 'import heddle, joblib\nheddle.serve(joblib.load("model.joblib"))\n'
        ) as served:
            x = self.matrix[:100]
            head = json.dumps(
                {
                    "inputs": [
                        {
                            "name": "features",
                            "datatype": "FP32",
                            "shape": [100, 2],
                            "parameters": {"binary_data_size": x.nbytes},
                        }
                    ],
                    "parameters": {"binary_data_output": True},
                }
            ).encode()
            status, headers, body = served.call(
                served.connect(),
                head + x.tobytes(),
                {"Inference-Header-Content-Length": str(len(head))},
            )
            self.assertEqual(status, 200, body)
            length = int(headers["Inference-Header-Content-Length"])
            output = json.loads(body[:length])["outputs"][0]
            self.assertEqual((output["name"], output["shape"]), ("probability", [100, 2]))
            got = numpy.frombuffer(
                body[length:], "<f4" if output["datatype"] == "FP32" else "<f8"
            ).reshape(100, 2)
            numpy.testing.assert_array_equal(got, model.predict_proba(x))
            status, answer = served.infer(
                {"inputs": [tensor("features", "FP32", [1.0, 2.0, 3.0], [1, 3])]}
            )
            self.assertEqual(
                (status, answer["id"]), (500, "model-failed")
            )  # scikit-learn says that it wants two columns

    def test_a_classifier_without_probabilities_is_refused(self):
        from heddle.worker import models
        from sklearn.linear_model import LinearRegression, Perceptron, RidgeClassifier
        from sklearn.svm import SVC, LinearSVC

        for estimator in (
            LinearSVC(),
            SVC(),
            RidgeClassifier(),
            Perceptron(),
            make_pipeline(StandardScaler(), LinearSVC()),
        ):
            fitted = estimator.fit(self.matrix, self.target)
            with self.assertRaisesRegex(TypeError, "no probabilities"):
                models.as_model(fitted)
            labels = models.as_model(fitted, output="label").run({"features": self.matrix[:3]})[
                "label"
            ]
            numpy.testing.assert_array_equal(labels, fitted.predict(self.matrix[:3]))
        models.as_model(LinearRegression().fit(self.matrix, self.target))

    def test_the_positive_class_is_the_labels_or_said(self):
        from heddle.worker import models

        named = numpy.where(
            numpy.asarray(self.target) > 0, "late", "on time"
        )  # sorted, "late" comes first
        model = LogisticRegression().fit(self.matrix, named)
        with self.assertRaisesRegex(TypeError, "positive='late'"):
            models.as_model(model)
        with self.assertRaisesRegex(TypeError, "no label"):
            models.as_model(model, positive="early")
        with self.assertRaises(TypeError):
            models.as_model(lambda frame: frame, positive="late")
        wanted = model.predict_proba(self.matrix[:5])
        for at, label in enumerate(["late", "on time"]):
            got = models.as_model(model, positive=label).run({"features": self.matrix[:5]})[
                "probability"
            ]
            numpy.testing.assert_array_equal(got, wanted[:, at])
        for labels in ((0, 1), (False, True), (-1, 1)):
            plain = LogisticRegression().fit(
                self.matrix, numpy.where(numpy.asarray(self.target) > 0, labels[1], labels[0])
            )
            numpy.testing.assert_array_equal(
                models.as_model(plain).run({"features": self.matrix[:5]})["probability"],
                plain.predict_proba(self.matrix[:5]),
            )

    def test_the_output_follows_from_what_is_predicted(self):
        from heddle.worker import models
        from sklearn.linear_model import LinearRegression

        three = numpy.asarray(self.matrix)[:, 0].argsort().argsort() % 3
        places = numpy.asarray(["A", "B", "C"])[three]
        first = {"features": self.matrix[:5]}
        of_classes = LogisticRegression().fit(self.matrix, places)
        served = models.as_model(of_classes)
        self.assertEqual((served.output, served.classes), ("probabilities", ["A", "B", "C"]))
        numpy.testing.assert_array_equal(
            served.run(first)["probabilities"], of_classes.predict_proba(self.matrix[:5])
        )
        one = models.as_model(of_classes, positive="B")
        self.assertEqual((one.output, one.classes), ("probability", []))
        numpy.testing.assert_array_equal(
            one.run(first)["probability"], of_classes.predict_proba(self.matrix[:5])[:, 1]
        )
        of_two = LogisticRegression().fit(self.matrix, places == "A")
        self.assertEqual(models.as_model(of_two).output, "probability")
        both = models.as_model(
            LogisticRegression().fit(self.matrix, numpy.where(places == "A", "A", "B")),
            output="probabilities",
        )
        self.assertEqual(
            (both.classes, both.run(first)["probabilities"].shape), (["A", "B"], (5, 2))
        )
        of_numbers = LinearRegression().fit(self.matrix, three)
        self.assertEqual(models.as_model(of_numbers).output, "value")
        numpy.testing.assert_array_equal(
            models.as_model(of_numbers).run(first)["value"], of_numbers.predict(self.matrix[:5])
        )

    def test_the_classes_of_the_columns_are_in_the_metadata(self):
        three = numpy.asarray(self.matrix)[:, 0].argsort().argsort() % 3
        joblib.dump(
            LogisticRegression().fit(self.matrix, three), os.path.join(self.folder, "model.joblib")
        )
        with Served(
            self.folder, 'import heddle, joblib\nheddle.serve(joblib.load("model.joblib"))\n'
        ) as served:
            connection = served.connect()
            connection.request("GET", "/v2/models/delay")
            described = json.loads(connection.getresponse().read())
            self.assertEqual(
                described["outputs"],
                [{"name": "probabilities", "datatype": "FP64", "shape": [-1, 3]}],
            )
            self.assertEqual(described["parameters"], {"classes": "[0, 1, 2]"})

    def test_named_columns_are_found_by_name(self):
        model = LogisticRegression().fit(self.frame[["distance", "wind"]], self.target)
        joblib.dump(model, os.path.join(self.folder, "model.joblib"))
        with Served(
            self.folder, 'import heddle, joblib\nheddle.serve(joblib.load("model.joblib"))\n'
        ) as served:
            wanted = model.predict_proba(
                self.frame[["distance", "wind"]].iloc[:5].astype("float32")
            )
            status, answer = served.infer(
                {"inputs": [tensor("features", "FP32", self.matrix[:5].ravel().tolist(), [5, 2])]}
            )
            numpy.testing.assert_allclose(column(answer), wanted, rtol=1e-6)
            status, answer = served.infer(
                {"inputs": self.fields(slice(0, 5))[::-1]}
            )  # in another order, with one it does not know
            self.assertEqual(status, 200, answer)
            numpy.testing.assert_allclose(
                column(answer),
                model.predict_proba(self.frame[["distance", "wind"]].iloc[:5]),
                rtol=1e-6,
            )
            status, answer = served.infer({"inputs": self.fields(slice(0, 5))[:2]})
            self.assertEqual((status, answer["id"]), (400, "inputs-missing"))

    def test_an_onnxruntime_session_as_it_is(self):
        import onnxruntime
        from skl2onnx import to_onnx

        model = RandomForestClassifier(10, max_depth=4, random_state=0).fit(
            self.matrix, self.target
        )
        file = pathlib.Path(self.folder, "model.onnx")
        file.write_bytes(
            to_onnx(model, self.matrix[:1], options={"zipmap": False}).SerializeToString()
        )
        wanted = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
            ["probabilities"], {"X": self.matrix[:50]}
        )[0]
        script = (
            'import heddle, onnxruntime\nheddle.serve(onnxruntime.InferenceSession("model.onnx",'
            ' providers=["CPUExecutionProvider"]), threads=4)\n'
        )
        with Served(self.folder, script) as served:
            status, answer = served.infer(
                {"inputs": [tensor("features", "FP32", self.matrix[:50].ravel().tolist(), [50, 2])]}
            )
            self.assertEqual(status, 200, answer)
            self.assertEqual(
                (answer["outputs"][0]["datatype"], answer["outputs"][0]["shape"]), ("FP32", [50, 2])
            )
            numpy.testing.assert_array_equal(column(answer).astype("float32"), wanted)
            numpy.testing.assert_allclose(wanted, model.predict_proba(self.matrix[:50]), atol=1e-5)

    @unittest.skipUnless(importlib.util.find_spec("torch"), "PyTorch is not installed")
    def test_a_torch_module_as_it_is(self):
        import torch

        torch.manual_seed(0)
        layers = torch.nn.Sequential(
            torch.nn.Linear(2, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1), torch.nn.Sigmoid()
        )
        torch.jit.script(layers.eval()).save(os.path.join(self.folder, "model.pt"))
        with Served(
            self.folder, 'import heddle, torch\nheddle.serve(torch.jit.load("model.pt"))\n'
        ) as served:
            status, answer = served.infer(
                {"inputs": [tensor("features", "FP32", self.matrix[:5].ravel().tolist(), [5, 2])]}
            )
            self.assertEqual(status, 200, answer)
            numpy.testing.assert_allclose(
                column(answer),
                layers(torch.from_numpy(self.matrix[:5])).detach().numpy(),
                rtol=1e-6,
            )

    def test_on_a_port_it_is_an_upstream(self):
        self.pipeline()
        with Served(self.folder, FIVE_LINES, "--port", "0", "--name", "rain") as served:
            self.assertIsNotNone(served.port)
            self.assertEqual(
                served.infer({"inputs": self.fields(slice(0, 5))}, model="rain")[0], 200
            )
        done = subprocess.run(
            [sys.executable, "serve.py"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SDK)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual((done.returncode, "--port" in done.stderr), (2, True))

    def test_it_dies_with_its_parent(self):
        self.pipeline()
        # The parent that is killed stands between: it starts the worker, and waits.
        launcher = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"]
        served = Served(self.folder, FIVE_LINES, launcher=launcher)
        children = (
            pathlib.Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
            .read_text()
            .split()
        )
        self.assertEqual(len(children), 1)
        descriptor = os.pidfd_open(int(children[0]))
        try:
            served.process.send_signal(signal.SIGKILL)
            self.assertTrue(
                select.select([descriptor], [], [], 10)[0], "the worker outlived its parent by 10 s"
            )
        finally:
            os.close(descriptor)
            served.process.wait()
            served.reader.join(30)
            served.process.stderr.close()
        self.assertFalse(os.path.exists(served.path))

    def test_the_end_of_the_thread_that_started_it_is_not_its_end(self):
        self.pipeline()
        os.mkfifo(os.path.join(self.folder, "ended"))
        launcher = [
            sys.executable,
            "-c",
            """if True:
            import signal, subprocess, sys, threading
            end = threading.Event()
            signal.signal(signal.SIGUSR1, lambda *_: end.set())
            started = []
            def start():
                started.append(subprocess.Popen(sys.argv[1:]))
                end.wait()
            thread = threading.Thread(target=start)
            thread.start()
            while thread.is_alive():
                thread.join(0.05)
            signal.signal(signal.SIGTERM, lambda *_: started[0].terminate())
            open("ended", "w").close()
            sys.exit(started[0].wait())""",
        ]
        with Served(self.folder, FIVE_LINES, launcher=launcher) as served:
            served.process.send_signal(signal.SIGUSR1)
            open(os.path.join(self.folder, "ended")).close()  # waits until the thread has ended
            connection = served.connect()
            for _ in range(3):
                self.assertEqual(
                    served.call(connection, {"inputs": self.fields(slice(0, 5))})[0], 200
                )
            connection.close()


if __name__ == "__main__":
    unittest.main()
