"""Client: how to ask a daemon. Programs that ask the daemon of this machine need none: every function finds it.

    client = Client("http://sandbox.lan:8000", api_key="...")
    lm_sandbox.run("whoami", client=client)
"""
from __future__ import annotations

import json
import os
import socket
import threading
import urllib.parse
from email.message import Message
from typing import Any, Iterable, Iterator, Mapping

from .address import Address
from .connection import Answer, Body, Connection, Request
from .errors import ConnectionFailed, Error, api_error
from .pool import Pool
from .streams import EventStream
from .websocket import Handshake, WebSocket

COMMAND_TIMEOUT = 120.0  # the daemon's own, of commands that ask for none
TREE_TIMEOUT = 1800.0  # the daemon's own, of file operations on whole trees
SILENCE = 60.0  # the daemon says something every 15 s in an event stream


class Client:
    """Asks one daemon. Any thread may use it, also several at once.

    `host` is "http://HOST:PORT", "https://HOST" or "unix:/PATH"; without it LM_SANDBOX_HOST, the user's socket and the
    system's are tried, as the command line does (address.py). `api_key` goes along as a bearer token; default:
    LM_SANDBOX_API_KEY. `patience` is how many seconds an answer may take beyond the time limit of what was asked: the
    wait for a place among the running commands, and the way back. When it is over, AnswerTimeout is raised and the
    connection closed, by which the daemon ends the command.
    """

    def __init__(self, host: str | None = None, *, api_key: str | None = None, patience: float = 600.0) -> None:
        self.address = Address.parse(host) if host else Address.find()
        self.patience = patience
        self._api_key = api_key if api_key is not None else os.environ.get("LM_SANDBOX_API_KEY")
        self._pool = Pool(self.address)

    def __repr__(self) -> str:
        return f"Client({str(self.address)!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def info(self) -> dict[str, Any]:
        """What the daemon is: GET /v1/info."""
        return dict(self.call("GET", "/v1/info"))

    def close(self) -> None:
        """Closes idle connections. The client can be used on."""
        self._pool.close()

    def abort(self) -> None:
        """Ends every request in progress, in whatever thread, with Cancelled; the client can do no more then."""
        self._pool.abort()

    def twin(self) -> Client:
        """Another client of the same daemon, with connections of its own."""
        return Client(str(self.address), api_key=self._api_key or "", patience=self.patience)

    # What the rest of this package is made of; for routes that it does not know yet.

    def call(self, method: str, path: str, fields: Mapping[str, Any] | None = None, *,
             query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
             body: Iterable[bytes] | bytes | None = None, timeout: float = 0.0) -> Any:
        """One JSON answer, None where there is no body. `fields` are sent as JSON, or `body` as octets. `timeout` is
        the time limit of what is asked."""
        with self.open(method, path, fields, query=query, headers=headers, body=body, timeout=timeout) as answer:
            text = answer.read()
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise ConnectionFailed(f"{method} {path} of {self.address}: the answer is no JSON", cause=str(error),
                                   hint="is it lm-sandbox that answers there?") from error

    def open(self, method: str, path: str, fields: Mapping[str, Any] | None = None, *,
             query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
             body: Iterable[bytes] | bytes | None = None, timeout: float = 0.0) -> Answer:
        """The head of a good answer, whose body is to be read or closed. Raises ApiError for any other."""
        request = self._request(method, path, fields, query, headers, body)
        answer = self._pool.exchange(request, timeout + self.patience)
        if answer.status < 300:
            return answer
        raise api_error(f"{request} of {self.address}", answer.status, answer.headers, answer.read())

    def pages(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """What a list has, asked for page by page."""
        wanted = dict(query or {})
        while True:
            page = self.call("GET", path, query=wanted)
            yield from page["data"]
            if not page.get("next_cursor"):
                return
            wanted["cursor"] = page["next_cursor"]

    def events(self, method: str, path: str, fields: Mapping[str, Any] | None = None, *,
               query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> EventStream:
        """An answer that comes event by event."""
        headers = {**(headers or {}), "Accept": "text/event-stream"}
        answer = self.open(method, path, fields, query=query, headers=headers)
        answer.set_timeout(SILENCE)
        return EventStream(answer, f"{method} {path}")

    def web_socket(self, path: str, query: Mapping[str, str] | None = None) -> WebSocket:
        """A connection on which messages go both ways."""
        handshake = Handshake()
        connection, headers = self._upgraded(path, query, handshake.headers)
        try:
            handshake.check(headers.get("Sec-WebSocket-Accept"))
        except BaseException:
            self._pool.release(connection)
            raise
        return WebSocket(connection.socket, lambda: self._pool.release(connection))

    def tunnel(self, path: str, query: Mapping[str, str] | None = None) -> socket.socket:
        """A connection of octets, which is the caller's to close."""
        connection, _ = self._upgraded(path, query, {"Connection": "Upgrade", "Upgrade": "tcp"})
        return self._pool.detach(connection)

    def _upgraded(self, path: str, query: Mapping[str, str] | None,
                  headers: Mapping[str, str]) -> tuple[Connection, Message]:
        request = self._request("GET", path, None, query, headers, None)
        connection, answer = self._pool.upgrade(request, self.patience)
        if answer.status == 101:
            return connection, answer.headers
        self._pool.release(connection)
        raise api_error(f"{request} of {self.address}", answer.status, answer.headers, answer.body)

    def _request(self, method: str, path: str, fields: Mapping[str, Any] | None, query: Mapping[str, str] | None,
                 headers: Mapping[str, str] | None, body: Body) -> Request:
        sent = {"User-Agent": "lm-sandbox-python"}
        if self._api_key:
            sent["Authorization"] = f"Bearer {self._api_key}"
        if fields is not None:
            sent["Content-Type"] = "application/json"
            body = _json(fields)
        elif body is not None:
            sent["Content-Type"] = "application/octet-stream"
        if query:
            path += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        return Request(method, path, {**sent, **(headers or {})}, body)


def _json(fields: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise Error("a text of the request is no UTF-8", cause=str(error), hint="give it as bytes") from error


_default_lock = threading.Lock()
_default: tuple[tuple[str | None, ...], Client] | None = None


def default_client() -> Client:
    """The client of functions that are given none: one for the whole program, until the environment names another
    daemon."""
    global _default
    names = ("LM_SANDBOX_HOST", "LM_SANDBOX_API_KEY", "XDG_RUNTIME_DIR")
    environment = tuple(os.environ.get(name) for name in names)
    with _default_lock:
        if _default is None or _default[0] != environment:
            _default = (environment, Client())
        return _default[1]
