#!/usr/bin/env python3
"""Declared repairs through the real binary: the contract and the commands of docs/cleaning.md over
a file that is written as badly as they say. The same rows are learned from as of a clean file, and
a file, a request and a clean file get the same answers.

    cleaning.py HEDDLE DOCS      standard library only; exit 0 when every case holds
"""

import csv
import datetime
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

import bad_input
import harness
import small_project
from harness import Planes, Project, works

CASES = []
NAMES = ["date", "distance", "origin", "destination", "delay"]


def case(function):
    CASES.append(function)
    return function


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


def dirty(row, number):
    """The row as it is delivered: its own layout of dates, a decimal comma, any case, spaces."""
    date, distance, origin, destination, *delay = row
    when = datetime.datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ")
    origin = [f" {origin.lower()}", origin, f"{origin}\t"][number % 3]
    return (
        when.strftime("%d/%m/%Y %H:%M:%S"),
        f"{distance},0" if number % 2 else str(distance),
        origin,
        destination.lower() if number % 5 == 0 else destination,
        *delay,
    )


def write(path, names, lines):
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(names)
        out.writerows(lines)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def snapshot(project):
    (path,) = (project.root / ".heddle").glob("**/snapshot.json")
    return json.loads(path.read_text())


class World:
    """`clean` has the rows as they are meant, `built` those that the page's contract cleans; each
    after its first run.
    """

    def __init__(self, heddle, docs):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="heddle-cleaning-"))
        page = (pathlib.Path(docs) / "cleaning.md").read_text()
        self.contract = blocks(page, "yaml")[0]
        self.commands = [line for line in blocks(page, "sh")[0].splitlines() if line]
        self.clean = Project(heddle, small_project.make(self.dir / "clean", 12000))
        done = works(self.clean.run("run"))
        self.cleaned = done.out + done.err
        self.built = Project(heddle, small_project.make(self.dir / "dirty", 12000))
        self.keys = self.dir / "dirty-keys"
        rows = list(small_project.rows(12000))
        lines = [dirty(row, i) for i, row in enumerate(rows)]
        lines += lines[:200]  # delivered twice
        lines += [(*lines[i][:4], "NA") for i in range(0, 500, 10)]  # not known yet
        write(self.built.root / "data/trips.csv", NAMES, lines)
        (self.built.root / "contracts/trips.odcs.yaml").write_text(self.contract)

    def copy(self, source):
        root = self.dir / f"p{len(os.listdir(self.dir))}"
        shutil.copytree(source.root, root, symlinks=True)
        return Project(source.heddle, root)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def command(world, line, **options):
    words = line.split()
    assert words[0] == "heddle", line
    return world.built.run(*words[1:], cwd=world.built.root, **options)


@case
def the_same_rows_are_learned_from(world):
    works(command(world, world.commands[0]))
    done = works(command(world, world.commands[1]))
    said = done.out + done.err
    for repair in ("date-dates", "distance-decimal", "origin-trim", "origin-case", "delay-nulls"):
        assert f"repair `{repair}` changed" in said, (repair, said)
    assert "200 rows have the key of another one and are left out" in said, said
    clean, cleaned = snapshot(world.clean), snapshot(world.built)
    assert cleaned["rows"] == clean["rows"], "other rows are accepted than of the clean file"
    assert cleaned["count"] == 12000 and cleaned["refused"] == 50, cleaned
    assert cleaned["duplicates"] == 200, cleaned
    assert cleaned["repaired"]["delay-nulls"] == 50, cleaned
    assert cleaned["repaired"]["date-dates"] == 12250, cleaned
    assert clean["repaired"] == {} and clean["duplicates"] == 0, clean
    # The rows that were refused are there to be looked at, as they came.
    (path,) = re.findall(r"the first refused rows, with what each broke, are in `(.*)`", said)
    refused = read(path)
    rules = {row["validation"] for row in refused}
    assert len(refused) == 50 and rules == {"delay-required"}, rules
    assert {row["delay"] for row in refused} == {"NA"}, refused[0]
    assert refused[0]["repairs"].startswith("date-dates,"), refused[0]
    assert not re.search("first refused rows", world.cleaned), world.cleaned


