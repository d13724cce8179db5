"""A relay made of one dialect's reader and another's writer."""

from __future__ import annotations

import json

from freehold.wire.chat import Failure
from freehold.wire.translate import Translation
from tests.wire.dialects.anthropic.samples import DIALECT, STREAM, STREAM_EVENTS, STREAMED, WHOLE, WHOLE_BYTES, message_of, sse


def translation(stream_in: bool, stream_out: bool) -> Translation:
    return Translation(DIALECT.reader(stream_in), DIALECT.writer(STREAMED if stream_out else WHOLE), len)


def test_a_stream_is_done_with_the_chunk_that_ends_it() -> None:
    relay = translation(True, True)
    out = b""
    for event in STREAM_EVENTS:
        assert not relay.done
        out += relay.feed(sse(event))
    assert relay.done and out.endswith(b'{"type":"message_stop"}\n\n') and relay.close() == b""
    assert message_of(out)["stop_reason"] == "tool_use"
    assert relay.usage is not None and (relay.usage.input, relay.usage.output) == (22, 42)
    assert (relay.model, relay.finish) == ("claude-sonnet-4-5-20250929", "tool_use")


def test_a_whole_reply_comes_out_at_the_close() -> None:
    relay = translation(False, False)
    assert relay.feed(WHOLE_BYTES) == b"" and not relay.done
    assert json.loads(relay.close())["id"] == "msg_1" and relay.done


def test_streams_and_whole_replies_turn_into_each_other() -> None:
    streamed, whole = translation(False, True), translation(True, False)
    assert (
        message_of(streamed.feed(WHOLE_BYTES) + streamed.close())["content"]
        == json.loads(whole.feed(STREAM) + whole.close())["content"]
    )


def test_a_cut_reply_gets_no_end() -> None:
    for stream_out in (True, False):
        relay = translation(True, stream_out)
        out = relay.feed(STREAM[: STREAM.index(b"event: message_delta")]) + relay.close()
        assert not relay.done and b"message_stop" not in out.replace(b"message_stop \\", b"") and b'stop_reason":"' not in out
        assert relay.usage is not None and relay.usage.estimated


def test_what_was_produced_is_counted_text_thinking_and_tool_calls() -> None:
    relay = translation(True, True)
    relay.feed(STREAM[: STREAM.index(b"event: message_delta")])
    said = 'Let me see: message_stop "error"' + 'Grüße \U0001f600 "text_delta"' + '{"a": 1, "b":2}' + "add" + "now"
    assert relay.produced() == len(said)


def test_a_failure_stops_the_output_and_is_kept() -> None:
    relay = translation(True, True)
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    out = relay.feed(sse(STREAM_EVENTS[0], error, *STREAM_EVENTS[1:]))
    assert relay.failure == Failure(status=529, message="busy", error_type="overloaded_error") and not relay.done
    assert relay.feed(sse(*STREAM_EVENTS[1:])) == b"" and relay.close() == b""
    assert out.count(b"event: ") == 1
