"""PASS: open a body at its top level, and write it again for the target with as little changed as possible.

Checks what every provider refuses, so that the client gets one clear error without a round trip; the values inside
messages are the provider's to judge. `input_text` is the only function here that looks into them.
"""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import DecodeError, Raw, ValidationError, json

from freehold.base.errors import InvalidRequest
from freehold.wire import fields
from freehold.wire.dialect import Kind, Peek, Quirks
from freehold.wire.dialects.openai_chat.words import decode_any
from freehold.wire.rerankform import check_rerank

V = TypeVar("V")

_decode_str = json.Decoder(str).decode
_decode_int = json.Decoder(int).decode
_decode_members = json.Decoder(dict[str, Raw]).decode
_encode = json.Encoder().encode

_TYPES = {
    ord('"'): "a string",
    ord("["): "an array",
    ord("{"): "an object",
    ord("t"): "a boolean",
    ord("f"): "a boolean",
    ord("n"): "null",
}
_TRUE = b"true"
_BOOLS = {b"true": True, b"false": False, b"null": False}


def peek(body: bytes, kind: Kind) -> Peek:
    """Open a client's body. Raises InvalidRequest."""
    try:
        members = fields.split(body)
    except fields.FieldsError as error:
        raise InvalidRequest(f"the request body could not be read: {error}") from None
    model = model_of(members.get("model"))
    if kind == "embeddings":
        _require_filled(members, "input", '["')
        return Peek(kind, members, model, False, None, False)
    if kind == "rerank":
        check_rerank(members, "documents")
        return Peek(kind, members, model, False, None, False)
    _require_filled(members, "messages", "[")
    stream = members.get("stream")
    streams = stream is not None and stream_of(stream)
    return Peek(kind, members, model, streams, _max_output(members), streams and wants_usage(members))


def json_type(value: Raw) -> str:
    """What kind of JSON value it is, for messages: "a string", "null"..."""
    return _TYPES.get(memoryview(value)[0], "a number")


def model_of(value: Raw | None) -> str:
    if value is None:
        raise InvalidRequest("'model' is missing: name the model to ask", param="model")
    try:
        model = _decode_str(value)
    except (DecodeError, UnicodeDecodeError):
        raise InvalidRequest(f"'model' must be a string, not {json_type(value)}", param="model") from None
    if not model:
        raise InvalidRequest("'model' is empty: name the model to ask", param="model")
    return model


def _require_filled(members: dict[str, Raw], name: str, openers: str) -> None:
    """The member is there, starts with one of `openers`, and is not an empty array or string."""
    value = members.get(name)
    if value is None:
        raise InvalidRequest(f"'{name}' is missing", param=name)
    view = memoryview(value)
    if view[0] == 0x5B and view[1] == 0x7B:  # "[{": surely filled, the usual case
        return
    opener = chr(view[0])
    if opener not in openers:
        wanted = "an array" if openers == "[" else "a string or an array"
        raise InvalidRequest(f"'{name}' must be {wanted}, not {json_type(value)}", param=name)
    second = view[1]
    if (opener == "[" and not decode_any(value)) if second in b"] \t\r\n" else second == 0x22 and len(view) == 2:
        raise InvalidRequest(f"'{name}' is empty: it needs at least one {'message' if openers == '[' else 'text'}", param=name)


def stream_of(value: Raw) -> bool:
    streams = _BOOLS.get(bytes(value))
    if streams is None:
        raise InvalidRequest(f"'stream' must be true or false, not {json_type(value)}", param="stream")
    return streams


def _max_output(members: dict[str, Raw]) -> int | None:
    """The larger bound where a client sends both: which one a provider obeys differs, and a reservation must cover it."""
    limit: int | None = None
    for name in ("max_completion_tokens", "max_tokens"):
        value = members.get(name)
        if value is None or bytes(value) == b"null":
            continue
        try:
            number = _decode_int(value)
        except DecodeError:
            kind = json_type(value)
            raise InvalidRequest(
                f"'{name}' must be {'a whole number' if kind == 'a number' else f'a number, not {kind}'}", param=name
            ) from None
        if number < 1:
            raise InvalidRequest(f"'{name}' must be at least 1, not {number}", param=name)
        limit = number if limit is None or number > limit else limit
    return limit


