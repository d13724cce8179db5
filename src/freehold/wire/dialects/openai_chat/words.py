"""Names and small tables that the codecs of this dialect share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Raw, json

from freehold.wire.chat import Extras, FinishReason, Opaque

NAME: Final = "openai_chat"

decode_any = json.Decoder().decode
encode = json.Encoder().encode

# Part-level spelling hints live in `Part.extras` under keys that start with "~" (a wire key that does makes its part
# Opaque, so the two never meet). They hold no content.
IN: Final = "~in"  # which field a part was written in, where it is not the usual one
INNER: Final = "~inner"  # the members that a part's inner object had besides those with a word
CACHE_AT: Final = "~cache"  # the cache mark was written on the message, or inside the function

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


def raw(value: Any) -> Raw:
    return Raw(encode(value))


def opaque(kind: str, value: Any, field: str = "") -> Opaque:
    """Content that only this dialect carries; `field` is the message's field that holds it, "" for its content."""
    return Opaque(dialect=NAME, kind=kind, raw=raw(value), extras={IN: hint(field)} if field else {})


def hint(value: str) -> Raw:
    return Raw(b'"' + value.encode() + b'"')


def hint_of(extras: Extras, key: str) -> str:
    """A spelling hint's text, "" where unset."""
    held = extras.get(key)
    return "" if held is None else bytes(held)[1:-1].decode()


def has_hint(members: Iterable[str]) -> bool:
    """Do wire keys look like our hints? Then the thing is carried whole, as Opaque or raw."""
    return any(key.startswith("~") for key in members)


def rest_of(value: dict[str, Any], known: frozenset[str]) -> Extras:
    """The members that have no word of ours, raw."""
    return {key: raw(member) for key, member in value.items() if key not in known}
