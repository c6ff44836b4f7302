"""Tables of each kind become the same rows, and answers come back in the kind that was sent."""

import datetime
import decimal
import json
import math
import unittest

import numpy
import pandas
import polars
import pyarrow

from heddle import rows
from heddle.predictions import Answer, Predictions

T = datetime.datetime(2001, 4, 10, 5, 0, 0)
WANTED = [
    {"t": "2001-04-10T05:00:00Z", "n": 400, "x": 1.5, "s": "LAX", "b": True},
    {"t": None, "n": 3, "x": None, "s": None, "b": False},
]


class Rows(unittest.TestCase):
    def test_each_kind_of_table(self):
        data = {
            "t": [T, None],
            "n": [400, 3],
            "x": [1.5, None],
            "s": ["LAX", None],
            "b": [True, False],
        }
        records = [dict(zip(data, row)) for row in zip(*data.values())]
        for table in (
            pandas.DataFrame(data),
            pandas.DataFrame(data).convert_dtypes(),
            polars.DataFrame(data),
            polars.DataFrame(data).lazy(),
            pyarrow.table(data),
            pyarrow.table(data).to_batches()[0],
            records,
        ):
            got = rows.to_rows(table)
            self.assertEqual(got, WANTED, type(table))
            self.assertEqual(json.loads(json.dumps(got, allow_nan=False)), WANTED)
        self.assertEqual(rows.to_rows(records[0]), WANTED[:1])
        self.assertEqual(rows.to_rows([]), [])
        self.assertEqual(rows.to_rows(pandas.DataFrame(data).iloc[:0]), [])

    def test_cells(self):
        zone = datetime.timezone(datetime.timedelta(hours=2))
        cells = {
            "numpy integer": (numpy.int32(3), 3),
            "numpy float": (numpy.float32(0.5), 0.5),
            "numpy NaN": (numpy.float64("nan"), None),
            "numpy bool": (numpy.bool_(True), True),
            "numpy time": (numpy.datetime64("2001-04-10T05:00:00"), "2001-04-10T05:00:00Z"),
            "NaT": (pandas.NaT, None),
            "NA": (pandas.NA, None),
            "numpy NaT": (numpy.datetime64("NaT"), None),
            "date": (T.date(), "2001-04-10"),
            "decimal": (decimal.Decimal("1.25"), 1.25),
            "zone": (T.replace(hour=7, tzinfo=zone), "2001-04-10T05:00:00Z"),
            "timestamp": (pandas.Timestamp(T), "2001-04-10T05:00:00Z"),
            "infinite, which is not missing": (math.inf, "Infinity"),
            "numpy infinite": (numpy.float32("-inf"), "-Infinity"),
        }
        for what, (value, wanted) in cells.items():
            self.assertEqual(rows.to_rows([{"c": value}]), [{"c": wanted}], what)

    def test_nothing_wraps_or_is_rounded_on_the_way(self):
        """Nanoseconds are cut off toward the past, as the service cuts them; what no field can hold
        stays what it is, and is refused.
        """
        late = numpy.datetime64("1969-12-31T23:59:59.999999999", "ns")
        wanted = "1969-12-31T23:59:59.999999Z"
        for table in (
            pandas.DataFrame({"t": [late]}),
            pyarrow.table({"t": pyarrow.array([-1], pyarrow.timestamp("ns"))}),
            pyarrow.table({"t": pyarrow.array([-1], pyarrow.timestamp("ns", tz="+05:00"))}),
            [{"t": late}],
            [{"t": pandas.Timestamp(late)}],
        ):
            self.assertEqual(rows.to_rows(table), [{"t": wanted}], table)
        seconds = 8_222_371_200_000  # the year 262,526: its nanoseconds do not fit 64 bits
        for value in (numpy.datetime64(seconds, "s"), numpy.datetime64(262_526 - 1970, "Y")):
            self.assertTrue(rows.to_rows([{"t": value}])[0]["t"].startswith("2625"), value)
        for kind in (pyarrow.timestamp("s"), pyarrow.timestamp("ms"), pyarrow.date64()):
            sent = rows.to_rows(
                pyarrow.table({"t": pyarrow.array([2**62], pyarrow.int64()).cast(kind)})
            )
            self.assertTrue(sent[0]["t"].startswith(str(2**62)), sent)
        whole = polars.Series("t", [2**31 - 1], dtype=polars.Int32)
        for kind, wanted in (
            (polars.Date, "2147483647 D"),
            (polars.Datetime("ns"), "1970-01-01T00:00:02.147483Z"),
        ):
            self.assertTrue(
                rows.to_rows(
                    polars.DataFrame(
                        {
                            "t": (
                                whole.cast(
                                    polars.Int32 if kind == polars.Date else polars.Int64
                                ).cast(kind)
                            )
                        }
                    )
                )[0]["t"].startswith(wanted),
                kind,
            )
        cells = {
            "hour": (numpy.datetime64("2001-04-10T05", "h"), "2001-04-10T05:00Z"),
            "month": (numpy.datetime64("2001-04"), "2001-04-01"),
            "large": (2**70, float(2**70)),
            "very large": (10**400, "Infinity"),
            "unsigned": (numpy.uint64(2**64 - 1), 2**64 - 1),
            "whole decimal": (decimal.Decimal("9007199254740993.00"), 9007199254740993),
            "no decimal": (decimal.Decimal("NaN"), None),
            "long double": (numpy.longdouble(0.5), 0.5),
            "array without a shape": (numpy.array(5), 5),
            "before the year 1 in UTC": (
                datetime.datetime(1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5))),
                "0001-01-01T00:00:00+05:00",
            ),
        }
        for what, (value, wanted) in cells.items():
            self.assertEqual(rows.to_rows([{"c": value}]), [{"c": wanted}], what)

    def test_what_cannot_be_sent(self):
        twice = pyarrow.Table.from_arrays(
            [pyarrow.array([1]), pyarrow.array([2])], names=["a", "a"]
        )
        for table in (
            twice,
            [[1, 2]],
            [{"c": object()}],
            [{"c": b"x"}],
            None,
            5,
            [{"c": numpy.timedelta64(5, "ns")}],
            [{"c": numpy.array([5])}],
            [{"c": numpy.clongdouble(1)}],
            pandas.DataFrame([[1, 2]]),
            pandas.DataFrame([[1, 2]], columns=["a", "a"]),
        ):
            with self.assertRaises(TypeError):
                rows.to_rows(table)

    def test_answers_in_the_kind_that_was_sent(self):
        values = [0.25, None]
        series = rows.column(values, pandas.DataFrame({"a": [1, 2]}, index=[7, 9]), "probability")
        self.assertEqual(
            (list(series.index), series[7], math.isnan(series[9])), ([7, 9], 0.25, True)
        )
        self.assertEqual(
            rows.column(values, polars.DataFrame({"a": [1, 2]}), "value").to_list(), values
        )
        self.assertEqual(
            rows.column(values, pyarrow.table({"a": [1, 2]}), "value").to_pylist(), values
        )
        self.assertEqual(rows.column(values, [{}, {}], "value"), values)

    def test_predictions(self):
        frame = pandas.DataFrame({"a": [1, 2, 3]}, index=list("xyz"))
        answers = [
            Answer("r.0", "sha256:1", "primary", 7, 0, 2),
            Answer("r.1", "sha256:2", "primary", 8, 2, 1),
        ]
        got = Predictions(
            [
                {"probability": 0.25, "warnings": ["w"], "repairs": ["a-trim", "a-case"]},
                {"probability": None, "validation": ["rule"]},
                {"probability": 0.5},
            ],
            answers,
            frame,
        )
        self.assertEqual((got.validation, got.warnings), ([[], ["rule"], []], [["w"], [], []]))
        self.assertEqual(got.repairs, [["a-trim", "a-case"], [], []])
        frame["p"] = got.probability
        self.assertEqual(frame.p["z"], 0.5)
        self.assertEqual(
            (len(got), got[0], list(got), got.refused), (3, 0.25, [0.25, None, 0.5], 1)
        )
        self.assertTrue(numpy.isnan(numpy.asarray(got)[1]))
        self.assertEqual((got.bundle, got.slot), (None, "primary"))  # a swap came in between
        self.assertEqual(
            (got.request_ids, got.row_ids), (["r.0", "r.1"], ["r.0#0", "r.0#1", "r.1#0"])
        )
        self.assertEqual(got.task, "binary")
        with self.assertRaisesRegex(
            AttributeError, "predicts a probability: it has `probability` and no `value`"
        ):
            got.value  # noqa: B018

    def test_predictions_of_classes(self):
        scored = [
            {"label": "late", "probabilities": {"early": 0.25, "late": 0.75}, "set": ["late"]},
            {"label": None, "validation": ["rule"]},
        ]
        for table, kind in (
            (pandas.DataFrame({"a": [1, 2]}), pandas.Series),
            (polars.DataFrame({"a": [1, 2]}), polars.Series),
            (pyarrow.table({"a": [1, 2]}), pyarrow.Array),
            ([{}, {}], list),
        ):
            got = Predictions(scored, [], table)
            self.assertIsInstance(got.label, kind)
            self.assertEqual(
                (got.task, got[0], got.refused, got.set), ("classes", "late", 1, [["late"], None])
            )
            self.assertEqual(list(got.probabilities), ["early", "late"])
            self.assertIsInstance(got.probabilities["late"], kind)
            self.assertEqual(numpy.asarray(got).tolist(), ["late", None])
        whole = Predictions(
            [{"label": 3, "probabilities": {"3": 1.0}}, {"label": None}],
            [],
            polars.DataFrame({"a": [1, 2]}),
        )
        self.assertEqual(whole.label.dtype, polars.Int64)
        self.assertIsNone(whole.set)
        with self.assertRaises(AttributeError):
            whole.probability  # noqa: B018

    def test_predictions_of_a_regression(self):
        frame = pandas.DataFrame({"a": [1, 2]}, index=["x", "y"])
        got = Predictions(
            [
                {"value": 12.5, "lower": 10.0, "upper": 15.0},
                {"value": None, "validation": ["rule"]},
            ],
            [],
            frame,
        )
        self.assertEqual(
            (got.task, got.value["x"], got.interval[0]["x"], got.interval[1]["x"], got.refused),
            ("regression", 12.5, 10.0, 15.0, 1),
        )
        self.assertTrue(math.isnan(got.value["y"]) and math.isnan(got.interval[0]["y"]))
        self.assertIsNone(Predictions([{"value": 12.5}], [], [{}]).interval)

    def test_labels_as_they_are(self):
        for label, wanted in (
            (True, True),
            (1, 1),
            ("late", "late"),
            (0.5, 0.5),
            (numpy.bool_(True), True),
            (numpy.int64(3), 3),
            (numpy.float32(0.5), 0.5),
            (numpy.str_("late"), "late"),
            (decimal.Decimal("1.5"), 1.5),
        ):
            got = rows.label(label)
            self.assertEqual((got, type(got)), (wanted, type(wanted)))
        for label in (math.nan, math.inf, numpy.float32("-inf")):
            with self.assertRaisesRegex(ValueError, "leave out rows of which nothing is known yet"):
                rows.label(label)


if __name__ == "__main__":
    unittest.main()