@case
def recorded_rows_are_replayed_in_their_layouts(world):
    """Rows are sent as they stand; when they happened and their labels are read by the contract."""
    project = world.copy(world.built)
    project.edit(
        "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    project.apply()
    lines = [dirty(row, i) for i, row in enumerate(small_project.rows(400, seed=11))]
    lines[50] = ("soon", *lines[50][1:])  # no time: it goes with the row before it
    lines[60] = (*lines[60][:4], "NA")
    write(project.root / "replayed.csv", NAMES, lines)
    with Planes(project, "--lockstep") as planes:
        planes.release(world)
        file, truth = project.root / "replayed.csv", project.root / "truth.csv"
        until = ("--to", "2001-01-01T20:00:00Z")
        told = project.json("replay", file, "--service", "late", "--truth", truth, *until)
        assert (told["rows"], told["failed"]) == (300, 0), told
        assert (told["unlabelled"], told["untimed"]) == (1, 1), told


@case
def a_file_and_a_request_get_the_same_answers(world):
    project = world.built
    rows = list(small_project.rows(300, seed=9))
    lines = [dirty(row[:4], i) for i, row in enumerate(rows)]
    bad = ("31/02/2001 00:00:00", "260,0", " aaa", "BBB")
    write(project.root / "more.csv", NAMES[:4], [*lines, lines[7], bad])
    write(world.dir / "clean.csv", NAMES[:4], [row[:4] for row in rows])
    project.apply()
    with Planes(project) as planes:
        planes.release(world)
        done = command(world, world.commands[2])
        assert done.code == 20, done  # some were refused
        assert "values were changed by repair `origin-trim`" in done.err, done
        served = read(project.root / "more.scored.csv")
        assert len(served) == 300
        assert served[0]["origin"] == " " + rows[0][2].lower(), "OUT has the values as they came"
        assert (
            served[0]["repairs"] == "date-dates,origin-trim,origin-case,destination-case"
        ), served[0]
        refused = read(project.root / "more.scored.refused.csv")
        assert [each["validation"] for each in refused] == ["deduplicate", "date-type"], refused
        assert refused[1]["date"] == bad[0] and refused[1]["origin"] == " aaa"
        # The same rows as they are meant.
        out = world.dir / "clean.out.csv"
        works(project.run("score", world.dir / "clean.csv", "-o", out, "--service", "late"))
        assert [each["probability"] for each in read(out)] == [
            each["probability"] for each in served
        ]
        # And one by one.
        body = [dict(zip(NAMES, line)) for line in [*lines, bad]]
        reply = planes.predict({"rows": body, "request_id": "dirty"})
        assert reply.status == 200, reply
        answers = json.loads(reply.body, parse_float=str)["predictions"]
        assert [each["probability"] for each in answers[:300]] == [
            each["probability"] for each in served
        ]
        assert answers[300]["probability"] is None and answers[300]["validation"] == ["date-type"]
        # Each row says what was repaired, answered or not.
        assert [",".join(each["repairs"]) for each in answers[:300]] == [
            each["repairs"] for each in served
        ]
        assert ",".join(answers[300]["repairs"]) == refused[1]["repairs"], answers[300]
        assert "origin-trim" in answers[300]["repairs"], answers[300]
        # Numbers stay numbers, and what is repaired is counted.
        row = {"date": rows[1][0], "distance": rows[1][1], "origin": "AAA", "destination": "BBB"}
        row["distance"] = 260
        assert planes.predict({"rows": [row]}).status == 200
        metrics = planes.request("GET", "/metrics", token="reader").body.decode()
        counts = dict(re.findall(r'heddle_repairs_total\{.*repair="([a-z-]+)"\} (\d+)', metrics))
        assert counts["origin-trim"] == "201", counts
        # What the quarantine keeps is what came.
        planes.until(
            lambda: project.json("quarantine", "show", "late")["rows"], "the refused row is shown"
        )
        (row,) = project.json("quarantine", "show", "late")["rows"]
        assert row["fields"]["origin"] == " aaa" and row["fields"]["date"] == bad[0], row
        assert row["repairs"] == answers[300]["repairs"] and row["slot"] == "primary", row
        assert row["bundle"] == json.loads(reply.body)["bundle"], row


def ids(project, *words):
    rows = project.json("quarantine", "show", "late", *words)["rows"]
    return [f"{row['request_id']}#{row['row']}" for row in rows]


@case
def refused_rows_are_settled_by_people(world):
    project = world.built
    # The last case left one: its date is none.
    with Planes(project) as planes:
        planes.until(lambda: bad_input.served(planes), "the released bundle answers")
        far = {
            "date": "2001-01-10T05:00:00Z",
            "distance": 261,
            "origin": "aaa",
            "destination": "BBB",
        }
        reply = planes.predict({"rows": [far, far], "request_id": "far"})
        assert reply.status == 422, reply
        planes.until(lambda: len(ids(project)) == 3, "the refused rows are shown")
        assert ids(project) == ["dirty#300", "far#0", "far#1"]
        shown = project.json("quarantine", "show", "late")["rows"]
        assert shown[0]["failing"] == [
            {"rule": "date-type", "field": "date", "value": "31/02/2001 00:00:00"}
        ], shown[0]
        assert {(each["field"], each["value"]) for each in shown[1]["failing"]} == {
            ("origin", "aaa"),
            ("destination", "BBB"),
            ("distance", 261),
        }, shown[1]
        assert (
            "distance = 261 (route-fixes-distance)"
            in works(project.run("quarantine", "show", "late")).out
        )
        words = ("--all", "--reason", "the route was rebuilt")
        out = world.dir / "accepted.csv"
        # What the contract refuses as before stays, with its reason, and nothing is written.
        told = project.json("quarantine", "reprocess", "late", "-o", out, *words, "--yes")
        assert (told["answered"], told["stay"], told["applied"]) == (0, 3, False), told
        assert told["rules"] == {"date-type": 1, "route-fixes-distance": 2}, told
        # Shown first: nothing changes.
        done = works(project.run("quarantine", "accept", "late", "-o", out, *words))
        assert "of 3 refused rows 2 would be answered" in done.err, done
        assert "hint: nothing was changed; --yes does it" in done.err, done
        assert not out.exists() and len(ids(project)) == 3
        done = project.run("quarantine", "accept", "late", "-o", out, *words, "--yes")
        assert done.code == 20 and "2 were answered" in done.err, done
        accepted = read(out)
        assert [row["row_id"] for row in accepted] == ["far#0", "far#1"], accepted
        assert all(float(row["probability"]) > 0 for row in accepted), accepted
        assert {row["validation"] for row in accepted} == {"route-fixes-distance"}
        (stays,) = read(world.dir / "accepted.refused.csv")
        assert stays["row_id"] == "dirty#300" and stays["validation"] == "date-type", stays
        assert ids(project) == ["dirty#300"]
        assert ids(project, "--settled") == ["dirty#300", "far#0", "far#1"]
        done = works(project.run("quarantine", "discard", "late", *words))
        assert "1 rows would leave the quarantine" in done.err and ids(project), done
        works(project.run("quarantine", "discard", "late", *words, "--yes"))
        assert ids(project) == []
        # What was discarded by mistake waits again.
        back = ("restore", "late", "--rule", "date-type", "--reason", "it can be asked for")
        done = works(project.run("quarantine", *back))
        assert "1 rows would wait in the quarantine again" in done.err and not ids(project), done
        works(project.run("quarantine", *back, "--yes"))
        assert ids(project) == ["dirty#300"]
        bad_input.refused(project.run("quarantine", *back), 6, "rows-unknown")
        works(project.run("quarantine", "discard", "late", *words, "--yes"))
        bad_input.refused(project.run("quarantine", "discard", "late", *words), 6, "rows-unknown")
        bad_input.refused(
            project.run("quarantine", "discard", "late", "--reason", "why"), 2, "rows-none"
        )
        acts = [
            (each["action"], each["actor"], each["attributes"]["rows"], each["attributes"]["stay"])
            for each in project.json("audit", "log")["decisions"]
            if each["action"].startswith("rows.")
        ]
        gone = ("rows.discard", "bob", 1, 0)
        assert acts == [("rows.accept", "bob", 2, 1), gone, ("rows.restore", "bob", 1, 0), gone]


@case
def refused_rows_of_a_file(world):
    project = world.built
    path = project.root / "more.scored.refused.csv"
    shown = project.json("quarantine", "show", "late", "--file", path)["rows"]
    assert [row["rules"] for row in shown] == [["deduplicate"], ["date-type"]], shown
    assert shown[1]["failing"] == [
        {"rule": "date-type", "field": "date", "value": "31/02/2001 00:00:00"}
    ], shown[1]
    assert "origin-trim" in shown[1]["repairs"] and shown[1]["fields"]["origin"] == " aaa"
    told = works(project.run("quarantine", "show", "late", "--file", path))
    assert 'date = "31/02/2001 00:00:00" (date-type)' in told.out, told
    none = project.run("quarantine", "show", "late", "--file", project.root / "more.csv")
    bad_input.refused(none, 3, "rows-no-rules")
    # A row that another one stood for is still that one.
    again = ("--file", path, "--reason", "was it answered", "-o", world.dir / "again.csv")
    told = project.json("quarantine", "reprocess", "late", *again)
    assert (told["answered"], told["stay"]) == (0, 2), told
    words = ("--file", path, "--reason", "they are two trips")
    out = world.dir / "file.csv"
    told = project.run("--json", "quarantine", "accept", "late", "-o", out, *words, "--yes")
    assert told.code == 20, told
    told = json.loads(told.out)
    assert (told["rows"], told["answered"], told["stay"]) == (2, 1, 1), told
    assert len(read(out)) == 1 and read(out)[0]["probability"]
    # Who may not leaves no file.
    denied = world.copy(project)
    denied.edit("policies/default.yaml", '"rows.*",', "")
    denied.apply()
    other = world.dir / "denied.csv"
    done = denied.run("quarantine", "accept", "late", "-o", other, *words, "--yes")
    bad_input.refused(done, 5, "rows-denied")
    assert not other.exists()


@case
def rows_that_a_new_contract_accepts(world):
    project = world.copy(world.built)
    file = "contracts/trips.odcs.yaml"
    with Planes(project) as planes:
        planes.until(lambda: bad_input.served(planes), "the released bundle answers")
        far = {
            "date": "2001-01-10T05:00:00Z",
            "distance": 261,
            "origin": "aaa",
            "destination": "BBB",
        }
        # The same trip twice: rows of requests do not know each other.
        assert planes.predict({"rows": [far, far], "request_id": "later"}).status == 422
        planes.until(lambda: "later#1" in ids(project), "the refused rows are shown")
    text = (project.root / file).read_text()
    (project.root / file).write_text(text.replace("severity: error", "severity: warning"))
    project.commit()
    works(project.run("run"))
    works(project.run("apply"))
    with Planes(project) as planes:
        for words in (("--slot", "standby"), ("--requester", "bob")):
            works(project.run("release", "promote", "late", *words))
        (waits,) = [
            each["id"]
            for each in project.json("approval", "list")["approvals"]
            if each["state"] == "pending"
        ]
        works(project.run("approve", waits, "--person", "ann", "--key", world.keys / "ann"))
        out = world.dir / "reprocessed.csv"
        words = ("--rule", "route-fixes-distance", "--reason", "the rule warns by now", "--yes")
        told = project.json("quarantine", "reprocess", "late", "-o", out, *words)
        assert (told["answered"], told["stay"]) == (2, 0), told
        assert [row["row_id"] for row in read(out)] == ["later#0", "later#1"]
        assert ids(project) == []


@case
def what_cannot_be_declared(world):
    project = world.copy(world.built)
    file = "contracts/trips.odcs.yaml"
    text = (project.root / file).read_text()
    for old, new, id_ in (
        ("{case: upper}", "{scale: 2}", "repair-type"),
        ("%d/%m/%Y %H:%M:%S", "%d/%m/%Q", "date-format"),
        ("clip: {maximum: 6000}", "clip: {minimum: 7000, maximum: 6000}", "repair-type"),
        ("by: date", "by: delay", "repair-label"),
        ("by: date", "by: origin", "repair-type"),
        ("key: [date, distance,", "key: [when, distance,", "unknown-name"),
        ('nulls: ["NA"]', "impute: {value: 0}", "repair-label"),
        ('nulls: ["NA"]', "nulls: []", "repair-value"),
        ("{trim: true}", "{trim: true, scale: 2}", "repair-type"),
        ("{trim: true}", "{trimm: true}", "unknown-key"),
    ):
        assert old in text, old
        (project.root / file).write_text(text.replace(old, new, 1))
        for words in ("check", "run"):
            done = project.run(words)
            bad_input.refused(done, 2, id_)
            assert f"--> {file}:" in done.err, done
    (project.root / file).write_text(text)
    works(project.run("check"))


@case
def nothing_to_learn_from(world):
    project = world.copy(world.clean)
    project.edit(
        "contracts/trips.odcs.yaml",
        "      - name: delay",
        "      - name: empty\n"
        "        logicalType: number\n"
        "        customProperties:\n"
        "          - {property: repairs, vendor: heddle,\n"
        "             value: {nulls: ['?'], impute: {learn: median}}}\n"
        "      - name: delay",
    )
    lines = (project.root / "data/trips.csv").read_text().splitlines()
    lines = [line + (",?" if i else ",empty") for i, line in enumerate(lines)]
    (project.root / "data/trips.csv").write_text("\n".join(lines) + "\n")
    done = project.run("run")
    bad_input.refused(done, 3, "repair-nothing-to-learn")
    # One value is something.
    lines[5] = lines[5][:-1] + "2.5"
    (project.root / "data/trips.csv").write_text("\n".join(lines) + "\n")
    done = works(project.run("run"))
    assert "repair `empty-impute` changed 11999 values" in done.out + done.err, done


def main():
    os.environ["NO_COLOR"] = "1"
    world = World(os.path.abspath(sys.argv[1]), sys.argv[2])
    try:
        return harness.run_cases(CASES, sys.argv[3:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
