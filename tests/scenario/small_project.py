"""A small project that behaves like examples/flights: 20,000 seeded rows as CSV, one model, one
service.   small_project.py DIR
"""

import contextlib
import datetime
import math
import os
import pathlib
import pwd
import random
import shutil
import socket
import subprocess
import sys

PLACES = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"]

FILES = {
    "heddle.yaml": (
        """\
apiVersion: heddle/v1
kind: Project
name: trips
owners: [ann]
sources:
  trips: data/trips.csv
  places: data/places.csv
control_port: {control_port}
"""
    ),
    "people.yaml": (
        """\
apiVersion: heddle/v1
kind: People
people:
  - name: ann
    roles: [ml-engineer, approver]
    keys: ["{ann}"]
  - name: bob
    roles: [ml-engineer, approver]
    keys: ["{bob}"]
    os_users: ["{user}"]
service_accounts:
  - name: caller
    permissions: [predict, label]
  - name: reader
    permissions: [read]
  - name: stopper
    permissions: [stop]
"""
    ),
    "contracts/trips.odcs.yaml": (
        """\
apiVersion: v3.2.0
kind: DataContract
id: trips
name: trips
version: 1.0.0
status: active
schema:
  - name: trips
    logicalType: object
    properties:
      - {name: date, logicalType: timestamp, required: true}
      - {name: distance, logicalType: integer, required: true,
         logicalTypeOptions: {minimum: 10, maximum: 6000}}
      - name: origin
        logicalType: string
        required: true
        customProperties:
          - {property: enumFile, vendor: heddle, value: {file: places, column: code}}
      - name: destination
        logicalType: string
        required: true
        customProperties:
          - {property: enumFile, vendor: heddle, value: {file: places, column: code}}
      - name: delay
        logicalType: integer
        required: true
        customProperties:
          - {property: role, vendor: heddle, value: label}
    quality:
      - id: route-fixes-distance
        type: custom
        engine: heddle
        severity: error
        implementation: {dependency: {determinant: [origin, destination], dependent: distance}}
"""
    ),
    "features/trips.yaml": (
        """\
apiVersion: heddle/v1
kind: FeatureSet
name: trips
contract: trips
folds: 3
features:
  - name: hour
    expression: date.getHours()
  - name: miles
    expression: distance
  - name: origin_late
    target_encoding: {inputs: [origin], smoothing: 50}
  - name: origin_share
    frequency_encoding: {inputs: [origin]}
"""
    ),
    "models/late.yaml": (
        """\
apiVersion: heddle/v1
kind: Model
name: late
features: trips
target: delay > 15
train:
  source: trips
  time_field: date
  from: "2001-01-01"
  to: "2001-03-01"
  validation_fraction: 0.1
  test_fraction: 0.1
trainer: xgboost
parameters:
  objective: binary:logistic
  tree_method: hist
search:
  trials: 2
  parallel: 2
  startup: 2
  early_stopping_rounds: 5
  max_rounds: 15
  rows: 5000
  space:
    - {name: max_depth, kind: integer, low: 2, high: 4}
standby:
  trainer: logistic
seed: 7
"""
    ),
    "evaluations/late.yaml": (
        """\
apiVersion: heddle/v1
kind: Evaluation
name: late
model: late
metrics:
  - name: auc
  - name: log_loss
gates:
  - {id: better-than-a-coin, when: metrics.auc > 0.55, description: random order is 0.5}
"""
    ),
    "monitors/late.yaml": (
        """\
apiVersion: heddle/v1
kind: Monitor
name: late
service: late
window: 1d
window_rows: 500
label_delay: 1d
label_retention: 7d
distributions:
  - {name: distance, column: distance, kind: ks, floor: 0.1, sds: 3}
quality:
  chunk_duration: 1d
  chunk_rows: 2000
  alert_twice: 1.0
  alert_once: 1.15
  sds: 3
  prior_shift: 0.5
  prior_shift_chunks: 7
refused_share: 0.02
refused_rows: 50
cool_down: 1d
"""
    ),
    "policies/default.yaml": (
        """\
apiVersion: heddle/v1
kind: Policy
name: default
rules:
  - id: engineers-start
    effect: allow
    who: ["role:ml-engineer", "system:*"]
    action: [run.start, definition.apply]
  - id: promotion-needs-a-person
    effect: require_approval
    who: ["person:*", "role:ml-engineer", "agent:recover", "system:*"]
    action: release.promote
    when: attributes.slot == "primary"
    needs: {approvals: 1, role: approver, within: 7d}
  - id: standby-is-free
    effect: allow
    who: ["person:*", "role:ml-engineer", "system:*"]
    action: release.promote
    when: attributes.slot == "standby"
  - id: people-act
    effect: allow
    who: ["role:ml-engineer", "system:*"]
    action: ["slot.swap", "source.*", "incident.*", "service.*", "label.*", "rows.*",
             release.rollback]
  - id: files-are-scored
    effect: allow
    who: ["role:ml-engineer", "system:*"]
    action: score.batch
failover:
  allowed: true
"""
    ),
    "services/late.yaml": (
        """\
apiVersion: heddle/v1
kind: Service
name: late
model: late
monitor: late
sources: [one, two]
host: 127.0.0.1
port: {port}
grpc_port: {grpc_port}
limits:
  body_bytes: 4194304
  batch_rows: 1024
autonomy: act
readmit_after: 20
"""
    ),
}


