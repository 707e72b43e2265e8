"""Creation: making a thing once, although its answer may be lost on the way.

Each creation has an Idempotency-Key: where the answer is lost, the same request is sent again for up to 10 s, and the
daemon answers with what it has already made, not with a second one.
"""
from __future__ import annotations

import time
import uuid
from typing import Any, Mapping

from .backoff import Backoff
from .client import Client
from .errors import AnswerTimeout, ConnectionFailed, Error, Unavailable

_LOST_ANSWER = Backoff(first=0.2, most=2.0, total=10.0)


def create_once(client: Client, path: str, asked: Mapping[str, Any], timeout: float = 0.0) -> Any:
    """What the daemon answers. Raises what the first attempt did when none comes."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    plan = _LOST_ANSWER.plan()
    lost: Error | None = None
    while True:
        try:
            return client.call("POST", path, asked, headers=headers, timeout=timeout)
        except (ConnectionFailed, Unavailable) as error:
            if lost is None and not _may_be_made(error):
                raise
            lost = lost or error
            delay = plan.next()
            if delay is None:
                raise lost
            time.sleep(delay)


def _may_be_made(error: ConnectionFailed | Unavailable) -> bool:
    """Whether the daemon may have made it, or be at it still."""
    if isinstance(error, ConnectionFailed):
        return error.may_have_run and not isinstance(error, AnswerTimeout)
    return error.code == "idempotency_key_in_use"
