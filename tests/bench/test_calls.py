"""The calls that are measured, and the reading of answers that decides whether a candidate may take part."""

from __future__ import annotations

import json

import pytest

from bench.calls import Call, read_answer
from bench.shapes import SHAPES, Dialect

OPENAI_STREAM = (
    b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":" @@0000000000000001"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{"content":" @@0000000000000002"}}]}\n\n'
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"%b"}}\n\n'
ANTHROPIC_STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"content":[]}}\n\n'
    + DELTA % b" @@0000000000000009"
    + DELTA % b" @@0000000000000010"
    + b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n'
    + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


@pytest.mark.parametrize("client", SHAPES)
@pytest.mark.parametrize("size", [1000, 10_000])
def test_a_body_is_json_of_exactly_the_size_asked_for(client: Dialect, size: int) -> None:
    body = Call(client=client, body_bytes=size).body("gpt-4o-mini")
    assert len(body) == size
    assert isinstance(json.loads(body), dict)


@pytest.mark.parametrize("client", ["openai", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_body_ends_with_the_user_and_asks_for_a_stream_or_not(client: Dialect, stream: bool) -> None:
    body = Call(client=client, body_bytes=20_000, stream=stream).body("gpt-4o-mini")
    assert len(body) == 20_000
    request = json.loads(body)
    assert request["messages"][-1]["role"] == "user"
    assert request.get("stream", False) is stream


def test_a_body_too_small_for_a_call_is_refused() -> None:
    with pytest.raises(ValueError, match="no call fits in 100 bytes"):
        Call(body_bytes=100).body("gpt-4o-mini")


def test_the_request_on_the_wire_declares_its_body() -> None:
    head, _, body = Call().wire("fast-model", "a-key").partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert b"Authorization: Bearer a-key" in head


def test_a_stream_says_the_same_in_both_dialects() -> None:
    one = read_answer(200, OPENAI_STREAM, "openai", True)
    assert one == read_answer(200, ANTHROPIC_STREAM, "anthropic", True)
    assert (one.text, one.pieces, one.ended, one.problem) == (" @@ @@", 2, "stop", "")


@pytest.mark.parametrize(("stream", "dialect"), [(OPENAI_STREAM, "openai"), (ANTHROPIC_STREAM, "anthropic")])
def test_a_stream_that_was_cut_is_a_problem(stream: bytes, dialect: Dialect) -> None:
    events = stream.split(b"\n\n")
    for kept in range(len(events) - 1):
        assert read_answer(200, b"\n\n".join(events[:kept]) + b"\n\n", dialect, True).problem


def test_an_error_is_a_problem_and_keeps_its_status() -> None:
    answer = read_answer(503, b'{"error":{"message":"busy"}}', "openai", False)
    assert answer.status == 503
    assert "busy" in answer.problem
