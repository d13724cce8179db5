"""Events -> replies: streamed, whole and as a JSON array, of this dialect's own events and of others'."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw

from freehold.wire.chat import (
    Delta,
    End,
    Event,
    Finish,
    Image,
    Media,
    Opaque,
    PartEnd,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.dialect import Asked

from .bodies import DIALECT, chunk, chunks_of, dump, merged, opened, options, read, sse, write

ARRAY = opened(Asked(model="m", stream=True))


def of(*events: Event, dialect: str = "anthropic", finish: Any = "stop") -> list[Event]:
    return [Start(id="r", model="m", dialect=dialect), *events, Finish(reason=finish), End()]


def text(part: int, *pieces: str) -> list[Event]:
    deltas: list[Event] = [Delta(part=part, text=piece) for piece in pieces]
    return [PartStart(part=part, body=Text(text="")), *deltas, PartEnd(part=part)]


def parts_of(events: list[Event], stream: bool) -> list[dict[str, Any]]:
    data = write(events, stream)
    chunks = chunks_of(data) if stream else [json.loads(data)]
    parts: list[dict[str, Any]] = merged(chunks)["candidates"][0]["parts"]
    return parts


def test_each_piece_of_text_is_a_chunk_at_once() -> None:
    writer = DIALECT.writer(options())
    writer.write([Start(id="r", model="m", dialect="x"), PartStart(part=0, body=Text(text=""))])
    assert chunks_of(writer.write([Delta(part=0, text="a")])) == [
        {
            "candidates": [{"content": {"parts": [{"text": "a"}], "role": "model"}, "index": 0}],
            "modelVersion": "m",
            "responseId": "r",
        }
    ]


def test_the_last_chunk_has_the_finish_reason_and_the_usage() -> None:
    events = of(*text(0, "a"), finish="length")
    events.insert(-1, UsageReport(usage=Usage(input=9, output=7, cache_read=2, reasoning=3, audio_in=4)))
    assert chunks_of(write(events))[-1] == {
        "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 9,
            "candidatesTokenCount": 4,
            "thoughtsTokenCount": 3,
            "cachedContentTokenCount": 2,
            "totalTokenCount": 16,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}, {"modality": "AUDIO", "tokenCount": 4}],
        },
        "modelVersion": "m",
        "responseId": "r",
    }


def test_names_come_from_the_request_where_the_upstream_gives_none() -> None:
    for stream in (True, False):
        data = write([*text(0, "a"), Finish(reason="stop"), End()], stream)
        first = chunks_of(data)[0] if stream else json.loads(data)
        assert (first["modelVersion"], first["responseId"]) == ("asked", "call1")


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_is_written_whole_and_in_its_place(stream: bool) -> None:
    events = of(
        *text(0, "a"),
        PartStart(part=1, body=ToolUse(id="i", name="f")),
        Delta(part=1, text='{"x":'),
        PartEnd(part=1),
        PartStart(part=2, body=ToolUse(id="j", name="g")),
        PartEnd(part=2),
        *text(3, "b", "c"),
        Delta(part=1, text="\n1}"),
        finish="tool_use",
    )
    assert parts_of(events, stream) == [
        {"text": "a"},
        {"functionCall": {"name": "f", "id": "i", "args": {"x": 1}}},
        {"functionCall": {"name": "g", "id": "j", "args": {}}},
        {"text": "bc"},
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_arguments_that_are_no_object_are_shown_as_they_are(stream: bool) -> None:
    events = of(PartStart(part=0, body=ToolUse(id="i", name="f")), Delta(part=0, text="{oops"), PartEnd(part=0))
    assert parts_of(events, stream) == [{"functionCall": {"name": "f", "id": "i", "args": {"INVALID_JSON": "{oops"}}}]


@pytest.mark.parametrize("stream", [True, False])
def test_thinking_refusals_and_images_have_their_forms(stream: bool) -> None:
    events = of(
        PartStart(part=0, body=Thinking()),
        Delta(part=0, text="hm"),
        Delta(part=0, signature="U0lH"),
        PartEnd(part=0),
        PartStart(part=1, body=Thinking(redacted="opaque")),
        PartEnd(part=1),
        PartStart(part=2, body=Refusal(text="")),
        Delta(part=2, text="no"),
        PartStart(part=3, body=Image(media=Media(kind="base64", value="QQ==", media_type="image/png"))),
        PartStart(part=4, body=Opaque(dialect="anthropic", kind="x", raw=Raw(b"{}"))),
    )
    parts = parts_of(events, stream)
    assert "".join(part.get("text", "") for part in parts if part.get("thought")) == "hm"
    assert [part["thoughtSignature"] for part in parts if "thoughtSignature" in part] == ["U0lH"]
    assert [part for part in parts if not part.get("thought")] == [
        {"text": "no"},
        {"inlineData": {"mimeType": "image/png", "data": "QQ=="}},
    ]


def test_several_choices_and_logprobs() -> None:
    scored = Raw(b'{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1.5}]}]}')
    events: list[Event] = [
        Start(dialect="openai_chat"),
        PartStart(choice=1, part=0, body=Text(text="")),
        Delta(choice=1, part=0, text="b"),
        PartStart(choice=0, part=0, body=Text(text="")),
        Delta(choice=0, part=0, text="a", logprobs=scored),
        Finish(choice=1, reason="length"),
        Finish(choice=0, reason="stop"),
        End(),
    ]
    expected = {
        "chosenCandidates": [{"token": "a", "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -1.5}]}],
    }
    for stream in (True, False):
        data = write(events, stream)
        found = merged(chunks_of(data) if stream else [json.loads(data)])["candidates"]
        assert [(found[n]["parts"], found[n]["finishReason"]) for n in (0, 1)] == [
            ([{"text": "a"}], "STOP"),
            ([{"text": "b"}], "MAX_TOKENS"),
        ]
        assert found[0]["logprobsResult"] == expected


def test_an_array_is_one_json_document_and_its_chunks_are_the_streams() -> None:
    events = of(*text(0, "a", "b"))
    writer = DIALECT.writer(options(peek=ARRAY))
    pieces = [writer.write([event]) for event in events] + [writer.close()]
    assert json.loads(b"".join(pieces)) == chunks_of(write(events))
    assert b"".join(pieces).startswith(b'[{"candidates"') and b"".join(pieces).endswith(b"}]")


def test_closing_twice_or_after_the_end_writes_nothing_more() -> None:
    for peek in (None, ARRAY):
        writer = DIALECT.writer(options(peek=peek))
        assert writer.write(of(*text(0, "a")))
        assert writer.close() == writer.close() == b""


WHOLE: list[dict[str, Any]] = [
    chunk({"text": "a"}, finish="STOP"),
    {"candidates": [{"finishReason": "NO_IMAGE", "index": 0}], "usageMetadata": {"promptTokenCount": 3}},
    {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}]},
    {"candidates": [{"content": {"parts": [], "role": "model"}}], "modelVersion": "m"},
    {"candidates": [{"content": {}, "finishReason": 1, "avgLogprobs": -0.5}], "createTime": "2026-01-01T00:00:00Z"},
    {
        "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": []},
        "usageMetadata": {"promptTokenCount": 3},
        "modelVersion": "m",
    },
    chunk({"text": "", "thoughtSignature": "a_-b"}, {"text": "t", "thought": True}, {"text": "t"}, {"text": "t"}, finish="OTHER"),
    chunk({"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "f"}}, {"newKind": {"a": 1}}, finish="STOP"),
    {
        "candidates": [
            {
                "content": {"parts": [{"text": "a"}]},
                "groundingMetadata": {"webSearchQueries": ["q"]},
                "safetyRatings": [],
                "logprobsResult": {"chosenCandidates": [{"token": "a", "tokenId": 5, "logProbability": -0.5}]},
                "index": 0,
            },
            {"content": {"parts": [{"text": "b"}], "role": "model"}, "finishReason": "STOP", "index": 1},
        ],
        "usageMetadata": {"promptTokenCount": 3, "newCount": 4, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 3}]},
        "modelStatus": {"modelStage": "STABLE"},
    },
]


@pytest.mark.parametrize("body", WHOLE)
def test_a_whole_reply_read_and_written_is_equal(body: dict[str, Any]) -> None:
    assert json.loads(write(read(dump(body), False), False)) == body


@pytest.mark.parametrize("body", WHOLE[:1] + WHOLE[6:8])
def test_a_stream_read_and_written_is_equal(body: dict[str, Any]) -> None:
    stream = sse(*(chunk(part) for part in body["candidates"][0]["content"]["parts"]), chunk(finish="STOP"))
    assert merged(chunks_of(write(read(stream)))) == merged(chunks_of(stream))
