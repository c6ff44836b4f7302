#!/usr/bin/env python3
"""Fields that are known upstream and features that are looked up, through the real binary: the
contract, the features and the commands of docs/joins.md over trips, weather and airports. What is
computed for the rows is what pandas computes; a file without the columns, one with them and
requests get the same answers.

    joins.py HEDDLE DOCS      needs pandas and pyarrow; exit 0 when every case holds
"""

import csv
import datetime
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile

import harness
import numpy
import pandas
import small_project
from harness import Planes, Project, refused, works

CASES = []
JOINED = ["temperature", "last_delay", "mean_delay", "trips_before"]
DAY = pandas.Timedelta(days=1)


def case(function):
    CASES.append(function)
    return function


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


def write(path, names, lines):
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(names)
        out.writerows(lines)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def weather():
    """An observation about each half an hour and place; some lack a value, some come twice, and
    none of the last place.
    """
    draw = random.Random(3)
    start = datetime.datetime(2000, 12, 31)
    lines = []
    for i in range(40 * 48):
        for place in small_project.PLACES[:-1]:
            if draw.random() < 0.2:
                continue
            when = start + datetime.timedelta(minutes=30 * i + draw.choice([0, 0, 7]))
            value = "" if draw.random() < 0.05 else f"{draw.uniform(-20, 35):.2f}"
            lines.append((place, when.strftime("%Y-%m-%dT%H:%M:%SZ"), value))
    # Files are not in the order of time.
    draw.shuffle(lines)
    return lines


FEATURES = """\
  - {name: temperature, expression: temperature}
  - {name: last_delay, expression: last_delay}
  - {name: mean_delay, expression: mean_delay}
  - {name: trips_before, expression: trips_before}
"""


# The last place is not in the table, and the one before has no elevation.
AIRPORTS = [
    (place, "" if i == 4 else 13 + 250.5 * i, "coast" if i % 2 else "land")
    for i, place in enumerate(small_project.PLACES[:-1])
]


def write_project(project, contract, lookups):
    write(project.root / "data/weather.csv", ["station", "observed", "temperature"], weather())
    write(project.root / "data/airports.csv", ["code", "elevation", "region"], AIRPORTS)
    project.edit(
        "heddle.yaml",
        "sources:\n",
        "sources:\n  weather: data/weather.csv\n  airports: data/airports.csv\n",
    )
    (project.root / "contracts/trips.odcs.yaml").write_text(contract)
    project.edit("features/trips.yaml", "features:\n", "features:\n" + FEATURES + lookups)


class World:
    def __init__(self, heddle, docs):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="heddle-joins-"))
        page = (pathlib.Path(docs) / "joins.md").read_text()
        self.contract, self.lookups = blocks(page, "yaml")[:2]
        self.commands = [line for line in blocks(page, "sh")[0].splitlines() if line]
        self.skew = blocks(page, "sh")[1].strip()
        self.built = Project(heddle, small_project.make(self.dir / "joined", 12000))
        self.keys = self.dir / "joined-keys"
        write_project(self.built, self.contract, self.lookups)

    def copy(self):
        root = self.dir / f"p{len(os.listdir(self.dir))}"
        shutil.copytree(self.built.root, root, symlinks=True)
        return Project(self.built.heddle, root)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def command(world, line, **options):
    words = line.split()
    assert words[0] == "heddle", line
    return world.built.run(*words[1:], cwd=world.built.root, **options)


def expected(rows, trips, observations):
    """The joined columns as pandas has them: `merge_asof` with the row's own time left out, and
    windows that are cut out row by row.
    """
    rows = rows.reset_index(drop=True)
    out = pandas.DataFrame(index=rows.index)
    rows = rows.assign(place=rows.index)
    rows = rows.sort_values("date", kind="stable")
    seen = observations.sort_values("observed", kind="stable")
    joined = pandas.merge_asof(
        rows,
        seen,
        left_on="date",
        right_on="observed",
        left_by="origin",
        right_by="station",
        tolerance=pandas.Timedelta("6h"),
        allow_exact_matches=False,
    )
    out["temperature"] = joined.set_index("place")["temperature"]
    trips = trips.sort_values("date", kind="stable")
    known = trips.assign(known=trips["date"] + DAY, last_delay=trips["delay"])
    joined = pandas.merge_asof(
        rows[["date", "origin", "place"]],
        known[["known", "origin", "last_delay"]],
        left_on="date",
        right_on="known",
        by="origin",
        allow_exact_matches=False,
    )
    out["last_delay"] = joined.set_index("place")["last_delay"]
    means, counts = {}, {}
    for (origin, destination), part in rows.groupby(["origin", "destination"]):
        of = known[(known["origin"] == origin) & (known["destination"] == destination)]
        times, delays = of["known"].to_numpy(), of["delay"].to_numpy()
        for place, when in zip(part["place"], part["date"].to_numpy()):
            window = delays[(times < when) & (times >= when - numpy.timedelta64(7, "D"))]
            means[place] = window.mean() if len(window) else numpy.nan
    for origin, part in rows.groupby("origin"):
        times = trips.loc[trips["origin"] == origin, "date"].to_numpy()
        for place, when in zip(part["place"], part["date"].to_numpy()):
            counts[place] = ((times < when) & (times >= when - numpy.timedelta64(1, "h"))).sum()
    out["mean_delay"], out["trips_before"] = pandas.Series(means), pandas.Series(counts)
    return out


