"""PASS of InvokeModel: bytes go through unchanged; usage, model, finish reason and the end are read from them on the way.

A stream's chunks are base64 of the model's own JSON; all are opened, those that may say something are parsed.
A stream is whole when Bedrock's invocation metrics came, or when it ended after a finish reason (a guardrail's reply has
no metrics).
"""

from __future__ import annotations

import re

from msgspec import Struct, field, json, structs

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialect import CountTokens
from freehold.wire.dialects.anthropic.events import WireError
from freehold.wire.dialects.anthropic.events import failure as anthropic_failure
from freehold.wire.dialects.bedrock.events import broken, failure, is_failure
from freehold.wire.dialects.bedrock.tap import Frames, TextsTap
from freehold.wire.dialects.bedrock_invoke.shapes import (
    WANTED,
    Told,
    decode_told,
    finish_of,
    metrics_of,
    model_of,
    usage_of,
)
from freehold.wire.eventstream import decode
from freehold.wire.produced import CHUNK_COST, KEEP_BYTES, Produced, unescaped

# What a chunk that says something holds: usage, counts and reasons of all families, Claude's first and last events.
_TELLS = re.compile(rb"oken|eason|usage|message_|\"error\"|amazon-bedrock-trace")
_PIECES = re.compile(
    rb'"(?:text|thinking|partial_json|outputText|generation|completion|input|name)":\s*"([^"\\]*(?:\\.[^"\\]*)*)"'
)


class WireChunk(Struct):
    data: bytes = field(name="bytes")  # base64 in the JSON


decode_chunk = json.Decoder(WireChunk).decode


class StreamTap(Frames):
    __slots__ = ("_ending", "_kept", "_kept_bytes", "_produced")

    def __init__(self, count: CountTokens) -> None:
        super().__init__()
        self._produced = Produced(count)
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._ending = False

    def close(self) -> bytes:
        if self.failure is None and self._ending and not self._tail:
            self.done = True
        return super().close()

    def produced(self) -> int:
        self._extract()
        return self._produced.tokens()

    def _frame(self, data: bytes, start: int, end: int) -> bool:
        message = decode(data[start:end])
        if is_failure(message):
            self.failure = failure(message)
            return False
        if message.text(":event-type") != "chunk":
            return True
        try:
            payload = decode_chunk(message.payload).data
            told = decode_told(payload) if _TELLS.search(payload) else None
        except (ValueError, RecursionError):
            self.failure = broken("a chunk of the stream is not the JSON of a model's reply")
            return False
        if told is not None and not self._learn(told):
            return False
        self._kept.append(payload)
        self._kept_bytes += len(payload) + CHUNK_COST
        if self._kept_bytes > KEEP_BYTES:
            self._extract()
        return True

    def _learn(self, told: Told) -> bool:
        if told.type == "error":
            self.failure = inner_failure(told)
            return False
        self.model = self.model or model_of(told)
        self.finish = finish_of(told) or self.finish
        self.usage = merged(self.usage, usage_of(told))
        self._ending = self._ending or bool(self.finish) or told.trace is not None
        counted = metrics_of(told)
        if counted is not None:
            self.done = True
            # The model's own count knows more (how long cached tokens live); this one fills what it left open.
            self.usage = merged(counted, self.usage) if self.usage is not None and not self.usage.estimated else counted
        return True

    def _extract(self) -> None:
        """Kept payloads -> the text in them."""
        found = b"".join(_PIECES.findall(b"\n".join(self._kept)))
        self._kept.clear()
        self._kept_bytes = 0
        self._produced.add(unescaped(found))


def merged(held: Usage | None, more: Usage | None) -> Usage | None:
    """`held` with every count that `more` tells."""
    if held is None or more is None:
        return more or held
    told = {name: value for name in _COUNTS if (value := getattr(more, name))}
    return structs.replace(held, **told, estimated=more.estimated)


_COUNTS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "web_searches", "service_tier")


def inner_failure(told: Told) -> Failure:
    error = told.error if isinstance(told.error, dict) else {}
    kind, message = error.get("type"), error.get("message")
    known = WireError(kind if isinstance(kind, str) else None, message if isinstance(message, str) else None)
    return anthropic_failure(known)


class WholeTap(TextsTap):
    """A reply that is not a stream."""

    wanted = WANTED
    pieces = _PIECES

    def learn(self, body: bytes) -> None:
        told = decode_told(body)
        self.model = model_of(told)
        self.finish = finish_of(told)
        self.usage = usage_of(told)
        if told.type == "error":
            self.failure = inner_failure(told)
