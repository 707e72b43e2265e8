"""Terminal: sitting at a process of a sandbox that has one.

    with box.terminal() as terminal:  # a login shell
        terminal.write("echo $((6 * 7))\\n")
        print(terminal.read_until("42"))
"""
from __future__ import annotations

import json
import threading
import time
from typing import Callable, Iterator

from .backoff import Backoff
from .errors import ApiError, Cancelled, ConnectionFailed, Error, NotFound, TerminalClosed, Unavailable
from .fields import Data
from .result import Ending
from .websocket import NORMAL, Message, WebSocket

_PIECE = 512 << 10  # octets of one message; the daemon takes twice that
_MAX_SCAN = 1 << 20  # octets that read_until() looks through
_LOST = Backoff(first=0.1, most=5.0, total=60.0)
_CODES = {4001: "terminal_taken", 4004: "process_gone", 4009: "sandbox_paused"}


class Terminal:
    """What is typed goes in by write(), what is shown comes by read(). The terminal is the process's, not the
    connection's: when that is lost, and by another thread while this one waits, read() opens it again and goes on where
    it stopped: nothing is missing that the sandbox still has (of each process the first 64 MiB and the last 256 KiB),
    and nothing comes twice. The daemon takes a reader that answers nothing for 40 s for gone; read() then opens the
    connection again, too.

    Whoever opens the terminal of a process takes it over: the one before gets TerminalClosed (`code` terminal_taken),
    and so does whoever types while the sandbox is paused (sandbox_paused) or when the process is no more
    (process_gone). One thread reads, others may write, resize and close. A `with` block closes it; of one that
    Sandbox.terminal() made, it also ends the process.
    """

    def __init__(self, process: str, connect: Callable[[int], WebSocket], *, offset: int = 0,
                 end: Callable[[], None] | None = None) -> None:
        """`connect` opens a connection from an offset on; `end` ends the process."""
        self.process = process
        self._connect = connect
        self._end = end
        self._offset = offset
        self._result: Ending | None = None
        self._is_closed = threading.Event()
        self._changing = threading.Lock()
        self._rest = b""  # was read, and is not given yet
        self._socket = connect(offset)

    def __repr__(self) -> str:
        return f"Terminal(process={self.process!r}, offset={self._offset})"

    @property
    def offset(self) -> int:
        """How much has been shown here: what Process.terminal(offset=) goes on from."""
        return self._offset

    @property
    def result(self) -> Ending | None:
        """How the process ended; None until read() has come to its end."""
        return self._result

    def read(self, timeout: float | None = None) -> bytes:
        """What the terminal shows next, as it comes; b"" when its process has ended. Raises TimeoutError when nothing
        is shown for `timeout` seconds."""
        if self._rest:
            piece, self._rest = self._rest, b""
            return piece
        end = None if timeout is None else time.monotonic() + timeout
        while self._result is None:
            message = self._next(None if end is None else max(0.0, end - time.monotonic()))
            if not message.is_text:
                self._offset += len(message.data)
                return message.data
            self._take_text(message.data)
        return b""

    def read_until(self, text: Data, timeout: float | None = None) -> str:
        """What is shown up to and with `text`; what comes behind it is for the next read. Raises TimeoutError when it
        is not there after `timeout` seconds, Error when the process has ended, or shows a MiB without it: what was
        shown so far can then be read again."""
        wanted = text.encode() if isinstance(text, str) else text
        end = None if timeout is None else time.monotonic() + timeout
        seen = bytearray()
        try:
            while wanted not in seen:
                piece = self.read(None if end is None else max(0.0, end - time.monotonic()))
                seen += piece
                if not piece or len(seen) > _MAX_SCAN:
                    raise Error(f"the terminal never showed {text!r}", hint="read() has what it showed instead")
        except BaseException:
            self._rest = bytes(seen)
            raise
        at = seen.index(wanted) + len(wanted)
        self._rest = bytes(seen[at:])
        return seen[:at].decode(errors="replace")

    def __iter__(self) -> Iterator[bytes]:
        """All that is shown until the process ends."""
        while piece := self.read():
            yield piece

    def write(self, keys: Data) -> None:
        """Types. Where the connection breaks while it is sent it raises ConnectionFailed: it may have arrived, so it is
        not sent again; the next read() or write() has a fresh one."""
        octets = keys.encode() if isinstance(keys, str) else keys
        for at in range(0, len(octets), _PIECE):
            self._send(octets[at:at + _PIECE])

    def resize(self, cols: int, rows: int) -> None:
        size = json.dumps({"type": "resize", "cols": cols, "rows": rows})
        self._send(size.encode(), is_text=True)

    def close(self) -> None:
        """Leaves the terminal; its process goes on. Another thread's read() ends with Cancelled."""
        self._is_closed.set()
        self._socket.close()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self._end is None:
            return
        try:
            self._end()
        except NotFound:
            pass  # it is gone already, perhaps with its sandbox

    def _next(self, timeout: float | None) -> Message:
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            opened = self._socket
            try:
                message = opened.read(None if end is None else max(0.0, end - time.monotonic()))
            except TimeoutError:
                raise TimeoutError(f"the terminal of {self.process} showed nothing for {timeout:.3g} s") from None
            except Cancelled:
                if self._is_closed.is_set() or self._socket is opened:
                    raise
            except ConnectionFailed as failure:
                self._open_again(opened, failure)
            else:
                if message is not None:
                    return message
                if opened.close_code == NORMAL or opened.close_code in _CODES:
                    raise self._closed(opened)
                self._open_again(opened, ConnectionFailed("the daemon closed the terminal", cause=opened.close_reason))

    def _closed(self, opened: WebSocket) -> TerminalClosed:
        code = _CODES.get(opened.close_code or 0, "terminal_closed")
        return TerminalClosed(opened.close_reason or "the daemon closed the terminal", code=code)

    def _send(self, octets: bytes, *, is_text: bool = False) -> None:
        opened = self._socket
        if not self._is_closed.is_set() and opened.has_lost_its_peer():
            self._open_again(opened, ConnectionFailed("the terminal's connection has ended", may_have_run=False))
            opened = self._socket
        try:
            opened.send(octets, is_text=is_text)
        except ConnectionFailed as failure:
            if opened.close_code is None:
                self._open_again(opened, failure)
            raise

    def _open_again(self, lost: WebSocket, failure: ConnectionFailed) -> None:
        """Once, by whichever thread noticed first."""
        with self._changing:
            if self._socket is not lost:
                return
            self._socket = self._reconnected(failure)
            lost.close()
            if self._is_closed.is_set():
                self._socket.close()

    def _reconnected(self, failure: ConnectionFailed) -> WebSocket:
        plan = _LOST.plan()
        while True:
            delay = plan.next()
            if delay is None or self._is_closed.wait(delay):
                raise failure
            try:
                return self._connect(self._offset)
            except (ConnectionFailed, Unavailable) as error:
                if isinstance(error, ApiError) and error.code == "sandbox_lost":
                    raise

    def _take_text(self, text: bytes) -> None:
        try:
            event = json.loads(text)
        except ValueError:
            return
        if isinstance(event, dict) and event.get("type") == "result":
            self._result = Ending.of(event)
