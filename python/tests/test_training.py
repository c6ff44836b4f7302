"""What a trainer's file may do, and what is said of it (heddle.training)."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy
import pandas
import pyarrow
import pyarrow.parquet
import sklearn.ensemble
import sklearn.linear_model
import sklearn.pipeline

import heddle
from heddle.training import answers, exports, lock, serving
from heddle.training.rows import Rows, of_tensors, read
from heddle.training.tasks import Task

FIELDS = [
    {"name": "size", "type": "number", "nullable": True},
    {"name": "count", "type": "integer", "nullable": True},
    {"name": "exact", "type": "integer", "nullable": False},
    {"name": "place", "type": "string", "nullable": True},
    {"name": "when", "type": "timestamp", "nullable": True},
    {"name": "ok", "type": "boolean", "nullable": False},
]
BINARY = Task("binary")


def table():
    micros = [978307200_000001, None, 978307200_000001]
    return pyarrow.table(
        {
            "size": pyarrow.array([1.5, None, 2.5]),
            "count": pyarrow.array([1, None, 3]),
            "exact": pyarrow.array([1, 2, 3]),
            "place": pyarrow.array(["a", None, "b"], type=pyarrow.large_utf8()),
            "when": pyarrow.array(micros, type=pyarrow.timestamp("us")),
            "ok": pyarrow.array([True, False, True]),
        }
    )


class TypesTest(unittest.TestCase):
    def setUp(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/rows.parquet"
            pyarrow.parquet.write_table(table(), path)
            self.read = read(path, FIELDS, numpy.array([0.0, 1.0, 1.0]), BINARY)

    def test_a_request_has_the_types_of_training(self):
        missing = numpy.array([False, True, False])
        tensors = {
            "size": numpy.array([1.5, numpy.nan, 2.5]),
            "count": numpy.array([1, 0, 3]),
            "count.missing": missing,
            "exact": numpy.array([1, 2, 3]),
            "place": numpy.array(["a", "", "b"], dtype=object),
            "place.missing": missing,
            "when": numpy.array(["2001-01-01T00:00:00.000001Z", "", "2001-01-01T00:00:00.000001Z"]),
            "when.missing": missing,
            "ok": numpy.array([True, False, True]),
        }
        asked = of_tensors(tensors, FIELDS, BINARY, {})
        pandas.testing.assert_frame_equal(asked.frame, self.read.frame)
        alone = self.read.take(0)
        self.assertEqual(list(alone.frame.dtypes), list(self.read.frame.dtypes))
        self.assertEqual(alone.frame["count"].dtype, numpy.float64)  # though nothing is missing
        self.assertEqual(alone.frame["exact"].dtype, numpy.int64)
        self.assertEqual(str(alone.frame["when"].dtype), "datetime64[us, UTC]")

    def test_categories_are_those_of_training(self):
        rows = Rows(
            {"place": numpy.array(["b", "new", None], dtype=object)},
            categories={"place": ["a", "b"]},
        )
        self.assertEqual(rows.frame["place"].cat.codes.tolist(), [1, -1, -1])

    def test_the_target_is_of_the_task(self):
        self.assertEqual(self.read.target.tolist(), [0, 1, 1])
        task = Task.of({"kind": "classes", "classes": ["3", "7"], "whole_classes": True})
        self.assertEqual(task.target(numpy.array([1.0, 0.0])).tolist(), [7, 3])
        with self.assertRaisesRegex(TypeError, "`place` is no number"):
            _ = self.read.matrix


class AnswersTest(unittest.TestCase):
    rows = Rows({"x": numpy.arange(4, dtype=numpy.float32)}, task=BINARY)

    def said(self, model, task=BINARY):
        return answers.predictions(model, self.rows, task)

    def test_classes_come_in_the_order_of_the_task(self):
        given = numpy.array([[0.2, 0.8]])
        task = Task("classes", ["b", "a", "c"])
        self.assertEqual(answers.in_order(given, ["a", "b"], task).tolist(), [[0.8, 0.2, 0.0]])
        self.assertEqual(answers.in_order(given, [0, 2], task).tolist(), [[0.2, 0.0, 0.8]])
        with self.assertRaisesRegex(answers.WrongAnswers, "classes are"):
            answers.in_order(given, ["no", "yes"], BINARY)

    def test_what_is_no_answer_is_said(self):
        for model, what in (
            (lambda frame: numpy.zeros(3), r"answers \[3\] for 4 rows"),
            (lambda frame: numpy.full(4, numpy.inf), "NaN or infinity"),
            (lambda frame: numpy.full(4, -3), "no probabilities"),
            (lambda frame: ["x"] * 4, "not with numbers"),
            (sklearn.linear_model.RidgeClassifier(), "has no probabilities"),
        ):
            with self.subTest(what), self.assertRaisesRegex(answers.WrongAnswers, what):
                self.said(model)
        for thing, what in ((None, "returned nothing"), (5, "returned a `int`"), (dict, "`type`")):
            with self.subTest(what), self.assertRaisesRegex(answers.NoModel, what):
                self.said(thing)

    def test_a_row_that_it_cannot_take_costs_no_other_its_answer(self):
        def ask(rows):
            if (rows.arrays["x"] == 2).any():
                raise ValueError("not two")
            return numpy.full(len(rows), 0.5)

        out = serving.answered(ask, self.rows, BINARY)
        self.assertEqual(numpy.isnan(out).tolist(), [False, False, True, False])


class ExportsTest(unittest.TestCase):
    def setUp(self):
        draw = numpy.random.default_rng(3)
        self.x = draw.normal(size=(400, 2)).astype(numpy.float32)
        self.x[::9, 0] = numpy.nan
        self.rows = Rows({"a b": self.x[:, 0], "c": self.x[:, 1]})

    def test_what_the_engine_has_no_form_of_says_why(self):
        for rows, model, task, why in (
            (Rows({"x": numpy.array([1])}), None, BINARY, "contract's fields"),
            (self.rows, lambda frame: frame, BINARY, "no form of a `function`"),
            (
                self.rows,
                sklearn.ensemble.RandomForestClassifier(2).fit(self.x, self.x[:, 1] > 0),
                BINARY,
                "adds probabilities",
            ),
            (
                self.rows,
                sklearn.linear_model.LinearRegression(),
                Task("regression"),
                "put a SimpleImputer before it",
            ),
        ):
            with self.subTest(why), self.assertRaisesRegex(exports.NoExport, why):
                exports.export(model, rows, task)

    def test_trees_are_numbered_as_lightgbm_numbers_them(self):
        model = sklearn.ensemble.HistGradientBoostingRegressor(max_iter=3, max_depth=2)
        model.fit(self.x, self.x[:, 1])
        name, text = exports.export(model, self.rows, Task("regression"))
        lines = text.decode().splitlines()
        self.assertEqual(name, "lightgbm")
        self.assertIn("feature_names=Column_0 Column_1", lines)  # a name with a space has no place
        trees = [line for line in lines if line.startswith("Tree=")]
        self.assertEqual(len(trees), 4, "the constant comes first")
        left = next(line for line in lines if line.startswith("left_child="))
        right = next(line for line in lines if line.startswith("right_child="))
        children = [int(each) for line in (left, right) for each in line.split("=")[1].split()]
        leaves = sorted(~each for each in children if each < 0)
        self.assertEqual(leaves, list(range(len(leaves))))


TRAINER = """\
import heddle
@heddle.train
def fit(train, valid, params):
    {body}
