"""What can go wrong with a call, one type for each thing a caller can do about it. Ids are Heddle's
permanent ones.
"""

from __future__ import annotations


class HeddleError(Exception):
    """`id` is permanent and can be searched for; `hint` says what to do; `status` is HTTP's, 0
    where no answer came.
    """

    def __init__(self, message: str, *, id: str = "", hint: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.message, self.id, self.hint, self.status = message, id, hint, status

    def __str__(self) -> str:
        head = f"{self.message} [{self.id}]" if self.id else self.message
        return f"{head}\nhint: {self.hint}" if self.hint else head


class ProjectError(HeddleError):
    """No project, service, address or token was found where it was looked for."""


class Unreachable(HeddleError):
    """Nobody listens: nothing of the request was read."""


class ConnectionLost(HeddleError):
    """The connection ended before the answer was whole: the rows may have been scored, so they were
    not sent again.
    """


class TimedOut(HeddleError):
    """No whole answer in time: the rows may have been scored."""


class InvalidRequest(HeddleError):
    """400, 413, 421, 431: the request is malformed, has an unknown field, or is over a bound."""


class Unauthenticated(HeddleError):
    """401: no token, or one that the service does not know."""


class Denied(HeddleError):
    """403: the account lacks the permission."""


class NotFound(HeddleError):
    """404: no such service or path there."""


class Overloaded(HeddleError):
    """429: shed. Nothing was scored."""


class Unavailable(HeddleError):
    """503: stopped, or nothing is released. Nothing was scored."""


class ServerError(HeddleError):
    """Any other failure on the service's side."""


class RowsRefused(HeddleError):
    """Every row was refused by the contract, and `raise_refused` asked for an exception.
    `predictions` has the rules.
    """

    def __init__(self, predictions: object, rules: list[str]) -> None:
        super().__init__(
            f"every row was refused: {', '.join(rules)}",
            id="rows-refused",
            status=422,
            hint="`predictions.validation` has the rules that each row broke",
        )
        self.predictions = predictions


class LabelsRefused(HeddleError):
    """Some labels were refused; the others were taken. `accepted` counts those, `refused` has a
    dict for each of the first: `row_id`, `id`, `error`, `hint`.
    """

    def __init__(self, accepted: int, count: int, refused: list[dict]) -> None:
        first = refused[0] if refused else {}
        super().__init__(
            f"{count} labels were refused, the first of row `{first.get('row_id', '')}`:"
            f" {first.get('error', '')}",
            id=first.get("id", "label-value"),
            status=422,
            hint=first.get("hint", ""),
        )
        self.accepted, self.refused = accepted, refused


_BY_STATUS = {
    400: InvalidRequest,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    408: TimedOut,
    413: InvalidRequest,
    421: InvalidRequest,
    422: InvalidRequest,
    429: Overloaded,
    431: InvalidRequest,
    503: Unavailable,
    504: TimedOut,
}


def from_answer(status: int, answer: object) -> HeddleError:
    """The exception for an answer that is no success; `answer` is its JSON, or what else it was."""
    fields = answer if isinstance(answer, dict) else {}
    message = fields.get("error")
    if isinstance(message, dict):  # the control plane's form
        fields, message = message, message.get("message")
    return _BY_STATUS.get(status, ServerError)(
        str(message or f"HTTP {status}"),
        id=str(fields.get("id", "")),
        hint=str(fields.get("hint", "")),
        status=status,
    )
