"""Sandbox: an isolated Linux environment that is kept until it is deleted.

    with Sandbox.create() as box:
        box.files.write("hello.py", "print('hello')")
        print(box.exec("python3 hello.py").stdout)
"""
from __future__ import annotations

import socket
import uuid
import warnings
from types import TracebackType
from typing import Any, Iterator, Mapping, Sequence, Union

from . import fields as f
from .client import COMMAND_TIMEOUT, TREE_TIMEOUT, Client, default_client
from .creation import create_once
from .errors import Error, NotFound
from .events import CommandInput, CommandStream
from .files import Files
from .logs import LogStream, LogTail
from .port import Port, Preview
from .process import Process, ProcessInfo
from .result import Result, pick
from .sandbox_events import SandboxEvents
from .sandbox_info import EgressReport, SandboxInfo, Stats
from .session import Session, SessionInfo
from .snapshot import Snapshot, SnapshotInfo
from .terminal import Terminal

_PATH = "/v1/sandboxes"


class Sandbox:
    """A handle: create() makes one, connect() has one that is there. A `with` block deletes the sandbox at its end if
    it was made here, and leaves one that was connected to. `info` is what was known last; refresh() asks. `files` are
    its files."""

    def __init__(self, info: SandboxInfo, client: Client, *, deletes: bool = False) -> None:
        self._client = client
        self._path = f"{_PATH}/{f.segment(info.id)}"
        self._deletes = deletes
        self.info = info
        self.files = Files(client, self._path)

    def __repr__(self) -> str:
        return f"Sandbox({self.id!r}, name={self.info.name!r}, state={self.info.state!r})"

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def name(self) -> str | None:
        return self.info.name

    @classmethod
    def create(cls, *, name: str | None = None, image: str | None = None,
               snapshot: Union[Snapshot, str, None] = None, limits: f.LimitsLike | None = None, cwd: str | None = None,
               user: str | None = None, env: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None,
               runtime: str | None = None, egress: f.Egress | None = None, profile: str | None = None,
               models: Sequence[str] | None = None, model_limits: Mapping[str, int] | None = None,
               devices: Sequence[str] | None = None,
               mounts: Sequence[Mapping[str, Any]] | None = None, volumes: Mapping[str, Any] | None = None,
               timeout: float | None = None, idle: float | None = None, on_timeout: str | None = None,
               on_idle: str | None = None, client: Client | None = None) -> Sandbox:
        """Makes a sandbox. `cwd`, `user` and `env` are those of commands that name none; `limits` are for all of its
        commands together, by default 4 GiB (at most half the memory), all CPUs, 1024 and 10 GiB. `snapshot` is one that
        its disk begins as. `volumes` are {"/data": a Volume, or its name or id}, with ":ro" behind a name that is only
        to be read. `egress` is what it may reach: "none" (the default), "open", a list of hosts, or the API's object.
        With `profile` "root" commands are root inside, and may install packages. `models` are names of local models
        that programs in it may ask, within `model_limits`, {"tokens": ..., "requests_per_minute": ...}. `devices` are names
        of the machine's ("nvidia.com/gpu=0"); one with some is not started again once it is stopped.

        `timeout` is how many seconds it lives, `idle` how many it may stand unused; 0 is no limit. Then it is deleted
        (`on_timeout`: or "stop", or "pause") or stopped (`on_idle`: or "pause", or "delete"). By default one without a
        name is stopped after an hour without use, and keeps its disk; where disks lie in memory it is paused.

        Each creation has an Idempotency-Key: where the answer is lost on its way, the same request is sent again for up
        to 10 s, and the daemon answers with the sandbox that it has already made, not with a second one."""
        asked = f.given(name=name, image=image, snapshot=None if snapshot is None else str(snapshot),
                        limits=f.limits(limits), cwd=cwd, user=user, runtime=runtime,
                        env=None if env is None else dict(env), labels=None if labels is None else dict(labels),
                        egress=f.egress(egress), mounts=mounts, volumes=f.volumes(volumes), profile=profile,
                        models=f.texts(models), model_limits=model_limits, devices=f.texts(devices),
                        **_life(timeout, idle, on_timeout, on_idle))
        client = client or default_client()
        return cls(SandboxInfo.of(create_once(client, _PATH, asked)), client, deletes=True)

    @classmethod
    def connect(cls, id_or_name: str, *, client: Client | None = None) -> Sandbox:
        """One that is there, by its id, a unique prefix of it, or its name. Raises NotFound."""
        client = client or default_client()
        fields = client.call("GET", f"{_PATH}/{f.segment(id_or_name)}")
        return cls(SandboxInfo.of(fields), client)

    @staticmethod
    def list(*, state: str | None = None, labels: Mapping[str, str] | None = None,
             client: Client | None = None) -> Iterator[SandboxInfo]:
        """All that one may see, oldest first, asked for page by page; with `state` or `labels` only those."""
        query = f.given(state=state, label=f.labels(labels))
        return map(SandboxInfo.of, (client or default_client()).pages(_PATH, query))

    def refresh(self) -> SandboxInfo:
        self.info = SandboxInfo.of(self._client.call("GET", self._path))
        return self.info

    def pause(self) -> None:
        """Lets its processes stand still. Until resume() nothing starts in it: Conflict, sandbox_paused."""
        self.info = SandboxInfo.of(self._client.call("POST", f"{self._path}/pause"))

    def resume(self) -> None:
        """Lets them go on."""
        self.info = SandboxInfo.of(self._client.call("POST", f"{self._path}/resume"))

    def stop(self, grace: float | None = None) -> None:
        """Asks its processes to end, kills those that have not after `grace` seconds (10 unless it is said; 0: at
        once), and keeps its disk. Until start_again() nothing starts in it: Conflict, sandbox_stopped."""
        fields = f.given(grace_ms=f.milliseconds(grace))
        self.info = SandboxInfo.of(self._client.call("POST", f"{self._path}/stop", fields or None,
                                                     timeout=10.0 if grace is None else grace))

    def start_again(self) -> None:
        """Lets a stopped one run again, with everything that was written."""
        self.info = SandboxInfo.of(self._client.call("POST", f"{self._path}/start"))

    def snapshot(self, name: str | None = None) -> Snapshot:
        """Copies its disk, as it is at one moment; create(snapshot=) makes others of it, rollback() goes back to it."""
        asked = f.given(name=name)
        taken = create_once(self._client, f"{self._path}/snapshot", asked, timeout=TREE_TIMEOUT)
        return Snapshot(SnapshotInfo.of(taken), self._client)

    def snapshots(self) -> Sequence[Snapshot]:
        """Those that were taken of it, oldest first."""
        return list(Snapshot.list(sandbox=self.id, client=self._client))

    def fork(self, count: int = 1) -> Sequence[Sandbox]:
        """Sandboxes that begin with a copy of its disk, all of one moment; all of them, or none."""
        made = create_once(self._client, f"{self._path}/fork", {"count": count}, timeout=TREE_TIMEOUT)["data"]
        return [Sandbox(SandboxInfo.of(fields), self._client, deletes=True) for fields in made]

    def rollback(self, snapshot: Union[Snapshot, str]) -> None:
        """Puts its disk back to what it was in one of its snapshots. Its processes are killed; it runs again if it
        did."""
        asked = {"snapshot": str(snapshot)}
        self.info = SandboxInfo.of(self._client.call("POST", f"{self._path}/rollback", asked, timeout=TREE_TIMEOUT))

    def update(self, *, labels: Mapping[str, str | None] | None = None, timeout: float | None = None,
               idle: float | None = None, on_timeout: str | None = None, on_idle: str | None = None,
               limits: f.LimitsLike | None = None, egress: f.Egress | None = None) -> None:
        """Changes what is said: labels (None takes one away), the limits of its life (create()), `timeout` from now
        on, what it may reach (network_fixed where it was started without a network), and what it may use: memory no
        lower than what it uses (limit_in_use), processes no higher than at its beginning."""
        asked = f.given(labels=None if labels is None else dict(labels), limits=f.limits(limits),
                        egress=f.egress(egress), **_life(timeout, idle, on_timeout, on_idle))
        self.info = SandboxInfo.of(self._client.call("PATCH", self._path, asked))

    def stats(self) -> Stats:
        """What it uses now."""
        return Stats.of(self._client.call("GET", f"{self._path}/stats"))

    def egress(self) -> EgressReport:
        """What it may reach outside, and what it has reached."""
        return EgressReport.of(self._client.call("GET", f"{self._path}/egress"))

    def events(self, *, after: str | None = None, processes: bool = False) -> SandboxEvents:
        """Iterates over what happens to it from now on, or after the event of that id; with `processes` also over
        commands in it, as they begin and end."""
        return SandboxEvents(self.id, after=after, processes=processes, client=self._client)

    def exec(self, cmd: f.Cmd, *, timeout: float | None = None, env: Mapping[str, str] | None = None,
             cwd: str | None = None, stdin: f.Data | None = None, shell: str | None = None,
             user: str | None = None, limits: Mapping[str, int] | None = None, merge_stderr: bool = False) -> Result:
        """Runs a command and returns how it ended, however that is; `.check()` raises unless well. `cmd` is a text for
        the shell or a list of arguments. `timeout` is in seconds (default 120): at its end the command's whole tree is
        killed. Of output beyond 1 MiB a stream the middle is left out, and `truncated.spill_path` has all of it.
        `limits` are for each of its processes: cpu_ms, memory_bytes, file_bytes, open_files. With `merge_stderr` what
        it writes to stderr is in stdout, in the order of writing.

        Never sent twice after the daemon may have got it: a connection that breaks raises ConnectionFailed."""
        asked = f.command(cmd, timeout=timeout, env=env, cwd=cwd, stdin=stdin, shell=shell, user=user, limits=limits,
                          merge_stderr=merge_stderr)
        limit = COMMAND_TIMEOUT if timeout is None else timeout
        return Result.of(self._client.call("POST", f"{self._path}/exec", asked, timeout=limit))

    def exec_stream(self, cmd: f.Cmd, *, keep_stdin: bool = False, **fields: Any) -> CommandStream:
        """The same, told as it happens; takes what exec() takes. Returns when it has begun. With `keep_stdin` the
        stream's write() and close_stdin() are its input."""
        asked = {**f.command(cmd, **fields), **f.given(keep_stdin=keep_stdin or None)}
        events = self._client.events("POST", f"{self._path}/exec", asked)
        return CommandStream(events, stdin=CommandInput(self._client, self._path) if keep_stdin else None)

    def start(self, cmd: f.Cmd, *, keep_stdin: bool = False, pty: tuple[int, int] | None = None,
              **fields: Any) -> Process:
        """Starts a command that goes on by itself, and returns when it has begun. Takes what exec() takes; without
        `timeout` it has no limit but the operator's. `keep_stdin` leaves its stdin open for Process.write(). `pty` is
        the (columns, rows) of a terminal in place of pipes: with it an empty `cmd` is a login shell."""
        asked = {**f.command(cmd, **fields), "detach": True,
                 **f.given(keep_stdin=keep_stdin or None, pty=pty and {"cols": pty[0], "rows": pty[1]})}
        info = ProcessInfo.of(self._client.call("POST", f"{self._path}/exec", asked))
        return Process(self._client, self._path, info)

    def process(self, id: str) -> Process:
        """A started one, by its id. Raises NotFound (process_not_found)."""
        return Process(self._client, self._path,
                       ProcessInfo.of(self._client.call("GET", f"{self._path}/processes/{f.segment(id)}")))

    def processes(self) -> Sequence[Process]:
        """All that were started, in that order; those that ended longest ago go when there are 256. Commands that
        somebody waits for (`info.attached`) are among them as long as they run."""
        page = self._client.call("GET", f"{self._path}/processes")
        return [Process(self._client, self._path, ProcessInfo.of(fields)) for fields in page["data"]]

    def terminal(self, cmd: f.Cmd = "", *, cols: int = 80, rows: int = 24, **fields: Any) -> Terminal:
        """Starts a command, by default a login shell, with a terminal, and sits at it. Takes what exec() takes. The
        command goes on when the terminal is closed, and Process.terminal() sits at it again; a `with` block ends it."""
        process = self.start(cmd, pty=(cols, rows), keep_stdin=True, **fields)
        try:
            return process.terminal(ends=True)
        except BaseException:
            process.delete()
            raise

    def logs(self) -> Sequence[LogTail]:
        """The end of what each of its started processes has written."""
        return [LogTail.of(fields) for fields in self._client.call("GET", f"{self._path}/logs")["data"]]

    def follow_logs(self, *, until_now: bool = False, since: str | None = None, timestamps: bool = False) -> LogStream:
        """All that is kept of what its started processes have written, and what those that there are now still write,
        as they do; with `until_now` only what there is. `since` and `timestamps` as for Process.output()."""
        query = {"follow": "false" if until_now else "true", **f.times(since, None, timestamps)}
        return LogStream(self._client.events("GET", f"{self._path}/logs", query=query))

    def session(self, name: str | None = None) -> Session:
        """A shell session: the one of that name, or one of its own."""
        return Session(self._client, self._path, name or f"session-{uuid.uuid4().hex}")

    def sessions(self) -> Sequence[SessionInfo]:
        """Its shell sessions, by name."""
        return [SessionInfo.of(fields) for fields in self._client.call("GET", f"{self._path}/sessions")["data"]]

    def ports(self) -> Sequence[Port]:
        """What listens for TCP connections in it, ordered by port."""
        return [pick(Port, fields) for fields in self._client.call("GET", f"{self._path}/ports")["data"]]

    def port_url(self, port: int) -> str:
        """Where programs reach what listens on `port`: send what any request to the daemon needs (an API key). Raises
        Error where the daemon is spoken to by a unix socket, which no URL names."""
        address = self._client.address
        if address.scheme == "unix":
            raise Error("the daemon is reached by a unix socket, so no URL leads to its sandboxes' ports",
                        hint="use an http:// address, or preview()")
        return f"{address.scheme}://{address.authority}{address.base}{_PATH}/{self.id}/ports/{port}/"

    def connect_port(self, port: int) -> socket.socket:
        """A connection to what listens on `port`, with or without a network there: for what is not HTTP. The caller
        closes it."""
        return self._client.tunnel(f"{self._path}/tunnel", {"port": str(port)})

    def preview(self, port: int, *, expires: float = 3600) -> Preview:
        """A URL that opens `port` in a browser of the daemon's machine, for `expires` seconds (a week at most), to
        whoever has it."""
        asked = {"port": port, "expires_in_s": int(expires)}
        return pick(Preview, self._client.call("POST", f"{self._path}/previews", asked))

    def delete(self) -> None:
        """Kills its processes and deletes it with everything in it."""
        self._client.call("DELETE", self._path)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if not self._deletes:
            return
        try:
            self.delete()
        except NotFound:
            pass  # it is gone already
        except Error as failure:
            if error is None:
                raise
            warnings.warn(f"sandbox {self.id} was not deleted: {failure}", ResourceWarning, stacklevel=2)


def _life(timeout: float | None, idle: float | None, on_timeout: str | None, on_idle: str | None) -> dict[str, Any]:
    return {"timeout_ms": None if timeout is None else round(timeout * 1000),
            "idle_ms": None if idle is None else round(idle * 1000), "on_timeout": on_timeout, "on_idle": on_idle}
