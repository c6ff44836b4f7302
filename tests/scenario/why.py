#!/usr/bin/env python3
"""`heddle why`: from an answer that was really served back to its row, repairs, features, bundle
and approver; worked out again, told to who may not see values, and after the journal was trimmed.

    why.py HEDDLE      standard library only; exit 0 when every case holds
"""

import http.client
import json
import os
import pathlib
import re
import shutil
import struct
import sys
import tempfile
import time

import harness
import small_project
from harness import Planes, Project, refused, works

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "crash"))
import journal  # noqa: E402

CASES = []
# As the contract below repairs it: the same trip, written in two ways, and one that is none.
TRIP = {"date": "2001-01-10T05:00:00Z", "distance": 260, "origin": "AAA", "destination": "BBB"}
DIRTY = {**TRIP, "distance": "260,0", "origin": " aaa"}
FAR = {**TRIP, "distance": 261}


def case(function):
    CASES.append(function)
    return function


class World:
    """`built` cleans two fields, keeps the values of rows in its access log, and serves."""

    def __init__(self, heddle):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="heddle-why-"))
        self.keys = self.dir / "why-keys"
        self.built = Project(heddle, small_project.make(self.dir / "why", 12000))
        contract = "contracts/trips.odcs.yaml"
        self.built.edit(
            contract,
            "{minimum: 10, maximum: 6000}}",
            "{minimum: 10, maximum: 6000},\n         customProperties: [{property: repairs,"
            " vendor: heddle, value: {decimal: ','}}]}",
        )
        code = (
            "          - {property: enumFile, vendor: heddle, value: {file: places, column: code}}"
        )
        clean = "          - {property: repairs, vendor: heddle, value: {trim: true, case: upper}}"
        self.built.edit(contract, code, f"{code}\n{clean}")
        self.built.edit("services/late.yaml", "autonomy:", "access_log: {fields: true}\nautonomy:")
        self.built.commit()
        works(self.built.run("run"))
        works(self.built.run("apply"))

    def copy(self):
        root = self.dir / f"p{len(os.listdir(self.dir))}"
        shutil.copytree(self.built.root, root, symlinks=True)
        return Project(self.built.heddle, root)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def only(told):
    (request,) = told["requests"]
    return request


@case
def an_answer_is_told_to_its_end(world):
    project = world.built
    with Planes(project) as planes:
        planes.release(world)
        body = {"rows": [DIRTY, FAR], "request_id": "q-1", "source": "one", "explain": True}
        reply = planes.predict(body)
        assert reply.status == 200, reply
        answer, none = reply.json["predictions"]
        told = only(project.json("why", "q-1", "--reproduce"))
        assert (told["request_id"], told["service"]) == ("q-1", "late"), told
        assert (told["source"], told["account"]) == ("one", "caller"), told
        assert told["record"] == {"from": "journal", "segment": told["record"]["segment"]}, told
        # The row, what was made of it, and what it gave: as the answer itself said.
        row, far = told["rows"]
        assert row["row_id"] == "q-1#0" and row["outcome"] == "served", row
        assert row["fields"] == DIRTY and row["validation"] == [], row
        assert row["repairs"] == [
            {"field": "distance", "from": "260,0", "to": 260, "by": ["distance-decimal"]},
            {"field": "origin", "from": " aaa", "to": "AAA", "by": ["origin-trim", "origin-case"]},
        ], row
        assert [id_ for each in row["repairs"] for id_ in each["by"]] == answer["repairs"], answer
        assert row["answer"] == {"probability": answer["probability"]}, (row, answer)
        added = {each["name"]: each["contribution"] for each in row["features"]}
        assert added == answer["contributions"], (added, answer)
        values = {each["name"]: each.get("value") for each in row["features"]}
        assert (values["hour"], values["miles"], values["bias"]) == (5, 260, None), values
        assert row["reproduced"] == {"equal": True}, row
        assert far["outcome"] == "refused" and none["validation"] == ["route-fixes-distance"], far
        assert far["validation"] == [
            {
                "rule": "route-fixes-distance",
                "effect": "refuse",
                "values": [
                    {"field": "origin", "value": "AAA"},
                    {"field": "destination", "value": "BBB"},
                    {"field": "distance", "value": 261},
                ],
            }
        ], far
        assert far["repairs"] == [] and "features" not in far and "answer" not in far, far
        assert far["reproduced"] == {"equal": True}, far
        # The slot, and who put the bundle there.
        slot, since = told["slot"], told["slot"]["since"]
        assert (slot["name"], slot["bundle"]) == ("primary", reply.json["bundle"]), slot
        assert slot["route_version"] == reply.json["route_version"], slot
        assert (since["action"], since["asked_by"]) == ("release.promote", "bob"), since
        assert since["approved_by"] == ["ann"] and since["approval"] == "approval-0001", since
        assert since["proof"] == "os-user:" + small_project.os_user(), since
        proof = project.json("audit", "prove", since["entry"])
        entry = json.loads(proof["entry"])
        assert (entry["action"], entry["result"]) == ("release.promote", "applied"), entry
        assert since["entry"] < since["tree_size"], since
        # What the bundle rests on.
        bundle = told["bundle"]
        inspected = project.json("bundle", "inspect", bundle["digest"])
        assert bundle["digest"] == reply.json["bundle"], bundle
        assert bundle["lineage"] == inspected["config"]["lineage"], bundle
        assert bundle["gates"] == inspected["evaluation"]["gates"] and bundle["gates_passed"]
        assert bundle["commit"] and bundle["dirty"] is False, bundle
        text = works(project.run("why", "q-1", "--reproduce")).out
        for said in (
            "request q-1 of `late`",
            "recorded in the journal, segment",
            "answered by `primary`, route version",
            "it has this bundle since route version",
            "asked for by bob (os-user:",
            "approved by ann (approval-0001)",
            f"ledger entry {since['entry']}, in a tree of",
            "gate passed better-than-a-coin: metrics.auc > 0.55",
            'repaired `origin`: " aaa" became "AAA" by origin-trim, origin-case',
            "rule `route-fixes-distance` was broken (refuse): ",
            "worked out again: equal bit for bit",
        ):
            assert said in text, f"`{said}` was to be told: {text}"
        # One row of it.
        assert only(project.json("why", "q-1#1"))["rows"][0]["row_id"] == "q-1#1"
        cut = only(project.json("why", "q-1", "--limit", "1", "--service", "late"))
        assert len(cut["rows"]) == 1 and cut["more_rows"] == 1, cut


