"""wholetap.py: one JSON document passes unchanged and tells its usage, however large."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.chat import Usage
from freehold.wire.document import HOLD_BYTES
from freehold.wire.wholetap import BodyTap, WholeTap

SMALL = json.dumps({"model": "m", "data": [[0.5, "usage"]], "usage": {"total_tokens": 5}}).encode()
LARGE = json.dumps({"data": [0.123456789] * 20_000, "model": "m", "usage": {"total_tokens": 5}}).encode()


def tapped(body: bytes, size: int = 1000) -> tuple[WholeTap, bytes]:
    tap = WholeTap(len)
    out = b"".join([tap.feed(body[at : at + size]) for at in range(0, len(body), size)])
    return tap, out + tap.close()


@pytest.mark.parametrize("body", [SMALL, LARGE])
@given(size=st.integers(1, 5000))
def test_everything_is_learned_in_any_chunking(body: bytes, size: int) -> None:
    tap, out = tapped(body, size if body is SMALL else size * 10)
    assert out == body
    assert (tap.usage, tap.model, tap.done, tap.failure, tap.produced()) == (Usage(input=5), "m", True, None, 0)


def test_a_list_is_a_whole_reply_without_usage() -> None:
    for body in (b"[[1,2]]", b"[" + b"[0.5,0.5]," * 20_000 + b"[1]]"):
        tap, out = tapped(body)
        assert (out, tap.done, tap.failure, tap.usage) == (body, True, None, None)


def test_a_cut_reply_is_not_done() -> None:
    assert len(LARGE) > HOLD_BYTES
    for body in (SMALL[:-1], SMALL[:1], b"", LARGE[:-1], LARGE[:150_000]):
        assert not tapped(body)[0].done


@pytest.mark.parametrize("body", [b"oops", b"5", b'"a"', b"<html>" + b" " * HOLD_BYTES])
def test_what_is_no_json_document_is_a_failure(body: bytes) -> None:
    tap, _ = tapped(body)
    assert tap.failure is not None and tap.failure.kind == "upstream_broken" and not tap.done


class _Text(BodyTap):
    wanted = frozenset(("model",))

    def learn(self, body: bytes) -> None:
        self.model = json.loads(body)["model"]

    def text(self, body: bytes) -> str:
        found: str = json.loads(body)["text"]
        return found


@pytest.mark.parametrize("size", [5, HOLD_BYTES])
def test_a_reply_is_learned_from_where_it_is_whole(size: int) -> None:
    body = json.dumps({"text": "x" * size, "model": "m"}).encode()
    tap = _Text(len)
    assert tap.feed(body) == body and tap.close() == b""
    assert (tap.done, tap.model, tap.produced()) == (True, "m", size if size == 5 else len(body) // 4)


@pytest.mark.parametrize("size", [5, HOLD_BYTES])
def test_a_cut_reply_tells_nothing_and_is_counted_by_its_bytes(size: int) -> None:
    body = json.dumps({"model": "m", "text": "x" * size}).encode()[:-1]
    tap = _Text(len)
    assert tap.feed(body) == body and tap.close() == b""
    assert (tap.done, tap.model, tap.usage, tap.failure, tap.produced()) == (False, "", None, None, len(body) // 4)
