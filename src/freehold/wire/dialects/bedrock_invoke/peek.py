"""An InvokeModel request: its body is the model's own, so it is kept as it came.

What is read from it is only what all of Freehold needs: how much the reply may have, and the prompt's text.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Asked, Kind, Peek, Quirks
from freehold.wire.dialects.anthropic.peek import input_text as anthropic_text
from freehold.wire.dialects.bedrock.peek import texts
from freehold.wire.fields import FieldsError, join, split

_any = json.Decoder().decode

# Where each family writes the most tokens that a reply may have: Claude, Mistral and Cohere; Llama; the older Claude;
# AI21; Titan; Nova in its three spellings.
_LIMITS = (
    ("max_tokens",),
    ("max_gen_len",),
    ("max_tokens_to_sample",),
    ("maxTokens",),
    ("textGenerationConfig", "maxTokenCount"),
    ("inferenceConfig", "maxTokens"),
    ("inferenceConfig", "max_new_tokens"),
    ("inferenceConfig", "maxNewTokens"),
)
_PROMPTS = ("prompt", "inputText", "message", "texts")


class InvokePeek(Peek):
    body: bytes = b""


def peek(body: bytes, kind: Kind, asked: Asked) -> InvokePeek:
    """Raises InvalidRequest."""
    try:
        fields = split(body)
    except FieldsError as error:
        raise InvalidRequest(f"The request body can't be read: {error}.") from None
    if not asked.model:
        raise InvalidRequest("modelId: the path names no model; it must be /model/MODEL/...", param="modelId")
    return InvokePeek(kind, fields, asked.model, asked.stream is True, _max_output(fields), True, body=body)


def is_anthropic(fields: dict[str, Raw]) -> bool:
    """The body is one of Claude's Messages API, which asks for this version field on Bedrock."""
    return "anthropic_version" in fields and "messages" in fields


def _max_output(fields: dict[str, Raw]) -> int | None:
    for outer, *inner in _LIMITS:
        if (raw := fields.get(outer)) is None:
            continue
        value = _value(raw)
        if inner:
            value = value.get(inner[0]) if isinstance(value, dict) else None
        if type(value) is int and value >= 0:
            return value
        if outer == "max_tokens" and is_anthropic(fields):
            raise InvalidRequest("max_tokens: must be a whole number.", param="max_tokens")
    return None


def _value(raw: Raw) -> Any:
    try:
        return _any(raw)
    except (ValueError, RecursionError):
        return None


def patch(opened: Peek, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body, byte for byte; only a provider's quirks change it. The model is in the path."""
    fields = opened.fields
    dropped = tuple(name for name in fields if name in quirks.drop)
    if isinstance(opened, InvokePeek) and not dropped and not quirks.rename:
        return opened.body, ()
    return join({quirks.rename.get(name, name): raw for name, raw in fields.items() if name not in quirks.drop}), dropped


def input_text(opened: Peek) -> str:
    """All prompt text joined. Unreadable values count as nothing: this feeds an estimate, never an error."""
    fields = opened.fields
    if is_anthropic(fields):
        return anthropic_text(opened)
    found = [_value(fields[name]) for name in _PROMPTS if name in fields]
    nova = {name: _value(fields[name]) for name in ("system", "messages", "toolConfig") if name in fields}
    return "\n".join([*texts(found), *texts(nova), *texts(_nova_embedded(fields))])


def _nova_embedded(fields: dict[str, Raw]) -> Any:
    """The text that Nova's embedding model is given: singleEmbeddingParams.text.value."""
    held = _value(fields["singleEmbeddingParams"]) if "singleEmbeddingParams" in fields else None
    text = held.get("text") if isinstance(held, dict) else None
    return text.get("value") if isinstance(text, dict) else None
