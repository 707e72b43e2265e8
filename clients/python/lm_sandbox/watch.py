"""Watch: what happens in a directory of a sandbox.

    with box.files.watch("src") as events:
        for event in events:
            print(event.type, event.path)
"""
from __future__ import annotations

from typing import Iterator

from .errors import ApiError
from .fileinfo import FileEvent
from .streams import EventStream


class Watch:
    """Iterates over events, for ever, or until the directory itself is `gone`. Who reads too slowly gets `lost` in
    place of what could not be kept. Where nothing more can be told it raises ApiError, which says why. close() may
    come from another thread: the iteration ends with Cancelled then. A connection that breaks raises ConnectionFailed.
    """

    def __init__(self, events: EventStream) -> None:
        self._events = events
        self._is_over = False
        try:
            self._next()  # `armed`
        except BaseException:
            events.close()
            raise

    def close(self) -> None:
        self._events.close()

    def __iter__(self) -> Iterator[FileEvent]:
        return self

    def __next__(self) -> FileEvent:
        if self._is_over:
            raise StopIteration
        event = self._next()
        self._is_over = event.type == "gone"
        return event

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> FileEvent:
        for fields in self._events:
            if fields.get("type") == "failed":
                raise ApiError(str(fields.get("message", "")), code=str(fields.get("code", "")))
            return FileEvent.of(fields)
        raise self._events.cut_off("the directory was gone")
