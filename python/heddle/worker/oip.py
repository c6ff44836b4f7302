"""The Open Inference Protocol, version 2: one request to one answer. Nothing that a model or a
request does gets out of `answer`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import threading
import traceback
from typing import Any

from .. import __version__, errors
from . import http1, models, tensors

_MODEL = re.compile(r"/v2/models/([^/]+)(/ready|/infer)?\Z")


@dataclasses.dataclass
class Reply:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = dataclasses.field(default_factory=dict)


class Endpoint:
    """A model under its name. At most `threads` calls are in the model at once, the others wait;
    safe for threads otherwise.
    """

    def __init__(self, model: models.Model, name: str, threads: int) -> None:
        self._model, self.name = model, name
        self._turns = threading.BoundedSemaphore(threads)

    def answer(self, request: http1.Request) -> Reply:
        try:
            return self._answer(request)
        except http1.Refused as refused:
            return error(refused.status, refused.message)
        except tensors.BadTensor as bad:
            return error(400, str(bad), "tensor-invalid")
        except errors.InvalidRequest as bad:
            return error(400, bad.message, bad.id, bad.hint)
        except models.ModelFault as fault:
            return error(500, str(fault), "model-answer-invalid")
        except (
            BaseException
        ) as failure:  # a model may raise anything, SystemExit too; the worker goes on
            traceback.print_exc(file=sys.stderr)
            return error(
                500,
                f"the model failed: {type(failure).__name__}: {failure}",
                "model-failed",
                "the worker's log has the traceback",
            )

    def _answer(self, request: http1.Request) -> Reply:
        method = "GET" if request.method == "HEAD" else request.method
        if request.path in ("/v2/health/live", "/v2/health/ready"):
            _only("GET", method)
            return _json({"live" if request.path.endswith("live") else "ready": True})
        if request.path in ("/v2", "/v2/"):
            _only("GET", method)
            return _json(
                {
                    "name": "heddle-worker",
                    "version": __version__,
                    "extensions": ["binary_tensor_data"],
                }
            )
        match = _MODEL.match(request.path)
        if match is None:
            raise http1.Refused(404, f"there is nothing at `{request.path[:200]}`")
        if match[1] != self.name:
            raise http1.Refused(
                404, f"there is no model `{match[1][:200]}`: this worker serves `{self.name}`"
            )
        if match[2] == "/infer":
            _only("POST", method)
            return self._infer(request)
        _only("GET", method)
        if match[2] == "/ready":
            return _json({"name": self.name, "ready": True})
        classes = self._model.classes
        outputs = [
            {
                "name": self._model.output,
                "datatype": "FP64",
                "shape": [-1, len(classes)] if classes else [-1],
            }
        ]
        described = {
            "name": self.name,
            "versions": ["1"],
            "platform": f"python_{self._model.name}",
            "inputs": self._model.inputs,
            "outputs": outputs,
        }
        if classes:
            # As a service of ours says it, so that who reads the columns can tell them apart.
            described["parameters"] = {"classes": json.dumps(classes, default=str)}
        return _json(described)

    def _infer(self, request: http1.Request) -> Reply:
        asked, arrays = tensors.read_request(
            request.body, request.headers.get("inference-header-content-length")
        )
        with self._turns:
            outputs = self._model.run(arrays)
        body, headers, content_type = tensors.write_response(asked, self.name, outputs)
        return Reply(200, body, content_type, headers)


def error(status: int, message: str, id: str = "", hint: str = "") -> Reply:
    fields = {"error": message}
    if id:
        fields["id"] = id
    if hint:
        fields["hint"] = hint
    return _json(fields, status)


def _only(wanted: str, method: str) -> None:
    if method != wanted:
        raise http1.Refused(405, f"only {wanted} is spoken here")


def _json(value: dict[str, Any], status: int = 200) -> Reply:
    return Reply(status, json.dumps(value, separators=(",", ":")).encode())
