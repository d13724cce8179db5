"""PASS: the bytes go through untouched, and what they say is known, however they are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from freehold.wire.chat import Usage
from freehold.wire.dialect import Relay
from tests.wire.dialects.ollama.samples import (
    COUNTS,
    DIALECT,
    GENERATED,
    HEAD,
    LAST,
    QUIRKS,
    STREAM,
    WHOLE,
    cut_up,
    cuts_of,
    dump,
    lines,
    opened,
    said,
)

PEEK = opened()
COMPACT = b"".join(json.dumps(json.loads(line), separators=(",", ":")).encode() + b"\n" for line in STREAM.splitlines())
TEXT = 'Let me see: "done":true "error"' + 'Grüße \U0001f600 {"error": "none"} "done":false' + 'add{"b": 1, "a": 2.5}now{}'


def tapped(data: bytes, stream: bool = True, cuts: list[int] | None = None) -> Relay:
    relay = DIALECT.tap(PEEK, QUIRKS, stream, len)
    out = b"".join([relay.feed(chunk) for chunk in cut_up(data, cuts or [])]) + relay.close()
    assert out == data if relay.failure is None else data.startswith(out)
    return relay


@settings(max_examples=100, deadline=None)
@given(cuts_of(STREAM))
def test_a_stream_is_read_the_same_however_it_is_cut(cuts: list[int]) -> None:
    relay = tapped(STREAM, cuts=cuts)
    assert (relay.usage, relay.done, relay.failure) == (Usage(input=12, output=34), True, None)
    assert (relay.model, relay.finish, relay.produced()) == ("qwen3", "stop", len(TEXT))


@settings(max_examples=50, deadline=None)
@given(cuts_of(COMPACT))
def test_servers_that_write_without_spaces_are_read_the_same(cuts: list[int]) -> None:
    relay = tapped(COMPACT, cuts=cuts)
    assert (relay.usage, relay.done, relay.produced()) == (
        Usage(input=12, output=34),
        True,
        len(TEXT) - 3,
    )


def test_each_line_goes_out_with_the_chunk_that_brings_it() -> None:
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    for line in COMPACT.splitlines(keepends=True):
        assert not relay.done
        assert relay.feed(line) == line
    assert relay.done


def test_an_unfinished_line_waits_for_its_end() -> None:
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    first = lines(said("a"))
    assert relay.feed(first + b'{"err') == first
    assert relay.feed(b'or":"no more memory"}\n') == b""
    assert relay.failure is not None and relay.failure.message == "no more memory"
    assert relay.feed(lines(LAST)) + relay.close() == b"" and not relay.done


@pytest.mark.parametrize("cuts", [[], [5], [300]])
def test_an_error_line_and_what_follows_are_not_forwarded(cuts: list[int]) -> None:
    good = lines(said("a"), said("b"))
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    data = good + lines({"error": "broken"}, said("c"), LAST)
    out = b"".join([relay.feed(chunk) for chunk in cut_up(data, cuts)]) + relay.close()
    assert out == good and relay.failure is not None and not relay.done
    assert relay.produced() == 2


@pytest.mark.parametrize("size", [997, 70_000, 1_000_000])
def test_a_last_line_too_large_to_hold_is_still_read(size: int) -> None:
    """Generate's last line repeats the whole context as token ids."""
    last = {**HEAD, "response": "", "done": True, "done_reason": "stop", "context": list(range(40_000)), **COUNTS}
    data = lines({**HEAD, "response": "hi", "done": False}, last)
    data_cuts = list(range(0, len(data), size))
    for tail in (b"", lines({"note": "late"})):
        relay = tapped(data + tail, cuts=data_cuts)
        assert (relay.usage, relay.done, relay.finish, relay.produced()) == (Usage(input=12, output=34), True, "stop", 2)
    relay = tapped(data[:-1], cuts=data_cuts)
    assert relay.done
    relay = tapped(data[:-20], cuts=data_cuts)
    assert not relay.done and relay.failure is None


def test_a_cut_stream_is_not_done_and_its_text_is_counted() -> None:
    cut = COMPACT[: COMPACT.rindex(b'"done":true')]
    relay = tapped(cut, cuts=[40, 400])
    assert (relay.usage, relay.done, relay.failure) == (None, False, None)
    assert relay.produced() > 60


def test_a_long_stream_is_counted_in_bounded_memory() -> None:
    relay = DIALECT.tap(PEEK, QUIRKS, True, len)
    line = dump({**said("x" * 100)}).replace(b": ", b":").replace(b", ", b",") + b"\n"
    relay.feed(line)
    for _ in range(20_000):
        relay.feed(line)
    assert len(relay._kept) < 2000  # type: ignore[attr-defined]
    assert relay.produced() == 2_000_100


def test_garbage_is_a_failure() -> None:
    relay = tapped(b"<html>busy</html>\n")
    assert relay.failure is not None and not relay.done
    relay = tapped(b"<html>busy</html>", stream=False)
    assert relay.failure is not None and not relay.done


@settings(max_examples=30, deadline=None)
@given(cuts_of(dump(WHOLE)))
def test_a_whole_reply(cuts: list[int]) -> None:
    relay = tapped(dump(WHOLE), False, cuts)
    assert (relay.usage, relay.done, relay.failure, relay.model, relay.finish) == (
        Usage(input=12, output=34),
        True,
        None,
        "qwen3",
        "stop",
    )
    assert relay.produced() == relay.produced() == len(TEXT)


def test_a_large_whole_reply_is_scanned() -> None:
    large = {**WHOLE, "context": list(range(60_000))}
    relay = tapped(dump(large), False, list(range(0, 400_000, 5_000)))
    assert (relay.usage, relay.done, relay.finish) == (Usage(input=12, output=34), True, "stop")
    assert not tapped(dump(large)[:-1], False).done


def test_a_cut_whole_reply_is_not_done() -> None:
    for end in range(len(dump(WHOLE))):
        relay = tapped(dump(WHOLE)[:end], False)
        assert not relay.done and relay.failure is None


def test_an_error_in_a_whole_reply_is_a_failure() -> None:
    relay = tapped(dump({"error": "no"}), False)
    assert relay.failure is not None and not relay.done


def test_generate_is_read_too() -> None:
    relay = tapped(GENERATED)
    assert (relay.usage, relay.done, relay.finish, relay.produced()) == (Usage(input=12, output=34), True, "length", 9)


def test_embeddings_have_their_usage() -> None:
    relay = tapped(dump({"model": "e", "embeddings": [[0.5]], "prompt_eval_count": 8}), False)
    assert (relay.usage, relay.done, relay.model) == (Usage(input=8), True, "e")