def frames(project):
    trips = pandas.read_csv(project.root / "data/trips.csv", parse_dates=["date"])
    observations = pandas.read_csv(project.root / "data/weather.csv", parse_dates=["observed"])
    return trips, observations


def hold_equal(given, due):
    """The same bits, but for means: those within 1e-12 of each other."""
    for name in ("temperature", "last_delay", "trips_before"):
        a, b = given[name].astype(float), due[name].astype(float)
        assert ((a == b) | (a.isna() & b.isna())).all(), f"{name}:\n{a[a != b]}\n{b[a != b]}"
    numpy.testing.assert_allclose(given["mean_delay"], due["mean_delay"], rtol=1e-12, atol=1e-12)


@case
def training_sees_what_was_known(world):
    project = world.built
    works(command(world, world.commands[0]))
    done = works(command(world, world.commands[1], timeout=120))
    said = done.out + done.err
    assert "`temperature`: computed from source `weather`" in said, said
    assert "`last_delay`, `mean_delay`, `trips_before`: computed from source `trips`" in said, said
    works(command(world, world.commands[2]))
    (path,) = project.root.glob(".heddle/runs/steps/*/accepted.parquet")
    rows = pandas.read_parquet(path)
    rows["date"] = pandas.to_datetime(rows["date"], utc=True)
    trips, observations = frames(project)
    due = expected(rows[["date", "origin", "destination"]], trips, observations)
    hold_equal(rows, due)
    assert len(rows) == 12000 and rows["temperature"].notna().mean() > 0.7
    # Nobody observed the weather at the last place.
    assert rows.loc[rows["origin"] == small_project.PLACES[-1], "temperature"].isna().all()
    (snapshot,) = (project.root / ".heddle").glob("**/snapshot.json")
    assert list(json.loads(snapshot.read_text())["upstream"]) == ["weather"]


def diagnosed(done, id_):
    """Among the findings about the definitions."""
    assert done.code == 2 and id_ in done.ids and "hint:" in done.err, done
    return done


def step_file(project, name):
    (path,) = project.root.glob(f".heddle/runs/steps/*/{name}")
    return path


@case
def what_is_looked_up_is_what_pandas_merges(world):
    project = world.built
    program = json.loads(step_file(project, "features.json").read_text())
    lookups = [each["name"] for each in program["features"] if each["kind"] == "lookup"]
    tables = dict(zip(lookups, program["lookups"], strict=True))
    assert tables["elevation"] == [
        [place, None if elevation == "" else elevation] for place, elevation, _ in AIRPORTS
    ], tables
    assert tables["region"] == [[place, region] for place, _, region in AIRPORTS], tables
    names = [each["name"] for each in program["features"] if not each.get("hidden")]
    assert "elevation" in names and "region" not in names, names
    parts = [
        numpy.fromfile(step_file(project, f"{part}.f32"), dtype="<f4", offset=16)
        for part in ("train", "validation", "test")
    ]
    given = pandas.DataFrame(numpy.concatenate(parts).reshape(-1, len(names)), columns=names)
    rows = pandas.read_parquet(step_file(project, "accepted.parquet"))
    airports = pandas.read_csv(project.root / "data/airports.csv")
    due = rows[["origin"]].merge(airports, how="left", left_on="origin", right_on="code")
    assert len(given) == len(due) == 12000
    coastal = (due["region"] == "coast").where(due["region"].notna()).astype("float32")
    for name, column in (("elevation", due["elevation"].astype("float32")), ("coastal", coastal)):
        pandas.testing.assert_series_equal(
            given[name], column, check_names=False, check_exact=True, obj=name
        )
    assert 0 < due["elevation"].isna().sum() < len(due) and coastal.nunique() == 2


