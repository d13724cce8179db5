"""PASS: open a body at its top level, and write it again for the target with as little changed as possible.

Checks what every provider refuses; the values inside items are the provider's to judge. `input_text` looks into them,
and so does `patch` where an item of reasoning that another maker issued must not reach this target.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import DecodeError, Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire import fields
from freehold.wire.dialect import Kind, Peek, Quirks
from freehold.wire.dialects.openai_chat.peek import fit, json_type
from freehold.wire.seal import MARK, unseal
from freehold.wire.typed import is_null

_decode_str = json.Decoder(str).decode
_decode_int = json.Decoder(int).decode
_decode_list = json.Decoder(list[Raw]).decode
_decode_any = json.Decoder().decode
_encode = json.Encoder().encode

_BOOLS = {b"true": True, b"false": False, b"null": False}
_ELSEWHERE = ("previous_response_id", "conversation", "prompt", "instructions")  # where a request without input has its prompt
_SEALED = b'"' + MARK.encode()


def peek(body: bytes, kind: Kind) -> Peek:
    """Open a client's body. Raises InvalidRequest."""
    try:
        members = fields.split(body)
    except fields.FieldsError as error:
        raise InvalidRequest(f"the request body could not be read: {error}") from None
    model = _model(members.get("model"))
    _require_input(members)
    stream = members.get("stream")
    return Peek(kind, members, model, stream is not None and _stream(stream), _max_output(members), True)


def _model(value: Raw | None) -> str:
    if value is None:
        raise InvalidRequest("'model' is missing: name the model to ask", param="model")
    try:
        model = _decode_str(value)
    except (DecodeError, UnicodeDecodeError):
        raise InvalidRequest(f"'model' must be a string, not {json_type(value)}", param="model") from None
    if not model:
        raise InvalidRequest("'model' is empty: name the model to ask", param="model")
    return model


def _require_input(members: dict[str, Raw]) -> None:
    value = members.get("input")
    if value is None or is_null(value):
        if all(is_null(members.get(name)) for name in _ELSEWHERE):
            raise InvalidRequest("'input' is missing: send a string or an array of items", param="input")
        return
    view = memoryview(value)
    if view[0] == 0x5B:  # an array; "[{" is surely filled, the usual case
        empty = view[1] != 0x7B and not _decode_any(value)
    elif view[0] == 0x22:
        empty = len(view) == 2
    else:
        raise InvalidRequest(f"'input' must be a string or an array, not {json_type(value)}", param="input")
    if empty and all(is_null(members.get(name)) for name in _ELSEWHERE):
        raise InvalidRequest("'input' is empty: it needs at least one item or some text", param="input")


def _stream(value: Raw) -> bool:
    streams = _BOOLS.get(bytes(value))
    if streams is None:
        raise InvalidRequest(f"'stream' must be true or false, not {json_type(value)}", param="stream")
    return streams


def _max_output(members: dict[str, Raw]) -> int | None:
    value = members.get("max_output_tokens")
    if value is None or is_null(value):
        return None
    try:
        number = _decode_int(value)
    except DecodeError:
        raise InvalidRequest("'max_output_tokens' must be a whole number", param="max_output_tokens") from None
    if number < 1:
        raise InvalidRequest(f"'max_output_tokens' must be at least 1, not {number}", param="max_output_tokens")
    return number


def patch(opened: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body for the target and the names of what was left out. `opened` stays as it is (another target may follow)."""
    members = opened.fields
    if model != opened.model:
        members = members | {"model": Raw(_encode(model))}
    sent = bytes(members.get("input", b""))
    foreign = sent.find(b"~") >= 0 and sent.find(_SEALED) >= 0  # one character is found ten times as fast
    if not foreign and not quirks.rename and not quirks.drop:
        return fields.join(members), ()
    members = dict(members)
    left_out: tuple[str, ...] = ()
    if foreign:
        left_out = _without_foreign(members)
    members, dropped = fit(members, quirks)
    return fields.join(members), left_out + dropped


def _without_foreign(members: dict[str, Raw]) -> tuple[str, ...]:
    """Leave out reasoning items that other makers sealed: this API refuses encrypted content that it did not issue."""
    try:
        items = _decode_list(members["input"])
        kept = [item for item in items if bytes(item).find(_SEALED) < 0 or not _is_foreign(_decode_any(item))]
    except (ValueError, RecursionError):
        return ()  # for the provider to refuse
    if len(kept) == len(items):
        return ()
    members["input"] = Raw(_encode(kept))
    return ("reasoning of another provider",)


def _is_foreign(item: Any) -> bool:
    sealed = item.get("encrypted_content") if isinstance(item, dict) and item.get("type") == "reasoning" else None
    return isinstance(sealed, str) and unseal(sealed) is not None


# Where a request keeps text that a model reads. Everything else (ids, bytes, what is encrypted) is not counted.
_TEXT_KEYS = frozenset(("text", "refusal", "name", "arguments", "input", "output", "content", "summary", "code", "query"))


def input_text(opened: Peek) -> str:
    """All prompt text, a line a piece. Unreadable values count as nothing: this feeds an estimate, never an error."""
    pieces: list[str] = []
    for name in ("instructions", "input"):
        value = opened.fields.get(name)
        if value is None:
            continue
        try:
            pieces.extend(_texts(_decode_any(value)))
        except (ValueError, RecursionError):
            continue
    for name in ("tools", "text"):
        value = opened.fields.get(name)
        if value is not None and not is_null(value):
            pieces.append(bytes(value).decode("utf-8", "replace"))
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
        elif isinstance(item, dict):
            stack.extend(child for key, child in reversed(item.items()) if key in _TEXT_KEYS)
