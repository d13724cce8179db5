"""Document: a JSON document that passes is held while it is small and scanned from there on."""

from __future__ import annotations

import json

import pytest

from freehold.wire.document import HOLD_BYTES, Document

WANTED = frozenset(("model", "usage"))
SMALL = b'{"model": "m", "data": [1], "usage": {"n": 2}}'
LARGE = json.dumps({"model": "m", "data": "x" * HOLD_BYTES, "usage": {"n": 2}}).encode()


def passed(body: bytes, size: int = 1000) -> Document:
    document = Document(WANTED)
    for at in range(0, len(body), size):
        document.feed(body[at : at + size])
    return document


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_small_one_is_held_as_it_came(size: int) -> None:
    document = passed(SMALL, size)
    assert (document.held(), document.json(), document.scanner, document.size) == (SMALL, SMALL, None, len(SMALL))
    document.feed(b" ")
    assert document.held() == SMALL + b" "


@pytest.mark.parametrize("size", [1000, HOLD_BYTES, len(LARGE)])
def test_of_a_large_one_only_the_wanted_members_are_kept(size: int) -> None:
    document = passed(LARGE, size)
    told = document.json()
    assert told is not None and json.loads(told) == {"model": "m", "usage": {"n": 2}}
    assert (document.held(), document.size) == (b"", len(LARGE))


@pytest.mark.parametrize("body", [LARGE[:-1], LARGE + b"}", b"<html>" + LARGE])
def test_a_large_one_that_is_cut_or_broken_tells_nothing(body: bytes) -> None:
    assert passed(body).json() is None


def test_the_bound_itself_is_still_held() -> None:
    assert passed(b"[" + b" " * (HOLD_BYTES - 1)).scanner is None
    assert passed(b"[" + b" " * HOLD_BYTES).scanner is not None