@case
def sums_and_extremes_of_windows_are_those_of_pandas(world):
    project = world.copy()
    names = ["sum", "min", "max", "mean", "count"]
    fields = "".join(f"""\
      - name: {name}_delay
        logicalType: {"number" if name in ("sum", "mean") else "integer"}
        customProperties:
          - property: upstream
            vendor: heddle
            value: {{source: trips, key: {{origin: origin, destination: destination}}, time: date,
                    value: delay, aggregate: {name}, window: 6h, delay: 1d}}
""" for name in names).replace("mean_delay", "mean_of_6h")
    contract = project.root / "contracts/trips.odcs.yaml"
    before, after = world.contract.split("      - name: delay\n")
    contract.write_text(before + fields + "      - name: delay\n" + after)
    works(project.run("run", "--until", "validate.rows", timeout=120))
    paths = project.root.glob(".heddle/runs/steps/*/accepted.parquet")
    rows = pandas.read_parquet(max(paths, key=lambda path: path.stat().st_mtime_ns))
    rows["date"] = pandas.to_datetime(rows["date"], utc=True)
    trips, _ = frames(project)
    route = ["origin", "destination"]
    # One line of time for what is known and for who asks, just before the row's own time; askers
    # have no value themselves.
    known = trips[route + ["delay"]].assign(time=(trips["date"] + DAY).dt.as_unit("us"), row=-1)
    moment = rows["date"].dt.as_unit("us") - pandas.Timedelta(microseconds=1)
    asked = rows[route].assign(time=moment, delay=numpy.nan, row=range(len(rows)))
    events = pandas.concat([known, asked]).sort_values(route + ["time"], ignore_index=True)
    windows = events.groupby(route).rolling("6h", on="time", closed="both")["delay"].agg(names)
    due = events.join(windows.reset_index(drop=True)[names])
    due = due[due["row"] >= 0].set_index("row").sort_index()
    due["count"] = due["count"].fillna(0)
    for name in names:
        given = rows["mean_of_6h" if name == "mean" else f"{name}_delay"].astype(float)
        numpy.testing.assert_allclose(given, due[name], rtol=1e-12, atol=0, err_msg=name)
    assert 0.3 < rows["sum_delay"].notna().mean() < 1 and rows["count_delay"].max() > 3


@case
def what_is_wrong_with_a_table_is_told(world):
    project = world.copy()
    file = project.root / "data/airports.csv"
    text = file.read_text()
    file.write_text(text.replace("AAA,13.0,", "AAA,14.0,", 1))
    assert file.read_text() != text
    why = works(project.run("plan"))
    assert "source `airports`, file `data/airports.csv` changed" in why.out + why.err, why
    file.write_text(text + "AAA,99,coast\n")
    done = refused(project.run("run", "--until", "features"), 3, "lookup-two-values")
    assert '["AAA"]: 13.0 and 99.0' in done.err, done
    file.write_text("code,elevation,region\n")
    refused(project.run("run", "--until", "features"), 3, "lookup-empty")
    with open(file, "w") as out:
        out.write("code,elevation,region\n")
        out.writelines(f"{'x' * 1000}{i},1,coast\n" for i in range(9000))
    refused(project.run("run", "--until", "features"), 3, "lookup-too-large")
    file.write_text(text.replace("elevation", "height", 1))
    diagnosed(project.run("check"), "column-missing")
    file.unlink()
    done = diagnosed(project.run("run"), "source-missing")
    assert "airports" in done.err, done
    project.edit(
        "features/trips.yaml", "{source: airports, key: {origin", "{source: air, key: {origin"
    )
    file.write_text(text)
    diagnosed(project.run("check"), "unknown-name")


