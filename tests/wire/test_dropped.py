"""Extras that ask for something are named where they are left out; the others lose nothing."""

from __future__ import annotations

import pytest
from msgspec import Raw

from freehold.wire.dropped import Dropped, asks, name_extras


@pytest.mark.parametrize("value", [b"null", b"false", b"[]", b"{}"])
def test_nothing_is_asked_for(value: bytes) -> None:
    assert not asks(Raw(value))


@pytest.mark.parametrize("value", [b"true", b"0", b'""', b"[0]", b'{"a":1}', b'"null"'])
def test_something_is_asked_for(value: bytes) -> None:
    assert asks(Raw(value))


def test_extras_are_named_once_in_their_order() -> None:
    dropped: Dropped = {"tools[].b": None}
    name_extras({"c": Raw(b"1"), "x": Raw(b"null"), "b": Raw(b"2")}, "tools[].", dropped)
    name_extras({"c": Raw(b"1")}, "tools[].", dropped)
    assert list(dropped) == ["tools[].b", "tools[].c"]