@case
def what_is_not_there(world):
    project = world.built
    refused(project.run("why", "q-2"), 6, "request-unknown")
    refused(project.run("why", "q-1", "--service", "nothing"), 6, "service-unknown")
    done = refused(project.run("why", "q-1#2"), 6, "row-unknown")
    assert "request `q-1` has 2 rows" in done.err, done
    refused(project.run("why", "q-1#first"), 6, "row-unknown")


def ask_control(project, request, account):
    """The operation by a token, until it is done."""
    port = int(re.search(r"control_port: (\d+)", (project.root / "heddle.yaml").read_text())[1])
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Authorization": "Bearer " + project.token(account)}
        connection.request("POST", "/v1/ops/why", json.dumps(request), headers)
        reply = connection.getresponse()
        body = json.loads(reply.read())
        connection.close()
        if reply.status != 200 or body["done"]:
            return reply.status, body
        time.sleep(0.05)
    raise AssertionError("the operation does not end")


@case
def who_may_not_see_values_sees_the_rest(world):
    project = world.built
    whole = only(project.json("why", "q-1", "--reproduce"))
    told = only(project.json("why", "q-1", "--reproduce", "--without-values"))
    row, far = told["rows"]
    assert row["repairs"] == [
        {"field": "distance", "by": ["distance-decimal"]},
        {"field": "origin", "by": ["origin-trim", "origin-case"]},
    ], row
    assert set(row) == {"row_id", "outcome", "validation", "repairs", "reproduced"}, row
    (rule,) = far["validation"]
    assert rule["values"] == [
        {"field": "origin"},
        {"field": "destination"},
        {"field": "distance"},
    ], rule
    assert row["reproduced"] == {"equal": True}, row
    for part in ("bundle", "record"):
        assert told[part] == whole[part], part
    shown = works(project.run("why", "q-1", "--reproduce", "--without-values")).out
    assert not re.search('" aaa|"AAA|260,0|= 26|probability', shown), shown
    with Planes(project) as planes:
        request = {"id": "q-1", "service": "late", "reproduce": True}
        status, body = ask_control(project, request, "reader")
        assert status == 200 and body["exit_code"] == 0, body
        assert body["result"]["values"] is False, body
        assert only(body["result"])["rows"] == told["rows"], body
        assert ask_control(project, request, "caller")[0] == 403
        status, body = ask_control(project, {"id": "q-2"}, "reader")
        assert (status, body["id"]) == (404, "request-unknown"), body
        # The owner, over the socket.
        reply = planes.operation("why", request)
        while reply.status == 200 and not reply.json["done"]:
            time.sleep(0.05)
            reply = planes.operation("why", request)
        assert only(reply.json["result"])["rows"] == whole["rows"], reply


