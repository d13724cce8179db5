"""PASS: the bytes go through untouched, and what they say is known, however they are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.chat import Failure
from freehold.wire.dialect import Relay
from tests.traffic import exchanges
from tests.wire.dialects.anthropic.samples import (
    DIALECT,
    QUIRKS,
    STREAM,
    STREAM_EVENTS,
    WHOLE_BYTES,
    block_events,
    body,
    cut_up,
    cuts_of,
    sse,
)

PEEK = DIALECT.peek(body(), "chat")
TEXT = 'Let me see: message_stop "error"' + 'Grüße \U0001f600 "text_delta"' + '{"query": "x"}' + '{"a": 1, "b":2}' + "addnow"


def tapped(data: bytes, stream: bool, cuts: list[int] | None = None) -> Relay:
    relay = DIALECT.tap(PEEK, QUIRKS, stream, len)
    out = b"".join([relay.feed(chunk) for chunk in cut_up(data, cuts or [])])
    out += relay.close()
    assert out == data if relay.failure is None else data.startswith(out)
    return relay


@settings(max_examples=100, deadline=None)
@given(cuts_of(STREAM))
def test_a_stream_is_read_the_same_however_it_is_cut(cuts: list[int]) -> None:
    relay = tapped(STREAM, True, cuts)
    usage = relay.usage
    assert usage is not None and relay.done and relay.failure is None
    assert (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.cache_write_1h) == (22, 42, 5, 7, 3)
    assert (usage.reasoning, usage.estimated) == (9, False)
    assert (relay.model, relay.finish) == ("claude-sonnet-4-5-20250929", "tool_use")
    assert relay.produced() == len(TEXT)


@settings(max_examples=40, deadline=None)
@given(cuts_of(sse(*STREAM_EVENTS, line_end="\r\n")))
def test_crlf_streams_are_read_the_same(cuts: list[int]) -> None:
    relay = tapped(sse(*STREAM_EVENTS, line_end="\r\n"), True, cuts)
    assert relay.done and relay.usage is not None and relay.usage.output == 42


@pytest.mark.parametrize("event", range(1, len(STREAM_EVENTS) + 1))
def test_one_event_a_chunk_ends_with_the_chunk_that_says_so(event: int) -> None:
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    for one in STREAM_EVENTS[:event]:
        relay.feed(sse(one))
    assert relay.done is (event == len(STREAM_EVENTS))


def test_a_cut_stream_tells_its_input_and_what_was_produced() -> None:
    cut = STREAM[: STREAM.index(b"event: message_delta")]
    relay = tapped(cut, True, [100, 1000])
    assert not relay.done and relay.usage is not None
    assert (relay.usage.input, relay.usage.output, relay.usage.estimated) == (22, 0, True)
    assert relay.produced() == len(TEXT)


def test_produced_may_be_asked_while_the_stream_goes_on() -> None:
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    deltas = block_events(0, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": "abcd"}] * 3)
    seen = []
    for event in deltas:
        relay.feed(sse(event))
        seen.append(relay.produced())
    assert seen == [0, 4, 8, 12, 12]


def test_a_long_stream_is_counted_in_bounded_memory() -> None:
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    chunk = sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 100}})
    for _ in range(20_000):
        relay.feed(chunk)
    held = sum(len(getattr(relay, name)) for name in ("_kept",))
    assert held < 2000
    assert relay.produced() == 2_000_000


@pytest.mark.parametrize("at", [None, 20, 700])
def test_an_error_event_is_seen_and_goes_no_further(at: int | None) -> None:
    good, bad = sse(STREAM_EVENTS[0]), sse({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    out = b"".join([relay.feed(chunk) for chunk in cut_up(good + bad + good, [at] if at else [len(good)])])
    assert out + relay.close() == good
    assert relay.failure == Failure(status=529, message="busy", error_type="overloaded_error")
    assert not relay.done


def test_text_about_events_and_errors_is_only_text() -> None:
    said = 'event: error\n\ndata: {"type":"message_stop"} "error" message_delta'
    events = block_events(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": said})
    relay = tapped(sse(*events), True)
    assert not relay.done and relay.failure is None and relay.produced() == len(said)


def test_an_unreadable_end_is_a_failure() -> None:
    relay = tapped(b'event: message_delta\ndata: {"type":"message_delta",\n\n', True)
    assert relay.failure is not None and relay.failure.kind == "upstream_broken"


@settings(max_examples=20, deadline=None)
@given(cuts_of(WHOLE_BYTES))
def test_a_whole_reply_is_read_the_same_however_it_is_cut(cuts: list[int]) -> None:
    relay = tapped(WHOLE_BYTES, False, cuts)
    assert relay.done and relay.usage is not None
    assert (relay.usage.input, relay.usage.output, relay.finish) == (22, 42, "tool_use")
    assert relay.produced() > 0


def test_a_large_whole_reply_is_scanned_and_says_the_same() -> None:
    message = json.loads(WHOLE_BYTES)
    message["content"].append({"type": "text", "text": "x" * 300_000 + '"usage": {"input_tokens": 1}'})
    relay = tapped(json.dumps(message).encode(), False, list(range(0, 300_000, 16_384)))
    assert relay.done and relay.usage is not None and (relay.usage.input, relay.usage.output) == (22, 42)
    assert (relay.model, relay.finish) == ("claude-sonnet-4-5-20250929", "tool_use")


@pytest.mark.parametrize("size", [200, 300_000])
def test_a_cut_whole_reply_is_not_done_and_not_free(size: int) -> None:
    relay = tapped(b'{"content":[{"type":"text","text":"' + b"x" * size, False, [50])
    assert not relay.done and relay.usage is None and relay.produced() >= size // 4


def test_count_tokens_replies_pass_without_usage() -> None:
    relay = tapped(b'{"input_tokens": 14}', False)
    assert relay.done and relay.usage is None and relay.failure is None and relay.produced() == 0


def test_recorded_replies_give_their_usage_to_the_token() -> None:
    seen = 0
    for one in exchanges(endpoint="messages", provider="anthropic"):
        if one.status != 200:
            continue
        relay = tapped(one.response, one.is_sse, [999, 2000, 2001])
        expected = _usage_in(one.response, one.is_sse)
        assert relay.done and relay.failure is None and relay.usage is not None, one.id
        read = expected.get("cache_read_input_tokens") or 0
        write = expected.get("cache_creation_input_tokens") or 0
        usage = relay.usage
        assert (usage.input, usage.cache_read, usage.cache_write) == (expected["input_tokens"] + read + write, read, write), (
            one.id
        )
        assert usage.output == expected["output_tokens"], one.id
        seen += 1
    assert seen > 200


def _usage_in(data: bytes, stream: bool) -> dict[str, int]:
    if not stream:
        found: dict[str, int] = json.loads(data)["usage"]
        return found
    usage: dict[str, int] = {}
    for line in data.decode().splitlines():
        if line.startswith("data:"):
            event = json.loads(line[5:])
            usage |= event.get("message", {}).get("usage", {}) | event.get("usage", {})
    return usage


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(STREAM)), st.integers(0, 3), st.binary(max_size=3)), max_size=5), cuts_of(STREAM))
def test_mutated_bytes_go_through_and_never_raise(changes: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    for source, stream in ((STREAM, True), (WHOLE_BYTES, False)):
        data = source
        for at, gone, new in changes:
            data = data[:at] + new + data[at + gone :]
        tapped(data, stream, [cut for cut in cuts if cut < len(data)]).produced()
