"""Names, small tables and checked reads that the codecs of this dialect share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import DecodeError, Raw, ValidationError, json

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import Extras
from freehold.wire.fields import raws

NAME: Final = "openai_responses"

decode_any = json.Decoder().decode
encode = json.Encoder().encode

# Keys of `spelling`.
IN: Final = "in"  # the type or form that content was written in, where it is not the usual one
ITEM: Final = "item"  # JSON text of what the item around a part says besides its content; WHOLE: the part is an item itself
WHOLE: Final = "whole"
BREAKS: Final = "breaks"  # where the pieces of a reasoning text were joined: offsets in characters

# A key of `extras`: the members of the item around a part that have no word, as one object.
ITEM_EXTRAS: Final = "item"

JOINT: Final = "\n\n"  # between the pieces of a reasoning text

CALL: Final = "function_call"
RESULT: Final = "function_call_output"


def raw(value: Any) -> Raw:
    return Raw(encode(value))


def text_of(value: Any) -> str:
    """A value as JSON text, to be kept in `spelling`."""
    return encode(value).decode()


def rest_of(value: dict[str, Any], *known: str) -> Extras:
    """The members that have no word of ours, raw."""
    return raws({key: member for key, member in value.items() if key not in known})


def typed(decode: Callable[[Raw], Any], value: Raw, path: str, wanted: str) -> Any:
    """A raw value as what it must be. Raises InvalidRequest."""
    try:
        return decode(value)
    except (ValidationError, DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidRequest(f"'{path}' must be {wanted}", param=path) from None


def wrong(path: str, wanted: str, value: Any) -> InvalidRequest:
    if value is None:
        return InvalidRequest(f"'{path}' is missing or null; it must be {wanted}", param=path)
    names = {str: "a string", bool: "a boolean", list: "an array", dict: "an object"}
    return InvalidRequest(f"'{path}' must be {wanted}, not {names.get(type(value), 'a number')}", param=path)


def string(holder: dict[str, Any], key: str, path: str) -> str:
    value = holder.get(key)
    if not isinstance(value, str):
        raise wrong(f"{path}.{key}", "a string", value)
    return value
