"""Replies -> events: parts, signatures, ids, finish reasons, usage, and what is not whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.chat import Delta, End, Failure, Finish, Image, Opaque, PartStart, Start, Text, Thinking, ToolUse, UsageReport

from .bodies import chunk, dump, folded, read, sse

STREAM = sse(
    chunk({"text": "Hm", "thought": True}, usageMetadata={"promptTokenCount": 5}),
    chunk({"text": "m", "thought": True}),
    chunk({"text": "Grüße "}),
    chunk({"text": "\U0001f600"}),
    chunk({"text": "", "thoughtSignature": "U0lH"}),
    chunk({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "Q0FMTA=="}),
    chunk({"text": ""}, finish="STOP", usageMetadata={"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 2}),
)


def finish_of(*chunks: dict[str, Any]) -> Finish:
    found = [event for event in read(sse(*chunks)) if isinstance(event, Finish)]
    assert len(found) == 1
    return found[0]


def test_pieces_of_a_kind_are_one_part_and_signatures_stay_where_they_were() -> None:
    reply, done = folded(STREAM)
    thinking, text, signed, call = reply.choices[0].parts
    assert done and (reply.id, reply.model) == ("R-1", "gemini-x")
    assert isinstance(thinking, Thinking) and (thinking.text, thinking.signature) == ("Hmm", "")
    assert isinstance(text, Text) and (text.text, text.signature) == ("Grüße \U0001f600", "")
    assert isinstance(signed, Text) and (signed.text, signed.signature) == ("", "U0lH")
    assert isinstance(call, ToolUse) and (call.id, call.arguments, call.signature) == ("call_R-1_0_1", '{"a": 1}', "Q0FMTA==")
    assert (reply.choices[0].finish, reply.choices[0].raw_reason) == ("tool_use", "STOP")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_where_chunks_are_cut(cuts: list[int]) -> None:
    assert read(STREAM, cuts=cuts) == read(STREAM)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r\n"])
def test_all_line_endings_are_read(end: bytes) -> None:
    assert read(STREAM.replace(b"\r\n\r\n", end)) == read(STREAM)


def test_a_cut_stream_has_no_end_at_whatever_byte() -> None:
    last = STREAM.rindex(b"data:")
    for at in range(0, len(STREAM) - 5, 7):
        events = read(STREAM[:at])
        assert not any(isinstance(event, End | Failure | Finish) for event in events), at
    assert isinstance(read(STREAM.rstrip())[-1], End)  # without the last blank line
    assert not any(isinstance(event, End) for event in read(STREAM[:last]))


def test_a_cut_whole_reply_is_a_failure_at_whatever_byte() -> None:
    body = dump(chunk({"text": "a"}, finish="STOP"))
    for at in range(len(body)):
        events = read(body[:at], stream=False)
        assert [type(event) for event in events] == [Failure], at


def test_what_follows_a_finish_reason_still_counts() -> None:
    """Some servers put STOP into every chunk."""
    reply, done = folded(sse(*(chunk({"text": text}, finish="STOP") for text in "abc")))
    part = reply.choices[0].parts[0]
    assert done and isinstance(part, Text) and part.text == "abc"


def test_every_candidate_must_finish() -> None:
    one = chunk({"text": "a"}, finish="STOP")
    two = chunk({"text": "b"}, index=1)
    assert not folded(sse(one, two))[1]
    reply, done = folded(sse(two, one, chunk(finish="MAX_TOKENS", index=1)))
    assert done and [(choice.index, choice.finish) for choice in reply.choices] == [(0, "stop"), (1, "length")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("OTHER", "error"),
        ("SOMETHING_NEW", "unknown"),
    ],
)
def test_finish_reasons(word: str, reason: str) -> None:
    found = finish_of(chunk({"text": "a"}, finish=word))
    assert (found.reason, found.raw_reason) == (reason, word)


def test_a_filtered_call_stays_filtered_and_a_stopped_one_is_tool_use() -> None:
    call = {"functionCall": {"name": "f"}}
    assert finish_of(chunk(call, finish="STOP")).reason == "tool_use"
    assert finish_of(chunk(call, finish="SAFETY")).reason == "content_filter"


@pytest.mark.parametrize("stream", [True, False])
def test_a_blocked_prompt_is_a_whole_reply(stream: bool) -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 3}}
    events = read(sse(body) if stream else dump(body), stream)
    assert [type(event) for event in events] == [Start, UsageReport, Finish, End]
    assert isinstance(events[2], Finish) and (events[2].reason, events[2].raw_reason) == ("content_filter", "PROHIBITED_CONTENT")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 4},
            (15, 7, 0, 4),
        ),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 8, "totalTokenCount": 10}, (10, 0, 8, 0)),
        ({"candidatesTokenCount": 3, "totalTokenCount": 10}, (7, 3, 0, 0)),
        ({"promptTokenCount": "x", "candidatesTokenCount": 1}, (0, 1, 0, 0)),
    ],
)
def test_usage_counts_everything_once(usage: dict[str, Any], expected: tuple[int, ...]) -> None:
    found = folded(dump(chunk({"text": "a"}, finish="STOP", usageMetadata=usage)), False)[0].usage
    assert found is not None and (found.input, found.output, found.cache_read, found.reasoning) == expected


def test_audio_and_tier_are_parts_of_the_usage() -> None:
    usage = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 5,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}, {"modality": "AUDIO", "tokenCount": 6}],
        "candidatesTokensDetails": [{"modality": 4, "tokenCount": 5}],
        "serviceTier": "flex",
    }
    found = folded(dump(chunk({"text": "a"}, usageMetadata=usage)), False)[0].usage
    assert found is not None and (found.audio_in, found.audio_out, found.service_tier) == (6, 5, "flex")


def test_the_last_usage_counts_and_a_chunk_without_counts_takes_nothing_away() -> None:
    reply, _ = folded(
        sse(
            chunk({"text": "a"}, usageMetadata={"trafficType": "ON_DEMAND"}),
            chunk({"text": "a"}, usageMetadata={"promptTokenCount": 4, "candidatesTokenCount": 1}),
            chunk({"text": "a"}, finish="STOP", usageMetadata={"candidatesTokenCount": 9, "trafficType": "ON_DEMAND"}),
        )
    )
    assert reply.usage is not None and (reply.usage.input, reply.usage.output) == (4, 9)


def test_ids_are_kept_or_made_the_same_each_time() -> None:
    body = dump(chunk({"functionCall": {"name": "f", "id": "own"}}, {"functionCall": {"name": "f"}}, finish="STOP"))
    ids = [event.body.id for event in read(body, False) if isinstance(event, PartStart) and isinstance(event.body, ToolUse)]
    assert ids == ["own", "call_R-1_0_2"]


def test_images_and_code_are_parts_in_their_place() -> None:
    reply, _ = folded(
        sse(
            chunk({"text": "a"}),
            chunk({"executableCode": {"code": "1"}}),
            chunk({"inlineData": {"mimeType": "image/png", "data": "QQ=="}}),
            chunk({"text": "b"}, finish="STOP"),
        )
    )
    assert [type(part) for part in reply.choices[0].parts] == [Text, Opaque, Image, Text]


def test_logprobs_cross_in_openais_shape() -> None:
    body = chunk({"text": "a"}, finish="STOP")
    body["candidates"][0]["logprobsResult"] = {
        "chosenCandidates": [{"token": "a", "tokenId": 5, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }
    found = [event.logprobs for event in read(sse(body)) if isinstance(event, Delta) and event.logprobs]
    assert [bytes(raw) for raw in found] == [
        b'{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1.5,"bytes":[98]}]}]}'
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_inside_is_a_failure_and_ends_everything(stream: bool) -> None:
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    events = read(sse(chunk({"text": "a"}), error, chunk({"text": "b"}, finish="STOP")) if stream else dump(error), stream)
    failure = events[-1]
    assert isinstance(failure, Failure)
    assert (failure.status, failure.error_type, failure.message) == (503, "UNAVAILABLE", "The model is overloaded.")


def test_a_failures_message_hides_the_credential() -> None:
    events = read(
        sse({"error": {"code": 403, "message": "key AIzaSyA1234567890123456789 leaked", "status": "PERMISSION_DENIED"}})
    )
    assert isinstance(events[0], Failure) and "AIza" not in events[0].message


@pytest.mark.parametrize("body", [b"data: {nope}\n\n", b"data: 5\n\n", b"data: []\n\n", b'data: {"candidates":[5]}\n\n'])
def test_garbage_in_a_stream_is_a_failure(body: bytes) -> None:
    events = read(body)
    assert isinstance(events[-1], Failure) and events[-1].kind == "upstream_broken"


@pytest.mark.parametrize("body", [b"", b"<html>", b"5", b"{}", b"[]", b'[{"candidates":[]}]', b'{"candidates":5}', b"[" * 5000])
def test_garbage_instead_of_a_reply_is_a_failure(body: bytes) -> None:
    assert [type(event) for event in read(body, False)][-1] is Failure


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_without_an_exception(body: bytes, stream: bool) -> None:
    read(body, stream)
    read(b"data: " + body + b"\n\n", stream)
