"""Models that are there: what is read of them, and what they answer (heddle.training.opening)."""

import os
import pathlib
import pickle
import sys
import tempfile
import unittest

import joblib
import numpy
import pandas
import sklearn.compose
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing

import heddle
from heddle.training import answers, opening, serving, signatures
from heddle.training.rows import Rows
from heddle.training.tasks import Task

BINARY = Task("binary")


class Ends:
    """Runs code where it is unpickled."""

    def __init__(self, code):
        self.code = code

    def __reduce__(self):
        return exec, (self.code,)


def frame():
    draw = numpy.random.default_rng(1)
    return pandas.DataFrame(
        {"size": draw.random(80), "city": draw.choice(["Bern", "Oslo"], 80), "extra": 1.0}
    )


def pipeline():
    rows = frame()
    columns = sklearn.compose.make_column_transformer(
        (sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ("passthrough", ["size"]),
    )
    model = sklearn.pipeline.make_pipeline(columns, sklearn.linear_model.LogisticRegression())
    bought = numpy.where(rows["size"] + (rows["city"] == "Oslo") > 0.8, "yes", "no")
    return model.fit(rows, bought)


def rows_of(table):
    """Fields as a trainer gets them."""
    arrays = {
        name: table[name].to_numpy(object if table[name].dtype.kind not in "iuf" else None)
        for name in table
    }
    return Rows(arrays, task=BINARY)


class OpeningTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)

    def refused(self, name, whole):
        path = self.root / name
        path.write_bytes(whole)
        with self.assertRaises(opening.Refused) as raised:
            opening.read(path)
        self.assertTrue(raised.exception.hint)
        return raised.exception

    def test_what_is_no_model_is_said(self):
        self.assertEqual(self.refused("notes.txt", b"no model\n").what, "format")
        self.assertEqual(self.refused("empty.pkl", b"").what, "format")
        whole = pickle.dumps(pipeline(), protocol=5)
        self.assertEqual(self.refused("cut.pkl", whole[: len(whole) // 2]).what, "damaged")
        raised = self.refused("raises.pkl", pickle.dumps(Ends("raise RuntimeError('too old')")))
        self.assertEqual(raised.what, "raised")
        self.assertIn("RuntimeError: too old", str(raised))
        absent = self.refused("absent.pkl", pickle.dumps(Ends("import no_such_module")))
        self.assertEqual(absent.what, "package")
        self.assertIn("no_such_module", str(absent))

    def test_a_signature_says_what_the_model_does(self):
        joblib.dump(pipeline(), self.root / "model.joblib", compress=3)
        model, kind = opening.read(self.root / "model.joblib")
        self.assertEqual(kind, "joblib")
        said = signatures.of(model, kind)
        self.assertEqual([each["name"] for each in said["features"]], ["size", "city", "extra"])
        self.assertTrue(said["named"])
        self.assertEqual((said["task"], said["classes"]), ("binary", ["no", "yes"]))
        self.assertEqual(said["said"], ["the types of its features"])
        nameless = sklearn.linear_model.LinearRegression().fit(numpy.eye(3), [1.0, 2.0, 3.0])
        said = signatures.of(nameless, "pickle")
        self.assertEqual((said["named"], said["task"]), (False, "regression"))
        self.assertEqual([each["name"] for each in said["features"]], ["f0", "f1", "f2"])
        with self.assertRaises(opening.Refused) as raised:
            signatures.of({"no": "model"}, "pickle")
        self.assertEqual(raised.exception.what, "unsupported")
        with self.assertRaises(opening.Refused):
            signatures.of(
                sklearn.linear_model.RidgeClassifier().fit(numpy.eye(2), [0, 1]), "pickle"
            )

    def test_it_answers_as_its_owner_is_answered(self):
        path = self.root / "model.pkl"
        path.write_bytes(pickle.dumps(pipeline()))
        table = frame()
        table.loc[0, "city"] = "Atlantis"
        wanted = pipeline().predict_proba(table)
        columns = ["size", "city", "extra"]
        for positive, column in (("yes", 1), ("no", 0)):
            model = heddle.adopted(path, columns=columns, positive=positive)
            kept = pickle.loads(pickle.dumps(model))
            self.assertEqual(kept.files, {"model.pkl": path.read_bytes()})
            for each in (model, kept):
                got = serving.answered(answers.answer_of(each, BINARY), rows_of(table), BINARY)
                numpy.testing.assert_array_equal(got, wanted[:, column])

    def test_another_model_in_its_place_is_refused(self):
        path = self.root / "model.pkl"
        path.write_bytes(pickle.dumps(pipeline()))
        with self.assertRaises(ValueError) as raised:
            heddle.adopted(path, columns=["size", "place", "extra"])
        self.assertIn("another file", str(raised.exception))

    def test_a_row_that_it_does_not_take_has_no_answer(self):
        path = self.root / "model.pkl"
        path.write_bytes(pickle.dumps(pipeline()))
        model = heddle.adopted(path, columns=["size", "city", "extra"], positive="yes")
        table = frame()
        table.loc[2, "size"] = numpy.nan
        with open(os.devnull, "w") as quiet:
            saved, sys.stdout = sys.stdout, quiet
            try:
                got = serving.answered(answers.answer_of(model, BINARY), rows_of(table), BINARY)
            finally:
                sys.stdout = saved
        self.assertEqual(numpy.flatnonzero(numpy.isnan(got)).tolist(), [2])


if __name__ == "__main__":
    unittest.main()