@case
def a_file_is_replayed_as_a_client_would_send_it(world):
    project = world.copy()
    project.edit(
        "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    # A row that comes without its weather is refused: what is replayed has it.
    text = (project.root / "contracts/trips.odcs.yaml").read_text()
    bounded = text.replace(
        "      - name: last_delay\n", "      - name: last_delay\n        required: true\n"
    )
    assert bounded != text
    (project.root / "contracts/trips.odcs.yaml").write_text(bounded)
    project.edit("models/late.yaml", 'from: "2001-01-01"', 'from: "2001-01-03"')
    works(project.run("run", timeout=120))
    project.apply()
    rows = list(small_project.rows(13500))[12000:12300]
    names = ["date", "distance", "origin", "destination", "delay"]
    write(project.root / "replayed.csv", names, rows)
    with Planes(project, "--lockstep") as planes:
        planes.release(world)
        told = project.json("replay", project.root / "replayed.csv", "--service", "late")
        assert (told["rows"], told["failed"], told["rejected"]) == (300, 0, 0), told
        assert told["answered"] == told["requests"] and told["watch"]["in_windows"] > 0, told
        assert "`temperature`: computed from source `weather`" in told["notes"], told
        assert project.json("quarantine", "show", "late")["rows"] == []


@case
def a_file_and_a_request_get_the_same_answers(world):
    project = world.built
    rows = [row[:4] for row in small_project.rows(13500)][12000:12300]
    write(project.root / "more.csv", ["date", "distance", "origin", "destination"], rows)
    project.apply()
    with Planes(project) as planes:
        planes.release(world)
        done = works(command(world, world.commands[3]))
        assert "`temperature`: computed from source `weather`" in done.err, done
        served = read(project.root / "more.scored.csv")
        given = pandas.read_csv(project.root / "more.scored.csv", parse_dates=["date"])
        due = expected(given[["date", "origin", "destination"]], *frames(project))
        hold_equal(given, due)
        assert given["last_delay"].notna().all()
        # The client's systems know the same: one by one, and as columns of a file.
        names = ["date", "distance", "origin", "destination", *JOINED]
        body = []
        for row in served:
            fields = {name: row[name] for name in names}
            for name in ["distance", *JOINED]:
                fields[name] = json.loads(row[name] or "null")
            body.append(fields)
        reply = planes.predict({"rows": body, "request_id": "sent"})
        assert reply.status == 200, reply
        answers = json.loads(reply.body, parse_float=str)["predictions"]
        assert [each["probability"] for each in answers] == [row["probability"] for row in served]
        # What was sent is what the sources say, value by value; then a client sends what is old.
        done = works(command(world, world.skew))
        assert "300 served rows" in done.out, done
        assert "`temperature`: every value is what source `weather` says" in done.out, done
        stale = [dict(row) for row in body[:40]]
        changed = [row for row in stale if row["temperature"] is not None][:3]
        for row in changed:
            row["temperature"] += 1.5
        stale[7]["mean_delay"] = None
        assert planes.predict({"rows": stale, "request_id": "stale"}).status == 200
        told = project.json("skew", "late")
        assert (told["rows"], told["differs"], told["incomplete"]) == (340, True, 0), told
        by_name = {each["field"]: each for each in told["fields"]}
        found = by_name["temperature"]
        assert (found["equal"], found["different"]) == (337, 3), found
        assert abs(found["largest"] - 1.5) < 1e-9, found
        assert [each["row"] for each in found["examples"]] == [
            f"stale#{stale.index(row)}" for row in changed
        ], found
        for example, row in zip(found["examples"], changed):
            assert example["served"] == row["temperature"], (example, row)
            assert abs(example["computed"] + 1.5 - row["temperature"]) < 1e-9, (example, row)
        assert by_name["mean_delay"]["missing_served"] == 1, by_name
        assert by_name["last_delay"]["equal"] == 340, by_name
        assert project.run("skew", "late", "--fail-on-skew").code == 3
        none = ("skew", "late", "--to", "2001-01-01")
        refused(project.run(*none), 6, "skew-no-rows")
        write(project.root / "had.csv", names, [[row[name] for name in names] for row in served])
        told = project.json(
            "score",
            project.root / "had.csv",
            "-o",
            project.root / "had.out.csv",
            "--service",
            "late",
        )
        assert told["computed"] == [] and "joined" not in told, told
        had = read(project.root / "had.out.csv")
        assert [row["probability"] for row in had] == [row["probability"] for row in served]
        # Without them it is another answer: the model does look at them.
        reply = planes.predict({"rows": [{k: row[k] for k in names[:4]} for row in body]})
        bare = json.loads(reply.body, parse_float=str)["predictions"]
        assert [each["probability"] for each in bare] != [row["probability"] for row in served]
        # The record of the file names the sources by their bytes.
        told = project.json(
            "score", project.root / "more.csv", "-o", world.dir / "again.csv", "--service", "late"
        )
        assert told["computed"] == JOINED, told
        assert sorted(told["joined"]) == ["trips", "weather"], told


@case
def what_changed_and_what_is_gone_is_told(world):
    project = world.copy()
    file = project.root / "data/weather.csv"
    lines = file.read_text()
    file.write_text(lines + "AAA,2001-01-05T00:00:00Z,99\n")
    why = works(project.run("plan"))
    assert "source `weather`, file `data/weather.csv` changed" in why.out + why.err, why
    file.write_text(lines.replace("temperature", "celsius", 1))
    diagnosed(project.run("check"), "column-missing")
    file.unlink()
    done = diagnosed(project.run("run"), "source-missing")
    assert "weather" in done.err, done
    file.write_text(lines)
    # A label is not seen before it is known.
    project.edit(
        "contracts/trips.odcs.yaml", "value: delay, delay: 1d}", "value: delay, delay: 1h}"
    )
    diagnosed(project.run("check"), "upstream-leak")


def main():
    os.environ["NO_COLOR"] = "1"
    world = World(os.path.abspath(sys.argv[1]), sys.argv[2])
    try:
        return harness.run_cases(CASES, sys.argv[3:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
