"""Errors: what can go wrong, as exceptions. str() of each says what failed, why, and what to do next.

    Error
    ├── ApiError             the daemon answered, and refused: `code` is stable, `status` is HTTP's
    │   ├── InvalidRequest   400 and its kin: the request can never succeed as it stands
    │   ├── NotAllowed       401, 403: who asks may not, or is unknown
    │   ├── NotFound         404
    │   ├── Conflict         409: a thing of that name exists, or is in the wrong state
    │   ├── Busy             429: a bound was met; later may work
    │   └── Unavailable      503: a part of the daemon is away; later may work
    ├── ConnectionFailed     there is no answer, or not a whole one; `may_have_run` says what that means
    │   ├── NoDaemon         none was found to ask
    │   └── AnswerTimeout    none came in time; the connection was closed, which ends the command
    ├── CommandFailed        Result.check(): the command ran, and did not end with status 0
    ├── TerminalClosed       the daemon took a terminal away: `code` says why
    └── Cancelled            whoever asked closed the stream, the map or the client meanwhile
"""
from __future__ import annotations

import json
from email.message import Message
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .result import Ending


class Error(Exception):
    """Base of all. `code` is stable: the daemon's (docs/reference/errors.md), or this package's own. `cause` is the
    innermost reason alone, `hint` what to do about it; either may be missing. `retryable`: the same request may succeed
    later, and what this one did is nothing."""

    code = ""
    retryable = False

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        text = self.message
        if self.cause and self.cause not in text:
            text += f": {self.cause}"
        return f"{text}; {self.hint}" if self.hint else text


class ApiError(Error):
    """The daemon's refusal. Switch on `code`, never on the message; it is "" where something else than lm-sandbox
    answered. `fields` lists what is wrong with a request: {"path", "message"} each.
    `request_id` is the answer's X-Request-Id, where something gave it one. `retry_after` is in seconds."""

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None, code: str = "",
                 status: int = 0, retryable: bool = False, fields: list[dict[str, str]] | None = None,
                 request_id: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, cause=cause, hint=hint)
        self.code = code
        self.status = status
        self.retryable = retryable
        self.fields = fields or []
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{super().__str__()} ({self.code or f'HTTP {self.status}'})"


class InvalidRequest(ApiError):
    """The request can never succeed as it stands; `fields` says what is wrong with it."""


class NotAllowed(ApiError):
    """No key, an unknown one, or not permitted to whoever has it."""


class NotFound(ApiError):
    """No such sandbox, process, file, image or path of the API: `code` says which."""


class Conflict(ApiError):
    """A thing of that name exists already, or the thing named is in the wrong state."""


class Busy(ApiError):
    """A bound was met: too many commands, sandboxes, processes."""


class Unavailable(ApiError):
    """A part that is needed is away, the sandbox itself for example (`sandbox_lost`)."""


class ConnectionFailed(Error):
    """No whole answer. `may_have_run` is False, and `retryable` True, where the daemon cannot have received the whole
    request, so that nothing of it was done; where it is True nobody knows, and sending it again could do it twice."""

    code = "connection_failed"

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None,
                 may_have_run: bool = True) -> None:
        super().__init__(message, cause=cause, hint=hint)
        self.may_have_run = may_have_run
        self.retryable = not may_have_run


class NoDaemon(ConnectionFailed):
    """No address was given, and no daemon listens where one is looked for."""

    code = "no_daemon"


class AnswerTimeout(ConnectionFailed):
    """The answer did not come in time."""

    code = "answer_timeout"


class CommandFailed(Error):
    """A command that did not end with status 0; `result` is how it did end."""

    code = "command_failed"

    def __init__(self, message: str, *, hint: str | None = None, result: Ending | None = None) -> None:
        super().__init__(message, hint=hint)
        self.result = result


class TerminalClosed(Error):
    """`code` is terminal_taken (somebody else has opened it), process_gone, sandbox_paused (while something was typed),
    or terminal_closed."""

    def __init__(self, message: str, *, code: str = "terminal_closed") -> None:
        super().__init__(message)
        self.code = code


class Cancelled(Error):
    """Closed by the program itself while it waited."""

    code = "cancelled"


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequest, 401: NotAllowed, 403: NotAllowed, 404: NotFound, 409: Conflict, 413: InvalidRequest,
    415: InvalidRequest, 416: InvalidRequest, 422: InvalidRequest, 429: Busy, 503: Unavailable,
}


def api_error(what: str, status: int, headers: Message, body: bytes) -> ApiError:
    """The error that an answer describes: {"error": {...}} of /v1, {"detail": ...} of everything before it, or only the
    status. `what` names the request."""
    kind = _BY_STATUS.get(status, ApiError)
    common: dict[str, Any] = {"status": status, "request_id": headers.get("X-Request-Id"),
                              "retry_after": _seconds(headers.get("Retry-After"))}
    answer = _parsed(body)
    error = answer.get("error")
    if isinstance(error, dict):
        return kind(str(error.get("message", "")), cause=error.get("cause"), hint=error.get("hint"),
                    code=str(error.get("code", "")), retryable=bool(error.get("retryable")),
                    fields=error.get("fields"), **common)
    if "detail" in answer:
        detail = answer["detail"]
        return kind(detail if isinstance(detail, str) else json.dumps(detail), **common)
    return kind(f"{what}: the answer is {status}: {body[:200]!r}", hint="is it lm-sandbox that answers there?",
                **common)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(text: str | None) -> float | None:
    """Of Retry-After, the form that this daemon writes; a date counts as nothing."""
    return float(text) if text is not None and text.strip().isdecimal() else None
