#!/usr/bin/env python3
"""Every route of the data plane and every operation of the control plane, by every account that may
not and by every form of a token that is none: nobody gets a 2xx who may not have it, and everybody
is told why.

    rights.py HEDDLE ROOT      the operations are those of docs/operations.md
"""

import http.client
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import Planes, World  # noqa: E402
from survive import row  # noqa: E402

SERVICE = "/v1/services/late"
READ, WRONG = {"read", "predict"}, "0" * 48
ROUTES = [
    ("POST", SERVICE + "/predict", {"predict"}),
    ("POST", SERVICE + "/labels", {"label"}),
    ("POST", SERVICE + "/tick", {"replay"}),
    ("POST", SERVICE + "/stop", {"stop"}),
    ("GET", SERVICE, READ),
    ("GET", "/metrics", {"read"}),
    ("GET", "/v2", READ),
    ("GET", "/v2/models/late", READ),
    ("GET", "/v2/models/late/config", READ),
    ("GET", "/v2/models/late/stats", READ),
    ("GET", "/v2/models/late/versions/primary", READ),
    ("POST", "/v2/models/late/infer", {"predict"}),
    ("POST", "/v2/models/late/versions/standby/infer", {"predict"}),
    ("POST", "/v2/repository/index", READ),
]
OPEN = ["/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"]


def operations(root):
    """Names and permissions, as docs/operations.md has them."""
    text = (pathlib.Path(root) / "docs/operations.md").read_text()
    return re.findall(r"^\| `([a-z]+(?:\.[a-z]+)?)` \| (read|operate|stop|owner) \|", text, re.M)


def permissions(project):
    text = (project.root / "people.yaml").read_text().split("service_accounts:")[1]
    return {
        name: set(re.findall(r"\w+", may))
        for name, may in re.findall(r"- name: (\w+)\n    permissions: \[([^]]*)\]", text)
    }


def forged(token):
    """Forms of `Authorization` that are nobody's; each a list of header values."""
    return {
        "none": [],
        "empty": [""],
        "no token": ["Bearer "],
        "other scheme": [f"Basic {token}"],
        "unknown": [f"Bearer {WRONG}"],
        "cut": [f"Bearer {token[:-1]}"],
        "longer": [f"Bearer {token}0"],
        "other case": [f"Bearer {token.upper()}"],
        "a space within": [f"Bearer {token[:9]} {token[9:]}"],
        "tab": [f"Bearer\t{token}"],
        "two tokens": [f"Bearer {token},{token}"],
        "two headers": [f"Bearer {token}", f"Bearer {WRONG}"],
        "two headers, the last right": [f"Bearer {WRONG}", f"Bearer {token}"],
        "the token alone": [token],
    }


class Asking:
    def __init__(self, port):
        self.port, self.asked, self.problems = port, 0, []

    def status(self, method, path, body, values):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path)
            for value in values:
                connection.putheader("Authorization", value)
            data = json.dumps(body).encode() if method == "POST" else b""
            connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            self.asked += 1
            return connection.getresponse().status
        finally:
            connection.close()

    def refused(self, who, method, path, body, values, expected):
        status = self.status(method, path, body, values)
        if status not in expected:
            self.problems.append(f"{method} {path} by {who}: {status}, not {expected}")


def ask_all(asking, routes, accounts, tokens, body):
    """`routes`: (method, path, permissions of which one is enough)."""
    for method, path, wanted in routes:
        for account, may in accounts.items():
            if not may & wanted:
                asking.refused(account, method, path, body, [f"Bearer {tokens[account]}"], {403})
        able = next(
            (account for account, may in accounts.items() if may & wanted), next(iter(accounts))
        )
        for form, values in forged(tokens[able]).items():
            asking.refused(
                form,
                method,
                path,
                body,
                values,
                {400, 401} if form.startswith("two headers") else {401},
            )
        asking.refused(
            "a token in the query",
            method,
            f"{path}?token={tokens[able]}&access_token={tokens[able]}",
            body,
            [],
            {401},
        )


def main(binary, root):
    world = World(binary)
    try:
        project = world.copy(world.built)
        accounts = permissions(project)
        with Planes(project) as planes:
            planes.release(world)
            tokens = {account: project.token(account) for account in accounts}
            data = Asking(project.port())
            for path in OPEN:
                assert data.status("GET", path, None, []) == 200, path
            ask_all(
                data,
                ROUTES,
                accounts,
                tokens,
                {
                    "rows": [row(project)],
                    "labels": [{"row_id": "a#0", "label": 1}],
                    "event_time": "2001-03-01T00:00:00Z",
                },
            )
            control = Asking(
                int(
                    re.search(r"control_port: (\d+)", (project.root / "heddle.yaml").read_text())[1]
                )
            )
            known = operations(root)
            assert len(known) > 25, known
            # No account of this project has `operate`, and none can have `owner`: nobody does these
            # over TCP.
            routes = [("POST", f"/v1/ops/{name}", {permission}) for name, permission in known]
            ask_all(control, routes, accounts, tokens, {"service": "late"})
            problems = data.problems + control.problems
            if planes.get(SERVICE).json["stopped"]:
                problems.append("something stopped the service")
            print("\n".join(problems))
            print(
                f"{len(ROUTES)} routes and {len(known)} operations, {data.asked + control.asked}"
                f" requests, {len(problems)} answered otherwise than they must be"
            )
            return 1 if problems else 0
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
