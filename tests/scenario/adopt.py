#!/usr/bin/env python3
"""`heddle init --model`: models that were fitted elsewhere, each served as its own library answers.
Every printed command runs as printed. What the owner's code says of the rows of the sample, in the
owner's environment, is what files, requests and the Python client say.

    adopt.py HEDDLE PYTHON [CASE...]    PYTHON: an environment with tests/trainers.txt; needs
                                        tests/requirements.txt; exit 0 when every case holds
"""

import http.server
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))

import numpy  # noqa: E402
import pandas  # noqa: E402

import heddle  # noqa: E402
import init as drafts  # noqa: E402
from harness import Ran, refused, run_cases, works  # noqa: E402
from small_project import free_port  # noqa: E402

# What an owner does: read the file, fit, write the model, and say what it answers. `row`: of the
# sample, and then rows that are odd.
MODELS = """\
import json, pathlib, sys
import numpy, pandas

root, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
sample = pandas.read_csv(root / "sample.csv")
asked = pandas.read_csv(root / "asked.csv")
numbers = ["age", "income", "member"]
fields = ["age", "income", "city", "member"]
bought = (sample["bought"] == "yes").astype(int)


def said(answers):
    (root / "said.json").write_text(json.dumps([float(numpy.float32(x)) for x in answers]))


if kind == "xgboost":
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=25, max_depth=3).fit(sample[numbers], bought)
    model.get_booster().save_model(root / "model.ubj")
    said(model.predict_proba(asked[numbers])[:, 1])
elif kind == "pipeline":
    import joblib
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
    )
    model = make_pipeline(columns, LogisticRegression()).fit(sample[fields], sample["bought"])
    joblib.dump(model, root / "model.joblib")
    said(model.predict_proba(asked[fields])[:, 1])
elif kind == "lightgbm":
    import lightgbm

    def frame(rows):
        cities = sorted(sample["city"].unique())
        return rows[fields].assign(city=pandas.Categorical(rows["city"], cities))

    options = {"objective": "binary", "verbose": -1, "num_leaves": 7, "seed": 1}
    model = lightgbm.train(options, lightgbm.Dataset(frame(sample), bought), 25)
    model.save_model(root / "model.txt")
    said(model.predict(frame(asked)))
elif kind == "catboost":
    import catboost

    model = catboost.CatBoostClassifier(
        iterations=25, depth=3, verbose=0, allow_writing_files=False, random_seed=1
    )
    model.fit(sample[fields], sample["bought"], cat_features=["city"])
    model.save_model(str(root / "model.cbm"))
    said(model.predict_proba(asked[fields])[:, 1])
elif kind == "regression":
    import lightgbm

    options = {"objective": "regression", "verbose": -1, "num_leaves": 7, "seed": 1}
    model = lightgbm.train(options, lightgbm.Dataset(sample[numbers], sample["spent"]), 25)
    model.save_model(root / "model.txt")
    said(model.predict(asked[numbers]))
elif kind == "classes":
    import xgboost

    names = sorted(sample["plan"].unique())
    codes = sample["plan"].map(names.index)
    model = xgboost.XGBClassifier(n_estimators=12, max_depth=3).fit(sample[numbers], codes)
    model.get_booster().save_model(root / "model.json")
    said(model.predict_proba(asked[numbers]).reshape(-1))
elif kind == "mlflow":
    import cloudpickle
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(30, max_depth=5, random_state=1).fit(
        sample[numbers].fillna(0).to_numpy(), bought
    )
    folder = root / "logged"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
    said(model.predict_proba(asked[numbers].fillna(0).to_numpy())[:, 1])
elif kind == "onnx":
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import RandomForestClassifier
    import onnxruntime

    x = sample[numbers].fillna(0).to_numpy(numpy.float32)
    model = RandomForestClassifier(20, max_depth=5, random_state=1).fit(x, bought)
    graph = skl2onnx.convert_sklearn(
        model, initial_types=[("x", FloatTensorType([None, 3]))], options={"zipmap": False}
    )
    (root / "model.onnx").write_bytes(graph.SerializeToString())
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    rows = asked[numbers].fillna(0).to_numpy(numpy.float32)
    said(session.run(["probabilities"], {"x": rows})[0][:, 1])
"""
MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.7
  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.9.1
