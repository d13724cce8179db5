"""Read the members of a client's JSON body by type, with errors that name the member.

For dialects and codecs that open a body once and take their fields out of it one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Raw, json

from freehold.base.errors import InvalidRequest
from freehold.wire.fields import FieldsError, split

Fields = dict[str, Raw]

as_str, as_int, as_float, as_bool = (json.Decoder(t).decode for t in (str, int, float, bool))
as_list = json.Decoder(list[Raw]).decode
as_texts = json.Decoder(list[str]).decode
as_fields = json.Decoder(Fields).decode
NULL = b"null"
_KINDS = {'"': "a string", "[": "an array", "{": "an object", "t": "a boolean", "f": "a boolean", "n": "null"}


def opened(body: bytes) -> Fields:
    """The members of the request's body, all of it valid UTF-8. Raises InvalidRequest."""
    try:
        return split(body)
    except FieldsError as error:
        raise InvalidRequest(f"the request body can't be read: {error}") from None


def checked(body: bytes) -> bytes:
    """The same bytes. Raises UnicodeDecodeError (a ValueError) where they are not UTF-8, which msgspec.Raw lets through."""
    if not body.isascii():
        body.decode()
    return body


def is_null(raw: Raw | None) -> bool:
    """Absent, or null."""
    return raw is None or bytes(raw) == NULL


def kind_of(raw: Raw) -> str:
    """What kind of JSON value it is, for messages."""
    return _KINDS.get(chr(memoryview(raw)[0]), "a number")


def typed(raw: Raw, decode: Callable[[Raw], Any], path: str, wanted: str) -> Any:
    """The value; InvalidRequest names `path` where `decode` does not accept it."""
    try:
        return decode(raw)
    except (ValueError, RecursionError):
        kind = kind_of(raw)
        seen = "" if kind in wanted else f", not {kind}"
        raise InvalidRequest(f"{path}: must be {wanted}{seen}", param=path) from None


def required(fields: Fields, name: str, decode: Callable[[Raw], Any], wanted: str, path: str = "") -> Any:
    """A member that must be there, removed from `fields`."""
    path = f"{path}.{name}" if path else name
    raw = fields.pop(name, None)
    if raw is None:
        raise InvalidRequest(f"{path}: is missing; it must be {wanted}", param=path)
    return typed(raw, decode, path, wanted)


def optional(
    fields: Fields, name: str, decode: Callable[[Raw], Any], wanted: str, spelling: dict[str, str], path: str = ""
) -> Any:
    """A member that may be missing or null, removed from `fields`; a null is noted in `spelling`."""
    raw = fields.pop(name, None)
    if raw is None:
        return None
    if bytes(raw) == NULL:
        spelling[name] = "null"
        return None
    return typed(raw, decode, f"{path}.{name}" if path else name, wanted)


def nulls(spelling: dict[str, str]) -> dict[str, None]:
    """The members that `optional` found to be null, to be written back."""
    return {name: None for name, how in spelling.items() if how == "null"}


def decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    """An upstream's body. Raises ValueError whatever is wrong with it."""
    try:
        return decode(checked(body))
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def model_of(fields: Fields, asked: str = "") -> str:
    """The model that the body names, or else the URL. Raises InvalidRequest."""
    raw = fields.get("model")
    model: str = asked if raw is None else typed(raw, as_str, "model", "a string")
    if not model:
        raise InvalidRequest("model: is missing or empty; name a model", param="model")
    return model


def filled(fields: Fields, name: str, openers: str, wanted: str) -> None:
    """The member is there, begins with one of `openers`, and is neither [] nor "". Raises InvalidRequest."""
    raw = fields.get(name)
    if raw is None:
        raise InvalidRequest(f"{name}: is missing; it must be {wanted}", param=name)
    view = memoryview(raw)
    if chr(view[0]) not in openers:
        raise InvalidRequest(f"{name}: must be {wanted}, not {kind_of(raw)}", param=name)
    if len(view) < 64 and (bytes(view) == b'""' or (view[0] == 0x5B and not bytes(view[1:-1]).strip())):
        raise InvalidRequest(f"{name}: is empty; it must be {wanted}", param=name)
