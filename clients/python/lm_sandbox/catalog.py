"""Images and models that the daemon has."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from .client import Client, default_client
from .result import pick


@dataclass(frozen=True)
class Image:
    """What sandboxes are made from; `default`: those that name none."""

    name: str
    digest: str = ""
    size_bytes: int = 0
    created_at: str = ""
    default: bool = False

    @staticmethod
    def list(*, client: Client | None = None) -> Sequence[Image]:
        return [pick(Image, fields) for fields in (client or default_client()).call("GET", "/v1/images")["data"]]


@dataclass(frozen=True)
class Model:
    """A local model, which any client of OpenAI's API asks at /v1 of the daemon. `demonstration`: the tiny one that is
    part of the program, and answers where there is no other."""

    id: str
    size_bytes: int = 0
    default: bool = False
    loaded: bool = False
    demonstration: bool = False

    @staticmethod
    def list(*, client: Client | None = None) -> Sequence[Model]:
        return [pick(Model, fields) for fields in (client or default_client()).call("GET", "/v1/models")["data"]]
