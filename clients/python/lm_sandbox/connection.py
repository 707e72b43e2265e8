"""Connection: one connection to the daemon, for one request at a time, and the Answer to it.

A connection that breaks is always an error: the end of an answer counts only where HTTP says that it is one.
"""
from __future__ import annotations

import http.client
import io
import select
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from email.message import Message
from typing import Callable, Iterable, Iterator, Union

from .address import JOIN_GROUP, Address
from .errors import AnswerTimeout, Cancelled, ConnectionFailed

CONNECT_TIMEOUT = 10.0
PIECE = 256 * 1024
_MAX_HEAD = 64 * 1024
_LAST_WORDS_TIMEOUT = 5.0  # for the answer to a request that the daemon does not take to its end
_NOT_DONE = "nothing of it was done: it may be sent again"
_MAY_BE_DONE = "it may have been carried out: look before sending it again"

# What reading from a connection that ends may raise.
_BREAKS = (OSError, ValueError, EOFError, http.client.HTTPException)

Body = Union[bytes, Iterable[bytes], None]


@dataclass
class Request:
    """`target` is the path below the address, with its query. A body that is not bytes is sent in chunks as it is
    iterated over, once."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = None

    def __str__(self) -> str:
        return f"{self.method} {self.target.partition('?')[0]}"

    @property
    def begins_when_whole(self) -> bool:
        """Whether the daemon does nothing of it before it has all of it. Files, archives and snapshots it takes as they
        come."""
        return self.method != "PUT" and not self.target.startswith("/v1/snapshots/import")


class _SourceFailed(Exception):
    """What the caller's body raised while it was sent: not to be mistaken for the connection's own trouble."""


def _watched(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from body
    except Exception as error:
        raise _SourceFailed from error


class Connection:
    """Opened when it is made. One thread at a time, but abort() may come from any."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.is_reused = False
        self.socket = _open_socket(address)
        kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
        self._http = kind(address.host, address.port or None)
        self._http.sock = self.socket

    def is_stale(self) -> bool:
        """Whether the other end has closed it while it was idle (or has said what nobody asked)."""
        watch = select.poll()
        watch.register(self.socket, select.POLLIN)
        return bool(watch.poll(0))

    def exchange(self, request: Request, timeout: float) -> Answer:
        """Sends a request; returns when the head of the answer is there. Any failure closes the connection."""
        try:
            self.set_timeout(timeout)
            fault = self._send(request)
            if fault is not None:
                self.set_timeout(_LAST_WORDS_TIMEOUT)
            return self._receive(request, fault)
        except _SourceFailed as failure:
            self.close()
            assert failure.__cause__ is not None
            raise failure.__cause__
        except BaseException:
            self.close()
            raise

    def upgrade(self, request: Request, timeout: float) -> Upgrade:
        """Asks for another protocol on this connection; the request has no body. Any failure closes it."""
        try:
            self.set_timeout(timeout)
            fault = self._send(request)
            try:
                return _read_upgrade(self.socket)
            except _BREAKS as error:
                raise _failure(request, self.address, fault or error, fault is None) from error
        except BaseException:
            self.close()
            raise

    def set_timeout(self, seconds: float) -> None:
        """For each wait from now on."""
        self.socket.settimeout(seconds)

    def abort(self) -> None:
        """Wakes whoever waits for it in another thread, who sees the connection's end."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already

    def close(self) -> None:
        self._http.close()
        self.socket.close()

    def _send(self, request: Request) -> OSError | None:
        """The error that kept the daemon from taking all of it. It may have said why, so that is no end."""
        body = request.body
        if body is not None and not isinstance(body, bytes):
            body = _watched(body)
        headers = {"Host": self.address.authority, **request.headers}
        try:
            self._http.request(request.method, self.address.base + request.target, body, headers)
        except OSError as error:
            return error
        return None

    def _receive(self, request: Request, fault: OSError | None) -> Answer:
        try:
            return Answer(self, str(request), self._http.getresponse(), is_last=fault is not None)
        except (OSError, http.client.HTTPException) as error:
            may_have_run = fault is None or not request.begins_when_whole
            raise _failure(request, self.address, fault or error, may_have_run) from error


@dataclass(frozen=True)
class Upgrade:
    """The answer to a request for another protocol: after 101 the connection speaks it; else `body` says why not."""

    status: int
    headers: Message
    body: bytes


def _read_upgrade(opened: socket.socket) -> Upgrade:
    """Octet by octet: what comes behind the head is not HTTP."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        octet = opened.recv(1)
        if not octet or len(head) == _MAX_HEAD:
            raise EOFError("the connection ended" if not octet else "the head of the answer does not end")
        head += octet
    line, _, fields = bytes(head).partition(b"\r\n")
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError(f"the answer is no HTTP: {line[:100]!r}")
    headers = http.client.parse_headers(io.BytesIO(fields))
    size = 0 if words[1] == b"101" else min(int(headers.get("Content-Length", 0)), _MAX_HEAD)
    body = bytearray()
    while len(body) < size and (piece := opened.recv(size - len(body))):
        body += piece
    return Upgrade(int(words[1]), headers, bytes(body))


