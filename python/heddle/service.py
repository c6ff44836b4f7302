"""A running service, called over HTTP (docs/http.md)."""

from __future__ import annotations

import asyncio
import datetime
import os
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from . import errors, rows
from . import project as folders
from .predictions import Answer, Predictions
from .transport import Transport

_MOST_ROWS = 1024  # the default of `limits.batch_rows`
_MOST_LABELS = 10_000


def load(
    service: str,
    *,
    url: str | None = None,
    token: str | None = None,
    project: str | os.PathLike[str] | None = None,
    account: str | None = None,
    timeout: float = 30.0,
    batch_rows: int | None = None,
) -> Service:
    """The service of that name. Its address is `url`, else HEDDLE_URL, else the definition's in
    `project` (a folder; by default the nearest at or above the working one), else
    http://127.0.0.1:8000. The token is `token`, else HEDDLE_TOKEN, else the one of `account`, or of
    the first service account that may predict, in the project's `.heddle/tokens`. Nothing is sent
    yet.
    """
    return Service(
        service,
        url=url,
        token=token,
        project=project,
        account=account,
        timeout=timeout,
        batch_rows=batch_rows,
    )


class Service:
    """Safe for threads: they share kept connections. `timeout` is for one request, in seconds."""

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        token: str | None = None,
        project: str | os.PathLike[str] | None = None,
        account: str | None = None,
        timeout: float = 30.0,
        batch_rows: int | None = None,
    ) -> None:
        url = url or (None if project else os.environ.get("HEDDLE_URL"))
        token = token or (None if project or account else os.environ.get("HEDDLE_TOKEN"))
        root = (
            _project(project, needed=project is not None or account is not None)
            if url is None or token is None
            else None
        )
        if root is not None:
            batch_rows = batch_rows or (None if url else folders.batch_rows(root, name))
            url = url or folders.url(root, name)
            token = token or folders.token(root, "predict", account)
        if token is None:
            raise errors.ProjectError(
                f"no token for service `{name}`",
                id="token-missing",
                hint="set HEDDLE_TOKEN, pass `token`, or go to the project's folder",
            )
        self.name = name
        self.batch_rows = batch_rows or _MOST_ROWS
        self._transport = Transport(url or folders.DEFAULT_URL, token.strip(), timeout)
        self._path = f"/v1/services/{quote(name, safe='')}"

    def predict(
        self,
        table: Any,
        *,
        source: str | None = None,
        request_id: str | None = None,
        event_time: datetime.datetime | str | None = None,
        raise_refused: bool = False,
        explain: bool = False,
    ) -> Predictions:
        """Scores a pandas or polars DataFrame, an Arrow table, a list of dicts or one dict. Its
        columns are the contract's fields; one that is left out is missing. Past the service's row
        limit it goes in several requests, ids `request_id.0`, `.1` and so on. A refused row is NaN
        or null with its rules in `validation`; `raise_refused` raises RowsRefused when every row
        was refused. `explain` asks for `contributions`, which cost many times an answer.
        """
        all_rows = rows.to_rows(table)
        scored: list[dict[str, Any]] = []
        answers: list[Answer] = []
        while len(scored) < len(all_rows):
            first = len(scored)
            batch = all_rows[first : first + self.batch_rows]
            body: dict[str, Any] = {"rows": batch}
            if request_id is not None:
                body["request_id"] = (
                    request_id if len(batch) == len(all_rows) else f"{request_id}.{len(answers)}"
                )
            if source is not None:
                body["source"] = source
            if explain:
                body["explain"] = True
            if event_time is not None:
                body["event_time"] = _moment(event_time)
            try:
                answer = self._transport.call(
                    "POST", f"{self._path}/predict", body, accept=(200, 422)
                )
            except errors.InvalidRequest as failure:
                if failure.status != 413 or len(batch) == 1:
                    raise
                self.batch_rows = (
                    len(batch) // 2
                )  # the service's limits are lower, or its rows are long: nothing was scored
                continue
            predictions = answer.get("predictions")
            if predictions is None:
                raise errors.from_answer(422, answer)
            if not isinstance(predictions, list) or len(predictions) != len(batch):
                raise errors.ServerError(
                    f"the answer does not have the {len(batch)} predictions asked for",
                    id="answer-invalid",
                    status=200,
                )
            answers.append(
                Answer(
                    str(answer.get("request_id", "")),
                    str(answer.get("bundle", "")),
                    str(answer.get("slot", "")),
                    int(answer.get("route_version", 0)),
                    first,
                    len(batch),
                )
            )
            scored += predictions
        out = Predictions(scored, answers, table)
        if raise_refused and scored and out.refused == len(scored):
            raise errors.RowsRefused(
                out, sorted({rule for broken in out.validation for rule in broken})
            )
        return out

    async def predict_async(self, table: Any, **options: Any) -> Predictions:
        """`predict` on a thread of its own: the event loop goes on."""
        return await asyncio.to_thread(self.predict, table, **options)

    def label(
        self,
        row_ids: Iterable[str],
        labels: Iterable[Any],
        event_times: Iterable[datetime.datetime | str] | None = None,
    ) -> int:
        """What turned out to be true, for rows named by `Predictions.row_ids`. Sending the same
        again changes nothing. Returns how many were accepted; raises `LabelsRefused` when some were
        not, after all were sent. The account needs the permission `label`.
        """
        ids, truths = list(row_ids), [rows.label(label) for label in labels]
        times: Sequence[Any] = [None] * len(ids) if event_times is None else list(event_times)
        if not len(ids) == len(truths) == len(times):
            raise ValueError(
                f"{len(ids)} row ids, {len(truths)} labels and {len(times)} event times do not"
                " belong together"
            )
        accepted, count, refused = 0, 0, []
        for first in range(0, len(ids), _MOST_LABELS):
            batch = [
                (
                    {"row_id": row_id, "label": label}
                    if time is None
                    else {"row_id": row_id, "label": label, "event_time": _moment(time)}
                )
                for row_id, label, time in list(zip(ids, truths, times))[
                    first : first + _MOST_LABELS
                ]
            ]
            answer = self._transport.call(
                "POST", f"{self._path}/labels", {"labels": batch}, accept=(202, 422)
            )
            accepted += int(answer.get("accepted", 0))
            count += int(answer.get("refused", 0))
            refused += answer.get("errors", [])
        if count:
            raise errors.LabelsRefused(accepted, count, refused)
        return accepted

    def status(self) -> dict[str, Any]:
        """Slots, route version, quarantined sources."""
        return self._transport.call("GET", self._path)

    def fields(self) -> dict[str, str]:
        """The contract's request fields and their Open Inference Protocol datatypes."""
        metadata = self._transport.call("GET", f"/v2/models/{quote(self.name, safe='')}")
        return {each["name"]: each["datatype"] for each in metadata.get("inputs", [])}

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<heddle.Service `{self.name}` at {self._transport.url}>"


def _project(start: str | os.PathLike[str] | None, needed: bool) -> Any:
    root = folders.find(start)
    if root is None and needed:
        raise errors.ProjectError(
            "no `heddle.yaml` in the working folder or above",
            id="project-not-found",
            hint="pass `project`, a folder",
        )
    return root


def _moment(time: datetime.datetime | str) -> str:
    return time if isinstance(time, str) else rows.rfc3339(time)
