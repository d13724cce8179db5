"""Replies: read, written, and carried over from chat."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.chat import (
    Delta,
    End,
    Event,
    Failure,
    Finish,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.dialect import WriterOptions
from freehold.wire.fold import fold
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.wire.dialects.openai_completions.samples import DIALECT, chunk, chunks_of, dump, read, sse, write
from tests.wire.test_translation import OPENAI_STREAM

LOGPROBS = {
    "tokens": ["a", " b"],
    "token_logprobs": [-0.1, None],
    "top_logprobs": [{"a": -0.1, "c": -3.5}, {"d": -2.0}],
    "text_offset": [40, 41],
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
STREAM = sse(
    chunk("a", logprobs={name: held[:1] for name, held in LOGPROBS.items()}),
    chunk("other", index=1),
    chunk(" b", logprobs={name: held[1:] for name, held in LOGPROBS.items()}),
    chunk("", "stop", index=1),
    chunk("", "length"),
    {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "gpt", "choices": [], "usage": USAGE},
    b"[DONE]",
)
WHOLE = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 7,
    "model": "gpt",
    "system_fingerprint": "fp",
    "choices": [
        {"text": "a b", "index": 0, "logprobs": LOGPROBS, "finish_reason": "length", "stop_reason": None},
        {"text": "other", "index": 1, "logprobs": None, "finish_reason": "stop", "stop_reason": "x"},
    ],
}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_a_stream_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    assert read(STREAM, True, cuts) == read(STREAM)


@pytest.mark.parametrize(("data", "stream"), [(STREAM, True), (dump(WHOLE), False)])
def test_texts_reasons_and_logprobs_are_canonical(data: bytes, stream: bool) -> None:
    reply = fold(read(data, stream), DIALECT.name)
    first, second = reply.choices
    assert [part.text for choice in reply.choices for part in choice.parts if isinstance(part, Text)] == ["a b", "other"]
    assert (reply.dialect, first.finish, second.finish) == ("openai_completions", "length", "stop")
    assert first.logprobs is not None
    tokens = json.loads(bytes(first.logprobs))["content"]
    assert [(token["token"], token["logprob"]) for token in tokens] == [("a", -0.1), (" b", None)]
    assert tokens[0]["top_logprobs"][1] == {"token": "c", "logprob": -3.5, "bytes": None}


def test_a_whole_reply_goes_back_as_it_came() -> None:
    assert json.loads(write(read(dump(WHOLE), False), False)) == WHOLE


def test_a_stream_goes_back_as_it_came() -> None:
    written = write(read(STREAM), include_usage=True)
    told = [{**one, "usage": None} if one["choices"] else one for one in chunks_of(STREAM)]
    got = chunks_of(written)
    details = {"prompt_tokens_details", "completion_tokens_details"}
    got[-1]["usage"] = {name: value for name, value in got[-1]["usage"].items() if name not in details}
    assert got == told
    assert written.endswith(b"data: [DONE]\n\n")
    assert not any("usage" in one for one in chunks_of(write(read(STREAM))))


@pytest.mark.parametrize(
    "logprobs",
    [
        {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": None, "text_offset": [0]},
        {"tokens": ["a", "b"], "token_logprobs": [None, -1.0], "top_logprobs": [None, {"b": -1.0}], "text_offset": [0, 1]},
        {"tokens": [], "token_logprobs": [], "top_logprobs": None, "text_offset": []},
        {"content": [{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}]},
    ],
)
def test_other_shapes_of_logprobs(logprobs: dict[str, Any]) -> None:
    whole = {**WHOLE, "choices": [{"text": "a", "index": 0, "logprobs": logprobs, "finish_reason": "stop"}]}
    written = json.loads(write(read(dump(whole), False), False))["choices"][0]["logprobs"]
    wanted = (
        logprobs
        if "tokens" in logprobs
        else {"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": None, "text_offset": [0]}
    )
    assert written == wanted


def test_odd_logprobs_never_raise() -> None:
    for odd in (5, "x", [], {"tokens": 5}, {"tokens": [1, None], "top_logprobs": [5]}, {"content": 5}, {"content": [5]}):
        for stream in (True, False):
            events = read(sse(chunk("a", logprobs=odd), b"[DONE]") if stream else dump(chunk("a", "stop", logprobs=odd)), stream)
            write(events, stream)
            assert not any(isinstance(event, Failure) for event in events)


def test_only_text_is_written() -> None:
    events: list[Event] = [
        Start(model="claude", dialect="anthropic"),
        PartStart(part=0, body=Thinking(text="hm")),
        Delta(part=0, text="more"),
        PartStart(part=1, body=Text(text="Hi")),
        Delta(part=1, text=" you"),
        PartStart(part=2, body=ToolUse(id="a", name="f")),
        Delta(part=2, text="{}"),
        PartStart(part=3, body=Refusal(text="")),
        Delta(part=3, text=" no"),
        Finish(reason="stop_sequence", raw_reason="stop_sequence"),
        UsageReport(usage=Usage(input=5, output=2)),
        End(),
    ]
    chunks = chunks_of(write(events))
    assert [one["choices"][0]["text"] for one in chunks] == ["Hi", " you", " no", ""]
    assert chunks[-1]["choices"][0] == {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}
    whole = json.loads(write(events, False))
    assert (whole["id"], whole["object"], whole["created"], whole["model"]) == ("cmpl-call1", "text_completion", 99, "claude")
    assert whole["choices"] == [{"text": "Hi you no", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert (whole["usage"]["prompt_tokens"], whole["usage"]["completion_tokens"]) == (5, 2)


def test_an_error_in_a_stream_is_a_failure() -> None:
    events = read(sse(chunk("a"), {"error": {"message": "busy", "code": 503}}, chunk("b")))
    assert isinstance(events[-1], Failure) and events[-1].status == 503


@pytest.mark.parametrize("upstream", ["openai_chat", "ollama"])
@pytest.mark.parametrize("stream_out", [True, False])
def test_a_chat_reply_reaches_a_completions_client(upstream: str, stream_out: bool) -> None:
    from tests.wire.dialects.ollama.samples import GENERATED

    data = OPENAI_STREAM if upstream == "openai_chat" else GENERATED
    options = WriterOptions(stream=stream_out, model="asked", call_id="c1", created_s=7)
    relay = Translation(DIALECTS[upstream].reader(True), DIALECT.writer(options), len)
    out = relay.feed(data) + relay.close()
    found = chunks_of(out) if stream_out else [json.loads(out)]
    text = "".join(choice["text"] for one in found for choice in one["choices"])
    assert (text, relay.done) == ("Hi there" if upstream == "openai_chat" else "one two", True)


def test_a_completion_reaches_chat_clients() -> None:
    for name, text_of in (
        ("openai_chat", lambda reply: reply["choices"][0]["message"]["content"]),
        ("anthropic", lambda reply: reply["content"][0]["text"]),
        ("ollama", lambda reply: reply["message"]["content"]),
    ):
        options = WriterOptions(stream=False, model="asked", call_id="c1", created_s=7)
        relay = Translation(DIALECT.reader(True), DIALECTS[name].writer(options), len)
        assert text_of(json.loads(relay.feed(STREAM) + relay.close())) == "a b"
        assert relay.usage == Usage(input=3, output=2)
