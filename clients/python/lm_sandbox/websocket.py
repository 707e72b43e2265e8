"""WebSocket: messages in both directions on a connection that was upgraded (RFC 6455), of the standard library alone.

No extensions. Pings are answered while somebody reads; what the other end sends in parts is put together.
"""
from __future__ import annotations

import base64
import hashlib
import os
import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from typing import Callable

from .errors import Cancelled, ConnectionFailed

MAX_MESSAGE = 16 << 20  # octets; more than any message that the daemon sends
NORMAL = 1000
NO_CODE = 1005  # of a goodbye without one
TOO_LARGE = 1009
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PART, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_MAX_CONTROL = 125
_SEND_TIMEOUT = 60.0  # of an other end that takes nothing


@dataclass(frozen=True)
class Message:
    """One message; of a text `data` is its UTF-8."""

    data: bytes
    is_text: bool = False


class Handshake:
    """What is sent to ask for a WebSocket, and what the answer must say."""

    def __init__(self) -> None:
        self._key = base64.b64encode(os.urandom(16)).decode("ascii")

    @property
    def headers(self) -> dict[str, str]:
        return {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": self._key}

    def check(self, accepted: str | None) -> None:
        """Raises ConnectionFailed for an answer (its Sec-WebSocket-Accept) that does not belong to what was sent."""
        wanted = base64.b64encode(hashlib.sha1(self._key.encode() + _GUID).digest()).decode("ascii")
        if accepted != wanted:
            raise ConnectionFailed("the answer to the WebSocket's handshake is not one to ours",
                                   hint="is it lm-sandbox that answers there?")


class WebSocket:
    """One thread at a time reads; any thread sends, and may close. `close_code` and `close_reason` are what the other
    end said with its goodbye."""

    def __init__(self, connection: socket.socket, on_close: Callable[[], None] | None = None) -> None:
        """`connection` is closed by `on_close`, or else by close() itself."""
        self._socket = connection
        self._on_close = on_close or connection.close
        self._sending = threading.Lock()
        self._reading = threading.RLock()  # held while a message is awaited
        self._is_closed = False
        self._buffer = bytearray()
        self._parts = bytearray()  # of a message that is not whole yet
        self._first_kind: int | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        connection.settimeout(_SEND_TIMEOUT)

    def send(self, data: bytes, *, is_text: bool = False) -> None:
        """Raises ConnectionFailed where the other end may not have got all of it."""
        self._send(_TEXT if is_text else _BINARY, data)

    def read(self, timeout: float | None = None) -> Message | None:
        """The next message; None: the other end has said goodbye. Raises TimeoutError when none has begun to come after
        so many seconds (then it can be read on), ConnectionFailed when the connection ends without a goodbye, Cancelled
        when it was closed here."""
        end = None if timeout is None else time.monotonic() + timeout
        with self._reading:
            while self.close_code is None:
                kind, is_last, data = self._frame(end)
                if kind == _CLOSE:
                    self._take_goodbye(data)
                elif kind == _PING:
                    self._send(_PONG, data)
                elif kind != _PONG:
                    message = self._join(kind, is_last, data)
                    if message is not None:
                        return message
            return None

    def has_lost_its_peer(self) -> bool:
        """Whether what is sent now reaches nobody."""
        looking = select.poll()
        looking.register(self._socket, select.POLLRDHUP)
        return self.close_code is not None or bool(looking.poll(0))

    def close(self, code: int = NORMAL) -> None:
        """Says goodbye, if the other end still listens, and ends the connection; wakes whoever reads."""
        was_closed, self._is_closed = self._is_closed, True  # first: the other end may answer a goodbye before it returns
        if not was_closed:
            self._say_goodbye(code)
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already
        with self._reading:
            self._on_close()

    def _say_goodbye(self, code: int) -> None:
        """Where there is room for it at once."""
        if self._sending.acquire(blocking=False):
            try:
                if select.select([], [self._socket], [], 0)[1]:
                    self._socket.sendall(_framed(_CLOSE, struct.pack(">H", code)))
            except (OSError, ValueError):
                pass  # nobody is there to hear it
            finally:
                self._sending.release()

    def _take_goodbye(self, data: bytes) -> None:
        self.close_code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else NO_CODE
        self.close_reason = data[2:].decode(errors="replace")
        try:
            self._send(_CLOSE, data[:2])
        except ConnectionFailed:
            pass  # the other end did not wait for ours

    def _join(self, kind: int, is_last: bool, data: bytes) -> Message | None:
        if (kind == _PART) == (self._first_kind is None) or kind not in (_PART, _TEXT, _BINARY):
            raise self._nonsense(f"a frame of kind {kind} came out of its turn")
        self._first_kind = kind if kind != _PART else self._first_kind
        self._parts += data
        if len(self._parts) > MAX_MESSAGE:
            raise self._nonsense(f"a message is longer than {MAX_MESSAGE} bytes", TOO_LARGE)
        if not is_last:
            return None
        whole, is_text = bytes(self._parts), self._first_kind == _TEXT
        self._parts.clear()
        self._first_kind = None
        return Message(whole, is_text)

    def _frame(self, end: float | None) -> tuple[int, bool, bytes]:
        """Nothing is taken from the buffer before the frame is whole: a wait that is over can be taken up again."""
        self._fill(2, end)
        size, begin = self._buffer[1] & 0x7F, 2
        if self._buffer[1] & 0x80 or self._buffer[0] & 0x70:
            raise self._nonsense("a frame is masked, or uses an extension")
        if size >= 126:
            begin = 4 if size == 126 else 10
            self._fill(begin, end)
            size = int.from_bytes(self._buffer[2:begin], "big")
        if size > MAX_MESSAGE:
            raise self._nonsense(f"a message is longer than {MAX_MESSAGE} bytes", TOO_LARGE)
        self._fill(begin + size, end)
        kind, is_last = self._buffer[0] & 0x0F, bool(self._buffer[0] & 0x80)
        data = bytes(self._buffer[begin:begin + size])
        del self._buffer[:begin + size]
        if kind >= _CLOSE and (size > _MAX_CONTROL or not is_last):
            raise self._nonsense("a control frame is too long")
        return kind, is_last, data

    def _fill(self, size: int, end: float | None) -> None:
        while len(self._buffer) < size:
            self._buffer += self._receive(max(size - len(self._buffer), 65536), end)

    def _receive(self, size: int, end: float | None) -> bytes:
        self._wait_readable(end)
        try:
            octets = self._socket.recv(size)
        except (OSError, ValueError) as error:
            raise self._broken(str(error)) from error
        if not octets:
            raise self._broken("it ended without a goodbye")
        return octets

    def _wait_readable(self, end: float | None) -> None:
        """Its own timeout is of the socket, which others send through meanwhile."""
        if self._is_closed:
            raise Cancelled("the WebSocket was closed")
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        left = None if end is None else max(0.0, end - time.monotonic()) * 1000
        if not waiting.poll(left):
            raise TimeoutError("no message came in time")

    def _send(self, kind: int, data: bytes) -> None:
        if self._is_closed:
            raise Cancelled("the WebSocket was closed")
        try:
            with self._sending:
                self._socket.sendall(_framed(kind, data))
        except (OSError, ValueError) as error:
            raise self._broken(str(error)) from error

    def _broken(self, cause: str) -> ConnectionFailed | Cancelled:
        if self._is_closed:
            return Cancelled("the WebSocket was closed")
        return ConnectionFailed("the WebSocket's connection broke", cause=cause)

    def _nonsense(self, message: str, code: int = 1002) -> ConnectionFailed:
        self.close(code)
        return ConnectionFailed(message, hint="is it lm-sandbox that answers there?")


def _framed(kind: int, data: bytes) -> bytes:
    """A frame of a client, which must mask what it sends."""
    size = len(data)
    if size < 126:
        head = bytes([0x80 | kind, 0x80 | size])
    elif size < 1 << 16:
        head = bytes([0x80 | kind, 0x80 | 126]) + struct.pack(">H", size)
    else:
        head = bytes([0x80 | kind, 0x80 | 127]) + struct.pack(">Q", size)
    mask = os.urandom(4)
    return head + mask + _masked(data, mask)


def _masked(data: bytes, mask: bytes) -> bytes:
    """All octets at once, as one large number."""
    size = len(data)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
