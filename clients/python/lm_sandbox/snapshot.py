"""Snapshot: the disk of a sandbox as it was at one moment.

    taken = box.snapshot("before")
    copy = Sandbox.create(snapshot=taken)   # begins as that was
    taken.save("before.lmsnap")             # for Snapshot.load() here or on another machine
"""
from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Any, Iterable, Iterator, Mapping, Union

from . import fields as f
from . import transfer
from .client import TREE_TIMEOUT, Client, default_client
from .result import pick

_PATH = "/v1/snapshots"

Source = Union[str, "os.PathLike[str]", bytes, IO[bytes], Iterable[bytes]]


@dataclass(frozen=True)
class SnapshotInfo:
    """`sandbox_id` is the sandbox that it was taken of, which may be gone. `frozen_ms`, how long processes stood still,
    is known only of one that was just taken."""

    id: str
    name: str | None = None
    sandbox_id: str = ""
    image: str = ""
    image_digest: str = ""
    created_at: str = ""
    frozen_ms: float | None = None

    @staticmethod
    def of(fields: Mapping[str, Any]) -> SnapshotInfo:
        return pick(SnapshotInfo, fields)


class Snapshot:
    """A handle: Sandbox.snapshot() takes one, load() makes one of a file, connect() has one that is there. As text it
    is its id."""

    def __init__(self, info: SnapshotInfo, client: Client) -> None:
        self._client = client
        self._path = f"{_PATH}/{f.segment(info.id)}"
        self.info = info

    def __repr__(self) -> str:
        return f"Snapshot({self.id!r}, name={self.name!r})"

    def __str__(self) -> str:
        return self.id

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def name(self) -> str | None:
        return self.info.name

    @classmethod
    def connect(cls, id_or_name: str, *, client: Client | None = None) -> Snapshot:
        """One that is there, by its id, a unique prefix of it, or its name: one's own, or the only one of others. Raises NotFound
        (snapshot_not_found), Conflict (snapshot_ambiguous)."""
        client = client or default_client()
        return cls(SnapshotInfo.of(client.call("GET", f"{_PATH}/{f.segment(id_or_name)}")), client)

    @classmethod
    def list(cls, *, sandbox: str | None = None, client: Client | None = None) -> Iterator[Snapshot]:
        """All that one may see, oldest first; with `sandbox`, an id or a name, only those that were taken of it."""
        client = client or default_client()
        for fields in client.pages(_PATH, f.given(sandbox=sandbox)):
            yield cls(SnapshotInfo.of(fields), client)

    @classmethod
    def load(cls, source: Source, *, name: str | None = None, disk_bytes: int | None = None,
             client: Client | None = None) -> Snapshot:
        """Makes one of what save() or export() wrote: the path of a file, a file open for reading in binary, octets, or
        an iterable of octets. Needs no memory. `name` and `disk_bytes`, the limit of what it holds and of what is made
        from it, are by default those in the file. Raises InvalidRequest (not_a_snapshot, snapshot_damaged,
        snapshot_too_large), NotFound (image_not_found), Conflict (image_changed)."""
        client = client or default_client()
        if isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                return cls.load(file, name=name, disk_bytes=disk_bytes, client=client)
        query = f.given(name=name, disk_bytes=None if disk_bytes is None else str(disk_bytes))
        made = client.call("POST", f"{_PATH}/import", query=query, body=transfer.octets_of(source),
                           timeout=TREE_TIMEOUT)
        return cls(SnapshotInfo.of(made), client)

    def export(self) -> Iterator[bytes]:
        """It as one file, in pieces. Needs no memory; what is cut short raises ConnectionFailed."""
        return self._client.open("GET", f"{self._path}/export").pieces()

    def save(self, target: f.Path) -> int:
        """Writes it to a file of this machine, all or nothing, and returns how many octets that were."""
        return transfer.replace_file(os.fsencode(target), self.export(), 0o600)

    def delete(self) -> None:
        """Removes it; what was made from it stays."""
        self._client.call("DELETE", self._path)
