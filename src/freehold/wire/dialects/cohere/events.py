"""One event of a v2 chat stream and one whole reply, typed for speed."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct, json

from freehold.wire.dialects.cohere.words import ABSENT


class WireContent(Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class WireFunction(Struct):
    name: str | None = None
    arguments: str | None = None


class WireCall(Struct):
    id: str | None = None
    function: WireFunction | None = None


class WireMessage(Struct):
    """In a stream's delta: `content` and `tool_calls` are one object there, and empty lists at the start."""

    content: WireContent | list[WireContent] | str | None = None
    tool_plan: str | None = None
    tool_calls: WireCall | list[WireCall] | None = None
    citations: Raw = ABSENT


class WireDelta(Struct):
    message: WireMessage | None = None
    finish_reason: str | None = None
    usage: Any = None
    error: Any = None


class WireEvent(Struct):
    """`message` only stands at the top in an error: {"message": "..."}."""

    type: str | None = None
    id: str | None = None
    index: int | None = None
    delta: WireDelta | None = None
    logprobs: Raw = ABSENT
    message: Any = None


class WireReply(Struct):
    id: str | None = None
    message: WireMessage | str | None = None
    finish_reason: str | None = None
    usage: Any = None


class WireCitation(Struct):
    type: str | None = None
    content_index: int | None = None


decode_event = json.Decoder(WireEvent).decode
decode_reply = json.Decoder(WireReply).decode
decode_citation = json.Decoder(WireCitation).decode
PLAN = "PLAN"  # the type of a citation within the tool plan
