"""PASS: open a body at its top level, and write it again for the target with as little changed as possible.

Streams are this API's default: a chat or generate call without `stream` asks for one.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.base.errors import InvalidRequest
from freehold.wire import fields
from freehold.wire.dialect import Asked, Kind, Peek, Quirks
from freehold.wire.dialects.ollama.words import (
    EMBEDDINGS,
    GENERATE,
    Fields,
    decode_any,
    encode,
    flag_of,
    integer_of,
    object_of,
    string_of,
    wrong,
)
from freehold.wire.dialects.openai_chat.peek import fit

_FORMS = {"/api/generate": GENERATE, "/api/embeddings": EMBEDDINGS}


def peek(body: bytes, kind: Kind, asked: Asked) -> Peek:
    """Raises InvalidRequest. A chat without messages, or a prompt without text, is one to load the model: it passes."""
    try:
        members = fields.split(body)
    except fields.FieldsError as error:
        raise InvalidRequest(f"the request body could not be read: {error}") from None
    model = string_of(members.get("model"), "model")
    if not model:
        raise InvalidRequest("'model' is empty: name the model to ask", param="model")
    form = _FORMS.get(asked.path, "")
    if kind == "embeddings":
        name = "prompt" if form else "input"
        _check(members, name, '"' if form else '"[')
        if name not in members:
            raise InvalidRequest(f"'{name}' is missing", param=name)
        return Peek(kind, members, model, False, None, True, form=form)
    _check(members, *(("prompt", '"') if form else ("messages", "[")))
    stream = members.get("stream")
    streams = stream is None or bytes(stream) == b"null" or flag_of(stream, "stream")
    return Peek(kind, members, model, streams, _max_output(members.get("options")), True, form=form)


def _check(members: Fields, name: str, openers: str) -> None:
    value = members.get(name)
    if value is not None and bytes(value) != b"null" and chr(memoryview(value)[0]) not in openers:
        raise wrong(value, name, {'"': "a string", "[": "an array", '"[': "a string or an array"}[openers])


def _max_output(options: Raw | None) -> int | None:
    """`num_predict`; -1 and -2 (until the context is full) and 0 set no bound."""
    if options is None:
        return None
    held = bytes(options)
    if held == b"null" or (held[0] == 0x7B and held.find(b'"num_predict"') < 0):
        return None
    limit = object_of(options, "options").get("num_predict")
    if limit is None or bytes(limit) == b"null":
        return None
    number = integer_of(limit, "options.num_predict")
    return number if number > 0 else None


def patch(opened: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body for the target and the names of the fields left out. `opened` stays as it is."""
    members = opened.fields
    if model != opened.model:
        members = members | {"model": Raw(encode(model))}
    if not quirks.rename and not quirks.drop:
        return fields.join(members), ()
    members, dropped = fit(members, quirks)
    return fields.join(members), dropped


# --- the prompt's text, for an estimate: unreadable values count as nothing --------------------


def input_text(opened: Peek) -> str:
    pieces: list[str] = []
    for name in ("system", "prompt", "suffix", "input", "messages", "tools", "format", "context"):
        value = opened.fields.get(name)
        if value is None:
            continue
        if name in ("tools", "format"):
            if memoryview(value)[0] in b"[{":
                pieces.append(bytes(value).decode("utf-8", "replace"))
            continue
        try:
            _texts(decode_any(value), pieces)
        except (ValueError, RecursionError):
            continue
    return "\n".join(pieces)


def _texts(value: Any, pieces: list[str]) -> None:
    if isinstance(value, str):
        pieces.append(value)
    elif isinstance(value, list) and all(isinstance(item, int) for item in value):
        pieces.append(" a" * len(value))  # token ids: one short word each
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                pieces.append(item)
            elif isinstance(item, dict):
                _message_texts(item, pieces)


def _message_texts(message: dict[str, Any], pieces: list[str]) -> None:
    pieces.extend(text for key in ("content", "thinking", "tool_name") if isinstance(text := message.get(key), str))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            pieces.append(f"{function.get('name')} {encode(function.get('arguments')).decode()}")
