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

from . import fields as f
from .client import Client
from .errors import Error
from .result import Ending, data_of
from .streams import EventStream


@dataclass(frozen=True)
class Started:
    """The first: it runs. `pid` is its number inside the sandbox. Not of a process that is followed. `process` is the
    id of one that takes input meanwhile."""

    pid: int
    process: str | None = None


@dataclass(frozen=True)
class Output:
    """Something was written. `stream` is "stdout" or "stderr", `offset` that of the first octet; where it is larger
    than the end of the piece before, octets are lost (only of processes that are followed: more was written than is
    kept). Characters are never torn. `at`, where timestamps were asked for: when its first octet came."""

    stream: str
    offset: int
    data: bytes = field(repr=False)
    at: str | None = None

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


@dataclass(frozen=True)
class Ended:
    """The last: how it ended."""

    result: Ending


_STDIN_PIECE = 64 * 1024  # what waits for a command is 128 KiB at most

CommandEvent = Union[Started, Output, Ended]


def parse_event(event: Mapping[str, Any]) -> CommandEvent | None:
    """None for a kind that is not known here."""
    kind = event.get("type")
    if kind in ("stdout", "stderr"):
        return Output(kind, event.get("offset", 0), data_of(event["text"] if "text" in event else event),
                      event.get("at"))
    if kind == "started":
        process = event.get("process", {})
        return Started(process.get("pid", 0), process.get("id"))
    if kind == "result":
        return Ended(Ending.of(event))
    return None


class CommandInput:
    """The input of a command that is followed."""

    def __init__(self, client: Client, base: str) -> None:
        self._client = client
        self._base = base

    def send(self, process: str, **fields: Any) -> None:
        self._client.call("POST", f"{self._base}/processes/{f.segment(process)}/stdin", fields)


class CommandStream:
    """Iterates over what a command does; slowly read, it slows the command down. After the last event, `result` says
    how it ended.

    Of exec_stream() and run_stream(), closing it, or leaving the `with` block, before its end kills the command and
    everything it started; of follow() it leaves the process alone. close() may come from another thread: the iteration
    ends with Cancelled then. A connection that breaks raises ConnectionFailed: an iteration that ends by itself has
    told everything. The daemon waits a minute for a reader that takes nothing while much is there, then it gives up.
    """

    def __init__(self, events: EventStream, has_end: bool = True, stdin: CommandInput | None = None) -> None:
        """With `stdin` the first event is read, which says whose input that is."""
        self._events = events
        self._has_end = has_end
        self._stdin = stdin
        self._result: Ending | None = None
        self._process: str | None = None
        self._first: CommandEvent | None = None  # was read already
        if stdin is not None:
            self._first = self._read_first()

    def write(self, content: f.Data) -> None:
        """Writes to the command's stdin, if that is kept; returns when it has read all but 128 KiB. Raises Conflict
        (input_closed) when it reads no more, ApiError (input_full) when it does not for 30 s: nothing of that write was
        taken then. Another thread may read the events meanwhile, and must where the command writes much."""
        octets = content.encode() if isinstance(content, str) else content
        for at in range(0, len(octets), _STDIN_PIECE):
            self._send(data=f.data(octets[at:at + _STDIN_PIECE]))

    def close_stdin(self) -> None:
        """That was all."""
        self._send(close=True)

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
        if self._first is not None:
            event, self._first = self._first, None
            return event
        return self._read()

    def _read_first(self) -> CommandEvent:
        try:
            return self._read()
        except BaseException:
            self.close()
            raise

    def _send(self, **fields: Any) -> None:
        if self._stdin is None or self._process is None:
            raise Error("the command's stdin was not kept open", hint="start it with keep_stdin=True")
        self._stdin.send(self._process, **fields)

    def _read(self) -> CommandEvent:
        if self._result is not None:
            raise StopIteration
        for fields in self._events:
            event = parse_event(fields)
            if isinstance(event, Started):
                self._process = event.process
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
