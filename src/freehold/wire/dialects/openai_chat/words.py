"""Names and small tables that the codecs of this dialect share."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, json

from freehold.wire.chat import Extras, FinishReason, Opaque
from freehold.wire.fields import raws

NAME: Final = "openai_chat"

decode_any = json.Decoder().decode
encode = json.Encoder().encode

# Keys of `spelling`.
IN: Final = "in"  # the field that a part was written in, where it is not the usual one
INNER: Final = "inner"  # the members of an inner object that have no word, as JSON text
CACHE_AT: Final = "cache"  # the cache mark was written on the message, or inside the function

FINISH_IN: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_use",
    "tool_call": "tool_use",
    "tool_use": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "refusal": "refusal",
    "error": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
}
FINISH_OUT: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "unknown": "stop",
    "length": "length",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "error": "error",  # OpenRouter's word; OpenAI has none
}

# Thinking that only Anthropic's API can check and read carries this format name in OpenRouter's `reasoning_details`.
ANTHROPIC_FORMAT: Final = "anthropic-claude-v1"
GOOGLE_FORMAT: Final = "google-gemini-v1"


def raw(value: Any) -> Raw:
    return Raw(encode(value))


def text_of(value: Any) -> str:
    """A value as JSON text, to be kept in `spelling`."""
    return encode(value).decode()


def opaque(kind: str, value: Any, field: str = "") -> Opaque:
    """Content that only this dialect carries; `field` is the message's field that holds it, "" for its content."""
    return Opaque(dialect=NAME, kind=kind, raw=raw(value), spelling={IN: field} if field else {})


def rest_of(value: dict[str, Any], known: frozenset[str]) -> Extras:
    """The members that have no word of ours, raw."""
    return raws({key: member for key, member in value.items() if key not in known})
