"""Backoff: how long to wait before something is sent again, and when to give up."""
from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Backoff:
    """Waits between 0 and `first` seconds before the second attempt, between 0 and twice that before the third, and so
    on up to `most`: at random, so that many who were turned away together do not come back together. What a refusal's
    Retry-After says comes on top. Gives up rather than wait more than `total` seconds in all."""

    first: float = 0.1
    most: float = 10.0
    total: float = 600.0

    def plan(self, draw: Callable[[], float] = random.random) -> Plan:
        """The waits of one request. `draw` gives numbers from 0 to 1."""
        return Plan(self, draw)


class Plan:
    def __init__(self, backoff: Backoff, draw: Callable[[], float]) -> None:
        self._backoff = backoff
        self._draw = draw
        self._bound = backoff.first
        self._waited = 0.0

    def next(self, retry_after: float | None = None) -> float | None:
        """Seconds to wait now; None: give up."""
        delay = (retry_after or 0.0) + self._draw() * min(self._bound, self._backoff.most)
        self._bound *= 2
        self._waited += delay
        return delay if self._waited <= self._backoff.total else None