def free_port():
    """Below the ports that Linux gives to connections: one of those may be taken by a client of
    another test when a plane starts again.
    """
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def os_user():
    """The user of the system that runs the commands, as people.yaml has it."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def rows(count=20000, seed=1):
    """(date, distance, origin, destination, delay): late by hour and origin; the distance is fixed
    by the route.
    """
    draw = random.Random(seed)
    start = datetime.datetime(2001, 1, 1)
    for i in range(count):
        when = start + datetime.timedelta(minutes=4 * i + draw.randrange(4))
        origin, destination = draw.sample(range(len(PLACES)), 2)
        distance = 100 + 150 * (origin + destination) + 10 * abs(origin - destination)
        margin = -2.0 + 0.12 * when.hour + 0.3 * origin
        late = draw.random() < 1 / (1 + math.exp(-margin))
        yield (
            when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            distance,
            PLACES[origin],
            PLACES[destination],
            30 if late else draw.randrange(-5, 15),
        )


def key(path, name):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True
    )
    return pathlib.Path(f"{path}.pub").read_text().strip()


def make(root, count=20000):
    """Writes the project into `root`, keys of its people into `root`-keys, and commits it."""
    root = pathlib.Path(root)
    keys = root.parent / (root.name + "-keys")
    keys.mkdir(parents=True)
    values = {
        "control_port": free_port(),
        "port": free_port(),
        "grpc_port": free_port(),
        "user": os_user(),
        "ann": key(keys / "ann", "ann"),
        "bob": key(keys / "bob", "bob"),
    }
    key(keys / "eve", "eve")
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        for what, value in values.items():
            text = text.replace("{" + what + "}", str(value))
        file.write_text(text)
    (root / "data").mkdir()
    with open(root / "data/trips.csv", "w") as file:
        file.write("date,distance,origin,destination,delay\n")
        file.writelines(",".join(map(str, row)) + "\n" for row in rows(count))
    (root / "data/places.csv").write_text("code\n" + "".join(p + "\n" for p in PLACES))
    (root / ".gitignore").write_text("/.heddle/\n/data/\n")
    git = [
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "-c",
        "commit.gpgsign=false",
    ]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "trips"]):
        subprocess.run(
            git + words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    return root


if __name__ == "__main__":
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    shutil.rmtree(sys.argv[1] + "-keys", ignore_errors=True)
    make(sys.argv[1])
