"""tap.py: bytes pass unchanged but for errors, and what they say does not depend on how they were cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freehold.wire.chat import Usage
from freehold.wire.dialect import Relay

from .bodies import BASE, CALL, DIALECT, QUIRKS, RESPONSE, STREAM, cut, dump, opened, sse, stream_events


def tap(stream: bool = True, count: Any = len) -> Relay:
    return DIALECT.tap(opened(), QUIRKS, stream, count)


def run(relay: Relay, pieces: list[bytes]) -> bytes:
    return b"".join(relay.feed(piece) for piece in pieces) + relay.close()


def state(relay: Relay) -> tuple[Any, ...]:
    return relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()


TOLD = Usage(input=20, output=8, cache_read=15, reasoning=3)


def test_a_stream_tells_its_usage_model_finish_and_end() -> None:
    relay = tap()
    assert run(relay, [STREAM]) == STREAM
    assert (relay.usage, relay.done, relay.failure, relay.model, relay.finish) == (TOLD, True, None, "gpt-x", "completed")


@given(st.lists(st.integers(0, 20_000), max_size=15), st.sampled_from(["\n", "\r\n", "\r"]))
@example(list(range(len(STREAM))), "\n")
def test_nothing_depends_on_where_chunks_are_cut(cuts: list[int], end: str) -> None:
    body = sse(*stream_events(), line_end=end)
    one, many = tap(), tap()
    assert run(one, [STREAM]) == STREAM
    assert run(many, cut(body, cuts)) == body
    assert state(one)[:-1] == state(many)[:-1]


def test_what_was_produced_is_counted_from_the_deltas() -> None:
    relay = tap(count=lambda text: len(text))
    run(relay, [STREAM[: STREAM.rfind(b"event: ")]])
    assert not relay.done
    texts = ["First.", "Then.", 'Grüße 😀 "delta":"x"', "No.", '{"a": 1}', "go", "add", "run"]
    assert relay.produced() == sum(map(len, texts)) == relay.produced()


def test_a_stream_cut_anywhere_is_not_done() -> None:
    last = STREAM.rfind(b"event: ")
    for at in range(0, last + 60, 7):
        relay = tap()
        run(relay, [STREAM[:at]])
        assert not relay.done and relay.failure is None, at


ERRORS: list[dict[str, Any]] = [
    {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None, "sequence_number": 3},
    {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}},
    {
        "type": "response.failed",
        "response": {**BASE, "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}},
    },
]


@pytest.mark.parametrize("error", ERRORS)
@given(cuts=st.lists(st.integers(0, 5000), max_size=8))
def test_an_error_and_what_follows_it_is_not_forwarded(error: dict[str, Any], cuts: list[int]) -> None:
    before = sse(*stream_events()[:12])
    relay = tap()
    assert run(relay, cut(before + sse(error) + STREAM, cuts)) == before
    assert relay.failure is not None and not relay.done
    assert (relay.failure.status, relay.failure.message) == (429, "Slow down.")


def test_an_error_without_a_type_is_one_too() -> None:
    relay = tap()
    assert run(relay, [b'data: {"error":{"message":"Broke."}}\n\n']) == b""
    assert relay.failure is not None and relay.failure.message == "Broke."


def test_a_lifecycle_event_that_is_not_json_is_a_failure() -> None:
    relay = tap()
    assert run(relay, [b'data: {"response":\n\n', STREAM]) == b""
    assert relay.failure is not None and relay.failure.kind == "upstream_broken"


def test_text_that_looks_like_an_event_is_only_text() -> None:
    delta = {
        "type": "response.output_text.delta",
        "delta": '{"type":"error","response":{"status":"failed"},"error":{"message":"x"}}',
    }
    relay = tap()
    body = sse(delta) + STREAM
    assert run(relay, [body]) == body
    assert relay.done and relay.failure is None


@pytest.mark.parametrize("front", [True, False])
@pytest.mark.parametrize("size", [1, 1000, 70_000, 10**7])
def test_the_usage_of_a_last_event_too_large_to_hold_is_still_found(front: bool, size: int) -> None:
    big = {**RESPONSE, "output": [{**CALL, "arguments": '"usage":{"input_tokens":9}' + "x" * 200_000}], "service_tier": "flex"}
    if front:
        big = {"usage": big.pop("usage"), "tools": ["y" * 90_000], **big}
    body = sse(*stream_events()[:-1], {"type": "response.completed", "response": big}) + b"data: [DONE]\n\n"
    relay = tap()
    assert run(relay, cut(body, list(range(0, len(body), size)) if size > 1 else [])) == body
    assert relay.done and relay.usage is not None
    assert (relay.usage.input, relay.usage.output, relay.usage.service_tier, relay.finish) == (20, 8, "flex", "completed")


def test_memory_stays_bounded_while_a_large_event_passes() -> None:
    relay = tap()
    start = b'data: {"type":"response.output_item.done","item":{"result":"'
    for piece in [start, *[b"A" * 60_000] * 50]:
        relay.feed(piece)
    assert len(relay._tail) <= 64 * 1024 and relay._kept_bytes <= 3 * 64 * 1024  # type: ignore[attr-defined]
    end = b'"}}\n\n' + STREAM
    assert relay.feed(end).endswith(end[-100:])
    assert relay.done and relay.usage == TOLD


# --- whole replies -----------------------------------------------------------------------


@given(st.lists(st.integers(0, 5000), max_size=8))
def test_a_whole_reply_tells_the_same(cuts: list[int]) -> None:
    body = dump(RESPONSE)
    relay = tap(False)
    assert run(relay, cut(body, cuts)) == body
    assert (relay.usage, relay.done, relay.failure, relay.model, relay.finish) == (TOLD, True, None, "gpt-x", "completed")
    assert relay.produced() > 30


def test_a_whole_reply_too_large_to_hold_is_scanned() -> None:
    body = dump({**RESPONSE, "instructions": "x" * 300_000})
    relay = tap(False)
    assert run(relay, cut(body, list(range(0, len(body), 50_000)))) == body
    assert relay.done and relay.usage == TOLD and relay.produced() > 0


@pytest.mark.parametrize(
    ("fields", "done", "finish"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, True, "max_output_tokens"),
        ({"status": "queued", "usage": None}, True, "queued"),
        ({"status": "failed", "error": {"code": "server_error", "message": "x"}}, False, ""),
        ({"status": "cancelled"}, False, ""),
    ],
)
def test_how_a_whole_reply_ended(fields: dict[str, Any], done: bool, finish: str) -> None:
    relay = tap(False)
    run(relay, [dump({**RESPONSE, **fields})])
    assert (relay.done, relay.failure is None, relay.finish) == (done, done, finish)


def test_a_count_is_whole_and_has_no_usage() -> None:
    relay = tap(False)
    body = dump({"object": "response.input_tokens", "input_tokens": 11})
    assert run(relay, [body]) == body
    assert (relay.done, relay.usage, relay.failure) == (True, None, None)


@pytest.mark.parametrize("at", [0, 1, 50, -1])
def test_a_whole_reply_that_was_cut_is_not_done(at: int) -> None:
    relay = tap(False)
    run(relay, [dump(RESPONSE)[:at]])
    assert not relay.done and relay.failure is None


@given(st.binary(max_size=300))
def test_random_bytes_pass_and_do_not_raise(data: bytes) -> None:
    for stream in (True, False):
        relay = tap(stream)
        out = run(relay, [data])
        relay.produced()
        assert data.startswith(out)


def test_usage_of_odd_types_is_no_usage() -> None:
    for odd in (None, [], "x", 3, {}):
        relay = tap(False)
        run(relay, [json.dumps({**RESPONSE, "usage": odd}).encode()])
        assert relay.usage is None and relay.done
