"""Session: one bash of a sandbox for one command after the other.

    with box.session() as shell:
        shell.run("cd /tmp; export A=1")
        print(shell.run("echo $PWD $A").stdout)
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from . import fields as f
from .client import COMMAND_TIMEOUT, Client
from .errors import NotFound
from .process import ProcessInfo
from .result import Result, pick


@dataclass(frozen=True)
class SessionInfo:
    """`state` is idle, busy (then `command` is what runs in it), or unknown: an earlier daemon may have left it at a
    command. `waiting` commands wait for their turn."""

    name: str
    sandbox_id: str = ""
    pid: int = 0
    state: str = ""
    command: ProcessInfo | None = None
    waiting: int = 0
    started_at: str | None = None

    @staticmethod
    def of(fields: Mapping[str, Any]) -> SessionInfo:
        command = fields.get("command")
        return pick(SessionInfo, fields, command=ProcessInfo.of(command) if command else None)


class Session:
    """The directory, variables, functions, background jobs and options that a command leaves are there for the next.

    The bash is made by the first command. A time limit, `exit`, or an error under `set -e` ends it: the result says so,
    and the next command begins in a new one. Commands of several threads take turns. A `with` block ends it, and all it
    started."""

    def __init__(self, client: Client, base: str, name: str) -> None:
        self._client = client
        self._base = base
        self._path = f"{base}/sessions/{f.segment(name)}"
        self.name = name

    def run(self, cmd: str, *, timeout: float | None = None, user: str | None = None,
            merge_stderr: bool = False) -> Result:
        """Runs a text in the bash and returns how it ended. It has no stdin."""
        asked = {**f.command(cmd, timeout=timeout, user=user, merge_stderr=merge_stderr), "session": self.name}
        limit = COMMAND_TIMEOUT if timeout is None else timeout
        return Result.of(self._client.call("POST", f"{self._base}/exec", asked, timeout=limit))

    def refresh(self) -> SessionInfo:
        """What it does now. Raises NotFound (session_not_found) before its first command, and after its end."""
        return SessionInfo.of(self._client.call("GET", self._path))

    def end(self) -> None:
        """Kills the bash and everything it started. Raises NotFound (session_not_found) when there is none."""
        self._client.call("DELETE", self._path)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        except NotFound:
            pass  # no command was run, or the last one ended it
