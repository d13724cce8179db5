"""PASS: a body opened at its top level. Writing it again is the chat dialect's business: the fields that matter are the same."""

from __future__ import annotations

from msgspec import DecodeError, Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire import fields
from freehold.wire.dialect import Kind, Peek
from freehold.wire.dialects.openai_chat.peek import json_type, lenient, model_of, stream_of, texts_of, wants_usage

_decode_int = json.Decoder(int).decode
_SHORT = 16  # a list of prompts shorter than this may be empty: look inside


def peek(body: bytes, kind: Kind) -> Peek:
    """Raises InvalidRequest. An empty prompt is one (the model begins a document), no prompt is not."""
    try:
        members = fields.split(body)
    except fields.FieldsError as error:
        raise InvalidRequest(f"the request body could not be read: {error}") from None
    model = model_of(members.get("model"))
    if "messages" in members:
        raise InvalidRequest("'messages' belongs to /v1/chat/completions; this API takes a 'prompt'", param="messages")
    _check_prompt(members.get("prompt"))
    stream = members.get("stream")
    streams = stream is not None and stream_of(stream)
    return Peek(kind, members, model, streams, _max_tokens(members.get("max_tokens")), streams and wants_usage(members))


def _check_prompt(value: Raw | None) -> None:
    if value is None:
        raise InvalidRequest("'prompt' is missing", param="prompt")
    first = memoryview(value)[0]
    if chr(first) not in '"[n':
        raise InvalidRequest(f"'prompt' must be a string or an array, not {json_type(value)}", param="prompt")
    if first == 0x5B and len(memoryview(value)) < _SHORT and not lenient(value):
        raise InvalidRequest("'prompt' is empty: it needs at least one text or token", param="prompt")


def _max_tokens(value: Raw | None) -> int | None:
    """0 asks for no text at all: with `echo` that scores the prompt. Where nothing is asked, servers give 16 tokens."""
    if value is None or bytes(value) == b"null":
        return None
    try:
        number = _decode_int(value)
    except DecodeError:
        raise InvalidRequest(f"'max_tokens' must be a whole number, not {json_type(value)}", param="max_tokens") from None
    if number < 0:
        raise InvalidRequest(f"'max_tokens' must be 0 or more, not {number}", param="max_tokens")
    return number


def input_text(opened: Peek) -> str:
    """All prompt text, a line a piece; a token array stands as one short word a token."""
    pieces: list[str] = []
    for name in ("prompt", "suffix"):
        texts_of(lenient(opened.fields.get(name)), pieces)
    return "\n".join(pieces)