"""


class FittingTest(unittest.TestCase):
    def run_file(self, text, lock_text=None):
        """result.json of one training, as its sandbox runs it."""
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "project").mkdir()
            (folder / "tmp").mkdir()
            (folder / "project/mine.py").write_text(text)
            (folder / "project/mine.lock").write_text(lock_text or lock.text())
            for part in ("train", "valid"):
                rows = pyarrow.table({"x": [0.0, 1.0, 2.0, 3.0]})
                pyarrow.parquet.write_table(rows, folder / f"{part}.parquet")
                numpy.array([0.0, 0.0, 1.0, 1.0]).tofile(folder / f"{part}.labels")
            job = {
                "file": "mine.py",
                "lock": "mine.lock",
                "task": {"kind": "binary"},
                "columns": [{"name": "x", "type": "feature", "nullable": True}],
                "parameters": {"C": 2.0},
                "seed": 4,
                "verify_files": False,
            }
            (folder / "job.json").write_text(json.dumps(job))
            done = subprocess.run(
                [sys.executable, "-c", "from heddle.training.fitting import main; main()"]
                + [str(folder / "job.json")],
                env=dict(
                    os.environ,
                    TMPDIR=str(folder / "tmp"),
                    PYTHONPATH=str(pathlib.Path(heddle.__file__).parents[1]),
                ),
                capture_output=True,
                timeout=120,
            )
            result = json.loads((folder / "tmp/out/result.json").read_text())
            self.assertEqual(done.returncode, 1 if "failed" in result else 0, done.stderr)
            return result

    def test_an_estimator_is_kept_with_what_it_ran_in(self):
        body = (
            "from sklearn.linear_model import LogisticRegression as L;"
            " return L(C=params.C, random_state=params.seed).fit(train.frame, train.target)"
        )
        result = self.run_file(TRAINER.format(body=body))
        self.assertIn("LogisticRegression", result["returned"])
        self.assertIn("scikit-learn", [each["name"] for each in result["packages"]])

    def test_an_exception_has_its_place_and_no_line_of_ours(self):
        result = self.run_file(TRAINER.format(body="return params.depth"))
        self.assertEqual(
            (result["failed"], result["file"], result["line"]), ("raised", "mine.py", 4)
        )
        self.assertIn("there is no parameter `depth`", result["message"])
        self.assertIn(
            "there is `C`, `seed`", result["message"].replace("`C`, `seed`", "`C`, `seed`")
        )
        self.assertIn('File "mine.py", line 4, in fit', "\n".join(result["trace"]))
        self.assertNotIn("fitting.py", "\n".join(result["trace"]))

    def test_an_environment_that_changed_is_named(self):
        changed = lock.text().replace("joblib==", "joblib==0.")
        result = self.run_file(TRAINER.format(body="return None"), changed)
        self.assertEqual(result["failed"], "environment")
        self.assertRegex(result["message"], r"joblib is [\d.]+, locked is 0\.")


class LockTest(unittest.TestCase):
    def changes(self, edit):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "a.lock"
            path.write_text(edit(lock.text()))
            return lock.check(path, deep=False)["changes"]

    def test_what_is_installed_is_what_it_says(self):
        self.assertEqual(self.changes(lambda text: text), [])
        version = importlib.metadata.version("joblib")

        def for_pip(text):
            """Hashes of wheels may stand there, as pip wants them."""
            lines = [line for line in text.splitlines() if not line.startswith("joblib==")]
            return "\n".join([*lines, f"joblib=={version} \\", "    --hash=sha256:00", ""])

        self.assertEqual(self.changes(for_pip), [])

    def test_each_difference_is_said(self):
        for edit, what in (
            (lambda text: text.replace("numpy==", "numpy==9"), "numpy is"),
            (lambda text: text + "absent-package==1.0\n", "absent-package 1.0 is not installed"),
            (lambda text: text.replace("# python cpython 3", "# python cpython 2"), "interpreter"),
            (lambda text: text.split("scipy==")[0], "is installed and not locked"),
            (lambda text: "", "it locks no package"),
            (
                lambda text: text.replace("sha256:", "sha256:" + 64 * "0" + "  #", 1),
                "has other files than were locked",
            ),
        ):
            with self.subTest(what):
                self.assertTrue(any(what in each for each in self.changes(edit)), what)


class DecoratorTest(unittest.TestCase):
    def test_it_can_still_be_called(self):
        @heddle.train(strings="category")
        def fit(train, valid, params):
            return train + valid + params

        self.assertEqual(fit(1, 2, 3), 6)
        self.assertEqual(fit.strings, "category")
        with self.assertRaisesRegex(ValueError, "neither `text` nor `category`"):
            heddle.train(strings="codes")(lambda: None)
        with self.assertRaisesRegex(TypeError, "before a function"):
            heddle.train(5)


if __name__ == "__main__":
    unittest.main()
