"""PASS for a reply that is one JSON document: forwarded as it comes, and what it tells is read from it at the end."""

from __future__ import annotations

from typing import Any

from msgspec import json

from freehold.wire.chat import Failure, Usage
from freehold.wire.counts import read_counts
from freehold.wire.dialect import CountTokens
from freehold.wire.document import Document

UNREADABLE = Failure(kind="upstream_broken", message="the provider's reply could not be read")

_any = json.Decoder().decode


class _Tap:
    wanted: frozenset[str]  # the top-level members that tell something

    def __init__(self, count: CountTokens) -> None:
        self.count = count
        self.document = Document(self.wanted)
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def feed(self, chunk: bytes) -> bytes:
        self.document.feed(chunk)
        return chunk


class BodyTap(_Tap):
    """A reply that tells nothing unless it is whole: `learn` gets it, or an object of its wanted members."""

    def close(self) -> bytes:
        body = self.document.json()
        if body is None:
            return b""
        try:
            self.learn(body)
        except (ValueError, RecursionError):
            return b""  # cut or garbage: not done
        self.done = True
        return b""

    def produced(self) -> int:
        """Counted from the reply's text; where that can't be had, a token for every four bytes of the reply."""
        document = self.document
        if document.scanner is not None:
            return document.size // 4
        try:
            text = self.text(document.held())
        except (ValueError, RecursionError):
            return document.size // 4
        return self.count(text) if text else 0

    def learn(self, body: bytes) -> None:
        """Raises ValueError where it is no reply."""
        raise NotImplementedError

    def text(self, body: bytes) -> str:
        """What the model produced. Raises ValueError where it is no reply."""
        raise NotImplementedError


class WholeTap(_Tap):
    """Embeddings and rankings. A dialect's chat replies override `wanted`, `learn` and `produced`."""

    wanted = frozenset(("model", "usage", "meta"))

    def close(self) -> bytes:
        scanner = self.document.scanner
        if scanner is not None:
            self._end(scanner.decoded(), scanner.complete, scanner.broken)
            return b""
        body = self.document.held()
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