mlflow_version: 3.17.2
signature:
  inputs: '[{"type": "long", "name": "age", "required": true}, {"type": "double", "name":
    "income", "required": true}, {"type": "boolean", "name": "member", "required": true}]'
  outputs: '[{"type": "long", "required": true}]'
utc_time_created: '2026-11-30 00:00:00'
"""
ROWS = 900


def sample_of(seed=5):
    """Customers: who bought, what they spent, which plan they took."""
    draw = numpy.random.default_rng(seed)
    age = draw.integers(18, 80, ROWS)
    income = draw.normal(40000, 9000, ROWS).round(2)
    city = draw.choice(["Bern", "Oslo", "Paris", "Rom"], ROWS)
    member = draw.random(ROWS) < 0.4
    odds = (age - 45) / 12 + (income - 40000) / 8000 + 1.5 * (city == "Rom") - member
    frame = pandas.DataFrame({"age": age, "income": income, "city": city, "member": member})
    frame.loc[draw.random(ROWS) < 0.06, "income"] = numpy.nan
    frame["bought"] = numpy.where(draw.random(ROWS) < 1 / (1 + numpy.exp(-odds)), "yes", "no")
    frame["spent"] = (20 + age / 3 + income / 4000 + draw.normal(0, 4, ROWS)).round(2)
    score = odds + draw.normal(0, 0.6, ROWS)
    frame["plan"] = numpy.select([score < -1, score < 1], ["basic", "more"], "whole")
    return frame


class World(drafts.World):
    """Models by their owner's code, in the environment that it was given."""

    def __init__(self, heddle_program, python):
        super().__init__(heddle_program)
        self.python = python

    def models(self, kind, python=None, sample=None):
        """A folder with the sample, the model and what its library answers to `asked.csv`."""
        self.count += 1
        root = self.dir / f"owner{self.count}"
        root.mkdir()
        frame = sample_of() if sample is None else sample
        targets = {"regression": "spent", "classes": "plan"}
        target = targets.get(kind, "bought")
        kept = [each for each in frame.columns if each not in ("bought", "spent", "plan")]
        if kind in ("xgboost", "regression", "classes", "mlflow", "onnx"):
            kept.remove("city")
        if kind in ("mlflow", "onnx"):
            frame = frame.assign(income=frame["income"].fillna(0))
        frame[[*kept, target]].to_csv(root / "sample.csv", index=False)
        asked = frame[kept].head(60).copy()
        if "city" in kept:
            asked.loc[asked.index[:3], "city"] = "Atlantis"
        asked.to_csv(root / "asked.csv", index=False)
        # All columns, in the owner's own order.
        frame.to_csv(root / "all.csv", index=False)
        code = MODELS.replace('root / "sample.csv"', 'root / "all.csv"')
        done = subprocess.run(
            [python or self.python, "-c", code, str(root), kind],
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return root

    def adopt(self, root, model, *words, python=None):
        """The project that `init` drafts, on ports of this test's own."""
        project = self.project()
        done = self.run(
            "init",
            project,
            *("--model", root / model, "--data", root / "sample.csv", "--yes"),
            *("--python", python or self.python),
            *words,
        )
        if done.code == 0:
            self.move(project)
        return project, done

    def move(self, project):
        service = next((project / "services").glob("*.yaml"))
        text = service.read_text().replace("port: 8000", f"port: {free_port()}")
        service.write_text(text.replace("port: 8001", f"port: {free_port()}"))
        file = project / "heddle.yaml"
        file.write_text(file.read_text().replace("8010", str(free_port())))
        subprocess.run(
            ["git", "-C", str(project), "-c", "user.name=t", "-c", "user.email=t@localhost"]
            + ["commit", "-qam", "ports"],
            check=True,
        )

    def shell(self, command, cwd, **environment):
        return Ran(
            subprocess.run(
                command,
                shell=True,
                cwd=cwd,
                env=self.environment(**environment),
                capture_output=True,
                text=True,
                timeout=400,
            )
        )

    def up(self, command, project):
        """What `up` printed last is yielded once it is there."""
        log = self.dir / f"up-{project.name}.log"
        return drafts.planes_up(command, project, self.environment(), log)


def floats(numbers):
    return [None if each is None else float(numpy.float32(each)) for each in numbers]


def served_as_its_library_answers(world, root, project, drafted, at=None):
    """Runs what was printed, `at` the folder that it was printed in, and holds file, client and
    single requests against the owner's, within the tolerance that the certificate states.
    """
    works(drafted)
    trained = works(world.shell(drafts.next_of(drafted.err), at or world.dir))
    assert "parity: " in trained.err + trained.out, trained
    bundle = re.search(r"candidate (sha256:[0-9a-f]{64})", trained.out)[1]
    shown = works(world.run("--project", project, "bundle", "inspect", bundle))
    assert "parity " in shown.out and "csv" in shown.out and "request" in shown.out, shown
    certificate = certificate_of(project, bundle)
    told = works(world.run("--project", project, "--json", "bundle", "inspect", bundle))
    assert json.loads(told.out)["parity"] == certificate, told
    tolerance = certificate["tolerance"]
    wanted = json.loads((root / "said.json").read_text())
    asked = pandas.read_csv(root / "asked.csv")

    def agree(got, what):
        assert len(got) == len(wanted), (what, len(got), len(wanted))
        for row, (a, b) in enumerate(zip(floats(got), wanted)):
            close = a == b or (a is not None and abs(a - b) <= tolerance * max(1.0, abs(b)))
            assert close, f"{what}, number {row}: the library says {b!r}, the service {a!r}"

    with world.up(drafts.next_of(trained.err), project) as said:
        first = world.shell(drafts.next_of(said), project)
        assert json.loads(works(first).out)["predictions"], first
        name = next((project / "services").glob("*.yaml")).stem
        service = heddle.load(name, project=project)
        table = asked.astype(object).where(asked.notna(), None)
        together = service.predict(table.to_dict("records"))
        agree(numbers_of(together), "the client")
        alone = [
            number
            for row in table.head(8).to_dict("records")
            for number in numbers_of(service.predict([row]))
        ]
        assert alone == numbers_of(together)[: len(alone)], (alone, "alone and together")
        frame = service.predict(asked)
        agree(numbers_of(frame), "the client with a frame")
        out = world.dir / f"scored-{project.name}.csv"
        works(
            world.run(
                "--project", project, "score", root / "asked.csv", "-o", out, "--service", name
            )
        )
    scored = pandas.read_csv(out)
    names = [each for each in scored.columns if each.startswith("probabilities.")]
    names = sorted(names) or ["probability" if "probability" in scored.columns else "value"]
    agree(scored[names].to_numpy().reshape(-1).tolist(), "the file")
    return certificate


def certificate_of(project, bundle):
    """`parity.json`, by its title, from the objects."""
    blobs = project / ".heddle/objects/blobs/sha256"
    manifest = json.loads((blobs / bundle.removeprefix("sha256:")).read_text())
    for layer in manifest["layers"]:
        if layer["annotations"]["org.opencontainers.image.title"] == "parity.json":
            return json.loads((blobs / layer["digest"].removeprefix("sha256:")).read_text())
    raise AssertionError("the bundle has no certificate")


def numbers_of(predictions):
    """What the client gives, row by row."""
    if getattr(predictions, "probabilities", None) is not None:
        columns = predictions.probabilities
        return [
            float(each) for row in zip(*(columns[name] for name in sorted(columns))) for each in row
        ]
    for name in ("probability", "value"):
        values = getattr(predictions, name, None)
        if values is not None:
            return [float(each) for each in values]
    raise AssertionError(predictions)


PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/tutorials/my-model.md"
# What the page's model says of its own rows.
SAID = """\
import json, numpy, pandas, xgboost

asked = pandas.read_csv("customers.csv").drop(columns="bought").head(60)
asked.to_csv("asked.csv", index=False)
model = xgboost.Booster(model_file="model.ubj")
said = model.predict(xgboost.DMatrix(asked))
json.dump([float(numpy.float32(each)) for each in said], open("said.json", "w"))
"""


def the_page_runs_as_printed_and_trees_of_xgboost_are_scored_by_the_engine(world):
    """Its commands, in the environment that is active."""
    code = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)[1]
    commands = "".join(re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)).splitlines()
    root = world.dir / "page"
    root.mkdir()
    (root / "fit.py").write_text(code)
    active = pathlib.Path(world.python).parents[1]
    more = {"VIRTUAL_ENV": str(active)}
    more["PATH"] = f"{world.bin}:{active / 'bin'}:{os.environ['PATH']}"
    works(world.shell(commands[0], root, **more))
    drafted = works(world.shell(commands[1], root, **more))
    project = root / "shop"
    world.move(project)
    subprocess.run([world.python, "-c", SAID], cwd=root, check=True, timeout=120)
    assert drafts.next_of(drafted.err) == commands[2].split(" 2>")[0], (drafted, commands)
    assert "model-unsaid: the model does not say which value" in drafted.out, drafted
    assert f"with {active}" in drafted.err, drafted
    model = next((project / "models").glob("*.yaml")).read_text()
    assert "inputs: features" in model and '- "trainers/model.ubj"' in model, model
    parity = served_as_its_library_answers(world, root, project, drafted, at=root)
    assert parity["scored_by"] == "engine" and parity["model_format"] == "xgboost", parity
    assert {each["name"] for each in parity["paths"]} == {"csv", "parquet", "request", "batch"}
    # The margins are its floats; XGBoost's own sigmoid rounds some probabilities one place away.
    assert all(each["rows"] == parity["rows"] for each in parity["paths"]), parity
    assert max(each["largest_difference"] for each in parity["paths"]) <= 2**-23, parity
    assert {"what": "a missing value of `income`", "rows": 5, "refused": 0, "unanswered": 0} in (
        parity["probes"]
    ), parity
    return f"{parity['rows']} rows, {parity['paths'][0]['equal']} of them the same floats"


