"""In which order a route's targets are tried for one call. Pure: what is known of each target comes in, and so does chance.

Healthy targets come first, in the strategy's order; then those that rest or are broken, the soonest due first, since trying
one of them is better than to refuse a call that has no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from freehold.policy.health import Health

Strategy = Literal["priority", "weighted", "fastest", "cheapest", "least_busy"]
STRATEGIES: tuple[Strategy, ...] = ("priority", "weighted", "fastest", "cheapest", "least_busy")


class Candidate(Struct, frozen=True):
    """A target as routing sees it. `cost`: of this very call there; None: its price is not known."""

    label: str
    health: Health
    weight: float = 1.0
    cost: int | None = None


def order(
    strategy: Strategy, candidates: Sequence[Candidate], now: float, chance: Callable[[], float], stick_to: bytes = b""
) -> list[int]:
    """Positions of all candidates, the first to be tried first. `chance()`: a number in [0, 1).

    `stick_to`: what stays together (a session, a user, the beginning of a prompt): the same target comes first for it for as
    long as that is healthy, and when it is not, the same other one. With "priority" all of it stays together anyway.
    """
    healthy = [i for i, c in enumerate(candidates) if c.health.usable(now)]
    rest = sorted((i for i in range(len(candidates)) if i not in healthy), key=lambda i: candidates[i].health.due_s(now))
    ranked = _rank(strategy, candidates, healthy, now, chance)
    if stick_to and strategy != "priority":
        ranked.sort(key=lambda i: -_affinity(stick_to, candidates[i]))
    return ranked + rest


def _rank(
    strategy: Strategy, candidates: Sequence[Candidate], healthy: list[int], now: float, chance: Callable[[], float]
) -> list[int]:
    if len(healthy) < 2 or strategy == "priority":
        return healthy
    if strategy == "weighted":
        # Each gets a key u^(1/w); sorted by it, the first is drawn by weight, the second by weight among the others, and so on.
        return sorted(healthy, key=lambda i: -_drawn(candidates[i].weight, chance()))
    if strategy == "fastest":
        ranked = sorted(healthy, key=lambda i: (candidates[i].health.load_s(now), chance()))
        # The better of two drawn by lot: all workers must not run to the same one at the same time.
        one, other = int(chance() * len(ranked)), int(chance() * (len(ranked) - 1))
        first = ranked.pop(min(one, other + (other >= one)))
        return [first, *ranked]
    if strategy == "cheapest":
        return sorted(healthy, key=lambda i: _price(candidates[i]))
    return sorted(healthy, key=lambda i: (candidates[i].health.in_flight / max(candidates[i].weight, 1e-9), chance()))


def _drawn(weight: float, u: float) -> float:
    return u ** (1 / weight) if weight > 0 else -1.0


def _price(candidate: Candidate) -> tuple[bool, int]:
    return candidate.cost is None, candidate.cost or 0


def _affinity(key: bytes, candidate: Candidate) -> float:
    """Rendezvous hashing: when a target comes or goes, only its own share moves. Heavier ones have more."""
    digest = blake2b(key + b"\0" + candidate.label.encode(), digest_size=8).digest()
    u = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return _drawn(candidate.weight, u)
