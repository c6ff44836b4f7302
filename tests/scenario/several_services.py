#!/usr/bin/env python3
"""Three services of one project: in one process, each by itself.   several_services.py HEDDLE
[CASE...]      standard library only
"""

import http.client
import http.server
import json
import re
import socket
import sys
import threading

import harness
import small_project
from harness import Planes, World, refused, works

SERVICES = ("late", "second", "third")


def of_service(text, name):
    """A definition of service `late` as one of service `name`, on ports of its own."""
    text = re.sub(r"^name: late$", f"name: {name}", text, flags=re.M)
    text = re.sub(r"^service: late$", f"service: {name}", text, flags=re.M)
    text = re.sub(r"^monitor: late$", f"monitor: {name}", text, flags=re.M)
    return re.sub(
        r"^(port|grpc_port): .*$",
        lambda m: f"{m[1]}: {small_project.free_port()}",
        text,
        flags=re.M,
    )


def widen(project):
    """`second` and `third` beside `late`, of the same model."""
    for folder in ("services", "monitors"):
        text = (project.root / folder / "late.yaml").read_text()
        for name in SERVICES[1:]:
            (project.root / folder / (name + ".yaml")).write_text(of_service(text, name))
    project.edit(
        "people.yaml", "permissions: [predict, label]", "permissions: [predict, label, replay]"
    )
    project.edit(
        "policies/default.yaml",
        "failover:\n",
        '  - {id: recovery-acts, effect: allow, who: "agent:recover", action: ["incident.*",'
        " source.quarantine]}\nfailover:\n",
    )


def commit_all(project):
    small_project.subprocess.run(["git", "-C", str(project.root), "add", "-A"], check=True)
    project.commit()


def port_of(project, service):
    return int(
        re.search(r"^port: (\d+)", (project.root / f"services/{service}.yaml").read_text(), re.M)[1]
    )


def post(project, service, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(project, service), timeout=30)
    try:
        connection.request(
            "POST", path, json.dumps(body), {"Authorization": "Bearer " + project.token("caller")}
        )
        reply = connection.getresponse()
        return harness.Reply(reply.status, reply.headers, reply.read())
    finally:
        connection.close()


def answers(project, service):
    try:
        return (
            post(project, service, f"/v1/services/{service}/predict", {"rows": [row()]}).status
            == 200
        )
    except OSError:
        return False


def row(distance=560):
    return {
        "date": "2001-02-01T08:00:00Z",
        "distance": distance,
        "origin": "BBB",
        "destination": "CCC",
    }


def release(world, project, service):
    works(project.run("release", "promote", service, "--slot", "standby"))
    works(project.run("release", "promote", service, "--requester", "bob"))
    asked = [
        each for each in project.json("approval", "list")["approvals"] if each["state"] == "pending"
    ]
    works(project.run("approve", asked[0]["id"], "--person", "ann", "--key", world.keys / "ann"))