def a_pipeline_with_one_hot_is_served_by_a_worker(world):
    root = world.models("pipeline")
    project, drafted = world.adopt(root, "model.joblib")
    assert "target `bought`" in drafted.out, drafted
    trainer = next((project / "trainers").glob("*.py")).read_text()
    assert 'positive="yes"' in trainer, trainer
    parity = served_as_its_library_answers(world, root, project, drafted)
    assert parity["scored_by"] == "worker", parity
    # A second draft is shown and overwrites nothing.
    again = works(
        world.run(
            *("init", project, "--model", root / "model.joblib", "--data", root / "sample.csv"),
            *("--python", world.python),
        )
    )
    assert "is a project already" in again.out and "joblib: other bytes" not in again.out, again
    return f"{parity['rows']} rows by a worker"


def categories_of_lightgbm(world):
    root = world.models("lightgbm")
    project, drafted = world.adopt(root, "model.txt")
    contract = next((project / "contracts").glob("*.yaml")).read_text()
    assert "city-is-known" in contract and "'Bern', 'Oslo', 'Paris', 'Rom'" in contract, contract
    parity = served_as_its_library_answers(world, root, project, drafted)
    probes = {each["what"]: each for each in parity["probes"]}
    unseen = probes["a value of `city` that no row has"]
    assert unseen["refused"] == unseen["unanswered"] == 0, probes
    return "categories, and one that it was not taught"


