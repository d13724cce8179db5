"""PASS for a reply that is one JSON document: forwarded as it comes, and what it tells is read from it at the end.

Up to 128 KB it is parsed once; from there on scanned as it passes, so that memory stays bounded.
"""

from __future__ import annotations

from typing import Any

from msgspec import json

from freehold.wire.chat import Failure, Usage
from freehold.wire.counts import read_counts
from freehold.wire.dialect import CountTokens
from freehold.wire.fields import TopLevelScanner

HOLD_BYTES = 128 * 1024
UNREADABLE = Failure(kind="upstream_broken", message="the provider's reply could not be read")

_any = json.Decoder().decode


class WholeTap:
    """Embeddings and rankings. A dialect's chat replies override `wanted`, `learn` and `produced`."""

    wanted = frozenset(("model", "usage", "meta"))  # the top-level members that `learn` may see

    def __init__(self, count: CountTokens) -> None:
        self.count = count
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._scanner: TopLevelScanner | None = None
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def feed(self, chunk: bytes) -> bytes:
        if self._scanner is not None:
            self._scanner.feed(chunk)
            return chunk
        self._pieces.append(chunk)
        self._bytes += len(chunk)
        if self._bytes > HOLD_BYTES:
            self._scanner = TopLevelScanner(self.wanted)
            self._scanner.feed(b"".join(self._pieces))
            self._pieces.clear()
        return chunk

    def close(self) -> bytes:
        scanner = self._scanner
        if scanner is not None:
            found = {name: value for name, raw in scanner.values.items() if (value := _value(raw)) is not None}
            self._end(found, scanner.complete, scanner.broken)
            return b""
        body = b"".join(self._pieces)
        self._pieces.clear()
        value = _value(body)
        whole = isinstance(value, dict | list)
        self._end(value if isinstance(value, dict) else {}, whole, not whole and body.lstrip()[:1] not in (b"{", b"[", b""))
        return b""

    def _end(self, found: dict[str, Any], whole: bool, broken: bool) -> None:
        self.learn(found)
        if broken and self.failure is None:
            self.failure = UNREADABLE
        self.done = whole and not broken and self.failure is None

    def learn(self, found: dict[str, Any]) -> None:
        if isinstance(found.get("model"), str):
            self.model = found["model"]
        self.usage = read_counts(found.get("usage"), found.get("meta"))

    def produced(self) -> int:
        return 0  # vectors and scores are no tokens


def _value(raw: bytes) -> Any:
    try:
        return _any(raw)
    except (ValueError, RecursionError):
        return None
