"""tap.py: PASS forwards every byte and learns what it must."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.chat import Usage
from freehold.wire.dialect import Quirks, Relay

from .samples import DIALECT, START, STREAM, WHOLE, cut, delta, dump, end, opened, sse


def tapped(body: bytes, stream: bool = True, cuts: list[int] | None = None) -> tuple[Relay, bytes]:
    relay = DIALECT.tap(opened(), Quirks(), stream, len)
    out = b"".join(relay.feed(piece) for piece in cut(body, cuts or []))
    return relay, out + relay.close()


@pytest.mark.parametrize("stream", [True, False])
@given(cuts=st.lists(st.integers(0, 5000), max_size=12))
def test_bytes_pass_and_everything_is_learned_in_any_chunking(stream: bool, cuts: list[int]) -> None:
    body = STREAM if stream else dump(WHOLE)
    relay, out = tapped(body, stream, cuts)
    assert out == body
    assert (relay.done, relay.failure, relay.finish) == (True, None, "TOOL_CALL")
    assert relay.usage == Usage(input=9, output=7, reasoning=3)


def test_a_cut_stream_is_not_done() -> None:
    """What was cut is forwarded, except half of an event that would have told something."""
    for at in range(STREAM.index(b"\n\ndata: [DONE]") - 1):
        relay, out = tapped(STREAM[:at])
        assert not relay.done and STREAM[:at].startswith(out)
        assert len(out) == at or relay.failure is not None
        assert relay.failure is None or out == b"" or out.endswith(b"\n\n")


def test_a_cut_whole_reply_is_not_done() -> None:
    body = dump(WHOLE)
    for at in range(len(body)):
        relay, out = tapped(body[:at], False)
        assert (out, relay.done, relay.usage, relay.produced()) == (body[:at], False, None, at // 4)


@pytest.mark.parametrize("stream", [True, False])
def test_produced_counts_what_the_model_wrote(stream: bool) -> None:
    relay, _ = tapped(STREAM if stream else dump(WHOLE), stream)
    texts = ["hm", 'Hé "message-end"', "I will look.", "f", '{"a": 1}']
    assert sum(map(len, texts)) <= relay.produced() <= sum(map(len, texts)) + len(texts)


def test_an_error_in_a_stream_is_not_forwarded_nor_what_follows() -> None:
    good = sse(START, delta("content-start", 0, content={"type": "text", "text": "x"}))
    for bad in (sse(end("ERROR", error="no sk-abcdefghijklmnop")), b'data: {"id":"x","message":"no sk-abcdefghijklmnop"}\n\n'):
        relay, out = tapped(good + bad + sse(end()))
        assert out == good and not relay.done
        assert relay.failure is not None and relay.failure.message == "no ***"


def test_text_that_looks_like_an_error_is_none() -> None:
    body = sse(START, delta("content-delta", 0, content={"text": json.dumps({"message": "x"})}), end())
    assert tapped(body)[0].failure is None and tapped(body)[0].done


def test_an_error_for_a_whole_reply_is_a_failure() -> None:
    relay, _ = tapped(dump({"message": "no"}), False)
    assert relay.failure is not None and not relay.done and relay.produced() == 0


def test_a_large_whole_reply_is_scanned() -> None:
    body = dump(WHOLE | {"logprobs": [{"text": "x" * 40}] * 5000})
    relay, out = tapped(body, False, [1000, 70_000, 140_000])
    assert out == body and relay.done and relay.usage == Usage(input=9, output=7, reasoning=3)


@given(st.binary(max_size=200))
def test_no_bytes_make_a_tap_raise(body: bytes) -> None:
    for stream in (True, False):
        assert tapped(body, stream)[0].produced() >= 0
        tapped(STREAM[:500] + body, stream)
