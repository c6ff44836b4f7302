"""What hostile clients do, one act a call, drawn by a seed. Each is harmless to software that is
not ours: it is sent to the planes under test only. An abuse is a function of a `Hostile`; it
returns what came of it in a word.
"""

import contextlib
import gzip
import http.client
import json
import random
import socket
import struct

FAR = [
    9223372036854775807,
    -9223372036854775808,
    4102444800000000,
    253402300799000000,
    1,
    -1,
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "2199-12-31T23:59:59Z",
    "1899-12-31T00:00:00Z",
    "next year",
    1e300,
    None,
    True,
]
MOST_HELD = 60


class Hostile:
    """One client with the tokens of every hostile account. `held`: connections that it opens and
    leaves.
    """

    def __init__(self, target, seed):
        self.target, self.draw = target, random.Random(seed)
        self.held, self.count = [], 0

    def close(self):
        for each in self.held:
            each.close()
        self.held = []

    def post(self, path, body, account=None, headers=None):
        token = self.target["tokens"].get(account, "0" * 48)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.target["port"], timeout=20)
        try:
            connection.request(
                "POST", path, data, {"Authorization": "Bearer " + token, **(headers or {})}
            )
            reply = connection.getresponse()
            reply.read()
            return str(reply.status)
        except (OSError, http.client.HTTPException):
            return "closed"
        finally:
            connection.close()

    def predict(self, rows, account, **members):
        return self.post("/v1/services/late/predict", {"rows": rows, **members}, account)

    def raw(self, data, port=None, hold=False, wait=True):
        with contextlib.suppress(OSError):
            connection = socket.create_connection(
                ("127.0.0.1", port or self.target["port"]), timeout=5
            )
            connection.sendall(data)
            if hold:
                self.held.append(connection)
                while len(self.held) > MOST_HELD:
                    self.held.pop(self.draw.randrange(len(self.held))).close()
                return "held"
            with connection:
                answer = connection.recv(64) if wait else b""
                return (
                    answer[9:12].decode(errors="replace")
                    if answer.startswith(b"HTTP/")
                    else "closed"
                )
        return "closed"

    def row(self, **changes):
        return {**self.draw.choice(self.target["rows"]), **changes}

    def name(self):
        self.count += 1
        return f"h{self.draw.getrandbits(40):x}-{self.count}"

    def honest_id(self):
        """The id of a request that an honest client sent or will send."""
        return f"honest-{self.draw.randrange(20_000)}"


# Nobody's token.


def heads_by_hand(h):
    heads = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length:"
            b" 3\r\n\r\n0\r\n\r\n"
        ),
        b"GET / HTTP/1.1\nHost: localhost\n\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 3000 + b"\r\n",
        (
            b"POST /v1/services/late/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:"
            b" chunked\r\n\r\nfffffffffffffffff\r\n"
        ),
        b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\0" * 200,
    ]
    data = bytearray(h.draw.choice(heads))
    if h.draw.random() < 0.5:  # mutated
        for _ in range(h.draw.randrange(1, 5)):
            data[h.draw.randrange(len(data))] = h.draw.randrange(256)
    return h.raw(bytes(data) + b"\r\n\r\n")


def silence(h):
    return h.raw(
        h.draw.choice(
            [
                b"",
                b"GET / HT",
                (
                    b"POST /v1/services/late/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
                    b" 100000\r\n\r\n{"
                ),
            ]
        ),
        hold=True,
    )


def http2_by_hand(h):
    frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00\0\0\0\0"
    for _ in range(h.draw.randrange(1, 30)):
        body = h.draw.randbytes(h.draw.randrange(0, 40))
        frames += (
            struct.pack(">I", len(body))[1:]
            + bytes([h.draw.randrange(12), h.draw.randrange(256)])
            + struct.pack(">I", h.draw.randrange(5))
            + body
        )
    return h.raw(frames, port=h.target["grpc_port"])


