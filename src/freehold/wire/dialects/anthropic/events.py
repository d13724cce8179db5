"""One event of a Messages stream, typed for speed, and what its words mean."""

from __future__ import annotations

from msgspec import Raw, Struct, json

from freehold.wire.chat import Failure, FinishReason
from freehold.wire.clean import clean_message
from freehold.wire.dialects.anthropic.usage import WireUsage

ABSENT = Raw()  # msgspec decodes no `Raw | None`


class WireDelta(Struct):
    """A content_block_delta's or message_delta's `delta`."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: Raw = ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None


class WireMessage(Struct):
    """A whole message, or the one inside message_start."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    content: list[Raw] | None = None
    usage: WireUsage | None = None


class WireError(Struct):
    type: str | None = None
    message: str | None = None


class WireEvent(Struct):
    type: str = ""
    index: int = 0
    delta: WireDelta | None = None
    content_block: Raw = ABSENT
    message: WireMessage | None = None
    usage: WireUsage | None = None
    error: WireError | None = None


decode_event = json.Decoder(WireEvent).decode

BROKEN = "upstream_broken"

FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "pause_turn": "pause",
    "compaction": "pause",
}

STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


def failure(error: WireError | None) -> Failure:
    """An error that came inside a reply with status 200."""
    kind = (error.type if error is not None else None) or "api_error"
    known = kind in STATUS
    message = clean_message((error.message or "") if error is not None else "")
    return Failure(
        status=STATUS.get(kind, 502),
        message=message or "The provider reported an error in its reply.",
        error_type=kind if known else None,
    )


def broken(message: str) -> Failure:
    return Failure(kind=BROKEN, message=message)