@case
def a_row_that_cannot_be_worked_out_again(world):
    project = world.built
    with Planes(project) as planes:
        planes.until(lambda: planes.get("/v2/health/ready").status == 200, "it answers")
        body = {"rows": [{**TRIP, "colour": 1}, TRIP], "request_id": "q-3"}
        assert planes.predict(body).status == 200
    done = project.run("--json", "why", "q-3", "--reproduce")
    assert done.code == 3, done
    stray, good = only(json.loads(done.out))["rows"]
    assert stray["validation"][0]["rule"] == "unknown-field/colour", stray
    assert stray["reproduced"] == {
        "equal": None,
        "why": "what the row sent beside the contract's fields is not recorded",
    }, stray
    assert good["reproduced"] == {"equal": True}, good


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def change(path, request_id, old, new):
    """Other bytes in the record of a request, and its checksum (docs/formats/journal.md)."""
    data = bytearray(path.read_bytes())
    at, seed = 8, 0
    while at + 9 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        if size == 0 or at + 8 + size > len(data):
            break
        payload = bytes(data[at + 8 : at + 8 + size])
        if payload[0] == 0:
            seed = int.from_bytes(payload[-4:], "little")
        if payload[0] == journal.REQUEST and journal.text(payload, 1)[0] == request_id:
            assert payload.count(old) == 1, payload
            payload = payload.replace(old, new)
            data[at + 4 : at + 8] = (crc32c(payload) ^ seed).to_bytes(4, "little")
            data[at + 8 : at + 8 + size] = payload
            path.write_bytes(data)
            return
        at += 8 + size
    raise AssertionError(f"no request {request_id} in {path}")


@case
def a_record_that_is_not_what_the_row_gives(world):
    project = world.copy()
    told = only(project.json("why", "q-3#1"))
    probability = told["rows"][0]["answer"]["probability"]
    segment = project.root / f".heddle/spool/late/{told['record']['segment']:08}.seg"
    # The next float: one bit is enough.
    bits = int.from_bytes(struct.pack("<f", probability), "little")
    other = (bits + 1).to_bytes(4, "little")
    change(segment, "q-3", struct.pack("<f", probability), other)
    done = project.run("--json", "why", "q-3#1", "--reproduce")
    assert done.code == 1, done
    again = only(json.loads(done.out))["rows"][0]["reproduced"]
    assert again["equal"] is False, again
    (differs,) = again["differs"]
    assert differs["what"] == "prediction" and differs["computed"] == [probability], differs
    (recorded,) = differs["recorded"]
    assert struct.pack("<f", recorded) == other, differs
    done = project.run("why", "q-3#1", "--reproduce")
    assert done.code == 1 and "worked out again: prediction differs: " in done.out, done
    # As it was written it is what the row gives.
    change(segment, "q-3", other, struct.pack("<f", probability))
    assert project.run("why", "q-3#1", "--reproduce").code == 0


@case
def a_row_that_the_journal_does_not_have_any_more(world):
    project = world.copy()
    before = only(project.json("why", "q-1", "--reproduce"))
    segment = before["record"]["segment"]
    access = project.root / f".heddle/access/late/{segment:08}.parquet"
    with Planes(project) as planes:  # its segment is finished since another one was begun
        planes.until(access.exists, "the segment is in the access log")
    (project.root / f".heddle/spool/late/{segment:08}.seg").unlink()
    told = only(project.json("why", "q-1", "--reproduce"))
    record = told["record"]
    assert (record["from"], record["segment"]) == ("access log", segment), record
    assert "the journal does not have the request any more" in record["note"], record
    entry = json.loads(project.json("audit", "prove", record["entry"])["entry"])
    assert entry["action"] == "access.segment", entry
    assert entry["evidence"] == [{"name": "root", "digest": record["root"]}], entry
    # With the values of its rows nothing is lost.
    assert told["rows"] == before["rows"], told
    assert told["slot"]["since"]["entry"] == before["slot"]["since"]["entry"], told
    # Without them what is known is told, and the rest is said not to be.
    project.edit("services/late.yaml", "access_log: {fields: true}\n", "")
    project.apply()
    with Planes(project) as planes:
        planes.until(lambda: planes.get("/v2/health/ready").status == 200, "it answers")
        assert planes.predict({"rows": [DIRTY, FAR], "request_id": "q-4"}).status == 200
    segment = only(project.json("why", "q-4"))["record"]["segment"]
    access = project.root / f".heddle/access/late/{segment:08}.parquet"
    with Planes(project) as planes:
        planes.until(access.exists, "the segment is in the access log")
    (project.root / f".heddle/spool/late/{segment:08}.seg").unlink()
    done = project.run("--json", "why", "q-4", "--reproduce")
    assert done.code == 3, done
    told = only(json.loads(done.out))
    assert "keeps no values of rows" in told["record"]["note"], told["record"]
    row, far = told["rows"]
    assert row["answer"] == before["rows"][0]["answer"], row
    assert row["repairs"] == [
        {"by": ["distance-decimal"]},
        {"by": ["origin-trim"]},
        {"by": ["origin-case"]},
    ], row
    assert row["not_known"] == "the values of the row are not recorded any more", row
    assert "fields" not in row and "features" not in row, row
    assert far["validation"][0]["rule"] == "route-fixes-distance", far
    assert row["reproduced"]["equal"] is None and row["reproduced"]["why"] == row["not_known"]
    assert told["bundle"] == before["bundle"], told
    done = project.run("why", "q-4")
    assert done.code == 0 and "keeps no values of rows" in done.out, done


