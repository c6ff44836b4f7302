#!/usr/bin/env python3
"""`heddle score` through the real binary: the endpoint's bits, refused rows set apart, exit codes,
the ledger's entry, kills, with the planes up and down; then the access log that the same planes
wrote.

    score.py HEDDLE      standard library only; exit 0 when every case holds
"""

import csv
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bad_input  # noqa: E402
import harness
from harness import Planes, World  # noqa: E402
from small_project import rows  # noqa: E402

CASES = []
ROWS = 3000


def case(function):
    CASES.append(function)
    return function


def write_rows(path, count=ROWS, bad=7):
    """A CSV of `count` rows; of every `bad` one the distance is not its route's. Gives the rows as
    they are sent.
    """
    sent = []
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["key", "date", "distance", "origin", "destination"])
        for i, (date, distance, origin, destination, _) in enumerate(rows(count, seed=9)):
            distance += 1 if i % bad == bad - 1 else 0
            sent.append(
                {"date": date, "distance": distance, "origin": origin, "destination": destination}
            )
            out.writerow([f"k{i}", date, distance, origin, destination])
    return sent


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def scored(project, file, out, *words, code=0):
    done = project.run("--json", "score", file, "-o", out, "--service", "late", *words)
    assert done.code == code, done
    return json.loads(done.out) if code in (0, 20) else done


@case
def the_bits_of_the_endpoint(world):
    project = world.copy(world.released)
    file, out = world.dir / "bits.csv", world.dir / "bits.out.csv"
    sent = write_rows(file)
    with Planes(project) as planes:
        planes.until(lambda: bad_input.served(planes), "the released bundle answers")
        told = scored(project, file, out, "--max-refused", "0.5")
        served, refused = read(out), read(world.dir / "bits.out.refused.csv")
        assert (
            told["rows"] == ROWS
            and told["served"] == len(served)
            and told["refused"] == len(refused) == ROWS // 7
        ), told
        texts = {}
        for begin in range(0, ROWS, 500):
            reply = planes.predict({"rows": sent[begin : begin + 500]})
            assert reply.status == 200, reply
            # As it was written: the text of the number, not what a parser makes of it.
            raw = json.loads(reply.body, parse_float=str)
            assert raw["bundle"] == told["bundle"]
            for i, prediction in enumerate(raw["predictions"]):
                texts[f"k{begin + i}"] = prediction
        for row in served:
            assert texts[row["key"]]["probability"] == row["probability"], (row, texts[row["key"]])
            assert row["bundle"] == told["bundle"] and row["validation"] == ""
        for row in refused:
            assert (
                texts[row["key"]]["probability"] is None
                and ",".join(texts[row["key"]]["validation"])
                == row["validation"]
                == "route-fixes-distance"
            )
        # The other slot, by name and by digest.
        standby = scored(
            project, file, world.dir / "standby.csv", "--max-refused", "1", "--slot", "standby"
        )
        assert standby["bundle"] != told["bundle"]
        again = scored(
            project,
            file,
            world.dir / "digest.csv",
            "--max-refused",
            "1",
            "--slot",
            standby["bundle"],
        )
        assert (world.dir / "digest.csv").read_bytes() == (
            world.dir / "standby.csv"
        ).read_bytes() and again["output"] == standby["output"]
    # And without planes: the same bytes.
    before = out.read_bytes()
    told = scored(project, file, out, "--max-refused", "0.5", "--threads", "3")
    assert out.read_bytes() == before