def categories_of_catboost(world):
    root = world.models("catboost")
    project, drafted = world.adopt(root, "model.cbm")
    parity = served_as_its_library_answers(world, root, project, drafted)
    return f"{parity['rows']} rows"


def numbers_of_lightgbm(world):
    root = world.models("regression")
    project, drafted = world.adopt(root, "model.txt")
    assert "target `spent`" in drafted.out, drafted
    served_as_its_library_answers(world, root, project, drafted)
    return "values"


def classes_of_xgboost(world):
    root = world.models("classes")
    project, drafted = world.adopt(root, "model.json")
    assert "`0`, `1`, `2` are taken for `basic`, `more`, `whole`" in drafted.out, drafted
    served_as_its_library_answers(world, root, project, drafted)
    return "three classes"


def an_mlflow_folder(world):
    root = world.models("mlflow")
    (root / "logged/MLmodel").write_text(MLMODEL)
    project, drafted = world.adopt(root, "logged")
    assert "model-unnamed" not in drafted.out, drafted
    served_as_its_library_answers(world, root, project, drafted)
    return "named by its signature"


def a_graph_of_onnx(world):
    root = world.models("onnx", python=sys.executable)
    project, drafted = world.adopt(root, "model.onnx", "--target", "bought", python=sys.executable)
    assert "model-unnamed" in drafted.out, drafted
    parity = served_as_its_library_answers(world, root, project, drafted)
    return f"within {max(each['largest_difference'] for each in parity['paths']):.2g}"


