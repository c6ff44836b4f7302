#!/usr/bin/env python3
"""What the planes say of themselves, read by others: spans by OpenTelemetry's own messages,
/metrics by Prometheus' own parser, the access log by pyarrow, its roots computed anew; then what
`heddle audit verify` makes of a changed and of a pruned segment, and a control plane killed while
it writes.

    telemetry.py HEDDLE      wants pyarrow, opentelemetry-proto, prometheus-client (build/venv);
        exit 0 when every case holds
"""

import base64
import hashlib
import http.client
import http.server
import json
import os
import sys
import threading
import time
import traceback

import pyarrow.parquet
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bad_input  # noqa: E402
import harness
from harness import Planes, World  # noqa: E402
from small_project import rows  # noqa: E402

CASES = []


def case(function):
    CASES.append(function)
    return function


def some_rows(count):
    return [
        {"date": d, "distance": m + (1 if i % 5 == 4 else 0), "origin": o, "destination": e}
        for i, (d, m, o, e, _) in enumerate(rows(count, seed=5))
    ]


class Collector(http.server.ThreadingHTTPServer):
    """An OTLP/HTTP receiver: parses what comes by the protocol's own definition, unknown members
    refused.
    """

    def __init__(self):
        self.spans, self.wrong, self.arrived = [], [], threading.Condition()
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def until(self, holds, seconds=20):
        with self.arrived:
            assert self.arrived.wait_for(
                lambda: self.wrong or holds(self.spans), seconds
            ), f"{len(self.spans)} spans came"
        assert not self.wrong, self.wrong


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.arrived:
            try:
                assert (
                    self.path == "/v1/traces" and self.headers["Content-Type"] == "application/json"
                ), (self.path, self.headers["Content-Type"])
                # JSON of OTLP has ids in hex where protobuf's has base64.
                told = json.loads(body)
                for resource in told["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        for span in scope["spans"]:
                            for key in ("traceId", "spanId", "parentSpanId"):
                                if key in span:
                                    span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
                message = json_format.ParseDict(told, ExportTraceServiceRequest())
                for resource in message.resource_spans:
                    assert {a.key: a.value.string_value for a in resource.resource.attributes}[
                        "service.name"
                    ] == "late"
                    self.server.spans += [
                        span for scope in resource.scope_spans for span in scope.spans
                    ]
            except Exception:
                self.server.wrong.append(traceback.format_exc())
            self.server.arrived.notify_all()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *unused):
        pass


