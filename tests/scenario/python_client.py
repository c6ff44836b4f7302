#!/usr/bin/env python3
"""The Python client against `heddle up` of a small project: tables of each kind, refused rows,
limits, labels, and what goes wrong.

python_client.py HEDDLE      needs tests/requirements.txt; exit 0 when everything holds
"""

import asyncio
import concurrent.futures
import math
import os
import pathlib
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))

import numpy  # noqa: E402
import pandas  # noqa: E402
import polars  # noqa: E402
import pyarrow  # noqa: E402

import heddle  # noqa: E402
from harness import Planes, World  # noqa: E402


def raises(kind, call, id=None):
    try:
        call()
    except kind as failure:
        assert type(failure) is kind and failure.message and failure.hint, repr(failure)
        assert id is None or failure.id == id, failure.id
        return failure
    raise AssertionError(f"{kind.__name__} was expected")


def tables(service, table):
    """The same probabilities from each kind of table, in that kind."""
    got = service.predict(table)
    assert isinstance(got.probability, pandas.Series) and list(got.probability.index) == list(
        table.index
    ), got.probability
    assert (
        ((got.probability > 0) & (got.probability < 1)).all()
        and got.refused == 0
        and got.slot == "primary"
    ), got
    assert got.bundle.startswith("sha256:") and got.validation == [[]] * len(table), got
    wanted = numpy.asarray(got)
    for other, kind in (
        (polars.from_pandas(table), polars.Series),
        (pyarrow.Table.from_pandas(table, preserve_index=False), pyarrow.Array),
        (table.to_dict("records"), list),
    ):
        answer = service.predict(other)
        assert isinstance(answer.probability, kind), type(answer.probability)
        numpy.testing.assert_array_equal(numpy.asarray(answer), wanted)
    numpy.testing.assert_array_equal(
        numpy.asarray(asyncio.run(service.predict_async(table))), wanted
    )
    return wanted


def refusals(service, table):
    """A refused row is missing, with its rules; an exception only where it is asked for and nothing
    was served.
    """
    spoiled = table.copy()
    spoiled.loc[spoiled.index[1], "distance"] = 9999
    spoiled.loc[spoiled.index[2], "origin"] = None
    got = service.predict(spoiled, raise_refused=True)
    assert [bool(rules) for rules in got.validation] == [
        i in (1, 2) for i in range(len(table))
    ], got.validation
    assert [math.isnan(value) for value in got.probability] == [
        i in (1, 2) for i in range(len(table))
    ]
    assert (
        got.refused == 2
        and polars.Series(service.predict(polars.from_pandas(spoiled)).probability).null_count()
        == 2
    )
    only = spoiled.iloc[1:3]
    assert service.predict(only).refused == 2
    refused = raises(
        heddle.RowsRefused, lambda: service.predict(only, raise_refused=True), "rows-refused"
    )
    assert len(refused.predictions) == 2 and refused.predictions.validation[0], refused
    infinite = service.predict([dict(table.iloc[0].to_dict(), distance=math.inf)])
    assert infinite.refused == 1 and infinite.validation[0], infinite.validation


def many(service, table, wanted):
    """More rows than one request may have, and many callers on one Service."""
    large = pandas.concat([table] * 700, ignore_index=True)
    got = service.predict(large, request_id="large")
    numpy.testing.assert_array_equal(numpy.asarray(got), numpy.tile(wanted, 700))
    assert (
        len(got.answers) == math.ceil(len(large) / 1024)
        and got.request_ids[1] == "large.1"
        and len(set(got.row_ids)) == len(large)
    )
    eager = heddle.load(
        "late", project=ROOT, batch_rows=5000
    )  # over the service's limit: it is halved until it fits
    numpy.testing.assert_array_equal(numpy.asarray(eager.predict(large)), numpy.tile(wanted, 700))
    assert eager.batch_rows <= 1024, eager.batch_rows
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for answer in pool.map(lambda _: service.predict(table), range(64)):
            numpy.testing.assert_array_equal(numpy.asarray(answer), wanted)


def labels(service, table):
    got = service.predict(table)
    assert service.label(got.row_ids, [True, 0, 1.0, 0], ["2001-04-11T06:00:00Z"] * 4) == 4
    assert service.label(got.row_ids[:1], [1]) == 1
    refused = raises(
        heddle.LabelsRefused, lambda: service.label(got.row_ids[:3], [25, 0, 0.5]), "label-value"
    )
    assert refused.accepted == 1 and [each["row_id"] for each in refused.refused] == [
        got.row_ids[0],
        got.row_ids[2],
    ], refused.refused
    raises(
        heddle.LabelsRefused,
        lambda: service.label(got.row_ids[:1], [1], ["no time"]),
        "request-time",
    )


def faults(service, table):
    refused = service.predict(table.assign(unknown=1))
    assert all(
        rules == ["unknown-field/unknown"] for rules in refused.validation
    ), refused.validation
    raises(
        heddle.InvalidRequest, lambda: service.predict(table, source="nowhere"), "source-unknown"
    )
    raises(
        heddle.Denied,
        lambda: service.predict(table, event_time="2001-04-11T06:00:00Z"),
        "event-time-denied",
    )
    raises(
        heddle.Denied,
        lambda: heddle.load("late", project=ROOT, account="reader").predict(table),
        "permission-missing",
    )
    raises(
        heddle.Unauthenticated,
        lambda: heddle.load(
            "late", url=service._transport.url, token="wrong-token-0000000"
        ).predict(table),
        "token-unknown",
    )
    raises(
        heddle.NotFound,
        lambda: heddle.load("other", url=service._transport.url, token=service_token()).predict(
            table
        ),
        "service-unknown",
    )
    assert len(service.predict(table.iloc[:0])) == 0
    assert (
        service.status()["ready"] is True and service.fields()["distance"] == "INT64"
    ), service.fields()


def release(world, planes, table):
    """Before it there is nothing to answer; after it both slots are filled, as a person does it."""
    service = heddle.load("late", project=ROOT, timeout=0.5)
    raises(heddle.Unavailable, lambda: service.predict(table), "service-not-ready")
    planes.release(world)
    planes.until(lambda: service.status()["ready"], "the released bundle answers")


def service_token():
    return (ROOT / ".heddle/tokens/caller").read_text()


ROOT = pathlib.Path()


def main(binary):
    global ROOT
    os.environ.pop("HEDDLE_URL", None)
    os.environ.pop("HEDDLE_TOKEN", None)
    world = World(binary)
    try:
        project = world.copy(world.built)
        ROOT = project.root
        trips = pandas.read_csv(ROOT / "data/trips.csv", parse_dates=["date"], nrows=4).drop(
            columns=["delay"]
        )
        trips.index = list("abcd")
        with Planes(project) as planes:
            release(world, planes, trips)
            os.chdir(ROOT / "models")  # found from a folder below
            with heddle.load("late") as service:
                wanted = tables(service, trips)
                refusals(service, trips)
                many(service, trips, wanted)
                labels(service, trips)
                faults(service, trips)
                kept = service
        raises(heddle.Unreachable, lambda: kept.predict(trips), "unreachable")
        print("every kind of table, refusals, batches, labels and faults held")
    finally:
        os.chdir("/")
        world.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