@case
def exit_codes(world):
    project = world.copy(world.released)
    file, out = world.dir / "codes.csv", world.dir / "codes.out.parquet"
    write_rows(file, 700)
    scored(project, file, out, code=20)
    assert (
        out.exists() and (world.dir / "codes.out.refused.parquet").exists()
    ), "what was served is there all the same"
    scored(project, file, out, "--max-refused", "0.2")
    for words, code, id_ in (
        (["score", world.dir / "absent.csv", "-o", out, "--service", "late"], 6, "table-missing"),
        (["score", file, "-o", out, "--service", "other"], 6, "service-unknown"),
        (["score", file, "-o", out, "--service", "late", "--slot", "shadowy"], 2, "slot-unknown"),
        (
            ["score", file, "-o", out, "--service", "late", "--slot", "sha256:" + "0" * 64],
            6,
            "bundle-not-released",
        ),
        (["score", file, "-o", world.dir / "out.txt", "--service", "late"], 2, "table-extension"),
        (["score", file, "-o", file, "--service", "late"], 2, "score-same-file"),
    ):
        bad_input.refused(project.run(*words), code, id_)
    other = world.dir / "other.csv"
    other.write_text("date,origin\n2001-01-01,AAA\n")
    bad_input.refused(
        project.run("score", other, "-o", out, "--service", "late"), 3, "column-missing"
    )
    bad_input.refused(
        world.copy(world.built).run("score", file, "-o", out, "--service", "late"),
        10,
        "service-no-release",
    )
    project.edit("policies/default.yaml", "score.batch", "score.other")
    project.apply()
    fresh = world.dir / "denied.csv"
    bad_input.refused(
        project.run("score", file, "-o", fresh, "--service", "late"), 5, "score-denied"
    )
    assert not fresh.exists() and not list(
        world.dir.glob("denied*")
    ), "what policy denies leaves no file"


@case
def on_record(world):
    project = world.copy(world.released)
    file, out = world.dir / "record.csv", world.dir / "record.out.csv"
    write_rows(file, 700)
    told = scored(project, file, out, "--max-refused", "1")
    with Planes(project) as planes:
        entries = planes.operation("decision.list", {"from": told["entry"]}).json["decisions"]
        entry = [e for e in entries if e["action"] == "score.batch"][0]
        assert (
            entry["decision"] == "allow"
            and entry["attributes"]["rows"] == 700
            and entry["attributes"]["broke.route-fixes-distance"] == 100
        ), entry
        batches = planes.operation("metric.series", {"service": "late"}).json["batches"]
        assert (
            len(batches) == 1
            and batches[0]["input"] == told["input"]
            and sum(batches[0]["scores"]["counts"]) == 600
        ), batches
        text = json.dumps(entry) + json.dumps(batches)
        assert '"AAA"' not in text and "k6" not in text, "no values of rows"
        assert [m["id"] for m in batches[0]["metrics"]] == ["distance"], batches[0]["metrics"]


@case
def full_disk(world):
    project = world.copy(world.released)
    file = world.dir / "disk.csv"
    write_rows(file, 20000)
    for out in (world.dir / "disk.out.csv", world.dir / "disk.out.parquet"):

        def bound():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

        done = project.run(
            "score",
            file,
            "-o",
            out,
            "--service",
            "late",
            "--max-refused",
            "1",
            preexec_fn=bound,
            restore_signals=False,
        )
        bad_input.refused(done, 12, "table-write")
        assert not list(world.dir.glob("disk.out*")), "nothing half-written"
        scored(project, file, out, "--max-refused", "1")
        out.unlink(), pathlib.Path(str(out).replace(".out.", ".out.refused.")).unlink()


@case
def killed_while_it_scores(world):
    project = world.copy(world.released)
    file, out = world.dir / "kill.csv", world.dir / "kill.out.csv"
    write_rows(file, 60000)
    part = pathlib.Path(f"{out}.part")
    words = [
        project.heddle,
        "--project",
        str(project.root),
        "score",
        str(file),
        "-o",
        str(out),
        "--service",
        "late",
        "--max-refused",
        "1",
    ]
    killed = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while killed.poll() is None and not (part.exists() and part.stat().st_size > 0):
        time.sleep(0.001)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert killed.returncode == -signal.SIGKILL and not out.exists(), "nothing half-written"
    told = scored(project, file, out, "--max-refused", "1")
    assert told["rows"] == 60000 and not part.exists() and len(read(out)) == told["served"]


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