@case
def a_bundle_that_is_gone(world):
    project = world.copy()
    digest = only(project.json("why", "q-1"))["bundle"]["digest"].removeprefix("sha256:")
    (path,) = (project.root / ".heddle/objects").glob(f"**/{digest}")
    path.unlink()
    told = only(project.json("why", "q-1"))
    assert digest in told["bundle"]["digest"] and told["bundle"]["unread"], told
    row = told["rows"][0]
    assert row["fields"] == DIRTY and row["repairs"] is None, row
    assert row["not_known"].startswith("the bundle cannot be read"), row
    assert told["slot"]["since"]["approved_by"] == ["ann"], told
    assert "which repairs were made is not known" in works(project.run("why", "q-1")).out
    assert project.run("why", "q-1", "--reproduce").code == 3


@case
def rows_that_nobody_can_answer_are_listed(world):
    """Of `quarantine reprocess`: each with its id and what failed, beside those that it answers."""
    project = world.built
    with Planes(project) as planes:
        planes.until(lambda: planes.get("/v2/health/ready").status == 200, "it answers")
        rows = [{**TRIP, "distance": [260]}, {**TRIP, "origin": {"code": "AAA"}}]
        assert planes.predict({"rows": rows, "request_id": "q-5"}).status == 422
        shown = project.json("quarantine", "show", "late")["rows"]
        words = ("--reason", "was it right", "-o", world.dir / "again.csv")
        # With one that may be answered one day.
        told = project.json("quarantine", "reprocess", "late", "--all", *words)
        assert (told["answered"], told["stay"]) == (0, len(shown)), told
        listed = {f"{each['request_id']}#{each['row']}": each for each in told["unanswerable"]}
        assert set(listed) == {"q-3#0", "q-5#0", "q-5#1"}, listed
        assert listed["q-5#1"]["rules"] == ["not-a-scalar/origin", "origin-required"], listed
        assert listed["q-5#1"]["failing"][0] == {
            "rule": "not-a-scalar/origin",
            "field": "origin",
            "value": None,
        }, listed
        done = works(project.run("quarantine", "reprocess", "late", "--all", *words))
        assert "3 of them can never be answered by `reprocess`" in done.err, done
        assert re.search(r"^q-5#1 .*\(not-a-scalar/origin\)", done.out, re.M), done
        # A field that the contract does not have: a person may say that it is none.
        told = project.json("quarantine", "accept", "late", "--all", *words)
        listed = [f"{each['request_id']}#{each['row']}" for each in told["unanswerable"]]
        assert listed == ["q-5#0", "q-5#1"], told
        only_those = ("--row", "q-5#0", "--row", "q-5#1")
        done = project.run("quarantine", "reprocess", "late", *only_those, *words)
        refused(done, 3, "rows-unanswerable")
        assert "`q-5#0`: " in done.err and "q-5#1" in done.out, done
        done = project.run("--json", "quarantine", "reprocess", "late", *only_those, *words)
        assert done.code == 3 and not done.out, done
        message = json.loads(done.err)["error"]["message"]
        assert "not-a-scalar/distance" in message and "not-a-scalar/origin" in message, message


def main():
    os.environ["NO_COLOR"] = "1"
    world = World(os.path.abspath(sys.argv[1]))
    try:
        return harness.run_cases(CASES, sys.argv[2:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
