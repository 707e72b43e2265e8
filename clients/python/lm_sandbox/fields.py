"""Fields: what goes into requests, from Python's values. What is None is left out: the daemon has its default."""
from __future__ import annotations

import base64
import math
import os
import pathlib
import re
import urllib.parse
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping, Sequence, Union

Cmd = Union[str, Sequence[str]]  # a text for the shell, or an argument vector
Data = Union[str, bytes]
FileData = Union[str, bytes, "os.PathLike[str]"]  # a path is a file of this machine
Path = Union[str, bytes, "os.PathLike[str]"]


@dataclass(frozen=True)
class Limits:
    """How much of the machine a sandbox may use; what is None keeps its default. Thousandths of a CPU count.
    In what a daemon says, None is what nobody keeps the sandbox to (a daemon without root)."""

    memory_bytes: int | None = None
    cpus: float | None = None
    processes: int | None = None
    disk_bytes: int | None = None
    shm_bytes: int | None = None


LimitsLike = Union[Limits, Mapping[str, Any]]
Egress = Union[str, Sequence[str], Mapping[str, Any]]  # "none", "open", hosts, or the API's object


def given(**fields: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def times(since: str | None, until: str | None, timestamps: bool) -> dict[str, str]:
    """The fields of a query that choose output by time."""
    return given(since=since, until=until, timestamps="true" if timestamps else None)


def data(value: Data) -> Any:
    """Text as it is, octets as text where they are that, else as base64."""
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def command(cmd: Cmd, *, shell: str | None = None, env: Mapping[str, str] | None = None, cwd: str | None = None,
            user: str | None = None, stdin: Data | None = None, timeout: float | None = None,
            limits: Mapping[str, int] | None = None, merge_stderr: bool = False) -> dict[str, Any]:
    """What every command has. `timeout` is in seconds, 0 is none where it is allowed. `limits` are of each process."""
    return given(cmd=cmd if isinstance(cmd, str) else list(cmd), shell=shell, env=_dict(env), cwd=cwd, user=user,
                 stdin=None if stdin is None else data(stdin), timeout_ms=milliseconds(timeout),
                 limits=None if limits is None else dict(limits), merge_stderr=merge_stderr or None)


def milliseconds(seconds: float | None) -> int | None:
    """Rounded up: a limit of a fraction is not none at all."""
    return None if seconds is None else math.ceil(round(seconds * 1000, 3))


def limits(value: LimitsLike | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return given(**(asdict(value) if isinstance(value, Limits) else value))


def egress(value: Egress | None) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, Mapping):
        return value
    return {"mode": value} if isinstance(value, str) else {"mode": "allowlist", "allow": list(value)}


def labels(wanted: Mapping[str, str] | None) -> str | None:
    """The query of those that have all of these; what would end a key or a value stands behind a backslash."""
    def meant(text: str) -> str:
        return re.sub(r"([\\,=])", r"\\\1", text)

    return ",".join(f"{meant(key)}={meant(value)}" for key, value in wanted.items()) if wanted else None


def volumes(places: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    """{path inside: a volume that is there, or its id or name; ":ro" behind a name that is only to be read}."""
    if places is None:
        return None
    return [{"volume": volume.removesuffix(":ro").removesuffix(":rw"), "target": target,
             "read_only": volume.endswith(":ro")}
            for target, volume in ((target, str(volume)) for target, volume in places.items())]


def files(contents: Mapping[str, FileData] | None) -> dict[str, Any] | None:
    if contents is None:
        return None
    return {path: data(pathlib.Path(content).read_bytes() if isinstance(content, os.PathLike) else content)
            for path, content in contents.items()}


def texts(values: Iterable[str] | None) -> list[str] | None:
    if isinstance(values, str):
        raise TypeError("a list of texts is meant, not one text")
    return None if values is None else list(values)


def path(value: Path, name: str = "path") -> dict[str, str]:
    """The field, or query, that names a path of a sandbox. Paths are octets, as Linux has them: as str those that are
    no UTF-8 are surrogates, as os.fsdecode() makes them and as FileInfo has them."""
    octets = path_octets(value)
    try:
        return {name: octets.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(octets).decode("ascii")}


def path_octets(value: Path) -> bytes:
    plain = os.fspath(value)
    return plain if isinstance(plain, bytes) else plain.encode("utf-8", "surrogateescape")


def mode(value: int | None) -> str | None:
    return None if value is None else f"{value:04o}"


def _dict(value: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if value is None else dict(value)


def segment(text: str) -> str:
    """As one part of the path of a URL."""
    return urllib.parse.quote(text, safe="")
