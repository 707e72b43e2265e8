"""Session: one bash of a sandbox for one command after the other.

    with box.session() as shell:
        shell.run("cd /tmp; export A=1")
        print(shell.run("echo $PWD $A").stdout)
"""
from __future__ import annotations

from . import fields as f
from .client import COMMAND_TIMEOUT, Client
from .errors import NotFound
from .result import Result


class Session:
    """The directory, variables, functions, background jobs and options that a command leaves are there for the next.

    The bash is made by the first command. A time limit, `exit`, or an error under `set -e` ends it: the result says so,
    and the next command begins in a new one. Commands of several threads take turns. A `with` block ends it, and all it
    started."""

    def __init__(self, client: Client, base: str, name: str) -> None:
        self._client = client
        self._base = base
        self.name = name

    def run(self, cmd: str, *, timeout: float | None = None, user: str | None = None) -> Result:
        """Runs a text in the bash and returns how it ended. It has no stdin."""
        asked = {**f.command(cmd, timeout=timeout, user=user), "session": self.name}
        limit = COMMAND_TIMEOUT if timeout is None else timeout
        return Result.of(self._client.call("POST", f"{self._base}/exec", asked, timeout=limit))

    def end(self) -> None:
        """Kills the bash and everything it started. Raises NotFound (session_not_found) when there is none."""
        self._client.call("DELETE", f"{self._base}/sessions/{f.segment(self.name)}")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.end()
        except NotFound:
            pass  # no command was run, or the last one ended it