def wants_usage(members: dict[str, Raw]) -> bool:
    options = members.get("stream_options")
    if options is None:
        return False
    try:
        asked = _decode_members(options).get("include_usage")
    except (DecodeError, UnicodeDecodeError):
        return False  # not an object: the provider says so
    return asked is not None and bytes(asked) == _TRUE


def patch(opened: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body for the target and the names of the fields left out. `opened` stays as it is (another target may follow)."""
    members = dict(opened.fields)
    if model != opened.model:
        members["model"] = Raw(_encode(model))
    if opened.stream and not opened.wants_usage and quirks.stream_usage == "ask":
        ask_usage(members)
    if not quirks.rename and not quirks.drop:
        return fields.join(members), ()
    members, dropped = fit(members, quirks)
    return fields.join(members), dropped


def ask_usage(members: dict[str, Raw]) -> None:
    """Set stream_options.include_usage and keep the object's other members."""
    options = members.get("stream_options")
    inner: dict[str, Raw] = {}
    if options is not None and bytes(options) != b"null":
        try:
            inner = _decode_members(options)
        except (DecodeError, UnicodeDecodeError):
            return  # not an object: leave it for the provider to refuse
    inner["include_usage"] = Raw(_TRUE)
    members["stream_options"] = Raw(fields.join(inner))


def fit(members: dict[str, V], quirks: Quirks) -> tuple[dict[str, V], tuple[str, ...]]:
    """Rename and drop top-level fields as the provider needs. Order stays. Returns also the names left out.

    A field whose new name is already taken is dropped: the client's own spelling of it wins.
    """
    if not quirks.rename and not quirks.drop:
        return members, ()
    kept: dict[str, V] = {}
    dropped: list[str] = []
    for name, value in members.items():
        new = quirks.rename.get(name, name)
        if name in quirks.drop or (new != name and new in members):
            dropped.append(name)
        else:
            kept[new] = value
    return kept, tuple(dropped)


def input_text(opened: Peek) -> str:
    """All prompt text, a line a piece. Media are left out; a token array stands as one short word a token."""
    pieces: list[str] = []
    if opened.kind == "embeddings":
        texts_of(lenient(opened.fields.get("input")), pieces)
        return "\n".join(pieces)
    if opened.kind == "rerank":
        for name in ("query", "documents"):
            texts_of(lenient(opened.fields.get(name)), pieces)
        return "\n".join(pieces)
    messages = lenient(opened.fields.get("messages"))
    for message in messages if isinstance(messages, list) else []:
        if isinstance(message, dict):
            _message_text(message, pieces)
    for name in ("tools", "functions", "response_format"):
        value = opened.fields.get(name)
        if value is not None and bytes(value) != b"null":
            pieces.append(bytes(value).decode("utf-8", "replace"))
    return "\n".join(pieces)


def lenient(value: Raw | None) -> Any:
    try:
        return None if value is None else decode_any(value)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _message_text(message: dict[str, Any], pieces: list[str]) -> None:
    content = message.get("content")
    for part in content if isinstance(content, list) else [{"text": content}]:
        if isinstance(part, dict):
            pieces.extend(text for key in ("text", "refusal") if isinstance(text := part.get(key), str))
            if isinstance(part.get("thinking"), list):
                _message_text({"content": part["thinking"]}, pieces)
    spoken = (message.get(key) for key in ("name", "reasoning_content", "reasoning", "refusal"))
    pieces.extend(text for text in spoken if isinstance(text, str))
    calls = message.get("tool_calls")
    for call in [*(calls if isinstance(calls, list) else []), {"function": message.get("function_call")}]:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict):
            pieces.extend(text for key in ("name", "arguments") if isinstance(text := function.get(key), str))


def texts_of(value: Any, pieces: list[str]) -> None:
    if isinstance(value, str):
        pieces.append(value)
    elif isinstance(value, list):
        if value and all(isinstance(token, int) for token in value):
            pieces.append(" a" * len(value))
            return
        for item in value:
            texts_of(item, pieces)