def without_a_token(h):
    path = h.draw.choice(
        [
            "/v1/services/late/predict",
            "/v1/services/late/labels",
            "/v1/services/late/tick",
            "/v1/services/late/stop",
            "/v2/models/late/infer",
            "/metrics",
            "/v1/services/../late",
        ]
    )
    return h.post(
        path,
        {"rows": [h.row()]},
        None,
        h.draw.choice([{}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}]),
    )


def control_without_a_right(h):
    """The control plane's port: nobody, and every account."""
    account = h.draw.choice([None, *h.target["tokens"]])
    name = h.draw.choice(
        [
            "stop",
            "resume",
            "release.promote",
            "approval.approve",
            "quarantine.add",
            "incident.close",
            "definition.apply",
            "audit.rebuild",
            "no.such",
            "../stop",
        ]
    )
    if account == "eve-stops" and name == "stop":
        name = "resume"
    body = json.dumps(
        h.draw.choice(
            [
                {"service": "late"},
                {"service": "late", "source": "one", "reason": "x", "requester": "ann"},
                {str(i): i for i in range(20_000)},
                [],
            ]
        )
    ).encode()
    head = (
        f"POST /v1/ops/{name} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer"
        f" {h.target['tokens'].get(account, 'none')}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return h.raw(head.encode() + body, port=h.target["control_port"])


# Whoever may predict.


def rows_that_break(h):
    bad = h.draw.choice(
        [
            {"distance": -1},
            {"distance": None},
            {"origin": "???"},
            {"nonsense": 1},
            {"origin": [1]},
            {"distance": 5999},
            {"date": "never"},
        ]
    )
    source = h.draw.choice([{}, {"source": "one"}, {"source": "two"}, {"source": "three"}])
    return h.predict([h.row(**bad) for _ in range(100)], "eve-predicts", **source)


def rows_that_drift(h):
    """Valid, and none like those that it learned from."""
    return h.predict(
        [
            h.row(origin="FFF", destination="EEE", distance=1460, date="2001-03-05T23:30:00Z")
            for _ in range(200)
        ],
        "eve-predicts",
        source=h.draw.choice(["one", "two"]),
    )


def long_and_stolen_ids(h):
    return h.predict(
        [h.row()] * h.draw.choice([1, 500]),
        "eve-predicts",
        request_id=h.draw.choice([h.name() * 3, ("i" * 128)[:127], h.honest_id(), "a\nb", ""]),
    )


def wide_requests(h):
    return h.predict(
        [h.row()] * h.draw.choice([1023, 1024, 1025, 5000]), "eve-predicts", request_id=h.name()
    )


def explanations(h):
    return h.predict([h.row()] * h.draw.choice([32, 33]), "eve-predicts", explain=True)


def times_not_allowed(h):
    return h.predict([h.row()], "eve-predicts", event_time=h.draw.choice(FAR))


def odd_bodies(h):
    bodies = [
        b"[" * 50_000,
        b'{"rows":' + b"[" * 2000 + b"]" * 2000 + b"}",
        json.dumps({"rows": [{str(i): i for i in range(50_000)}]}).encode(),
        b'{"rows":[{"distance":1e400}]}',
        b'{"rows":[{"a":1,"a":2}]}',
        b'\xff\xfe{"rows":[]}',
        b"",
        b"{",
        b'{"rows":[]}' * 1000,
        b"9" * 1_000_000,
    ]
    return h.post("/v1/services/late/predict", h.draw.choice(bodies), "eve-predicts")


def inflated_bodies(h):
    return h.post(
        "/v1/services/late/predict",
        gzip.compress(b" " * 20_000_000, 1),
        "eve-predicts",
        {"Content-Encoding": "gzip"},
    )


def tensors(h):
    shape = h.draw.choice([[1], [-1], [2**40], [0], [1, 1, 1], "x"])
    return h.post(
        "/v2/models/late/infer",
        {
            "inputs": [
                {
                    "name": "distance",
                    "datatype": h.draw.choice(["INT64", "FP32", "BYTES", "NONE"]),
                    "shape": shape,
                    "data": h.draw.choice([[1], [], ["a"], [1e308]]),
                }
            ]
        },
        "eve-predicts",
    )


def past_its_rights(h):
    account = h.draw.choice(["eve-predicts", "eve-labels", "eve-reads"])
    path = h.draw.choice(["stop", "tick", "labels" if account != "eve-labels" else "predict"])
    return h.post(
        f"/v1/services/late/{path}",
        {
            "event_time": "2001-03-09T00:00:00Z",
            "labels": [{"row_id": "a#0", "label": 1}],
            "rows": [h.row()],
        },
        account,
    )


# Whoever may label.


def labels_turned_over(h):
    return h.post(
        "/v1/services/late/labels",
        {"labels": [{"row_id": h.honest_id() + "#0", "label": 1} for _ in range(500)]},
        "eve-labels",
    )


def labels_of_nothing(h):
    return h.post(
        "/v1/services/late/labels",
        {
            "labels": [
                {"row_id": f"{h.name()}#{i}", "label": i % 2}
                for i in range(h.draw.choice([1, 10_000, 10_001]))
            ]
        },
        "eve-labels",
    )


def labels_of_other_times(h):
    return h.post(
        "/v1/services/late/labels",
        {
            "labels": [
                {"row_id": f"{h.honest_id()}#0", "label": 1, "event_time": h.draw.choice(FAR)}
                for _ in range(50)
            ]
        },
        "eve-labels",
    )


def labels_that_are_none(h):
    return h.post(
        "/v1/services/late/labels",
        {
            "labels": [
                {
                    "row_id": h.draw.choice(
                        ["", "a", "a#", "#0", "a#-1", "a#99999999999", "x" * 5000 + "#0"]
                    ),
                    "label": h.draw.choice([0.7, -5, 1e308, "yes", None, [1]]),
                }
                for _ in range(100)
            ]
        },
        "eve-labels",
    )


# Whoever may replay.


def times_out_of_this_world(h):
    return h.predict([h.row()], "eve-replays", event_time=h.draw.choice(FAR))


def ticks_out_of_this_world(h):
    return h.post("/v1/services/late/tick", {"event_time": h.draw.choice(FAR)}, "eve-replays")


# Whoever may stop, and a process of another user on the same machine.


def stops(h):
    for _ in range(20):
        said = h.post("/v1/services/late/stop", {}, "eve-stops")
    return said


def neighbour(h):
    """The owner's sockets, without the secret; other people's files."""
    body = b'{"service":"late"}'
    request = (
        b"POST /v1/ops/stop HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer"
        b" %s\r\nContent-Length: %d\r\n\r\n"
        % (h.draw.choice([b"", b"0" * 64, h.target["tokens"]["eve-reads"].encode()]), len(body))
        + body
    )
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(h.target["control_socket"])
            connection.sendall(request)
            return connection.recv(64)[9:12].decode()
    return "closed"


WEIGHTS = {
    heads_by_hand: 8,
    silence: 8,
    http2_by_hand: 4,
    without_a_token: 4,
    control_without_a_right: 4,
    rows_that_break: 8,
    rows_that_drift: 4,
    long_and_stolen_ids: 6,
    wide_requests: 3,
    explanations: 2,
    times_not_allowed: 2,
    odd_bodies: 4,
    inflated_bodies: 1,
    tensors: 3,
    past_its_rights: 3,
    labels_turned_over: 6,
    labels_of_nothing: 4,
    labels_of_other_times: 3,
    labels_that_are_none: 3,
    times_out_of_this_world: 3,
    neighbour: 3,
    stops: 0.05,
}
# Who may replay sets the service's clock: where it is led far ahead, nothing is watched until a
# person leads it back. So that comes last.
LAST = {ticks_out_of_this_world: 4}
ACCOUNTS = {
    "eve-predicts": "predict",
    "eve-labels": "label",
    "eve-replays": "predict, replay",
    "eve-stops": "stop",
    "eve-reads": "read",
}
