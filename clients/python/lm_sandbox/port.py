"""Ports: what listens in a sandbox, and URLs that open one of them to who has them."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """`address` is the one inside. `process` and `pid` are None where it cannot be seen whose it is. `url` is the path
    by which programs reach it at the daemon."""

    port: int
    address: str = ""
    process: str | None = None
    pid: int | None = None
    url: str = ""


@dataclass(frozen=True)
class Preview:
    """A URL for browsers; programs may send `token` as X-Preview-Token instead."""

    url: str
    token: str
    port: int
    expires_at: str = ""
