"""Volume: a directory that sandboxes share and that outlives them.

    data = Volume.create("data", size_bytes=1 << 30)
    with Sandbox.create(volumes={"/data": data}) as box:
        box.files.write("/data/model.bin", ...)
"""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Sequence

from . import fields as f
from .client import Client, default_client
from .creation import create_once
from .result import pick

_PATH = "/v1/volumes"


@dataclass(frozen=True)
class VolumeInfo:
    """`state` is ready or lost. `size_bytes` is what it may hold; `held_bytes` is what it holds, at most half a minute
    ago, and only known of one that was asked for alone. `used_by` are the ids of sandboxes that have it, stopped
    ones too."""

    id: str
    name: str | None = None
    state: str = ""
    created_at: str = ""
    size_bytes: int = 0
    held_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    used_by: Sequence[str] = ()


class Volume:
    """A handle: create() makes one, connect() has one that is there. `info` is what was known last; refresh() asks. As
    text it is its id."""

    def __init__(self, info: VolumeInfo, client: Client) -> None:
        self._client = client
        self.info = info

    def __repr__(self) -> str:
        return f"Volume({self.id!r}, name={self.name!r})"

    def __str__(self) -> str:
        return self.id

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def name(self) -> str | None:
        return self.info.name

    @classmethod
    def create(cls, name: str | None = None, *, size_bytes: int | None = None,
               labels: Mapping[str, str] | None = None, client: Client | None = None) -> Volume:
        """Makes an empty one, that may hold 10 GiB unless told. Raises Conflict (name_taken). Where the answer is lost
        it is asked for again, and not made a second time."""
        client = client or default_client()
        asked = f.given(name=name, size_bytes=size_bytes, labels=None if labels is None else dict(labels))
        return cls(_info(create_once(client, _PATH, asked)), client)

    @classmethod
    def connect(cls, id_or_name: str, *, client: Client | None = None) -> Volume:
        """One that is there. Raises NotFound (volume_not_found)."""
        client = client or default_client()
        return cls(_info(client.call("GET", f"{_PATH}/{f.segment(id_or_name)}")), client)

    @classmethod
    def list(cls, *, labels: Mapping[str, str] | None = None, client: Client | None = None) -> Iterator[Volume]:
        """All that one may see, oldest first; with `labels` only those that have all of them."""
        client = client or default_client()
        for fields in client.pages(_PATH, f.given(label=f.labels(labels))):
            yield cls(_info(fields), client)

    def refresh(self) -> VolumeInfo:
        self.info = _info(self._client.call("GET", self._path))
        return self.info

    def update(self, *, size_bytes: int | None = None, labels: Mapping[str, str | None] | None = None) -> None:
        """Changes what it may hold, and labels (None takes one away); at once, for sandboxes that have it, too. Raises
        Conflict (limit_in_use) for less than it holds."""
        asked = f.given(size_bytes=size_bytes, labels=None if labels is None else dict(labels))
        self.info = _info(self._client.call("PATCH", self._path, asked))

    def delete(self) -> None:
        """Removes it with all that is in it. Raises Conflict (volume_in_use) while a sandbox has it."""
        self._client.call("DELETE", self._path)

    @property
    def _path(self) -> str:
        return f"{_PATH}/{f.segment(self.id)}"


def _info(fields: Mapping[str, Any]) -> VolumeInfo:
    return pick(VolumeInfo, fields)