def post(planes, path, body, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", planes.project.port(), timeout=30)
    try:
        connection.putrequest("POST", path)
        text = json.dumps(body).encode()
        for name, value in [
            ("Authorization", "Bearer " + planes.project.token("caller")),
            ("Content-Length", str(len(text))),
            *headers,
        ]:
            connection.putheader(name, value)
        connection.endheaders(text)
        reply = connection.getresponse()
        return reply.status, dict(reply.headers), json.loads(reply.read())
    finally:
        connection.close()


@case
def spans_reach_a_collector(world):
    collector = Collector()
    project = world.copy(world.released)
    project.edit(
        "services/late.yaml",
        "autonomy: act",
        f"telemetry:\n  traces: {{endpoint: 'http://127.0.0.1:{collector.server_port}/v1/traces',"
        " share: 0}\nautonomy: act",
    )
    project.apply()
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with Planes(project) as planes:
        planes.until(lambda: bad_input.served(planes), "the released bundle answers")
        path = "/v1/services/late/predict"
        status, headers, body = post(
            planes,
            path,
            {"rows": some_rows(10)},
            [
                ("traceparent", f"00-{trace}-{parent}-01"),
                ("tracestate", "rojo=1"),
                ("tracestate", "congo=2"),
            ],
        )
        assert status == 200, body
        version, of, span_id, flags = headers["traceparent"].split("-")
        assert (version, of, flags) == ("00", trace, "01") and span_id != parent
        collector.until(lambda spans: len(spans) >= 4)
        server = [s for s in collector.spans if s.kind == s.SPAN_KIND_SERVER]
        assert (
            len(server) == 1
            and server[0].trace_id.hex() == trace
            and server[0].parent_span_id.hex() == parent
            and server[0].span_id.hex() == span_id
        )
        assert (
            server[0].trace_state == "rojo=1,congo=2"
            and server[0].name == "POST /v1/services/{service}/predict"
        )
        told = {a.key: a.value.string_value or a.value.int_value for a in server[0].attributes}
        assert (
            told["heddle.rows"] == 10
            and told["heddle.refused"] == 2
            and told["heddle.bundle"] == body["bundle"]
            and told["heddle.slot"] == "primary"
        ), told
        assert (
            told["heddle.route_version"] == body["route_version"]
            and told["http.response.status_code"] == 200
        ), told
        assert abs(server[0].end_time_unix_nano / 1e9 - time.time()) < 60
        children = [s for s in collector.spans if s.kind != s.SPAN_KIND_SERVER]
        assert (
            {"read", "score", "write"}
            <= {c.name for c in children}
            <= {"queue", "read", "score", "write"}
        )
        assert all(
            c.parent_span_id == server[0].span_id
            and server[0].start_time_unix_nano <= c.start_time_unix_nano <= c.end_time_unix_nano
            for c in children
        )
        before = len(collector.spans)
        # Not sampled, malformed (a new trace; the share is 0), twice, and an error: only the last
        # one is sent.
        for headers_in, back in (
            ([("traceparent", f"00-{trace}-{parent}-00")], True),
            ([("traceparent", f"00-{trace.upper()}-{parent}-01")], False),
            ([("traceparent", f"00-{trace}-{parent}-01")] * 2, False),
        ):
            status, headers, _ = post(planes, path, {"rows": some_rows(2)}, headers_in)
            assert status == 200 and ("traceparent" in headers) == back, (headers_in, headers)
        status, headers, _ = post(
            planes,
            "/v2/models/late/infer",
            {"inputs": []},
            [("traceparent", f"00-{trace}-{parent}-01")],
        )
        assert status == 400 and "traceparent" in headers
        collector.until(lambda spans: len(spans) > before)
        assert [s.name for s in collector.spans[before:]] == [
            "POST /v2/models/{m}/infer"
        ], collector.spans[before:]
        assert "AAA" not in str(collector.spans), "no values of rows"
        # Counted once the collector's answer is read, which is after it was given.
        counted = 'heddle_trace_requests_exported_total{service="late"} 2'
        planes.until(
            lambda: counted in planes.request("GET", "/metrics", token="reader").body.decode(),
            "both requests are counted as exported",
        )
        # The collector goes away: nothing of it is felt.
        collector.shutdown()
        collector.server_close()
        for _ in range(50):
            status, _, _ = post(
                planes, path, {"rows": some_rows(2)}, [("traceparent", f"00-{trace}-{parent}-01")]
            )
            assert status == 200


@case
def a_wrong_endpoint_is_said_by_check(world):
    bad_input.definition(
        world,
        "services/late.yaml",
        "autonomy: act",
        "telemetry: {traces: {endpoint: 'collector:4318'}}\nautonomy: act",
        "traces-endpoint",
    )
    bad_input.definition(
        world,
        "services/late.yaml",
        "autonomy: act",
        "telemetry: {traces: {share: 2}}\nautonomy: act",
        "traces-share",
    )


@case
def metrics_are_read_by_a_scraper(world):
    project = world.copy(world.released)
    with Planes(project) as planes:
        planes.until(lambda: bad_input.served(planes), "the released bundle answers")
        assert planes.predict({"rows": some_rows(10)}).status == 200
        reply = planes.request("GET", "/metrics", token="reader")
        assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4"), reply.headers[
            "Content-Type"
        ]
        families = {f.name: f for f in text_string_to_metric_families(reply.body.decode())}
        for name, family in families.items():
            assert family.documentation and family.type in ("counter", "gauge", "histogram"), name
            # By route and by account: none before the first.
            assert family.samples or name in ("heddle_requests", "heddle_journal_unrecorded"), name
            for sample in family.samples:
                assert name.startswith(("heddle_", "process_")), name
                assert family.type != "counter" or sample.name.endswith("_total"), sample
                assert ("service" in sample.labels) == (
                    name.startswith("heddle_") and name != "heddle_build_info"
                ), sample
                assert not any(
                    word in name for word in ("milli", "micro", "_ms", "_us", "minutes")
                ), f"{name}: base units are seconds and bytes"
            if family.type == "histogram":
                stages = {s.labels.get("stage") for s in family.samples}
                for stage in stages:
                    of = [s for s in family.samples if s.labels.get("stage") == stage]
                    buckets = [s.value for s in of if s.name.endswith("_bucket")]
                    count = [s.value for s in of if s.name.endswith("_count")]
                    assert buckets == sorted(buckets) and buckets[-1] == count[0], (name, stage)
        served = [
            s.value for s in families["heddle_rows"].samples if s.labels["outcome"] == "served"
        ]
        assert served[0] >= 8, served
        assert families["heddle_build_info"].samples[0].value == 1
        version = project.run("--version").out.strip()
        assert (
            version and families["heddle_build_info"].samples[0].labels["version"] == version
        ), version
        assert planes.request("GET", "/v2", token="reader").json["version"] == version
        value = {
            name: family.samples[0].value
            for name, family in families.items()
            if name.startswith("process_")
        }
        assert (
            abs(value["process_start_time_seconds"] - time.time()) < 120
            and value["process_open_fds"] > 3
        ), value
        assert (
            1e6 < value["process_resident_memory_bytes"] < 4e9 and value["process_cpu_seconds"] > 0
        ), value
        assert not any(
            "trace" in name for name in families
        ), "nothing is traced that was not asked for"


