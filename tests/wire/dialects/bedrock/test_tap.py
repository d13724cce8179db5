"""PASS: every byte goes through; usage, finish and the end are learnt; an exception is held back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from freehold.wire.chat import Usage
from freehold.wire.eventstream import encode
from tests.wire.dialects.bedrock.samples import (
    DIALECT,
    QUIRKS,
    REPLY,
    REPLY_BYTES,
    REQUEST,
    STREAM,
    STREAM_EVENTS,
    cut_up,
    cuts_of,
    frame,
    peeked,
)

PEEK = peeked(REQUEST)
USAGE = Usage(input=22, output=42, cache_read=3, cache_write=7, cache_write_1h=5, service_tier="flex")
EXCEPTION = frame("throttlingException", {"message": "slow down"}, "exception")


def tapped(data: bytes, stream: bool, cuts: list[int] | None = None):  # type: ignore[no-untyped-def]
    tap = DIALECT.tap(PEEK, QUIRKS, stream, len)
    return b"".join(tap.feed(chunk) for chunk in cut_up(data, cuts or [])) + tap.close(), tap


@settings(max_examples=60, deadline=None)
@given(cuts_of(STREAM))
def test_a_stream_passes_unchanged_and_is_understood(cuts: list[int]) -> None:
    out, tap = tapped(STREAM, True, cuts)
    assert out == STREAM
    assert (tap.usage, tap.done, tap.failure, tap.finish, tap.model) == (USAGE, True, None, "tool_use", "amazon.nova-pro")


@settings(max_examples=20, deadline=None)
@given(cuts_of(REPLY_BYTES))
def test_a_whole_reply_passes_unchanged_and_is_understood(cuts: list[int]) -> None:
    out, tap = tapped(REPLY_BYTES, False, cuts)
    assert out == REPLY_BYTES
    assert (tap.usage, tap.done, tap.failure, tap.finish, tap.model) == (USAGE, True, None, "tool_use", "amazon.nova-pro")


@settings(max_examples=60, deadline=None)
@given(cuts_of(STREAM))
def test_an_exception_and_what_follows_it_are_not_forwarded(cuts: list[int]) -> None:
    good = b"".join(frame(kind, payload) for kind, payload in STREAM_EVENTS[:8])
    out, tap = tapped(good + EXCEPTION + STREAM, True, cuts)
    assert out == good and not tap.done
    assert tap.failure is not None and (tap.failure.status, tap.failure.message) == (429, "slow down")


@pytest.mark.parametrize("cut", range(0, len(STREAM), 11))
def test_a_cut_stream_is_not_done_and_ends_with_a_whole_message(cut: int) -> None:
    out, tap = tapped(STREAM[:cut], True)
    stopped = cut >= len(STREAM) - len(frame(*STREAM_EVENTS[-1]))
    assert tap.done == stopped and tap.failure is None
    assert STREAM.startswith(out)
    rest = STREAM[len(out) : cut]
    assert len(rest) < 12 or len(rest) < int.from_bytes(rest[:4], "big")


def test_what_a_cut_stream_produced_is_counted() -> None:
    _, tap = tapped(STREAM[: len(STREAM) // 2], True)
    assert tap.produced() > 10
    _, tap = tapped(REPLY_BYTES, False)
    assert tap.produced() > 10


@pytest.mark.parametrize("position", [0, 5, 9, len(STREAM) - 3])
def test_a_damaged_stream_is_a_failure(position: int) -> None:
    data = bytearray(STREAM)
    data[position] ^= 0x55
    out, tap = tapped(bytes(data), True)
    assert tap.failure is not None and tap.failure.kind == "upstream_broken" and STREAM.startswith(out)


def test_an_event_of_a_wrong_shape_is_a_failure() -> None:
    out, tap = tapped(STREAM[: -len(frame(*STREAM_EVENTS[-1]))] + frame("metadata", {"usage": 7}), True)
    assert tap.failure is not None and len(out) < len(STREAM)


@pytest.mark.parametrize("size", [7, 64 * 1024])
def test_a_message_too_large_to_hold_is_forwarded_as_it_comes(size: int) -> None:
    large = frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x" * 1_500_000}})
    data = STREAM[: len(frame(*STREAM_EVENTS[0]))] + large + STREAM[len(frame(*STREAM_EVENTS[0])) :]
    tap = DIALECT.tap(PEEK, QUIRKS, True, len)
    out, most_held, fed = bytearray(), 0, 0
    for chunk in cut_up(data, list(range(0, len(data), size))):
        fed += len(chunk)
        out += tap.feed(chunk)
        most_held = max(most_held, fed - len(out))
    assert out + tap.close() == data and most_held < 70_000
    assert (tap.done, tap.usage) == (True, USAGE)


def test_a_large_whole_reply_is_scanned() -> None:
    body = json.dumps(
        {"output": {"message": {"content": [{"text": "x" * 300_000}]}}} | {k: v for k, v in REPLY.items() if k != "output"}
    )
    out, tap = tapped(body.encode(), False, list(range(0, len(body), 999)))
    assert out == body.encode() and (tap.done, tap.usage, tap.finish) == (True, USAGE, "tool_use")
    assert tap.produced() > 70_000
    _, tap = tapped(body.encode()[:-1], False)
    assert not tap.done


@pytest.mark.parametrize("body", [b"", b"{", b'{"usage": 7}', b"\xff"])
def test_a_reply_that_is_cut_or_garbage_is_not_done(body: bytes) -> None:
    out, tap = tapped(body, False)
    assert out == body and not tap.done


def test_a_count_passes() -> None:
    out, tap = tapped(b'{"inputTokens": 7}', False)
    assert out == b'{"inputTokens": 7}' and tap.done and tap.usage is None


def test_an_unmodelled_error_is_held_back() -> None:
    out, tap = tapped(encode(b"", {":message-type": "error", ":error-code": "X", ":error-message": "m"}) + STREAM, True)
    assert out == b"" and tap.failure is not None and tap.failure.status == 502
