"""A Messages request opened at the top level: what PASS needs, and the prompt's text for local counting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Kind, Peek, Quirks
from freehold.wire.fields import FieldsError, join, split

_str = json.Decoder(str).decode
_int = json.Decoder(int).decode
_bool = json.Decoder(bool).decode
_list = json.Decoder(list[Raw]).decode
_any = json.Decoder().decode
_encode = json.Encoder().encode

_SHORT = 64  # a list of messages shorter than this may be empty: look inside


def peek(body: bytes, kind: Kind) -> Peek:
    """Raises InvalidRequest. `max_tokens` may be 0: Anthropic then only fills its prompt cache."""
    try:
        fields = split(body)
    except FieldsError as error:
        raise InvalidRequest(f"The request body can't be read: {error}.") from None
    model = _value(fields, "model", _str, "a string")
    if not model:
        raise InvalidRequest("model: is missing or empty; name a model.", param="model")
    _check_messages(fields.get("messages"))
    maximum: int | None = None
    if "max_tokens" in fields:
        maximum = _value(fields, "max_tokens", _int, "a whole number")
        if maximum < 0:
            raise InvalidRequest(f"max_tokens: is {maximum}; it must be 0 or more.", param="max_tokens")
    elif kind == "chat":
        raise InvalidRequest("max_tokens: is missing; say how many tokens the reply may have.", param="max_tokens")
    stream = "stream" in fields and _value(fields, "stream", _bool, "true or false")
    return Peek(kind, fields, model, stream, maximum, True)


def _value(fields: dict[str, Raw], name: str, decode: Any, kind: str) -> Any:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decode(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{name}: must be {kind}.", param=name) from None


def _check_messages(raw: Raw | None) -> None:
    if raw is None:
        raise InvalidRequest("messages: is missing; it must be a list with at least one message.", param="messages")
    text = bytes(raw)
    if text[0] != 0x5B:
        raise InvalidRequest("messages: must be a list.", param="messages")
    if len(text) < _SHORT and not _list(text):
        raise InvalidRequest("messages: is empty; send at least one message.", param="messages")


def patch(opened: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body for the target: the model's name and the provider's quirks changed, every other value byte-identical."""
    fields = opened.fields
    if model != opened.model:
        fields = fields | {"model": Raw(_encode(model))}
    if not quirks.drop and not quirks.rename:
        return join(fields), ()
    dropped = tuple(name for name in fields if name in quirks.drop)
    renamed = {quirks.rename.get(name, name): raw for name, raw in fields.items() if name not in quirks.drop}
    return join(renamed), dropped


# Where a request keeps text that a model reads, and where it keeps bytes and opaque data that it does not.
_TEXT_KEYS = frozenset({"text", "thinking", "name", "description", "title", "context", "content", "system"})
_WHOLE_KEYS = frozenset({"input", "input_schema"})
_NO_TEXT = ("image", "redacted_thinking", "container_upload")  # no set: a `type` may be anything, lists too


def input_text(opened: Peek) -> str:
    """All prompt text joined. Unreadable values count as nothing: this feeds an estimate, never an error."""
    pieces: list[str] = []
    for name in ("system", "messages", "tools"):
        raw = opened.fields.get(name)
        if raw is None:
            continue
        try:
            value = _any(raw)
        except (ValueError, RecursionError):
            continue
        pieces.extend([value] if isinstance(value, str) else _texts(value))
    return "\n".join(pieces)


def _texts(value: Any) -> Iterator[str]:
    """Depth first, in order. The depth is bounded by the JSON decoder's own limit."""
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, dict) and item.get("type") not in _NO_TEXT:
            stack.extend(reversed([_text_in(name, child) for name, child in item.items()]))


def _text_in(name: str, child: Any) -> Any:
    if name in _WHOLE_KEYS:
        return _encode(child).decode("utf-8", "replace")
    if name == "source" and isinstance(child, dict):
        return {"text": child.get("data"), "content": child.get("content")} if child.get("type") in ("text", "content") else None
    return child if name in _TEXT_KEYS else None
