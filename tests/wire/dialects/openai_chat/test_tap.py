"""tap.py: bytes pass unchanged (but for the usage event that only we asked for), and what they say does not depend on
how they were cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from freehold.wire.chat import Usage
from freehold.wire.dialect import Quirks, Relay
from freehold.wire.dialects.openai_chat import tap as tap_module

from .bodies import DIALECT, chunk, cut, dump, opened, sse

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
USAGE_EVENT = {"id": "c1", "choices": [], "model": "gpt", "usage": USAGE, "service_tier": "flex"}
FILTER = {"choices": [], "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]}
BODY = sse(FILTER, chunk({"role": "assistant", "content": ""}), chunk({"content": 'say [DONE] "usage":{ '}), chunk(finish="stop"))
WITH_USAGE = BODY + sse(USAGE_EVENT, b"[DONE]")
WITHOUT = BODY + sse(b"[DONE]")
ASKED = opened(stream=True, stream_options={"include_usage": True})
UNASKED = opened(stream=True)


def run(relay: Relay, pieces: list[bytes]) -> bytes:
    return b"".join(relay.feed(piece) for piece in pieces) + relay.close()


def stream_tap(cutting: bool) -> Relay:
    return DIALECT.tap(UNASKED if cutting else ASKED, Quirks(), True, len)


def state(relay: Relay) -> tuple[Any, ...]:
    return relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()


def test_the_usage_event_is_cut_only_where_we_asked_and_the_client_did_not() -> None:
    assert run(stream_tap(cutting=True), [WITH_USAGE]) == WITHOUT
    assert run(stream_tap(cutting=False), [WITH_USAGE]) == WITH_USAGE
    always = DIALECT.tap(UNASKED, Quirks(stream_usage="always"), True, len)
    assert run(always, [WITH_USAGE]) == WITH_USAGE


def test_a_stream_tells_its_usage_model_finish_and_end() -> None:
    relay = stream_tap(cutting=True)
    run(relay, [WITH_USAGE])
    assert relay.usage == Usage(input=5, output=2, service_tier="flex")
    assert (relay.done, relay.failure, relay.model, relay.finish) == (True, None, "gpt", "stop")


LINE_ENDS = st.sampled_from([b"\n\n", b"\r\n\r\n", b"\r\r"])


@given(st.lists(st.integers(0, 3000), max_size=15), st.booleans(), LINE_ENDS)
@example(list(range(len(WITH_USAGE))), True, b"\n\n")
def test_nothing_depends_on_where_chunks_are_cut(cuts: list[int], cutting: bool, end: bytes) -> None:
    body, kept = (text.replace(b"\n\n", end) for text in (WITH_USAGE, WITHOUT))
    relay, whole = stream_tap(cutting), stream_tap(cutting)
    assert run(relay, cut(body, cuts)) == (kept if cutting else body)
    run(whole, [body])
    assert state(relay) == state(whole)
    assert relay.done


@pytest.mark.parametrize("at", range(len(WITH_USAGE) - 20, len(WITH_USAGE)))
def test_done_is_known_by_the_feed_that_completes_the_marker(at: int) -> None:
    """The caller records the call before it forwards these bytes."""
    relay = stream_tap(cutting=False)
    relay.feed(WITH_USAGE[:at])
    relay.feed(WITH_USAGE[at:])
    assert relay.done


def test_done_is_known_without_the_blank_line_after_it() -> None:
    relay = stream_tap(cutting=True)
    out = relay.feed(WITH_USAGE.rstrip())
    assert relay.done
    assert out + relay.close() == WITHOUT.rstrip()


def test_done_as_text_does_not_end_the_stream() -> None:
    relay = stream_tap(cutting=True)
    run(relay, [sse(chunk({"content": "[DONE]"}))])
    assert not relay.done


def test_usage_beside_choices_is_read_and_forwarded() -> None:
    body = sse(chunk({"content": "x"}), chunk(finish="stop", usage=USAGE), b"[DONE]")
    relay = stream_tap(cutting=True)
    assert run(relay, [body]) == body
    assert relay.usage == Usage(input=5, output=2)


def test_usage_on_every_chunk_counts_once_and_last() -> None:
    grown = [chunk({"content": "x"}, usage={**USAGE, "completion_tokens": n, "total_tokens": 5 + n}) for n in range(1, 4)]
    relay = stream_tap(cutting=True)
    run(relay, [sse(*grown, chunk(finish="stop"), b"[DONE]")])
    assert relay.usage == Usage(input=5, output=3)


@pytest.mark.parametrize("spelled", [b'"usage" : {"prompt_tokens" : 5}', b'"x_groq":{"usage":{"prompt_tokens":5}}'])
def test_usage_is_found_however_it_is_written(spelled: bytes) -> None:
    body = b'data: {"model":"g","choices":[{"delta":{},"finish_reason":"stop"}],' + spelled + b"}\n\n" + sse(b"[DONE]")
    relay = stream_tap(cutting=False)
    run(relay, [body])
    assert relay.usage == Usage(input=5)


def test_a_stream_without_done_is_whole_at_close_once_finished() -> None:
    relay = stream_tap(cutting=True)
    relay.feed(sse(chunk({"content": "x"}), chunk(finish="stop")))
    assert not relay.done
    relay.close()
    assert relay.done


@pytest.mark.parametrize("rest", [b"", b'data: {"choices":[{"del', b"data: {"])
def test_a_cut_stream_is_not_done(rest: bytes) -> None:
    relay = stream_tap(cutting=True)
    body = sse(chunk({"content": "x"})) + rest
    assert run(relay, [body]) == body
    assert not relay.done


def test_a_stream_cut_after_its_finish_but_inside_an_event_is_not_done() -> None:
    relay = stream_tap(cutting=True)
    run(relay, [sse(chunk(finish="stop")) + b'data: {"choices":[],"usa'])
    assert not relay.done


def test_a_last_usage_event_without_its_blank_line_is_read_and_cut() -> None:
    relay = stream_tap(cutting=True)
    body = sse(chunk({"content": "x"}), chunk(finish="stop"))
    assert run(relay, [body + b"data: " + dump(USAGE_EVENT)]) == body
    assert relay.done
    assert relay.usage is not None


@pytest.mark.parametrize("cutting", [True, False])
@pytest.mark.parametrize("at", [None, 3, 300])
def test_an_error_event_is_a_failure_and_goes_no_further(cutting: bool, at: int | None) -> None:
    good = sse(chunk({"content": "x"}))
    bad = sse({"error": {"message": "overloaded", "code": 503, "type": "t"}}, chunk({"content": "after"}))
    relay = stream_tap(cutting=cutting)
    assert run(relay, cut(good + bad, [at] if at else [len(good)])) == good
    assert not relay.done
    assert relay.failure is not None
    assert (relay.failure.status, relay.failure.message) == (503, "overloaded")


def test_a_whole_error_body_on_a_stream_is_a_failure() -> None:
    relay = stream_tap(cutting=True)
    body = dump({"error": {"message": "no"}})
    assert run(relay, [body]) == b""
    assert relay.failure is not None


def test_comments_and_keep_alives_pass() -> None:
    body = b": OPENROUTER PROCESSING\n\n" + BODY + b": x\n\n" + sse(b"[DONE]")
    assert run(stream_tap(cutting=True), cut(body, [5, 30, 31])) == body


@given(st.lists(st.integers(0, 3000), max_size=8))
def test_produced_counts_everything_the_model_wrote(cuts: list[int]) -> None:
    body = sse(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "ab", "reasoning": "ab"}),
        chunk({"content": "cde"}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "fg"}]}]}),
        chunk({"refusal": "h"}),
        chunk({"tool_calls": [{"index": 0, "id": "x", "function": {"name": "ij", "arguments": "{}"}}]}),
        chunk({"content": "k", "reasoning": "l"}),
        chunk({"content": "mn"}, choice=1),
    )
    relay = stream_tap(cutting=True)
    run(relay, cut(body, cuts))
    assert relay.produced() == len("ab" + "cde" + "fg" + "h" + "ij{}" + "k" + "l" + "mn")
    assert relay.produced() == 16


def test_a_long_stream_is_counted_in_bounded_pieces() -> None:
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text)

    relay = DIALECT.tap(UNASKED, Quirks(), True, count)
    for _ in range(20_000):
        relay.feed(sse(chunk({"content": "word "})))
    assert relay.produced() == 100_000
    assert max(counted) <= tap_module.COUNT_CHARS + 5 * tap_module.COUNT_PIECES


def test_large_events_are_not_kept_by_their_number_alone() -> None:
    counted: list[int] = []
    relay = DIALECT.tap(ASKED, Quirks(), True, lambda text: counted.append(len(text)) or len(text))
    relay.feed(sse(chunk({"content": ""})))
    for _ in range(100):
        relay.feed(sse(chunk({"content": "x" * 10_000})))
    assert max(counted) <= tap_module.COUNT_CHARS + 2 * 10_000
    assert relay.produced() == 1_000_000


@given(st.lists(st.integers(0, 200_000), max_size=12), st.booleans())
def test_an_event_too_large_to_hold_passes_and_its_usage_is_read(cuts: list[int], cutting: bool) -> None:
    large = chunk({"images": ["x" * 150_000]}, finish="stop", usage=USAGE)
    body = BODY + sse(large, chunk({"content": "after"}), USAGE_EVENT, b"[DONE]")
    relay = stream_tap(cutting)
    out = run(relay, cut(body, cuts))
    assert out == (body.replace(sse(USAGE_EVENT), b"") if cutting else body)
    assert relay.usage == Usage(input=5, output=2, service_tier="flex")
    assert relay.done


def test_an_unfinished_event_is_held_back_within_a_bound() -> None:
    relay = stream_tap(cutting=True)
    sent = passed = 0
    for piece in [b'data: {"x":"', *[b"y" * 1000] * 500]:
        sent += len(piece)
        passed += len(relay.feed(piece))
        assert sent - passed <= tap_module.MAX_EVENT_BYTES + 1000


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5), st.booleans(), st.booleans())
def test_any_bytes_pass_unchanged_and_never_raise(body: bytes, cuts: list[int], stream: bool, cutting: bool) -> None:
    relay = DIALECT.tap(UNASKED if cutting else ASKED, Quirks(), stream, len)
    assert run(relay, cut(body, cuts)) == body
    relay.produced()


@given(st.data())
def test_a_mutated_stream_never_raises_and_loses_nothing_but_the_usage_event(data: st.DataObject) -> None:
    body = bytearray(WITH_USAGE)
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cuts = data.draw(st.lists(st.integers(0, 2000), max_size=6))
    relay, other = stream_tap(cutting=False), stream_tap(cutting=True)
    out = run(relay, cut(bytes(body), cuts))
    assert out == bytes(body) if relay.failure is None else bytes(body).startswith(out)
    run(other, cut(bytes(body), cuts))
    assert state(relay) == state(other)


# --- whole replies --------------------------------------------------------------------

REPLY = {
    "id": "c",
    "object": "chat.completion",
    "model": "gpt",
    "service_tier": "default",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi é"}, "finish_reason": "stop"}],
    "usage": USAGE,
}


def whole_tap() -> Relay:
    return DIALECT.tap(opened(), Quirks(), False, len)


@given(st.lists(st.integers(0, 400), max_size=8), st.sampled_from([None, 1]))
def test_a_whole_reply_passes_and_tells_its_usage(cuts: list[int], indent: int | None) -> None:
    body = json.dumps(REPLY, indent=indent).encode()
    relay = whole_tap()
    assert run(relay, cut(body, cuts)) == body
    assert relay.usage == Usage(input=5, output=2, service_tier="default")
    assert (relay.done, relay.model, relay.finish, relay.produced()) == (True, "gpt", "stop", 4)


@pytest.mark.parametrize("size", [10, 5000])
def test_a_cut_whole_reply_is_not_done(size: int) -> None:
    body = dump({"data": [[0.5] * 50] * size, "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    relay = whole_tap()
    assert run(relay, cut(body[:-1], [70_000, 140_000])) == body[:-1]
    assert not relay.done


def test_a_large_whole_reply_is_scanned() -> None:
    body = dump({"data": [{"embedding": [0.5] * 1536}] * 100, "model": "e", "usage": {"prompt_tokens": 3, "total_tokens": 3}})
    relay = whole_tap()
    assert run(relay, cut(body, list(range(0, len(body), 16_384)))) == body
    assert (relay.usage, relay.done, relay.model) == (Usage(input=3), True, "e")


@pytest.mark.parametrize("body", [b"<html>", b"<html>" + b"x" * 200_000])
def test_a_whole_reply_that_is_not_json_is_a_failure(body: bytes) -> None:
    relay = whole_tap()
    assert run(relay, [body]) == body
    assert not relay.done
    assert relay.failure is not None


def test_a_whole_error_with_status_200_is_a_failure() -> None:
    relay = whole_tap()
    run(relay, [dump({"error": {"code": "content_filter", "message": "filtered", "status": 400}})])
    assert not relay.done
    assert relay.failure is not None
    assert (relay.failure.status, relay.failure.code) == (400, "content_filter")