class Registry(http.server.BaseHTTPRequestHandler):
    """A tracking server's part that a download takes, as MLflow 3 answers."""

    folder = None

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        path, _, query = self.path.partition("?")
        stored = "1/models/m-1/artifacts"
        known = {
            "/api/2.0/mlflow/registered-models/alias": {
                "model_version": {"name": "buyers", "version": "3"}
            },
            "/api/2.0/mlflow/model-versions/get-download-uri": {
                "artifact_uri": "mlflow-artifacts:/" + stored
            },
            "/api/2.0/mlflow-artifacts/artifacts": {
                "files": [{"path": each.name, "is_dir": False} for each in self.folder.iterdir()]
            },
        }
        if "alias=nobody" in query:
            return self.answer(400, {"error_code": "INVALID", "message": "alias nobody not found"})
        if path.startswith("/api/2.0/mlflow-artifacts/artifacts/" + stored):
            return self.answer(200, (self.folder / path.rsplit("/", 1)[1]).read_bytes())
        return self.answer(200, known[path])

    def answer(self, status, body):
        whole = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)


def a_model_of_a_registry(world):
    root = world.models("mlflow")
    (root / "logged/MLmodel").write_text(MLMODEL)
    Registry.folder = root / "logged"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    words = ["--data", root / "sample.csv", "--python", world.python, "--tracking", url]
    project = world.project()
    done = works(world.run("init", project, "--model", "models:/buyers@champion", *words))
    assert f"version 3 of `buyers` at {url}" in done.out, done
    assert (project / "trainers/model/model.pkl").read_bytes() == (
        root / "logged/model.pkl"
    ).read_bytes()
    works(world.run("--project", project, "check"))
    absent = world.project()
    done = world.run("init", absent, "--model", "models:/buyers@nobody", *words)
    refused(done, 6, "adopt-registry-unknown")
    assert "alias nobody not found" in done.err and not absent.exists(), done
    server.shutdown()
    server.server_close()
    done = world.run("init", absent, "--model", "models:/buyers@champion", *words)
    assert done.id == "adopt-registry" and url in done.err and not absent.exists(), done
    return "by its alias"


