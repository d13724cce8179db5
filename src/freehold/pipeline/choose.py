"""Which target a call is tried at, and what becomes known of a target by it.

A route with one target and no fallbacks has nothing to choose: nothing is done for it until it fails.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from time import monotonic, time

from freehold.base.errors import UpstreamError, UpstreamRefused
from freehold.observe import log
from freehold.pipeline.exchange import Exchange
from freehold.pipeline.labels import end_user_of, session_of
from freehold.pipeline.runtime import Route, Runtime, Space, Target
from freehold.policy.health import Health
from freehold.policy.pricing import cost_nusd
from freehold.policy.routing import Candidate, order
from freehold.wire.chat import Usage

MAX_HEALTHS = 10_000
MAX_FALLBACKS = 16  # targets of other routes
REST_S = 2.0  # after a 429 that does not say for how long
_PREFIX_CHARS = 2048  # of a prompt: what begins alike so far can share a provider's cache of prompts
_CHARS_A_TOKEN = 4
_ANSWER_TOKENS = 500  # for comparing prices: how long answers are is not known before


class Waiting:
    """Targets still to be tried. Those of fallbacks are looked up only when it comes to them."""

    __slots__ = ("_ahead", "_targets")

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = iter(targets)
        self._ahead: Target | None = None

    def __iter__(self) -> Iterator[Target]:
        return self

    def __next__(self) -> Target:
        ahead, self._ahead = self._ahead, None
        return next(self._targets) if ahead is None else ahead

    def more(self) -> bool:
        if self._ahead is None:
            self._ahead = next(self._targets, None)
        return self._ahead is not None


def waiting(x: Exchange, rt: Runtime, route: Route) -> Waiting:
    """The route's targets in the order to try them, then those of its fallbacks."""
    return Waiting(_chosen(x, rt, route))


def _chosen(x: Exchange, rt: Runtime, route: Route) -> Iterator[Target]:
    seen: set[str] = set()
    for target in _ordered(x, rt, route):
        seen.add(target.label)
        yield target
    assert x.principal is not None
    for target in _fallbacks(x, rt, route, x.principal.space):
        if target.label not in seen and len(seen) < len(route.targets) + MAX_FALLBACKS:
            seen.add(target.label)
            yield target


def _fallbacks(x: Exchange, rt: Runtime, route: Route, space: Space) -> Iterator[Target]:
    """Of a fallback's own fallbacks too; a circle ends where it closes."""
    names, seen = list(route.fallbacks), {route.name}
    for name in names:
        other = space.routes.get(name)
        if other is not None and name not in seen and len(seen) <= MAX_FALLBACKS:
            seen.add(name)
            names += other.fallbacks
            yield from _ordered(x, rt, other)


def _ordered(x: Exchange, rt: Runtime, route: Route) -> list[Target]:
    found = list(route.targets)
    if len(found) < 2:
        return found
    assert x.principal is not None
    space = x.principal.space
    costs = [_cost(x, target) for target in found] if route.strategy == "cheapest" else [None] * len(found)
    candidates = [
        Candidate(target.label, rt.health_of(target, space), target.weight, cost)
        for target, cost in zip(found, costs, strict=True)
    ]
    stick_to = _stick_to(x, route.sticky) if route.sticky else b""
    return [found[i] for i in order(route.strategy, candidates, monotonic(), random.random, stick_to)]


def _stick_to(x: Exchange, sticky: str) -> bytes:
    """b"" where the call does not say: then nothing holds it. Digested by whoever uses it, and kept nowhere."""
    if x.peek is None or x.principal is None:
        return b""
    if sticky == "prompt":
        text = x.dialect.input_text(x.peek)[:_PREFIX_CHARS]
    else:
        text = session_of(x.headers) if sticky == "session" else end_user_of(x.headers, x.peek, x.dialect.name)
    return f"{x.principal.key_id}\n{text}".encode() if text else b""


def _cost(x: Exchange, target: Target) -> int | None:
    """What the call would about cost there; None: its price is not known."""
    if target.price is None or x.peek is None:
        return None
    tokens = len(x.dialect.input_text(x.peek)) // _CHARS_A_TOKEN
    return cost_nusd(target.price.rates_at(time()), Usage(input=tokens, output=_ANSWER_TOKENS))


# --- what is learned of a target ---


def went_well(x: Exchange, rt: Runtime, target: Target, health: Health, first_s: float) -> None:
    """The call is under way there until `settle`."""
    if health.reason:
        log.event("info", "target_recovered", target=target.label, was=health.reason)
    health.went_well(monotonic(), first_s)
    x.busy = health


def failed(x: Exchange, rt: Runtime, target: Target, error: UpstreamError) -> None:
    route = x.route
    assert x.principal is not None and route is not None
    if len(route.targets) == 1 and not route.fallbacks and len(rt.healths) >= MAX_HEALTHS:
        return  # clients may ask for any number of models by name
    health = rt.health_of(target, x.principal.space)
    now, before = monotonic(), health.reason
    if isinstance(error, UpstreamRefused) and error.status < 500:
        if error.status in (401, 403) and not error.cause:
            health.refuse(now)
            if before != "refused":
                log.event("error", "credential_refused", target=target.label, status=error.status)
        elif error.status == 429:
            health.rest(now, REST_S if error.retry_after_s is None else error.retry_after_s)
        return  # else it is the request's own fault
    if isinstance(error, UpstreamRefused) and error.retry_after_s:
        health.rest(now, error.retry_after_s)
    elif health.failed(now) and before != "open":
        log.event("warning", "target_opened", target=target.label, error=error.kind)