class Answer:
    """The head of an answer, and its body as it is read. Whoever has one reads it to its end or closes it; `on_end` is
    called with whether the connection can go on."""

    def __init__(self, connection: Connection, request: str, response: http.client.HTTPResponse,
                 is_last: bool) -> None:
        self.status = response.status
        self.headers = response.headers
        self.on_end: Callable[[Connection, bool], None] = _close_or_leave
        self._connection = connection
        self._request = request
        self._response = response
        self._is_last = is_last or response.will_close
        self._is_over = False
        self._lock = threading.Lock()

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes:
        """The whole body."""
        try:
            body = self._response.read()
        except _BREAKS as error:
            raise self._broken(error) from error
        self._end(True)
        return body

    def pieces(self, size: int = PIECE) -> Iterator[bytes]:
        """The body, in pieces of at most `size` octets as they come."""
        try:
            while piece := self._next(size):
                yield piece
            self._end(True)
        finally:
            self.close()

    def set_timeout(self, seconds: float) -> None:
        self._connection.set_timeout(seconds)

    def abort(self) -> None:
        """Wakes whoever reads it in another thread, who sees it cut off."""
        with self._lock:
            if not self._is_over:  # else the connection is somebody else's by now
                self._connection.abort()

    def close(self) -> None:
        """Ends it; where that is before the body's end, by closing the connection."""
        self._end(False)

    def _next(self, size: int) -> bytes:
        if self._is_over:
            raise Cancelled(f"{self._request}: the answer was closed before its end")
        try:
            piece = self._response.read1(size)
        except _BREAKS as error:
            raise self._broken(error) from error
        if not piece and self._response.length:  # of a body whose length was told, http.client would pass over it
            raise self._broken(EOFError(f"{self._response.length} octets are missing"))
        return piece

    def _broken(self, error: Exception) -> ConnectionFailed:
        self.close()
        if isinstance(error, TimeoutError):
            return AnswerTimeout(f"{self._request} of {self._connection.address}: the answer stopped in the middle")
        return ConnectionFailed(f"{self._request} of {self._connection.address}: the answer is cut off",
                                cause=_reason(error), hint=_MAY_BE_DONE)

    def _end(self, is_whole: bool) -> None:
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self._response.close()
        self.on_end(self._connection, is_whole and not self._is_last)


def _close_or_leave(connection: Connection, can_go_on: bool) -> None:
    if not can_go_on:
        connection.close()


def _open_socket(address: Address) -> socket.socket:
    try:
        if address.scheme == "unix":
            return _open_unix(address.path)
        plain = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # notices a machine that is gone without a word
        if address.scheme == "http":
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=address.host)
    except OSError as error:
        is_closed = address.scheme == "unix" and isinstance(error, PermissionError)
        raise ConnectionFailed(f"connect to {address}", cause=_reason(error), may_have_run=False,
                               hint=JOIN_GROUP if is_closed else
                               "is the daemon running? lm-sandbox serve starts one") from error


def _open_unix(path: str) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # A socket with a timeout of Python's would fail at once while the daemon's queue is full, instead of waiting.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(CONNECT_TIMEOUT), 0))
        opened.connect(path)
        return opened
    except BaseException:
        opened.close()
        raise


def _failure(request: Request, address: Address, error: Exception, may_have_run: bool) -> ConnectionFailed:
    kind = AnswerTimeout if isinstance(error, TimeoutError) else ConnectionFailed
    why = "no answer in time" if kind is AnswerTimeout else "the connection ended without an answer"
    return kind(f"{request} of {address}: {why}", cause=None if kind is AnswerTimeout else _reason(error),
                may_have_run=may_have_run, hint=_MAY_BE_DONE if may_have_run else _NOT_DONE)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