class Told(http.server.ThreadingHTTPServer):
    """Receives notifications: which service they are about, by the path they came to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.came = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.came.append((self.path, told["service"], told["kind"], told["next"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *unused):
        pass


class Load:
    """Sends rows to one service all the time; counts what was not answered 200 or not scored."""

    def __init__(self, project, service):
        self.project, self.service, self.sent, self.failed, self.ending = (
            project,
            service,
            0,
            [],
            False,
        )
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while not self.ending:
            reply = post(
                self.project,
                self.service,
                f"/v1/services/{self.service}/predict",
                {"rows": [row()], "event_time": "2001-02-01T08:00:00Z"},
            )
            self.sent += 1
            if reply.status != 200 or reply.json["predictions"][0]["probability"] is None:
                self.failed.append(repr(reply))

    def end(self):
        self.ending = True
        self.thread.join()


def an_incident_in_one(world):
    """The second one's source sends rows that break the contract: its incident is its own, and so
    are its names, notifications and quarantine.
    """
    project, told = world.copy(world.built), Told()
    widen(project)
    for name in SERVICES:
        project.edit(
            f"monitors/{name}.yaml",
            "cool_down: 1d",
            "cool_down: 1d\nnotifications:\n  - {url:"
            f' "http://127.0.0.1:{told.server_port}/{name}", secret: "${{env:TOLD}}",'
            " attempts: 3}",
        )
    commit_all(project)
    works(project.run("apply"))
    with Planes(project, "--lockstep", environment={"TOLD": "secret"}) as planes:
        for name in SERVICES:
            release(world, project, name)
            planes.until(lambda: answers(project, name), f"`{name}` answers")
        loads = [Load(project, name) for name in ("late", "third")]
        try:
            broken = lambda i: {
                "rows": [row(99_999)] * 50,
                "source": "one",
                "request_id": f"b-{i}",
                "event_time": f"2001-02-01T{i:02}:30:00Z",
            }
            for i in range(6):
                reply = post(project, "second", "/v1/services/second/predict", broken(i))
                assert reply.status in (200, 422), reply
                for name in SERVICES:
                    assert (
                        post(
                            project,
                            name,
                            f"/v1/services/{name}/tick",
                            {"event_time": f"2001-02-01T{i:02}:59:59Z"},
                        ).status
                        == 200
                    )
            incidents = lambda: project.json("incident", "list")["incidents"]
            planes.until(lambda: incidents(), "the broken source is an incident")
            planes.until(
                lambda: any(
                    service == "second" and kind == "incident" for _, service, kind, _ in told.came
                ),
                "its people are told",
            )
        finally:
            for load in loads:
                load.end()
        assert {each["service"] for each in incidents()} == {"second"}, incidents()
        assert not any(load.failed for load in loads) and all(load.sent for load in loads), [
            load.failed[:2] for load in loads
        ]
        for path, service, kind, _ in told.came:
            assert path == "/" + service, f"{kind} of `{service}` was sent to {path}"
        shown = next(
            following
            for _, service, kind, following in told.came
            if kind == "incident" and service == "second"
        )
        assert works(project.run(*shown.split()[1:])).out, shown
        # The same number in two services is two incidents: who names one says which.
        opened = works(
            project.run(
                "incident",
                "open",
                "late",
                "--reason",
                "looks odd",
                "--person",
                "ann",
                "--key",
                world.keys / "ann",
            )
        )
        assert "incident-0001" in opened.out + opened.err, opened
        refused(project.run("incident", "show", "incident-0001"), 7, "incident-ambiguous")
        for name in ("late", "second"):
            assert project.json("incident", "show", f"{name}/incident-0001")["service"] == name
        sources = {
            (each["service"], each["source"])
            for each in project.json("quarantine", "list")["sources"]
        }
        assert sources <= {("second", "one")}, sources
        # Another service's stop is its own.
        works(project.run("stop", "third"))
        planes.until(lambda: not answers(project, "third"), "the third is stopped")
        assert answers(project, "late") and answers(project, "second")
        return f"{sum(load.sent for load in loads)} requests to the others, 0 failed"


def one_that_cannot_serve(world):
    """A service whose port is taken keeps the others from nothing, and serves as soon as the port
    is free.
    """
    project = world.copy(world.built)
    widen(project)
    commit_all(project)
    works(project.run("apply"))
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port_of(project, "second")))
        taken.listen()
        planes = Planes(project)
        with planes:
            for name in SERVICES:
                release(world, project, name)
            planes.until(
                lambda: answers(project, "late") and answers(project, "third"), "the others answer"
            )
            planes.until(
                lambda: "service `second` does not serve" in planes.text(),
                "it is said that the second does not",
            )
            states = {each["name"]: each["state"] for each in project.json("status")["services"]}
            assert (
                states["late"] == states["third"] == "serving" and states["second"] != "serving"
            ), states
            taken.close()
            planes.until(
                lambda: answers(project, "second"), "the second answers when its port is free"
            )
            assert answers(project, "late") and answers(project, "third")
    return "the others went on"


def what_two_fight_over(world):
    """Ports and policies that two services or policies claim: found by `check`, nothing is
    applied.
    """
    project = world.copy(world.built)
    widen(project)
    first = port_of(project, "late")
    text = (project.root / "services/second.yaml").read_text()
    (project.root / "services/second.yaml").write_text(
        re.sub(r"^port: .*$", f"port: {first}", text, flags=re.M)
    )
    assert "port-in-use" in refused(project.run("check"), 2, "project-invalid").ids
    (project.root / "services/second.yaml").write_text(text)
    works(project.run("check"))
    (project.root / "policies/other.yaml").write_text(
        "apiVersion: heddle/v1\nkind: Policy\nname: other\nrules: []\nfailover: {allowed: false}\n"
    )
    done = refused(project.run("check"), 2, "project-invalid")
    assert (
        "policies-disagree" in done.ids
        and "`failover` of service `late` is in policy `default` too" in done.err
    ), done
    project.edit("policies/other.yaml", "rules: []", "services: [second]\nrules: []")
    done = refused(project.run("check"), 2, "project-invalid")
    assert done.ids.count("policies-disagree") == 1 and "`second`" in done.err, done
    project.edit("policies/default.yaml", "rules:\n", "services: [late, third]\nrules:\n")
    works(project.run("check"))
    return "each at its place"


def one_that_cannot_be_read(world):
    """A service whose route cannot be written is locked: nothing of it is decided, and the others
    go on.
    """
    project, told = world.copy(world.built), Told()
    widen(project)
    project.edit(
        "monitors/second.yaml",
        "cool_down: 1d",
        f'cool_down: 1d\nnotifications:\n  - {{url: "http://127.0.0.1:{told.server_port}/second",'
        ' secret: "${env:TOLD}", attempts: 3}',
    )
    commit_all(project)
    works(project.run("apply"))
    with Planes(project, environment={"TOLD": "secret"}) as planes:
        for name in SERVICES:
            release(world, project, name)
            planes.until(lambda: answers(project, name), f"`{name}` answers")
        route = project.root / ".heddle/routes/second.json"
        kept = route.read_bytes()
        route.unlink()
        route.mkdir()
        planes.kill("control")
        locked = lambda: {
            each["name"] for each in project.json("status")["services"] if "locked" in each
        }
        planes.until(
            lambda: planes.control_live() and locked() == {"second"}, "the second is locked"
        )
        planes.until(
            lambda: ("/second", "second", "service-locked", "heddle status") in told.came,
            "its people are told",
        )
        assert "LOCKED" in project.run("status").out
        open_incident = lambda name: project.run(
            "incident",
            "open",
            name,
            "--reason",
            "looks odd",
            "--person",
            "ann",
            "--key",
            world.keys / "ann",
        )
        works(open_incident("late"))
        refused(open_incident("second"), 10, "service-locked")
        works(project.run("incident", "list"))
        assert all(answers(project, name) for name in SERVICES)
        # Somebody mends it.
        route.rmdir()
        route.write_bytes(kept)
        planes.until(lambda: not locked(), "the second is decided about again")
        works(open_incident("second"))
        entries = [
            each["action"]
            for each in project.json("audit", "log")["decisions"]
            if each["action"].startswith("service.")
        ]
        assert entries == ["service.lock", "service.unlock"], entries
        works(project.run("audit", "verify"))
    return "the others went on"


CASES = [an_incident_in_one, one_that_cannot_serve, one_that_cannot_be_read, what_two_fight_over]

if __name__ == "__main__":
    world = World(sys.argv[1])
    try:
        sys.exit(harness.run_cases(CASES, sys.argv[2:], world))
    finally:
        world.close()
