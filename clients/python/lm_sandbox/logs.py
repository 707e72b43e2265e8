"""Logs: what the processes of a sandbox that go on by themselves have written, all of them together."""
from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Iterator, Mapping

from .events import CommandEvent, parse_event
from .result import data_of
from .streams import EventStream


@dataclass(frozen=True)
class LogTail:
    """The end of one stream ("stdout" or "stderr") of one process, 8 KiB at most; `offset` is that of its first
    octet."""

    process: str
    stream: str
    offset: int
    data: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")

    @staticmethod
    def of(fields: Mapping[str, Any]) -> LogTail:
        octets = data_of(fields["text"] if "text" in fields else fields)
        return LogTail(str(fields["process"]), str(fields["stream"]), int(fields["offset"]), octets)


@dataclass(frozen=True)
class LogEvent:
    """What one process did: an Output, or how it Ended."""

    process: str
    event: CommandEvent


class LogStream:
    """Iterates over LogEvents, slowly read or not: processes do not wait for their readers, what is lost shows by the
    offsets. Closing it leaves them alone; close() may come from another thread: the iteration ends with Cancelled then.
    """

    def __init__(self, events: EventStream) -> None:
        self._events = events

    def close(self) -> None:
        self._events.close()

    def __iter__(self) -> Iterator[LogEvent]:
        return self

    def __next__(self) -> LogEvent:
        for fields in self._events:
            event = parse_event(fields)
            if event is not None:
                return LogEvent(str(fields.get("process", "")), event)
        raise StopIteration

    def __enter__(self) -> LogStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
