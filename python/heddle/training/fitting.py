"""Runs a trainer's file once, in its sandbox: `python fit.py JOB.json`.

Whatever the file does, TMPDIR/out/result.json says in the end what came of it or what went wrong
and where. The file's prints are nobody's protocol.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
import traceback
from typing import Any

import numpy

from . import Params, Trainer, answers, exports, keeping, lock, opening, serving
from .rows import Rows, read
from .tasks import Task

FORMAT = "heddle.exec-result/1"
_MOST_TRACE = 12
_MOST_MESSAGE = 500
_OWN_WORDS = ("environment", "file", "returned", "answers")  # which Heddle says, and not a library


class Refused(Exception):
    """Why there is no model, with what to do."""

    def __init__(self, what: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.what, self.hint = what, hint


class Job:
    """`job.json`, and the folder it lies in."""

    def __init__(self, path: pathlib.Path, out: pathlib.Path) -> None:
        self.folder, self.out = path.parent, out
        self.given = json.loads(path.read_text())
        self.root = self.folder / "project"
        self.file: str = self.given["file"]
        self.task = Task.of(self.given["task"])

    def rows(self, part: str, strings: str, categories: dict[str, list[str]]) -> Rows:
        codes = numpy.fromfile(self.folder / f"{part}.labels", dtype="<f8")
        columns = self.given["columns"]
        out = read(str(self.folder / f"{part}.parquet"), columns, codes, self.task)
        if strings == "category":
            for column in columns:
                if column["type"] != "string":
                    continue
                if part == "train":
                    seen = {each for each in out.arrays[column["name"]] if each is not None}
                    categories[column["name"]] = sorted(seen)
            out.categories = dict(categories)
        return out


def trainer_of(job: Job) -> Trainer:
    """The one function of the file that is decorated."""
    module = keeping.import_file(job.root, job.file)
    found = [each for each in vars(module).values() if isinstance(each, Trainer)]
    if len({id(each) for each in found}) != 1:
        count = "no function" if not found else f"{len(found)} functions"
        raise Refused(
            "file",
            f"`{job.file}` has {count} under `@heddle.train`",
            "write one: `@heddle.train` before `def fit(train, valid, params): ...`",
        )
    return found[0]


def fit(job: Job) -> dict[str, Any]:
    """Trains, and writes what came of it beside the result that is returned."""
    environment = lock.check(job.root / job.given["lock"], deep=job.given["verify_files"])
    if environment["changes"]:
        raise Refused(
            "environment",
            f"the environment is not what `{job.given['lock']}` says: "
            + "; ".join(environment["changes"][:5])
            + (
                f"; and {len(environment['changes']) - 5} more"
                if len(environment["changes"]) > 5
                else ""
            ),
            "install what is locked, or lock what is installed:"
            " `heddle trainer lock`, after a look at what changed",
        )
    trainer = trainer_of(job)
    categories: dict[str, list[str]] = {}
    train = job.rows("train", trainer.strings, categories)
    valid = job.rows("valid", trainer.strings, categories)
    params = Params(job.given["parameters"])
    params["seed"] = job.given["seed"]
    pid = os.getpid()
    model = trainer.function(train, valid, params)
    if os.getpid() != pid:
        os._exit(0)  # a fork of the trainer's came back here: the first one answers
    said = said_of(job, model, valid)
    said.astype("<f8").tofile(job.out / "predictions.f64")
    how = {
        **keeping.save(model, job.out / "model"),
        "file_of_trainer": job.file,
        "task": job.given["task"],
        "columns": job.given["columns"],
        "categories": categories,
    }
    keeping.write_json(job.out / "model" / "how.json", how)
    result: dict[str, Any] = {
        "format": FORMAT,
        "returned": f"{type(model).__module__}.{type(model).__qualname__}",
        "python": environment["python"],
        "packages": environment["packages"],
    }
    if isinstance(model, opening.Adopted):
        result["adopted"] = model.signature
        result["returned"] = model.signature["class"]
    try:
        result["engine_format"], whole = exports.export(model, valid, job.task)
        (job.out / "engine.model").write_bytes(whole)
    except exports.NoExport as why:
        result["no_engine"] = str(why)
    except Exception as why:  # of the library that exports
        result["no_engine"] = f"it could not be written for the engine: {type(why).__name__}"
    return result


def said_of(job: Job, model: Any, valid: Rows) -> numpy.ndarray:
    """What the model answers to the validation rows. Where rows may be without an answer, those
    that the model does not take have NaN.
    """
    if not job.given.get("may_lack", False):
        return answers.predictions(model, valid, job.task)
    out = serving.answered(answers.answer_of(model, job.task), valid, job.task)
    return out.reshape(len(valid), job.task.outputs)


def failure(job: Job, error: BaseException) -> dict[str, Any]:
    """What went wrong, and where in the trainer's files."""
    out: dict[str, Any] = {"format": FORMAT, "type": type(error).__name__}
    message = str(error).strip() or type(error).__name__
    if len(message) > _MOST_MESSAGE:
        message = message[:_MOST_MESSAGE] + " ..."
    what, hint = _what_and_hint(error)
    out.update(failed=what, message=message, hint=hint, file=job.file, line=0, function="")
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        out.update(file=_shown(job, error.filename), line=error.lineno)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename.startswith(str(job.root))
    ]
    if own and not isinstance(error, SyntaxError):
        last = own[-1]
        out.update(file=_shown(job, last.filename), line=last.lineno or 0, function=last.name)
    out["trace"] = [] if what in _OWN_WORDS else _trace(job, error)
    return out


