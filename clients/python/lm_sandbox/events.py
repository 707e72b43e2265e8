"""Events: what a command does, told as it does it.

    with box.exec_stream("make") as events:
        for event in events:
            if isinstance(event, Output):
                print(event.text, end="")
    print(events.result.exit_code)
"""
from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Iterator, Mapping, Union

from .errors import Error
from .result import Ending, data_of
from .streams import EventStream


@dataclass(frozen=True)
class Started:
    """The first: it runs. `pid` is its number inside the sandbox. Not of a process that is followed."""

    pid: int


@dataclass(frozen=True)
class Output:
    """Something was written. `stream` is "stdout" or "stderr", `offset` that of the first octet; where it is larger
    than the end of the piece before, octets are lost (only of processes that are followed: more was written than is
    kept). Characters are never torn."""

    stream: str
    offset: int
    data: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


@dataclass(frozen=True)
class Ended:
    """The last: how it ended."""

    result: Ending


CommandEvent = Union[Started, Output, Ended]


def parse_event(event: Mapping[str, Any]) -> CommandEvent | None:
    """None for a kind that is not known here."""
    kind = event.get("type")
    if kind in ("stdout", "stderr"):
        return Output(kind, event.get("offset", 0), data_of(event["text"] if "text" in event else event))
    if kind == "started":
        return Started(event.get("process", {}).get("pid", 0))
    if kind == "result":
        return Ended(Ending.of(event))
    return None


class CommandStream:
    """Iterates over what a command does; slowly read, it slows the command down. After the last event, `result` says
    how it ended.

    Of exec_stream() and run_stream(), closing it, or leaving the `with` block, before its end kills the command and
    everything it started; of follow() it leaves the process alone. close() may come from another thread: the iteration
    ends with Cancelled then. A connection that breaks raises ConnectionFailed: an iteration that ends by itself has
    told everything. The daemon waits a minute for a reader that takes nothing while much is there, then it gives up.
    """

    def __init__(self, events: EventStream, has_end: bool = True) -> None:
        self._events = events
        self._has_end = has_end
        self._result: Ending | None = None

    @property
    def result(self) -> Ending:
        if self._result is None:
            raise Error("how the command ended is not known yet", hint="read its events to the end")
        return self._result

    def wait(self) -> Ending:
        """Reads the rest and returns the result."""
        for _ in self:
            pass
        return self.result

    def close(self) -> None:
        self._events.close()

    def __iter__(self) -> Iterator[CommandEvent]:
        return self

    def __next__(self) -> CommandEvent:
        if self._result is not None:
            raise StopIteration
        for fields in self._events:
            event = parse_event(fields)
            if isinstance(event, Ended):
                self._finish(event.result)
            if event is not None:
                return event
        if self._has_end:
            raise self._events.cut_off("the command's result")
        raise StopIteration

    def _finish(self, result: Ending) -> None:
        self._result = result
        try:
            for _ in self._events:
                pass  # the end of the answer, so that its connection can go on
        except Error:
            pass  # all has been told

    def __enter__(self) -> CommandStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()