class Served(http.server.BaseHTTPRequestHandler):
    """Models that somebody else serves; `rule` answers, the others say what they are."""

    protocol_version = "HTTP/1.1"
    field = [("age", "INT64", [-1]), ("income", "FP64", [-1, 1]), ("member", "BOOL", [-1])]
    number = [("probability", "FP64", [-1])]
    models = {
        "rule": (field, [("label", "INT64", [-1]), ("probability", "FP64", [-1])]),
        "silent": ([], number),
        "matrix": ([("x", "FP32", [-1, 3])], number),
        "image": ([("age", "INT64", [-1]), ("photo", "FP32", [-1, 64, 64])], number),
        "odd": ([("age", "JSON", [-1])], number),
        "labels": (field, [("label", "INT64", [-1])]),
        "two": (field, [("a", "FP32", [-1]), ("b", "FP32", [-1])]),
        "other": ([("weight", "FP64", [-1])], number),
    }

    def log_message(self, *unused):
        pass

    def say(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        name = self.path.removeprefix("/proxy").removeprefix("/v2/models/")
        if name in ("/v2", "/v2/health/ready"):
            return self.say({"name": "served", "extensions": []})
        if name == "hidden":
            return self.say({"error": "who are you?"}, 401)
        if name == "text":
            return self.say("a model")
        if name not in self.models:
            return self.say({"error": "unknown"}, 404)
        inputs, outputs = (
            [dict(zip(("name", "datatype", "shape"), each)) for each in part]
            for part in self.models[name]
        )
        self.say({"name": name, "platform": "rules", "inputs": inputs, "outputs": outputs})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        data = {each["name"]: each["data"] for each in request["inputs"]}
        answers = [rule(*row) for row in zip(data["age"], data["income"], data["member"])]
        output = {"name": "probability", "datatype": "FP64", "shape": [len(answers)]}
        self.say({"model_name": "rule", "outputs": [{**output, "data": answers}]})


def rule(age, income, member):
    """What the endpoint answers: that from which the sample was drawn."""
    odds = (age - 45) / 12 + ((income or 40000) - 40000) / 8000 - member
    return 1 / (1 + math.exp(-odds))


def an_endpoint_says_what_it_is_sent(world):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    root = world.dir / "endpoint"
    root.mkdir()
    frame = sample_of().drop(columns=["spent", "plan"])
    frame["income"] = frame["income"].fillna(40000)
    frame.to_csv(root / "sample.csv", index=False)
    project = world.project()
    words = ["--data", root / "sample.csv", "--yes"]
    model = f"{url}/proxy/v2/models/rule"
    done = works(world.run("init", project, "--model", model, *words))
    assert "scored by the endpoint, which is sent one tensor a field" in done.out, done
    assert "model-unsaid" in done.out and "target `bought`" in done.out, done
    told = json.loads(
        works(world.run("--json", "init", world.project(), "--model", model, *words)).out
    )
    assert told["model"]["features"] == ["age", "income", "member"], told
    text = (project / "models/bought.yaml").read_text()
    for line in (
        "  kind: upstream",
        f'  url: "{url}/proxy"',
        '  model: "rule"',
        "  inputs: fields  # one tensor a field, by its name",
        '  output: "probability"',
    ):
        assert f"{line}\n" in text, (line, text)
    assert "trainer: xgboost" not in text and not (project / "trainers").exists()
    # What it does not read is asked of nobody.
    contract = next((project / "contracts").glob("*.yaml")).read_text()
    assert 'name: "age"' in contract and 'name: "city"' not in contract, contract
    world.move(project)
    trained = works(world.shell(drafts.next_of(done.err), world.dir))
    with world.up(drafts.next_of(trained.err), project) as said:
        first = json.loads(works(world.shell(drafts.next_of(said), project)).out)
        # Worked out again by asking the endpoint again.
        why = ["why", first["request_id"], "--reproduce"]
        told = json.loads(works(world.run("--project", project, "--json", *why)).out)
        (row,) = told["requests"][0]["rows"]
        assert row["answer"]["probability"] == first["predictions"][0]["probability"], row
        assert row["reproduced"] == {"equal": True, "tolerance": 1e-6}, row
        assert row["features"] == [] and "a runtime scores" in row["not_explained"], row
        text = works(world.run("--project", project, *why)).out
        assert "worked out again: equal within 1e-06" in text, text
        service = heddle.load("bought", project=project)
        rows = frame[["age", "income", "member"]].head(40).astype(object).to_dict("records")
        got = numbers_of(service.predict(rows))
    wanted = [rule(**row) for row in rows]
    assert all(abs(a - b) < 1e-6 for a, b in zip(got, wanted)), (got, wanted)
    for name, code, id_, words_of in (
        ("nobody", 6, "adopt-endpoint-unknown", "no model `nobody`"),
        ("hidden", 4, "adopt-endpoint-unknown", "wants a token"),
        ("text", 10, "adopt-endpoint", "does not answer as"),
        ("silent", 3, "adopt-endpoint-inputs", "has no `inputs`"),
        ("matrix", 3, "adopt-endpoint-inputs", "input `x` has more than one value a row"),
        ("image", 3, "adopt-endpoint-inputs", "input `photo`"),
        ("odd", 3, "adopt-endpoint-inputs", "of type `JSON`"),
        ("labels", 3, "adopt-endpoint-outputs", "names no output of floats"),
        ("two", 3, "adopt-endpoint-outputs", "`a`, `b`"),
        ("other", 3, "adopt-feature-absent", "`weight`"),
        ("rule/versions/2", 2, "adopt-uri", "no address of a model"),
    ):
        absent = world.project()
        done = world.run("init", absent, "--model", f"{url}/v2/models/{name}", *words)
        refused(done, code, id_)
        assert words_of in done.err and not absent.exists(), done
    server.shutdown()
    server.server_close()
    # What answered is down: what is recorded is told all the same.
    done = world.run("--project", project, *why)
    assert done.code == 3 and "not worked out again: what scored the row cannot be" in done.out
    done = world.run("init", world.project(), "--model", model, *words)
    assert done.id == "adopt-endpoint" and url in done.err, done
    return "fields of its metadata"


RAISES = """\
import pickle, sys
class Late:
    def __reduce__(self):
        return exec, ("raise RuntimeError('of another version')",)
open(sys.argv[1], "wb").write(pickle.dumps(Late()))
"""
ENDS = RAISES.replace("raise RuntimeError('of another version')", "import os; os._exit(7)")


def what_is_wrong_is_said_and_leaves_nothing(world):
    root = world.models("xgboost")
    raises, ends = root / "raises.pkl", root / "ends.pkl"
    for file, code in ((raises, RAISES), (ends, ENDS)):
        subprocess.run([world.python, "-c", code, str(file)], check=True)
    whole = (root / "model.ubj").read_bytes()
    (root / "cut.ubj").write_bytes(whole[: len(whole) // 2])
    (root / "notes.txt").write_text("no model\n")
    (root / "empty").mkdir()
    (root / "unsigned").mkdir()
    (root / "unsigned/MLmodel").write_text(
        "flavors:\n  xgboost:\n    data: model.ubj\nsignature:\n"
        """  inputs: '[{"name": "age", "type": "long"}, {"type": "long"}]'\n"""
    )
    sample = pandas.read_csv(root / "sample.csv")
    sample.rename(columns={"income": "incomes"}).to_csv(root / "renamed.csv", index=False)
    sample.drop(columns="bought").to_csv(root / "unlabelled.csv", index=False)
    sample.assign(age="old").to_csv(root / "texts.csv", index=False)
    sample.assign(bought=["yes", "no", "perhaps"] * 300).to_csv(root / "three.csv", index=False)
    for model, data, words, code, id_, said in (
        ("raises.pkl", "sample.csv", [], 3, "adopt-raised", "of another version"),
        ("ends.pkl", "sample.csv", [], 3, "adopt-ended", "exit code 7"),
        ("cut.ubj", "sample.csv", [], 3, "adopt-damaged", "cut.ubj"),
        ("notes.txt", "sample.csv", [], 3, "adopt-format", "notes.txt"),
        ("sample.csv", "sample.csv", [], 3, "adopt-format", "sample.csv"),
        ("nowhere.ubj", "sample.csv", [], 6, "adopt-missing", "nowhere.ubj"),
        ("empty", "sample.csv", [], 6, "adopt-missing", "MLmodel"),
        ("unsigned", "sample.csv", [], 13, "adopt-mlmodel", "have no `name`"),
        ("model.ubj", "renamed.csv", [], 3, "adopt-feature-absent", "is `incomes`"),
        ("model.ubj", "unlabelled.csv", [], 3, "adopt-no-target", "judged"),
        ("model.ubj", "texts.csv", [], 3, "adopt-feature-type", "column `age`"),
        ("model.ubj", "three.csv", [], 2, "init-task", "the model is binary"),
        ("model.ubj", "sample.csv", ["--target", "age"], 2, "adopt-target-is-feature", "age"),
        ("model.ubj", "sample.csv", ["--task", "regression"], 2, "init-task", "the model's task"),
        ("model.ubj", "sample.csv", ["--python", "/nowhere/bin/python"], 6, "own-python", "/now"),
    ):
        project = world.project()
        done = world.run(
            *("init", project, "--model", root / model, "--data", root / data, "--yes"),
            *(words if "--python" in words else ["--python", world.python, *words]),
        )
        refused(done, code, id_)
        assert said in done.err, done
        assert not project.exists() and not list(world.dir.glob(project.name + "*")), done
    done = world.run(
        *("init", world.project(), "--model", "models:/buyers", "--data", root / "sample.csv")
    )
    refused(done, 2, "adopt-uri")
    return "raising, ending, damaged, of no form, of other columns"


FAST = [
    the_page_runs_as_printed_and_trees_of_xgboost_are_scored_by_the_engine,
    a_pipeline_with_one_hot_is_served_by_a_worker,
    what_is_wrong_is_said_and_leaves_nothing,
    a_model_of_a_registry,
    an_endpoint_says_what_it_is_sent,
]
DEEP = [
    categories_of_lightgbm,
    categories_of_catboost,
    numbers_of_lightgbm,
    classes_of_xgboost,
    an_mlflow_folder,
    a_graph_of_onnx,
]


def main():
    world = World(sys.argv[1], sys.argv[2])
    names = sys.argv[3:]
    cases = DEEP if names == ["--deep"] else FAST if not names else FAST + DEEP
    try:
        return run_cases(cases, [] if names == ["--deep"] else names, world)
    finally:
        world.close()


if __name__ == "__main__":
    sys.exit(main())
