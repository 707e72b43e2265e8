"""Streams: answers that come event by event, as server-sent events or as lines of JSON.

We ask for server-sent events: a comment comes every 15 s while nothing happens, so a daemon that is gone without a word
is noticed after a minute, however long a command may be silent.
"""
from __future__ import annotations

import json
import threading
from typing import Any, Generator, Iterator, Protocol

from .connection import Answer
from .errors import Cancelled, ConnectionFailed

MAX_EVENT = 16 << 20  # octets; more than any event that the daemon makes


class Decoder(Protocol):
    """Takes octets as they come, cut anywhere; gives the texts of the events that are whole."""

    def feed(self, octets: bytes) -> Iterator[bytes]: ...


class LineDecoder:
    """application/x-ndjson: each line is an event."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, octets: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + octets).split(b"\n")
        _check_size(self._rest)
        yield from (line for line in lines if line.strip())


class SseDecoder:
    """text/event-stream: the `data` lines before an empty line are an event; everything else is passed over."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, octets: bytes) -> Iterator[bytes]:
        text = self._rest + octets
        held = b"\r" if text.endswith(b"\r") else b""  # what follows says whether it is a line end or half of one
        *lines, rest = text[:len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = rest + held
        _check_size(self._rest, *self._data)
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data = []


def _check_size(*parts: bytes) -> None:
    if sum(map(len, parts)) > MAX_EVENT:
        raise ConnectionFailed(f"an event of the answer is longer than {MAX_EVENT} bytes",
                               hint="is it lm-sandbox that answers there?")


def decoder_of(content_type: str) -> Decoder:
    if content_type.partition(";")[0].strip().lower() == "text/event-stream":
        return SseDecoder()
    return LineDecoder()


class EventStream:
    """The events of one answer, as JSON objects. Ends with the answer; a stream that breaks raises ConnectionFailed.
    One thread iterates; close() may come from any, and ends the iteration of another with Cancelled."""

    def __init__(self, answer: Answer, request: str) -> None:
        self._answer = answer
        self._request = request
        self._is_over = False
        self._is_closed = False
        self._lock = threading.RLock()  # held while the next event is read
        self._events = self._read()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        with self._lock:
            event = next(self._events, None)
        if event is not None:
            return event
        if self._is_closed and not self._is_over:
            raise Cancelled(f"{self._request}: the stream was closed")
        raise StopIteration

    def close(self) -> None:
        self._is_closed = True
        self._answer.abort()  # wakes the thread that reads
        with self._lock:
            self._answer.close()

    def cut_off(self, missing: str) -> ConnectionFailed:
        """The error of a stream that ended before it should have."""
        return ConnectionFailed(f"{self._request}: the daemon ended the answer before {missing}",
                                hint="what it was about may go on or be done: look before repeating it")

    def _read(self) -> Generator[dict[str, Any], None, None]:
        decoder = decoder_of(self._answer.headers.get("Content-Type", ""))
        try:
            for piece in self._answer.pieces():
                for text in decoder.feed(piece):
                    yield self._parsed(text)
            self._is_over = True
        except (ConnectionFailed, Cancelled):
            if not self._is_closed:
                raise  # else __next__ says so

    def _parsed(self, text: bytes) -> dict[str, Any]:
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if isinstance(event, dict):
            return event
        raise ConnectionFailed(f"{self._request}: an event is no JSON object: {text[:200]!r}",
                               hint="is it lm-sandbox that answers there?")
