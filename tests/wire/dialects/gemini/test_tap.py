"""PASS replies: forwarded unchanged, while usage, model, finish, errors and the end are learnt from them."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.dialect import Relay

from .bodies import DIALECT, PLAIN, chunk, cut, dump, opened, sse

STREAM = sse(
    chunk({"text": "Grüße "}, usageMetadata={"promptTokenCount": 5, "totalTokenCount": 5}),
    chunk({"functionCall": {"name": "fn", "args": {"a": 1}}}),
    chunk({"text": ""}, finish="STOP", usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 2}),
)
ERROR = sse({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}})


def tap(stream: bool = True) -> Relay:
    return DIALECT.tap(opened(), PLAIN, stream, len)


def passed(body: bytes, stream: bool = True, cuts: list[int] | None = None) -> tuple[bytes, Relay]:
    relay = tap(stream)
    out = b"".join(relay.feed(piece) for piece in cut(body, cuts or []))
    return out + relay.close(), relay


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_passes_unchanged_however_it_is_cut(cuts: list[int]) -> None:
    out, relay = passed(STREAM, cuts=cuts)
    assert out == STREAM and relay.done and relay.failure is None
    assert relay.usage is not None and (relay.usage.input, relay.usage.output, relay.usage.reasoning) == (5, 9, 2)
    assert (relay.model, relay.finish, relay.produced()) == ("gemini-x", "STOP", len('Grüße fn{"a": 1}'))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, len(STREAM) * 2), max_size=12))
def test_an_error_and_what_follows_it_are_not_forwarded(cuts: list[int]) -> None:
    good = STREAM[: STREAM.rindex(b"data:")]
    out, relay = passed(good + ERROR + STREAM, cuts=cuts)
    assert out == good and not relay.done
    assert relay.failure is not None and (relay.failure.status, relay.failure.message) == (429, "slow down")


def test_a_cut_stream_is_not_done_at_whatever_byte() -> None:
    for at in range(len(STREAM) - 4):
        out, relay = passed(STREAM[:at])
        assert not relay.done and STREAM[:at].startswith(out), at
    assert passed(STREAM[:-4])[1].done  # only the last blank line is missing


def test_a_blocked_prompt_is_done() -> None:
    _, relay = passed(sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}))
    assert relay.done and relay.finish == "SAFETY" and relay.usage is not None and relay.usage.input == 4


def test_every_candidate_must_finish() -> None:
    one, two = chunk({"text": "a"}, finish="STOP"), chunk({"text": "b"}, index=1)
    assert not passed(sse(one, two))[1].done
    assert passed(sse(one, two, chunk(index=1, finish="STOP")))[1].done


def test_unreadable_events_are_a_failure() -> None:
    out, relay = passed(sse(chunk({"text": "a"})) + b"data: {nope\n\n" + STREAM)
    assert out == sse(chunk({"text": "a"})) and relay.failure is not None and relay.failure.kind == "upstream_broken"


@pytest.mark.parametrize(
    "odd",
    [
        {"candidates": 5},
        {"candidates": [{"content": 5}]},
        {"usageMetadata": 5},
        {"candidates": [{"content": {"parts": [{"text": 5}]}}]},
    ],
)
def test_odd_types_pass_and_what_can_be_read_is(odd: dict[str, Any]) -> None:
    body = sse({"modelVersion": "v", **odd}, chunk({"text": "a"}, finish="STOP"))
    out, relay = passed(body)
    assert out == body and relay.failure is None and relay.model == "v" and relay.done


def test_comments_and_done_marks_pass() -> None:
    body = b": keep-alive\n\n" + STREAM + b"data: [DONE]\n\n"
    out, relay = passed(body)
    assert out == body and relay.done


@pytest.mark.parametrize("size", [1000, 70_000, 1_000_000])
def test_an_event_larger_than_is_held_passes_and_its_usage_is_read(size: int) -> None:
    image = chunk({"inlineData": {"mimeType": "image/png", "data": "A" * 400_000}}, usageMetadata={"promptTokenCount": 4})
    body = sse(image) + STREAM
    relay = tap()
    pieces = [relay.feed(body[at : at + size]) for at in range(0, len(body), size)]
    assert b"".join(pieces) + relay.close() == body and relay.done
    assert relay.usage is not None and relay.usage.output == 9


def test_memory_is_bounded_for_a_long_stream() -> None:
    relay = tap()
    event = sse(chunk({"text": "x" * 1000}))
    tracemalloc.start()
    for _ in range(5_000):
        relay.feed(event)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 and relay.produced() == 5_000_000


# --- whole replies ---------------------------------------------------------------

WHOLE = dump(chunk({"text": "a"}, finish="STOP", usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 7}))


@pytest.mark.parametrize("padding", [0, 300_000])
def test_a_whole_reply_passes_and_is_understood(padding: int) -> None:
    body = WHOLE[:-1] + b', "x": "%b"}' % (b"A" * padding)
    out, relay = passed(body, False, list(range(0, len(body), 5000)))
    assert out == body and relay.done and relay.usage is not None
    assert (relay.usage.input, relay.usage.output, relay.model) == (5, 7, "gemini-x")
    assert relay.finish == ("" if padding else "STOP")
    assert relay.produced() == (len(body) // 4 if padding else 1)


@pytest.mark.parametrize("padding", [0, 300_000])
def test_a_cut_whole_reply_is_not_done(padding: int) -> None:
    body = WHOLE[:-1] + b', "x": "%b"}' % (b"A" * padding)
    assert not passed(body[:-1], False)[1].done


def test_an_error_in_a_whole_reply_is_a_failure() -> None:
    relay = passed(dump({"error": {"code": 500, "message": "m"}}), False)[1]
    assert relay.failure is not None and relay.failure.status == 500 and not relay.done


def test_token_counts_and_embeddings_are_whole_replies() -> None:
    assert passed(b'{"totalTokens": 9}', False)[1].done
    relay = passed(b'{"embeddings": [{"values": [1]}], "usageMetadata": {"promptTokenCount": 3}}', False)[1]
    assert relay.done and relay.usage is not None and relay.usage.input == 3
