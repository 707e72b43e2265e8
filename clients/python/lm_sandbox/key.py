"""Key: API keys, for administrators (a key with the scope admin, or root on the daemon's machine).

    key = Key.create("ci", scopes=["write"], quota=Quota(sandboxes=10), expires=86400)
    client = Client("https://sandbox.lan", api_key=key.secret)
"""
from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Iterable, Iterator, Mapping, Sequence, Union

from . import fields as f
from .client import Client, default_client
from .result import pick

_PATH = "/v1/keys"


@dataclass(frozen=True)
class Quota:
    """Of all that a key has together; None is as much as there is."""

    requests_per_minute: int | None = None
    sandboxes: int | None = None
    memory_bytes: int | None = None
    cpus: float | None = None
    disk_bytes: int | None = None


@dataclass(frozen=True)
class KeyInfo:
    """`scopes` are read, write, models, admin. With `labels` it sees only what has all of them, and what it makes gets
    them. `created_by` is who made it, `used_at` when it was last used. Times are RFC 3339."""

    id: str
    name: str | None = None
    scopes: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    quota: Quota = field(default_factory=Quota)
    created_at: str = ""
    created_by: str = ""
    expires_at: str | None = None
    used_at: str | None = None

    @staticmethod
    def of(fields: Mapping[str, Any]) -> KeyInfo:
        return pick(KeyInfo, fields, quota=pick(Quota, fields.get("quota") or {}))


class Key:
    """A handle. `secret` is the key itself: of one that create() has just made, and nowhere else."""

    def __init__(self, info: KeyInfo, client: Client, secret: str | None = None) -> None:
        self._client = client
        self.info = info
        self.secret = secret

    def __repr__(self) -> str:
        return f"Key({self.id!r}, name={self.name!r})"

    @property
    def id(self) -> str:
        return self.info.id

    @property
    def name(self) -> str | None:
        return self.info.name

    @classmethod
    def create(cls, name: str | None = None, *, scopes: Iterable[str] | None = None,
               labels: Mapping[str, str] | None = None, quota: Union[Quota, Mapping[str, Any], None] = None,
               expires: float | None = None, client: Client | None = None) -> Key:
        """Makes a key, with the scopes write and models unless told, for `expires` seconds, or until it is deleted.
        Sent once: where the answer is lost, so is the key (list() and delete() find it)."""
        client = client or default_client()
        limits = asdict(quota) if isinstance(quota, Quota) else quota
        asked = f.given(name=name, scopes=f.texts(scopes), labels=None if labels is None else dict(labels),
                        quota=None if limits is None else f.given(**limits),
                        expires_in_s=None if expires is None else int(expires))
        made = client.call("POST", _PATH, asked)
        return cls(KeyInfo.of(made), client, made["key"])

    @classmethod
    def list(cls, *, client: Client | None = None) -> Iterator[Key]:
        """All but those of the daemon's configuration, oldest first."""
        client = client or default_client()
        for fields in client.pages(_PATH):
            yield cls(KeyInfo.of(fields), client)

    def delete(self) -> None:
        """Revokes it: from now on it opens nothing, and what it has open ends. Its sandboxes stay."""
        self._client.call("DELETE", f"{_PATH}/{f.segment(self.id)}")