def _trace(job: Job, error: BaseException) -> list[str]:
    """The last lines of the trace from the trainer's file on; what called it is Heddle's."""
    told = traceback.TracebackException.from_exception(error, limit=None)
    helper = str(pathlib.Path(__file__).parent)
    frames = [each for each in told.stack if not each.filename.startswith(helper)]
    if frames:
        told.stack = traceback.StackSummary.from_list(frames)
    lines = "".join(told.format()).replace(str(job.root) + "/", "").splitlines()
    return [each[:_MOST_MESSAGE] for each in lines[-_MOST_TRACE:]]


def _shown(job: Job, file: str) -> str:
    return file.removeprefix(str(job.root) + "/")


def _what_and_hint(error: BaseException) -> tuple[str, str]:
    if isinstance(error, Refused):
        return error.what, error.hint
    if isinstance(error, opening.Refused):
        return "returned", error.hint
    if isinstance(error, answers.NoModel):
        return "returned", "see docs/own-trainer.md for what may be returned"
    if isinstance(error, answers.WrongAnswers):
        return "answers", "the model is asked for the validation rows as they were given"
    if isinstance(error, keeping.NotKept):
        return "returned", "a worker starts from the pickled model"
    if isinstance(error, ModuleNotFoundError):
        return "package", (
            f"install {error.name} into the trainer's environment and lock it again, or list the"
            " file in `exec.files` when it is one of yours"
        )
    if isinstance(error, MemoryError):
        return "memory", "raise `exec.memory_bytes`, or train on fewer rows"
    if isinstance(error, OSError) and error.errno in (28, 27, 122):
        return "disk", "a quarter of `exec.memory_bytes` can be written: raise it, or write less"
    if isinstance(error, OSError) and error.errno in (1, 13, 30):
        return "outside", "a trainer may write below `TMPDIR` alone, and read its own files"
    return "raised", "see the lines of the trace"


def main() -> None:
    out = pathlib.Path(os.environ["TMPDIR"]) / "out"
    job = Job(pathlib.Path(sys.argv[1]).resolve(), out)
    job.out.mkdir(parents=True, exist_ok=True)
    code = 0
    try:
        result = fit(job)
    except BaseException as error:  # also SystemExit: the file is not to end this quietly
        result, code = failure(job, error), 1
    try:
        keeping.write_json(job.out / "result.json", result)
    except OSError:
        # Its own files fill the folder: they are of no use any more.
        for path in sorted(job.out.parent.rglob("*"), reverse=True):
            if path.is_file() and job.out not in path.parents:
                path.unlink(missing_ok=True)
        for name in ("predictions.f64", "engine.model", "model/model.pickle"):
            (job.out / name).unlink(missing_ok=True)
        keeping.write_json(job.out / "result.json", result)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(code)  # whatever threads it left
