"""Process: a command of a sandbox that goes on by itself, whoever waits for it or not.

    server = box.start("python3 -m http.server 8080")
    ...
    server.kill()
    print(server.wait().outcome)
"""
from __future__ import annotations

import signal as signals
import time
from dataclasses import dataclass
from typing import Any, Mapping, Union

from .client import Client
from .errors import NotFound
from .events import CommandStream
from .fields import Cmd, Data, data, given, times
from .result import Ending, data_of, pick
from .terminal import Terminal
from .websocket import WebSocket

_STDIN_PIECE = 1 << 20
_WAIT_PIECE = 30.0  # seconds of one request


@dataclass(frozen=True)
class ProcessInfo:
    """`state` is running or ended, `result` is there once it has ended; `cmd` is its beginning where it is long; `pid`
    is its number inside. Times are RFC 3339. `timeout_ms` 0 is no limit but the operator's. `attached`: somebody waits
    for it, and has its output; `session` is the shell session whose command it is."""

    id: str
    sandbox_id: str = ""
    cmd: Cmd = ""
    cwd: str = ""
    pid: int = 0
    state: str = ""
    stdin: bool = False
    pty: bool = False
    timeout_ms: int = 0
    started_at: str = ""
    ended_at: str | None = None
    result: Ending | None = None
    attached: bool = False
    session: str | None = None
    merge_stderr: bool = False

    @staticmethod
    def of(fields: Mapping[str, Any]) -> ProcessInfo:
        result = fields.get("result")
        return pick(ProcessInfo, fields, result=Ending.of(result) if result else None)


@dataclass(frozen=True)
class OutputPiece:
    """What a stream has from `offset` on. `missing_bytes` before it are lost: the first 64 MiB and the last 256 KiB of
    a stream are kept. Go on at `next_offset`; `ended`: nothing comes after this piece. `at`, where timestamps were asked
    for: when its first octet came."""

    stream: str
    offset: int
    data: bytes
    missing_bytes: int
    next_offset: int
    end: int
    ended: bool
    at: str | None = None

    @property
    def text(self) -> str:
        return self.data.decode(errors="replace")


class Process:
    """A handle: it may be dropped, and had again by Sandbox.process(id). A `with` block kills the process at its end
    and drops its output. `info` is what was known last; refresh() asks."""

    def __init__(self, client: Client, base: str, info: ProcessInfo) -> None:
        self._client = client
        self._base = base
        self._path = f"{base}/processes/{info.id}"
        self.info = info

    def __repr__(self) -> str:
        return f"Process({self.id!r}, state={self.info.state!r})"

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def pid(self) -> int:
        return self.info.pid

    def refresh(self) -> ProcessInfo:
        return self._look(0.0)

    def poll(self) -> Ending | None:
        """How it ended, or None while it runs."""
        return self.refresh().result

    def wait(self, timeout: float | None = None) -> Ending:
        """Waits for its end. Raises TimeoutError after `timeout` seconds, which leaves it running."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _WAIT_PIECE if end is None else max(0.0, min(_WAIT_PIECE, end - time.monotonic()))
            result = self._look(left).result
            if result is not None:
                return result
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"process {self.id} still runs after {timeout} s")

    def write(self, content: Data) -> None:
        """Writes to its stdin, if it was started with keep_stdin; returns when it has read that, but for what a pipe
        holds. Raises Conflict (input_closed) when it reads no more, ApiError (504) when it does not for 30 s."""
        octets = content.encode() if isinstance(content, str) else content
        for at in range(0, len(octets), _STDIN_PIECE):
            self._post("stdin", data=data(octets[at:at + _STDIN_PIECE]))

    def close_stdin(self) -> None:
        """That was all."""
        self._post("stdin", close=True)

    def signal(self, signal: Union[int, str], *, tree: bool = False) -> None:
        """Sends "TERM", "SIGTERM", 15 or signal.SIGTERM; with `tree` to all it started, too. Raises Conflict
        (process_ended) when it has ended."""
        self._post("signal", signal=signal if isinstance(signal, str) else str(int(signal)), tree=tree)

    def kill(self) -> None:
        """Kills it and everything it started. Its output stays."""
        self.signal(signals.SIGKILL, tree=True)

    def resize(self, cols: int, rows: int) -> None:
        """The size of its terminal, if it was started with pty."""
        self._post("resize", pty={"cols": cols, "rows": rows})

    def output(self, stream: str = "stdout", offset: int = 0, *, wait: float = 0.0, since: str | None = None,
               until: str | None = None, timestamps: bool = False) -> OutputPiece:
        """What it has written from `offset` on, at most 64 KiB; where there is nothing yet, waits up to `wait` seconds
        (60 at most) for it. Also after its end, by several at once, and again. `since` and `until` ("10m" ago, or RFC 3339)
        choose by time; with `timestamps` a piece says when it came, and ends where what came later begins."""
        query = {"stream": stream, "offset": str(offset), "wait_ms": str(int(wait * 1000)),
                 **times(since, until, timestamps)}
        piece = self._client.call("GET", f"{self._path}/output", query=query, timeout=wait)
        octets = data_of(piece["text"] if "text" in piece else piece)
        return pick(OutputPiece, piece, data=octets)

    def follow(self, stream: str | None = None, offset: int = 0, *, until_now: bool = False, since: str | None = None,
               timestamps: bool = False) -> CommandStream:
        """Everything that it has written, and what it goes on to write, event by event, and how it ended; with `stream`
        only that one, from `offset` on. With `until_now` only what there is; `since` and `timestamps` as for output().
        Closing it leaves the process alone."""
        query = {"follow": "false" if until_now else "true", **times(since, None, timestamps)}
        if stream is not None:
            query.update(stream=stream, offset=str(offset))
        return CommandStream(self._client.events("GET", f"{self._path}/output", query=query), has_end=not until_now)

    def terminal(self, *, cols: int | None = None, rows: int | None = None, offset: int = 0,
                 ends: bool = False) -> Terminal:
        """Sits at its terminal, if it was started with pty, and takes it over from who did. All that it has shown comes
        again, from `offset` on. With `ends` a `with` block of it ends the process."""
        size = given(cols=None if cols is None else str(cols), rows=None if rows is None else str(rows))

        def connect(at: int) -> WebSocket:
            return self._client.web_socket(f"{self._base}/pty", {"process": self.id, "offset": str(at), **size})

        return Terminal(self.id, connect, offset=offset, end=self.delete if ends else None)

    def delete(self) -> None:
        """Kills it and everything it started, and drops its output."""
        self._client.call("DELETE", self._path)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.delete()
        except NotFound:
            pass  # with its sandbox, or by somebody else

    def _look(self, wait: float) -> ProcessInfo:
        query = {"wait_ms": str(int(wait * 1000))}
        self.info = ProcessInfo.of(self._client.call("GET", self._path, query=query, timeout=wait))
        return self.info

    def _post(self, what: str, **fields: Any) -> None:
        self._client.call("POST", f"{self._path}/{what}", fields)
