"""Pool: the connections of one client. One is used again once its answer has been read to the end, the latest first, so
that each thread of a program tends to keep its own. Any thread may use it.

When a connection that is used again turns out to be closed, the request is sent once more, on a fresh one, in two cases
only: the daemon cannot have got all of it (but for PUT, it begins nothing before that), or it is a GET or HEAD, which
does nothing. Connections idle for a minute are not used again, and each is looked at before it is.
"""
from __future__ import annotations

import os
import socket
import threading
import time
import weakref

from .address import Address
from .connection import Answer, Connection, Request, Upgrade
from .errors import AnswerTimeout, Cancelled, ConnectionFailed

MAX_IDLE_SECONDS = 60.0  # the daemon closes them after 75
MAX_IDLE = 64


class Pool:
    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Connection]] = []  # since when
        self._in_use: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._is_aborted = False
        self._process = os.getpid()

    def exchange(self, request: Request, timeout: float) -> Answer:
        """Sends a request and returns the head of its answer, whose end brings the connection back here."""
        connection = self._take()
        was_used = connection.is_reused
        try:
            return self._exchange_on(connection, request, timeout)
        except ConnectionFailed as failure:
            if self._is_aborted:
                raise Cancelled(f"{request} was cancelled") from failure
            if not (was_used and _may_repeat(request, failure)):
                raise
        return self._exchange_on(self._open(), request, timeout)

    def upgrade(self, request: Request, timeout: float) -> tuple[Connection, Upgrade]:
        """Asks for another protocol on a fresh connection, which is to be brought back by release()."""
        connection = self._open()
        try:
            return connection, connection.upgrade(request, timeout)
        except ConnectionFailed as failure:
            self._give_back(connection, False)
            if self._is_aborted:
                raise Cancelled(f"{request} was cancelled") from failure
            raise

    def release(self, connection: Connection) -> None:
        """Ends a connection that speaks another protocol."""
        self._give_back(connection, False)

    def detach(self, connection: Connection) -> socket.socket:
        """Lets the caller have it; abort() does not end it any more."""
        with self._lock:
            self._in_use.discard(connection)
        connection.socket.settimeout(None)
        return connection.socket

    def close(self) -> None:
        """Closes what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def __del__(self) -> None:
        self.close()

    def abort(self) -> None:
        """Ends every request in progress; those and later ones raise Cancelled."""
        with self._lock:
            self._is_aborted = True
            in_use = list(self._in_use)
        for connection in in_use:
            connection.abort()
        self.close()

    @property
    def is_aborted(self) -> bool:
        return self._is_aborted

    def _exchange_on(self, connection: Connection, request: Request, timeout: float) -> Answer:
        try:
            answer = connection.exchange(request, timeout)
        except BaseException:
            self._give_back(connection, False)
            raise
        answer.on_end = self._give_back
        return answer

    def _take(self) -> Connection:
        self._leave_what_a_fork_shares()
        while True:
            with self._lock:
                if self._is_aborted:
                    raise Cancelled("the client is closed")
                since, connection = self._idle.pop() if self._idle else (0.0, None)
                if connection is not None:
                    self._in_use.add(connection)
            if connection is None:
                return self._open()
            if time.monotonic() - since < MAX_IDLE_SECONDS and not connection.is_stale():
                return connection
            self._give_back(connection, False)

    def _open(self) -> Connection:
        if self._is_aborted:
            raise Cancelled("the client is closed")
        connection = Connection(self.address)
        with self._lock:
            self._in_use.add(connection)
            is_late = self._is_aborted
        if is_late:
            self._give_back(connection, False)
            raise Cancelled("the client is closed")
        return connection

    def _give_back(self, connection: Connection, can_go_on: bool) -> None:
        connection.is_reused = True
        with self._lock:
            self._in_use.discard(connection)
            keeps = can_go_on and not self._is_aborted and len(self._idle) < MAX_IDLE
            if keeps:
                self._idle.append((time.monotonic(), connection))
        if not keeps:
            connection.close()

    def _leave_what_a_fork_shares(self) -> None:
        with self._lock:
            if self._process == os.getpid():
                return
            self._process = os.getpid()
            idle, self._idle = self._idle, []
            self._in_use.clear()
        for _, connection in idle:
            connection.close()  # this process's copy alone: the parent's goes on


def _may_repeat(request: Request, failure: ConnectionFailed) -> bool:
    if isinstance(failure, AnswerTimeout):
        return False
    return request.method in ("GET", "HEAD") or not failure.may_have_run