def leaf(row):
    return json.dumps(list(row), separators=(",", ":"), ensure_ascii=False).encode()


def root_of(leaves):
    """RFC 6962 2.1, as it stands there."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaves[:half]) + root_of(leaves[half:])).digest()


def read_segment(path):
    table = pyarrow.parquet.read_table(path)
    names = table.column_names
    columns = [
        table.column(n).cast("int64") if n in ("arrival", "event_time") else table.column(n)
        for n in names
    ]
    return names, list(zip(*[c.to_pylist() for c in columns]))


def segments(project):
    return sorted((project.root / ".heddle/access/late").glob("*.parquet"))


def roots(planes):
    return planes.operation("access.list", {"service": "late"}).json["segments"]


def some_segments(planes, count):
    """Traffic, and data planes killed and started again: each begins a new journal segment, and the
    one before is finished.
    """
    known = len(roots(planes))
    for i in range(count):
        planes.until(lambda: bad_input.served(planes), "the released bundle answers")
        for _ in range(3):
            assert planes.predict({"source": "one", "rows": some_rows(50)}).status == 200
        planes.kill("data")
        planes.until(lambda: bad_input.served(planes), "the data plane is back")
        planes.until(lambda: len(roots(planes)) > known + i, "the segment is in the ledger")


@case
def the_access_log_is_what_the_ledger_says(world):
    project = world.copy(world.released)
    with Planes(project) as planes:
        some_segments(planes, 3)
        known = roots(planes)
        assert len({r["segment"] for r in known}) == len(known) == len(segments(project)), known
        for told, path in zip(known, segments(project)):
            names, table = read_segment(path)
            assert int(path.stem) == told["segment"] and len(table) == told["rows"], (path, told)
            if table:
                assert "sha256:" + root_of([leaf(r) for r in table]).hex() == told["root"], path
        names, table = read_segment(segments(project)[-1])
        row = dict(zip(names, table[-1]))
        assert row["account"] == "caller", row
        assert (
            row["source"] in ("one", "default")
            and row["slot"] == "primary"
            and row["bundle"].startswith("sha256:")
            and "fields" not in names
        ), row
        refused = [dict(zip(names, r)) for r in table if r[names.index("outcome")] == "refused"]
        assert refused and all(
            r["rules"] == "route-fixes-distance" and r["prediction"] is None for r in refused
        )
        assert b"AAA" not in segments(project)[-1].read_bytes()
        entries = [
            e
            for e in planes.operation("decision.list", {"from": 0}).json["decisions"]
            if e["action"] == "access.segment"
        ]
        assert len(entries) == len(known) and "AAA" not in json.dumps(entries)
    verified = project.json("audit", "verify")
    assert (
        verified["audit"] == "ok"
        and verified["access"]["verified"] == len(known)
        and verified["access"]["pruned"] == 0
    ), verified
    # What no entry says that Heddle removed is missing, the oldest too.
    for at in (0, 1):
        gone = segments(project)[at]
        kept = gone.read_bytes()
        gone.unlink()
        done = project.run("audit", "verify")
        assert done.code == 13 and "access-segment-missing" in done.err, done
        gone.write_bytes(kept)
    path = segments(project)[-1]
    whole = path.read_bytes()
    changed = pyarrow.parquet.read_table(path)
    at = changed.column_names.index("source")
    pyarrow.parquet.write_table(
        changed.set_column(at, "source", pyarrow.array(["two"] * changed.num_rows, "large_string")),
        path,
    )
    done = project.run("audit", "verify")
    assert done.code == 13 and "access-segment-changed" in done.err, done
    path.write_bytes(whole[:-100])
    done = project.run("audit", "verify")
    assert done.code == 13 and "access-segment-changed" in done.err, done
    path.write_bytes(whole)
    assert project.run("audit", "verify").code == 0


@case
def fields_and_the_bound(world):
    project = world.copy(world.released)
    project.edit(
        "services/late.yaml", "autonomy: act", "access_log: {fields: true, bytes: 1}\nautonomy: act"
    )
    project.apply()
    with Planes(project) as planes:
        some_segments(planes, 2)
        planes.until(lambda: len(segments(project)) == 1, "the newest is left")
        names, table = read_segment(segments(project)[0])
        rows_ = [dict(zip(names, r)) for r in table]
        assert json.loads(rows_[-1]["fields"])["origin"], rows_[-1]
        assert "sha256:" + root_of([leaf(r) for r in table]).hex() == roots(planes)[-1]["root"]
    verified = project.json("audit", "verify")
    assert (
        verified["audit"] == "ok"
        and verified["access"]["verified"] == 1
        and verified["access"]["pruned"] >= 1
    ), verified


@case
def killed_while_it_writes(world):
    """The control plane dies between a file and its entry, then at any time: no segment twice, none
    missing.
    """
    project = world.copy(world.released)
    points = world.dir / "failpoints"
    points.mkdir()
    os.environ["HEDDLE_FAILPOINTS"] = str(points)
    try:
        with Planes(project) as planes:
            planes.until(lambda: bad_input.served(planes), "the released bundle answers")
            some_segments(planes, 1)
            known = roots(planes)
            assert planes.predict({"rows": some_rows(20)}).status == 200
            (points / "control-access-written").touch()
            planes.kill("data")
            planes.until(
                lambda: not (points / "control-access-written").exists(),
                "the control plane died at the failpoint",
            )
            planes.until(planes.control_live, "the control plane is back")
            planes.until(lambda: len(roots(planes)) > len(known), "the segment was written again")
            assert roots(planes)[:-1] == known
    finally:
        del os.environ["HEDDLE_FAILPOINTS"]
    with Planes(project) as planes:
        for _ in range(4):
            planes.until(lambda: bad_input.served(planes), "the released bundle answers")
            assert planes.predict({"source": "two", "rows": some_rows(20)}).status == 200
            planes.kill("data")
            planes.kill("control")
            planes.until(planes.control_live, "the control plane is back")
        some_segments(planes, 1)

        def sent():
            return [r for path in segments(project) for r in read_segment(path)[1] if r[5] == "two"]

        # The control plane may have several segments to catch up with: all of them come, each row
        # once.
        planes.until(lambda: len(sent()) >= 4 * 20, "every answered row is in a segment")
        planes.until(
            lambda: len(roots(planes)) == len(segments(project)), "each segment is in the ledger"
        )
        assert (
            len(sent()) == len({(r[1], r[2]) for r in sent()}) == 80
        ), f"{len(sent())} rows, each once"
        numbers = [r["segment"] for r in roots(planes)]
        assert numbers == sorted(set(numbers)) == [int(p.stem) for p in segments(project)], (
            numbers,
            segments(project),
        )
    verified = project.json("audit", "verify")
    assert verified["audit"] == "ok" and verified["access"]["verified"] == len(numbers), verified


def main():
    os.environ["NO_COLOR"] = "1"
    world = World(sys.argv[1])
    try:
        world.candidate = bad_input.good_run(world.built)
        world.released = bad_input.make_released(world)
        return harness.run_cases(CASES, sys.argv[2:], world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
