"""Images and models that the daemon has."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from . import fields as f
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

    @staticmethod
    def load(name: str, *, pin: bool | None = None, keep_alive: float | None = None,
             client: Client | None = None) -> Model:
        """Has it loaded before anybody asks it, and returns once it is. With `pin`, which an administrator may say, it is
        never let go for another model's room; it stays `keep_alive` seconds after its last answer, 0 for as long as there is room. What is None stays as it
        was. Raises NotFound (model_not_found)."""
        asked = f.given(pin=pin, keep_alive_ms=f.milliseconds(keep_alive))
        return pick(Model, (client or default_client()).call("POST", f"{_of(name)}/load", asked))

    @staticmethod
    def unload(name: str, *, client: Client | None = None) -> Model:
        """Lets it go once it has given the answers that it is at; an administrator's goes pinned or not. Who asks it has
        it loaded again."""
        return pick(Model, (client or default_client()).call("POST", f"{_of(name)}/unload"))


def _of(name: str) -> str:
    return f"/v1/models/{f.segment(name)}"
