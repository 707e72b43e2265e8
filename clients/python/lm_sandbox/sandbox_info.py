"""What the daemon says of a sandbox, as values."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from .fields import Limits
from .result import pick


@dataclass(frozen=True)
class SandboxInfo:
    """`state` is creating, running, paused, stopped, failed or lost. `isolation` lists the layers in force."""

    id: str
    name: str | None = None
    image: str = ""
    image_digest: str = ""
    runtime: str = ""
    state: str = ""
    created_at: str = ""
    expires_at: str | None = None
    timeout_ms: int = 0
    idle_ms: int = 0
    on_timeout: str = ""
    on_idle: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    egress: Mapping[str, Any] = field(default_factory=dict)
    models: Sequence[str] = ()
    model_limits: Mapping[str, Any] = field(default_factory=dict)
    devices: Sequence[str] = ()
    profile: str = ""
    isolation: Sequence[str] = ()
    keeps_disk: bool = False
    volumes: Sequence[Mapping[str, Any]] = ()

    @staticmethod
    def of(fields: Mapping[str, Any]) -> SandboxInfo:
        return pick(SandboxInfo, fields, limits=pick(Limits, fields.get("limits", {})))


@dataclass(frozen=True)
class NetworkUsage:
    """What has gone through its network interfaces, loopback left out, since it was started."""

    received_bytes: int = 0
    received_packets: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0


@dataclass(frozen=True)
class Stats:
    """What a sandbox uses now. `max_memory_bytes` is the most so far, `cpu_ms` and `oom_kills` since it was made. What
    is not known, of one that does not run, may be None."""

    state: str = ""
    memory_bytes: int | None = None
    max_memory_bytes: int | None = None
    processes: int | None = None
    cpu_ms: int | None = None
    oom_kills: int | None = None
    network: NetworkUsage | None = None
    models: Mapping[str, int] | None = None
    disk_bytes: int | None = None
    limits: Limits = field(default_factory=Limits)

    @staticmethod
    def of(fields: Mapping[str, Any]) -> Stats:
        network = fields.get("network")
        return pick(Stats, fields, limits=pick(Limits, fields.get("limits") or {}),
                    network=None if network is None else pick(NetworkUsage, network))


@dataclass(frozen=True)
class EgressEvent:
    """Something that a sandbox tried to reach. `kind` is connection, name or credential; `verdict` is allowed, or why
    not: not_listed, denied_range, unreachable ..."""

    time: str = ""
    kind: str = ""
    verdict: str = ""
    name: str | None = None
    address: str | None = None
    port: int | None = None
    credential: str | None = None


@dataclass(frozen=True)
class EgressReport:
    """What a sandbox may reach outside, and what it has reached since it was started. `events` are the newest, the
    oldest first; `events_lost` came too fast to be told."""

    egress: Mapping[str, Any] = field(default_factory=dict)
    denied_by_policy: bool = False
    allowed: int = 0
    refused: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    events_lost: int = 0
    events: Sequence[EgressEvent] = ()

    @staticmethod
    def of(fields: Mapping[str, Any]) -> EgressReport:
        return pick(EgressReport, fields, events=[pick(EgressEvent, one) for one in fields.get("events", [])])
