"""Recorded exchanges by provider, endpoint and whether the reply is streamed: one test, and one row of the report, each."""

from __future__ import annotations

from typing import NamedTuple

from tests.conformance.native import native_of, native_scope, streams
from tests.conformance.stage import in_scope
from tests.traffic import Recorded, traffic_dir


class Group(NamedTuple):
    provider: str
    endpoint: str
    stream: bool

    def __str__(self) -> str:
        return f"{self.provider}-{self.endpoint}-{'stream' if self.stream else 'whole'}"


def grouped() -> dict[Group, list[Recorded]]:
    """Empty where there is no recorded traffic, so that tests can be collected (and skipped) there."""
    found: dict[Group, list[Recorded]] = {}
    for x in in_scope() if traffic_dir() is not None else ():
        found.setdefault(Group(x.provider, x.endpoint, x.stream), []).append(x)
    return dict(sorted(found.items()))


def native_grouped() -> dict[Group, list[Recorded]]:
    """The same for the endpoints of the other dialects."""
    found: dict[Group, list[Recorded]] = {}
    for x in native_scope() if traffic_dir() is not None else ():
        native = native_of(x)
        assert native is not None
        found.setdefault(Group(x.provider, native.endpoint, streams(x)), []).append(x)
    return dict(sorted(found.items()))
