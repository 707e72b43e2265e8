"""SandboxEvents: what happens to sandboxes, as it happens.

    with SandboxEvents() as events:
        for event in events:
            print(event.time, event.type, event.sandbox_id, event.by)
"""
from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Iterator, Mapping

from . import fields as f
from .backoff import Backoff
from .client import Client, default_client
from .errors import Cancelled, ConnectionFailed, Error, Unavailable
from .result import pick
from .streams import EventStream

_LOST = Backoff(first=0.1, most=5.0, total=60.0)


@dataclass(frozen=True)
class SandboxEvent:
    """`type` is sandbox.created, .updated, .paused, .resumed, .stopping, .stopped, .started, .rolled_back, .failed or
    .removed; snapshot.created, .imported, .exported or .removed; volume.created, .updated or .removed; key.created or
    .removed; process.started or .ended; or lost: `missed` events before the next one, None where nobody knows. `by` is
    who did it; "timeout" and "idle" are limits of its life, "daemon" and "guest" the ends of those. `details` are all
    that the daemon says of it. What has no `id` is not kept."""

    type: str
    id: str | None = None
    time: str = ""
    sandbox_id: str | None = None
    name: str | None = None
    by: str | None = None
    missed: int | None = 0
    snapshot_id: str | None = None
    volume_id: str | None = None
    key_id: str | None = None
    process_id: str | None = None
    outcome: str | None = None
    exit_code: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @staticmethod
    def of(fields: Mapping[str, Any]) -> SandboxEvent:
        return pick(SandboxEvent, fields, details=fields)


class SandboxEvents:
    """Iterates over the events of all sandboxes that one may see, or of one, for ever. When this has been made, nothing
    that happens later is missed.

    A connection that breaks is opened again, for a minute, and goes on behind the last event (Last-Event-ID), also at a
    daemon that was started anew: then `restarts` counts up, and all that this daemon knows is told. `last_id` is for
    programs that come back later: SandboxEvents(after=...). The daemon keeps the last 4096. close() may come from
    another thread: the iteration ends with Cancelled then."""

    def __init__(self, sandbox: str | None = None, *, after: str | None = None, processes: bool = False,
                 client: Client | None = None, backoff: Backoff = _LOST) -> None:
        """`sandbox` is an id or a name; `after` the id of an event, "0" before all that are kept. With `processes`
        commands are told of, too, as they begin and end. `backoff` is for connections that break."""
        self._client = client or default_client()
        self._query = f.given(sandbox=sandbox, processes="true" if processes else None)
        self._backoff = backoff
        self._ended = threading.Event()
        self._changing = threading.Lock()  # held while `_stream` is put in another's place
        self.last_id = after
        self.restarts = 0
        self._stream = self._open()

    def close(self) -> None:
        self._ended.set()
        with self._changing:
            stream = self._stream
        stream.close()

    def __iter__(self) -> Iterator[SandboxEvent]:
        return self

    def __next__(self) -> SandboxEvent:
        while True:
            try:
                for fields in self._stream:
                    event = SandboxEvent.of(fields)
                    self.last_id = event.id or self.last_id
                    return event
                failure = self._stream.cut_off("the events did")
            except ConnectionFailed as error:
                failure = error
            self._open_again(failure)

    def __enter__(self) -> SandboxEvents:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _open(self) -> EventStream:
        """A stream whose first event has come: it says that the next are not missed."""
        headers = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        stream = self._client.events("GET", "/v1/events", query=self._query, headers=headers)
        try:
            armed = next(stream, None)
            if armed is None or armed.get("type") != "armed":
                raise stream.cut_off("its first event")
        except BaseException:
            stream.close()
            raise
        self.restarts += bool(armed.get("restarted"))
        self.last_id = str(armed.get("id", self.last_id))
        return stream

    def _open_again(self, failure: Error) -> None:
        self._stream.close()
        plan = self._backoff.plan()
        while True:
            delay = plan.next()
            if delay is None:
                raise failure
            if self._ended.wait(delay):
                raise Cancelled("the events were closed")
            try:
                stream = self._open()
            except (ConnectionFailed, Unavailable):
                continue
            with self._changing:
                self._stream = stream
            if self._ended.is_set():
                stream.close()
                raise Cancelled("the events were closed")
            return
