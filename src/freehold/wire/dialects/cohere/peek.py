"""A request of this dialect opened at the top level, and written again for PASS."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Asked, Kind, Peek, Quirks
from freehold.wire.dialects import bare
from freehold.wire.dialects.cohere.words import decode_any, encode
from freehold.wire.rerankform import check_rerank
from freehold.wire.typed import NULL, Fields, as_bool, as_int, filled, model_of, opened, typed

EMBED_FIELDS = ("texts", "images", "inputs")


def peek(body: bytes, kind: Kind, asked: Asked) -> Peek:
    """Raises InvalidRequest."""
    fields = opened(body)
    model = model_of(fields, asked.model)
    if kind == "embeddings":
        _check_embed(fields)
        return Peek(kind, fields, model, False, None, False)
    if kind == "rerank":
        check_rerank(fields, "documents")
        return Peek(kind, fields, model, False, None, False, path=asked.path)
    filled(fields, "messages", "[", "an array with at least one message")
    stream = bool(_optional(fields, "stream", as_bool, "true or false"))
    maximum = _optional(fields, "max_tokens", as_int, "a whole number")
    if maximum is not None and maximum < 1:
        raise InvalidRequest(f"max_tokens: is {maximum}; it must be 1 or more", param="max_tokens")
    return Peek(kind, fields, model, stream, maximum, True)


def _check_embed(fields: Fields) -> None:
    given = [name for name in EMBED_FIELDS if name in fields and bytes(fields[name]) != NULL]
    for name in given or EMBED_FIELDS[:1]:
        filled(fields, name, "[", "an array with at least one item")


def _optional(fields: Fields, name: str, decode: Any, wanted: str) -> Any:
    raw = fields.get(name)
    return None if raw is None or bytes(raw) == NULL else typed(raw, decode, name, wanted)


def patch(opened_body: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body for the target: the model's name and the provider's quirks changed, every other value byte-identical."""
    fields = opened_body.fields
    if model != opened_body.model:
        fields = fields | {"model": Raw(encode(model))}
    return bare.fit(fields, quirks)


def input_text(opened_body: Peek) -> str:
    """All prompt text joined. Unreadable values count as nothing: this feeds an estimate, never an error."""
    fields = opened_body.fields
    if opened_body.kind != "chat":
        return bare.input_text(fields, "texts", "inputs", "query", "documents")
    pieces: list[str] = []
    for name in ("messages", "documents"):
        try:
            _texts(decode_any(fields[name]), pieces)
        except (KeyError, ValueError, RecursionError):
            continue
    rest = (fields[name] for name in ("tools", "response_format") if name in fields)
    pieces.extend(bytes(raw).decode("utf-8", "replace") for raw in rest)
    return "\n".join(pieces)


_TEXT_KEYS = frozenset(("content", "text", "thinking", "tool_plan", "tool_calls", "function", "name", "arguments", "document"))


def _texts(value: Any, pieces: list[str]) -> None:
    """Depth first, in order. The depth is bounded by the JSON decoder's own limit."""
    if isinstance(value, str):
        pieces.append(value)
    elif isinstance(value, list):
        for item in value:
            _texts(item, pieces)
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "data":
                pieces.append(item if isinstance(item, str) else encode(item).decode("utf-8", "replace"))
            elif name in _TEXT_KEYS:
                _texts(item, pieces)
