"""Results: how a command ended, and what it wrote. The fields are the API's."""
from __future__ import annotations

import base64
import dataclasses
from dataclasses import dataclass, field
from typing import Any, Mapping, TypeVar

from .errors import CommandFailed

T = TypeVar("T")
E = TypeVar("E", bound="Ending")


def pick(kind: type[T], fields: Mapping[str, Any], **more: Any) -> T:
    """A dataclass of those of `fields` that it knows: a newer daemon may tell more, an older one less."""
    names = {f.name for f in dataclasses.fields(kind)}
    return kind(**{**{name: value for name, value in fields.items() if name in names}, **more})


def data_of(value: Any) -> bytes:
    """Octets that came as text or as {"base64"}."""
    return value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])


@dataclass(frozen=True)
class Usage:
    """What a command used. `queue_ms` is how long it waited for a place among those that run. None is what nobody could
    tell."""

    queue_ms: int = 0
    wall_ms: int = 0
    cpu_user_ms: int | None = 0
    cpu_system_ms: int | None = 0
    max_memory_bytes: int | None = 0
    max_processes: int | None = None


@dataclass(frozen=True)
class Truncated:
    """How many octets of the output are left out between its head and its tail. In a kept sandbox `spill_path` is a
    file with all of it (of both streams stdout's; stderr's lies beside it, as .stderr). False when nothing is."""

    stdout_bytes: int = 0
    stderr_bytes: int = 0
    spill_path: str | None = None

    def __bool__(self) -> bool:
        return bool(self.stdout_bytes or self.stderr_bytes)


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    `outcome` is exited, signaled, timed_out, cpu_timed_out, oom_killed, disk_full, cancelled or lost. `exit_code` is
    128 + signal for signals, and None only if it never started. `hint` is what the daemon has to say about it (no
    network here, for example). `background_left`: a background child still held the output and was detached.
    """

    outcome: str
    exit_code: int | None = None
    signal: str | None = None
    timed_out: bool = False
    oom_killed: bool = False
    usage: Usage = field(default_factory=Usage)
    sandbox_id: str = ""
    image_digest: str = ""
    hint: str | None = None
    background_left: bool = False

    @classmethod
    def of(cls: type[E], fields: Mapping[str, Any], **more: Any) -> E:
        return pick(cls, fields, usage=pick(Usage, fields.get("usage", {})), **more)

    @property
    def ok(self) -> bool:
        """It ended by itself, with status 0."""
        return self.outcome == "exited" and self.exit_code == 0

    def check(self: E) -> E:
        """Itself if ok, else raises CommandFailed."""
        if self.ok:
            return self
        raise CommandFailed(self._verdict(), hint=self.hint, result=self)

    def _verdict(self) -> str:
        if self.outcome == "exited":
            return f"the command ended with status {self.exit_code}"
        return f"the command's outcome is {self.outcome}" + (f" ({self.signal})" if self.signal else "")


@dataclass(frozen=True)
class Result(Ending):
    """The same with its output: as text, where octets that are no UTF-8 stand as U+FFFD, and as the octets themselves.
    `files` has those that were asked for; `left_out` says why the others are not there, by their path: file_not_found,
    is_a_directory, files_too_large (larger than what those before it
    have left of 32 MiB), sandbox_lost ... `process_id` is the id by which others
    found it as long as it ran, and which its events tell; None where it ran once."""

    stdout: str = ""
    stderr: str = ""
    stdout_bytes: bytes = field(default=b"", repr=False)
    stderr_bytes: bytes = field(default=b"", repr=False)
    truncated: Truncated = field(default_factory=Truncated)
    files: dict[str, bytes] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    process_id: str | None = None

    @classmethod
    def of(cls: type[E], fields: Mapping[str, Any], **more: Any) -> E:
        files = {path: data_of(content) for path, content in fields.get("files", {}).items()}
        left_out = {path: str(why.get("code", "")) for path, why in fields.get("left_out", {}).items()}
        return super().of(fields, **{
            "left_out": left_out, "stdout_bytes": _octets(fields, "stdout"), "stderr_bytes": _octets(fields, "stderr"),
            "truncated": pick(Truncated, fields.get("truncated", {})), "files": files, **more})

    def _verdict(self) -> str:
        last = self.stderr.strip().rpartition("\n")[2]
        return super()._verdict() + (f": {last[:500]}" if last else "")


def _octets(fields: Mapping[str, Any], stream: str) -> bytes:
    encoded = fields.get(f"{stream}_base64")
    return base64.b64decode(encoded) if encoded is not None else str(fields.get(stream, "")).encode()
