"""What a request loses on its way into another dialect, by the names that its client knows: "seed", "tools[].strict"."""

from __future__ import annotations

from msgspec import Raw

from freehold.wire.chat import Extras

Dropped = dict[str, None]  # in the order in which they were found

_NOTHING = (b"null", b"[]", b"{}", b"false")


def asks(value: Raw) -> bool:
    """Leaving the value out would change something: it is not null, false or empty."""
    return bytes(value) not in _NOTHING


def name_extras(extras: Extras, prefix: str, dropped: Dropped) -> None:
    """Every extra member is its source dialect's alone: name those that ask for something."""
    for name, value in extras.items():
        if asks(value):
            dropped[prefix + name] = None
