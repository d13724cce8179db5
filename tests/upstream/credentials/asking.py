"""Stands in for the places that give out credentials: answers by URL, remembers what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import json

from freehold.base.errors import UpstreamUnreachable
from freehold.upstream.transport import Timeouts


class Asked:
    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.url, self.headers, self.body = method, url, dict(headers), body.decode()


class Places:
    """`answers`: URL, or its beginning up to "?", -> (status, JSON or bytes), or a list of such that is used up."""

    def __init__(self, **_: Any) -> None:
        self.answers: dict[str, Any] = {}
        self.seen: list[Asked] = []

    async def __call__(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"", timeouts: Timeouts | None = None
    ) -> tuple[int, bytes]:
        self.seen.append(Asked(method, url, headers or {}, body))
        found = self.answers.get(url, self.answers.get(url.partition("?")[0]))
        if found is None:
            raise UpstreamUnreachable(f"could not connect to {url}")
        status, reply = found.pop(0) if isinstance(found, list) else found
        return status, reply if isinstance(reply, bytes) else json.encode(reply)
