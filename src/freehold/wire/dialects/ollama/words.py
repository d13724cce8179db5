"""Names and small tables that the codecs of this dialect share."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import FinishReason
from freehold.wire.dialects.openai_chat.peek import json_type

NAME: Final = "ollama"

# `Peek.form`, and `spelling["form"]` of a request: the two older shapes of a call. Both have a path of their own upstream.
GENERATE: Final = "generate"
EMBEDDINGS: Final = "embeddings"
FORM: Final = "form"

# Keys of a part's `spelling`.
IN: Final = "in"  # the request's field that an Opaque part was written in
MADE: Final = "made"  # under "id": the wire gave the call none
INNER: Final = "function"  # the members of a call's or tool's `function` that have no word, as JSON text

LOAD: Final = "a request to load the model"  # a call without messages or prompt

# Values that ask for nothing. A field that holds one is only remembered in `spelling`, as its JSON text.
NOTHING: Final = frozenset((b"null", b'""', b"[]", b"{}"))

FINISH_IN: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_use",  # servers that imitate Ollama's
    "content_filter": "content_filter",
    "error": "error",
}
FINISH_OUT: Final[dict[FinishReason, str]] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "tool_use": "stop",
    "pause": "stop",
    "unknown": "stop",
    "length": "length",
    "content_filter": "content_filter",  # Ollama has no word for it, and clients show the reason as it comes
    "refusal": "content_filter",
    "error": "error",
}

Fields = dict[str, Raw]

decode_any = json.Decoder().decode
decode_fields = json.Decoder(Fields).decode
decode_list = json.Decoder(list[Raw]).decode
decode_str = json.Decoder(str).decode
encode = json.Encoder().encode


def raw(value: Any) -> Raw:
    return Raw(encode(value))


def text(value: Raw) -> str:
    """A raw value as JSON text, to be kept in `spelling`."""
    return bytes(value).decode("utf-8", "replace")


# What clients take for the end of a line: JSON's own white space, and what some split text at (Python's httpx does).
_LINE_ENDS = (
    (b"\n", b" "),
    (b"\r", b" "),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


def encode_line(value: Any) -> bytes:
    """A value as one line. Raw values in it may be pretty-printed; line ends inside strings are always escaped."""
    line = encode(value)
    for end, instead in _LINE_ENDS:
        if line.find(end) >= 0:
            line = line.replace(end, instead)
    return line + b"\n"


# --- reading a client's values: each raises InvalidRequest with the path -----------------------


def wrong(value: Raw, path: str, wanted: str) -> InvalidRequest:
    kind = json_type(value)
    seen = "" if kind in wanted else f", not {kind}"
    return InvalidRequest(f"'{path}' must be {wanted}{seen}", param=path)


def object_of(value: Raw, path: str) -> Fields:
    try:
        return decode_fields(value)
    except (ValueError, RecursionError):
        raise wrong(value, path, "an object") from None


def list_of(value: Raw, path: str) -> list[Raw]:
    try:
        return decode_list(value)
    except (ValueError, RecursionError):
        raise wrong(value, path, "an array") from None


def string_of(value: Raw | None, path: str) -> str:
    if value is None:
        raise InvalidRequest(f"'{path}' is missing", param=path)
    try:
        return decode_str(value)
    except ValueError:
        raise wrong(value, path, "a string in valid UTF-8") from None


def number_of(value: Raw, path: str) -> float:
    try:
        found = decode_any(value) if json_type(value) == "a number" else None
    except ValueError:  # 1e999
        found = None
    if not isinstance(found, int | float):
        raise wrong(value, path, "a number")
    return found


def integer_of(value: Raw, path: str) -> int:
    """Ollama takes 10.0 for 10, so its clients send it."""
    found = number_of(value, path)
    if found != found // 1 or abs(found) >= 2**63:
        raise InvalidRequest(f"'{path}' must be a whole number of at most 63 bits", param=path)
    return int(found)


def flag_of(value: Raw, path: str) -> bool:
    flag = {b"true": True, b"false": False}.get(bytes(value))
    if flag is None:
        raise wrong(value, path, "true or false")
    return flag
