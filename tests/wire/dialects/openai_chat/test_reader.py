"""reader.py: every server's stream or whole reply becomes the same events, in any chunking, and nothing makes it raise."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Delta,
    End,
    Event,
    Failure,
    Finish,
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
from freehold.wire.fold import fold

from .bodies import DIALECT, chunk, dump, read, sse

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def reply_of(*chunks: Any) -> ChatReply:
    return fold(read(sse(*chunks, b"[DONE]")), "openai_chat")


def parts_of(*chunks: Any) -> list[AnyPart]:
    return reply_of(*chunks).choices[0].parts


def call(**fields: Any) -> dict[str, Any]:
    """One tool call delta; `name` and `arguments` go into its function."""
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {"tool_calls": [{**fields, "function": function}]}


def calls_of(*deltas: dict[str, Any]) -> list[tuple[str, str, str]]:
    parts = parts_of(*(chunk(delta) for delta in deltas), chunk(finish="tool_calls"))
    return [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolUse)]


def test_a_plain_stream_gives_these_events() -> None:
    stream = sse(
        chunk({"role": "assistant", "content": ""}, system_fingerprint="fp"),
        chunk({"content": "he"}),
        chunk({"content": "y"}),
        chunk(finish="stop"),
        {"id": "c1", "choices": [], "usage": USAGE},
        b"[DONE]",
    )
    events = read(stream)
    assert [type(event) for event in events] == [Start, PartStart, Delta, Delta, PartEnd, Finish, UsageReport, End]
    start = events[0]
    assert isinstance(start, Start)
    assert (start.id, start.model, start.created_s, start.dialect) == ("c1", "gpt", 7, "openai_chat")
    assert json.loads(bytes(start.extras["system_fingerprint"])) == "fp"


@given(st.lists(st.integers(0, 3000), max_size=12))
def test_events_do_not_depend_on_chunking(cuts: list[int]) -> None:
    stream = sse(
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "é{}[DONE]"}),
        chunk(call(index=0, id="a", name="f", arguments='{"x":"\n\n"}')),
        chunk(finish="tool_calls", usage=USAGE),
        b"[DONE]",
    )
    assert read(stream, cuts=cuts) == read(stream)


def test_choices_are_kept_apart() -> None:
    reply = reply_of(
        chunk({"content": "a"}, choice=1),
        chunk({"content": "b"}),
        chunk({"content": "c"}, choice=1),
        chunk(finish="stop", choice=1),
        chunk(finish="length"),
    )
    assert [(c.index, c.finish, c.parts) for c in reply.choices] == [
        (0, "length", [Text(text="b")]),
        (1, "stop", [Text(text="ac")]),
    ]


@pytest.mark.parametrize(
    "deltas",
    [
        # OpenAI: index always, id and name once
        [
            call(index=0, id="a", name="f", arguments=""),
            call(index=0, arguments='{"x"'),
            call(index=0, arguments=":1}"),
            call(index=1, id="b", name="g", arguments="{}"),
        ],
        # id and name repeated in each chunk
        [
            call(index=0, id="a", name="f", arguments='{"x"'),
            call(index=0, id="a", name="f", arguments=":1}"),
            call(index=1, id="b", name="g", arguments="{}"),
        ],
        # no index
        [call(id="a", name="f", arguments='{"x"'), call(arguments=":1}"), call(id="b", name="g", arguments="{}")],
        # index 0 for every call
        [call(index=0, id="a", name="f", arguments='{"x":1}'), call(index=0, id="b", name="g", arguments="{}")],
        # no index, found again by its id
        [
            call(id="a", name="f", arguments='{"x"'),
            call(id="b", name="g", arguments="{}"),
            call(id="a", arguments=":1}"),
        ],
        # interleaved
        [
            call(index=0, id="a", name="f", arguments='{"x"'),
            call(index=1, id="b", name="g", arguments="{}"),
            call(index=0, arguments=":1}"),
        ],
        # the name comes after the id
        [
            call(index=0, id="a", arguments=""),
            call(index=0, name="f", arguments='{"x":1}'),
            call(index=1, id="b", name="g", arguments="{}"),
        ],
    ],
)
def test_tool_calls_are_put_together_however_they_are_numbered(deltas: list[dict[str, Any]]) -> None:
    assert calls_of(*deltas) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_a_tool_call_without_an_id_gets_one_of_its_own() -> None:
    found = calls_of(call(index=0, name="f", arguments="{}"), call(index=1, name="g", arguments="{}"))
    assert [name for _, name, _ in found] == ["f", "g"]
    assert len({call_id for call_id, _, _ in found}) == 2
    assert all(call_id for call_id, _, _ in found)


def test_arguments_given_as_an_object_become_json_text() -> None:
    assert calls_of(call(index=0, id="a", name="f", arguments={"x": [1]})) == [("a", "f", '{"x":[1]}')]


def test_the_older_function_call_is_a_tool_call() -> None:
    parts = parts_of(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk(finish="function_call"),
    )
    assert [(part.name, part.arguments) for part in parts if isinstance(part, ToolUse)] == [("f", "{}")]


def test_stop_after_tool_calls_means_tool_use() -> None:
    reply = reply_of(chunk(call(index=0, id="a", name="f", arguments="{}")), chunk(finish="stop"))
    assert (reply.choices[0].finish, reply.choices[0].raw_reason) == ("tool_use", "stop")


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_reasoning_comes_before_text_and_is_thinking(key: str) -> None:
    parts = parts_of(chunk({key: "h"}), chunk({key: "m"}), chunk({"content": "x"}), chunk(finish="stop"))
    assert [(type(part), part.text) for part in parts if isinstance(part, Thinking | Text)] == [(Thinking, "hm"), (Text, "x")]


def test_reasoning_details_are_not_read_twice_and_keep_their_signature() -> None:
    def detail(**fields: Any) -> dict[str, Any]:
        item = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0, **fields}
        return chunk({"reasoning": fields.get("text", ""), "reasoning_details": [item]})

    encrypted = {"type": "reasoning.encrypted", "data": "blob", "format": "anthropic-claude-v1", "index": 1}
    parts = parts_of(
        detail(text="h"),
        detail(text="m", signature=""),
        detail(text="", signature="sig"),
        chunk({"reasoning_details": [encrypted]}),
        chunk({"content": "x"}, finish="stop"),
    )
    held = [(part.text, part.signature, part.redacted) for part in parts if isinstance(part, Thinking)]
    assert held == [("hm", "sig", ""), ("", "", "blob")]


def test_another_makers_encrypted_reasoning_stays_opaque() -> None:
    item = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1", "id": "rs"}
    part = parts_of(chunk({"reasoning_details": [item]}), chunk(finish="stop"))[0]
    assert isinstance(part, Opaque)
    assert json.loads(bytes(part.raw)) == item


def test_mistrals_content_list_is_thinking_and_text() -> None:
    parts = parts_of(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]}),
        chunk({"content": [{"type": "text", "text": "x"}]}),
        chunk({"content": "y"}, finish="stop"),
    )
    assert [(type(part), part.text) for part in parts if isinstance(part, Thinking | Text)] == [(Thinking, "hm"), (Text, "xy")]


def test_refusals_annotations_audio_and_logprobs_are_kept() -> None:
    logprobs: dict[str, Any] = {"content": [{"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}
    note = {"type": "url_citation", "url_citation": {"url": "https://a.b"}}
    first = chunk({"content": "x"})
    first["choices"][0]["logprobs"] = logprobs
    reply = reply_of(
        first,
        chunk({"annotations": [note]}),
        chunk({"audio": {"id": "a"}}),
        chunk({"refusal": "no"}),
        chunk(finish="stop"),
    )
    text, audio, refusal = reply.choices[0].parts
    assert isinstance(text, Text)
    assert [json.loads(bytes(raw)) for raw in text.citations] == [note]
    assert isinstance(audio, Opaque)
    assert refusal == Refusal(text="no")
    assert reply.choices[0].logprobs is not None
    assert json.loads(bytes(reply.choices[0].logprobs)) == logprobs


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_use"),
        ("content_filter", "content_filter"),
        ("eos", "stop"),
        ("insufficient_system_resource", "error"),
        ("brand_new", "unknown"),
    ],
)
def test_finish_reasons_have_one_meaning_and_keep_their_word(word: str, reason: str) -> None:
    choice = reply_of(chunk({"content": "x"}), chunk(finish=word)).choices[0]
    assert (choice.finish, choice.raw_reason) == (reason, word)


def test_a_repeated_finish_counts_once() -> None:
    events = read(sse(chunk({"content": "x"}), chunk(finish="stop"), chunk(finish="stop", usage=USAGE), b"[DONE]"))
    assert sum(type(event) is Finish for event in events) == 1


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE, Usage(input=5, output=2)),
        (
            {
                "prompt_tokens": 50,
                "completion_tokens": 20,
                "total_tokens": 70,
                "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 10, "audio_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 15, "audio_tokens": 2},
            },
            Usage(input=50, output=20, cache_read=30, cache_write=10, reasoning=15, audio_in=4, audio_out=2),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}, Usage(input=9, output=1, cache_read=4)),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3},
            Usage(input=9, output=1, cache_read=4, cache_write=3),
        ),
        # cached tokens beside the prompt's, as the total tells
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 30, "cache_read_input_tokens": 20},
            Usage(input=29, output=1, cache_read=20),
        ),
        # xAI: reasoning beside the completion's
        (
            {
                "prompt_tokens": 165,
                "completion_tokens": 2,
                "total_tokens": 296,
                "completion_tokens_details": {"reasoning_tokens": 129},
            },
            Usage(input=165, output=131, reasoning=129),
        ),
        # Gemini behind a gateway: more reasoning than completion, and a total that leaves it out
        (
            {
                "prompt_tokens": 28,
                "completion_tokens": 9,
                "total_tokens": 37,
                "completion_tokens_details": {"reasoning_tokens": 69},
            },
            Usage(input=28, output=78, reasoning=69),
        ),
        # Mistral: audio beside the prompt's
        (
            {"prompt_tokens": 9, "completion_tokens": 201, "total_tokens": 585, "prompt_tokens_details": {"audio_tokens": 375}},
            Usage(input=384, output=201, audio_in=375),
        ),
        # a cached count over the prompt's is cut to it
        (
            {"prompt_tokens": 347, "completion_tokens": 18, "total_tokens": 365, "prompt_tokens_details": {"cached_tokens": 403}},
            Usage(input=347, output=18, cache_read=347),
        ),
        ({"prompt_tokens": 402, "completion_tokens": None, "total_tokens": None}, Usage(input=402)),
        ({"total_tokens": 12}, Usage(input=12)),
        ({"prompt_tokens": -4, "completion_tokens": "x", "prompt_tokens_details": []}, Usage()),
    ],
)
def test_usage_has_one_meaning_in_every_spelling(usage: dict[str, Any], expected: Usage) -> None:
    held = reply_of(chunk({"content": "x"}), chunk(finish="stop", usage=usage)).usage
    assert held is not None
    held.extras = {}
    assert held == expected


def test_usage_under_x_groq_is_found_and_the_last_report_counts() -> None:
    grown = {**USAGE, "completion_tokens": 3, "total_tokens": 8}
    reply = reply_of(chunk({"content": "x"}, usage=USAGE), chunk(finish="stop", x_groq={"id": "r", "usage": grown}))
    assert reply.usage is not None
    assert reply.usage.output == 3


def test_an_error_inside_the_stream_is_a_failure_and_ends_it() -> None:
    events = read(
        sse(
            chunk({"content": "x"}),
            {"error": {"message": "overloaded sk-abc123", "code": 503}},
            chunk({"content": "y"}),
            b"[DONE]",
        )
    )
    assert events[-1] == Failure(status=503, message="overloaded ***")
    assert not any(type(event) is End for event in events)


@pytest.mark.parametrize("body", [b"data: {oops\n\n", b"data: [1]\n\n", b"data: <html>\n\n"])
def test_unreadable_events_are_a_failure(body: bytes) -> None:
    assert [type(event) for event in read(body)] == [Failure]


def test_a_stream_without_done_is_whole_once_every_choice_has_finished() -> None:
    assert type(read(sse(chunk({"content": "x"}), chunk(finish="stop")))[-1]) is End
    assert type(read(sse(chunk({"content": "x"})))[-1]) is not End
    both = sse(chunk({"content": "x"}), chunk({"content": "y"}, choice=1), chunk(finish="stop"))
    assert type(read(both)[-1]) is not End


def test_a_stream_cut_inside_an_event_is_not_whole() -> None:
    assert type(read(sse(chunk({"content": "x"}), chunk(finish="stop")) + b'data: {"usa')[-1]) is not End


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert type(read(sse(chunk({"content": "x"}), chunk(finish="stop")) + b"data: [DONE]")[-1]) is End


def test_azures_first_chunk_starts_nothing() -> None:
    events = read(sse({"choices": [], "id": "", "model": "", "prompt_filter_results": []}, chunk({"content": "x"}), b"[DONE]"))
    start = events[0]
    assert isinstance(start, Start)
    assert start.model == "gpt"


def test_a_whole_reply_is_read_as_one() -> None:
    body = {
        "id": "c",
        "model": "gpt",
        "created": 3,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "hi",
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": USAGE,
    }
    reply = fold(read(dump(body), stream=False, cuts=[5, 90]), "openai_chat")
    assert [type(part) for part in reply.choices[0].parts] == [Thinking, Text, ToolUse]
    assert reply.usage is not None
    assert reply.usage.input == 5


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"choices":3}', b"\xff\xfe", b'{"error":{"message":"x"}}'])
def test_a_whole_reply_that_is_not_one_is_a_failure(body: bytes) -> None:
    events: list[Event] = read(body, stream=False)
    assert any(type(event) is Failure for event in events)
    assert not any(type(event) is End for event in events)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_without_raising(body: bytes, stream: bool) -> None:
    read(body, stream)
    read(b"data: " + body + b"\n\n", stream)


WORDS = re.findall(
    r"\w+",
    """
    choices delta message content tool_calls function name arguments id index type text thinking reasoning reasoning_details
    signature data format usage prompt_tokens prompt_tokens_details finish_reason logprobs refusal annotations audio error code
    custom created model function_call x_groq
""",
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "stop"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(WORDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(JSON, JSON, JSON)
def test_any_json_is_read_without_raising(value: Any, delta: Any, usage: Any) -> None:
    odd = {"choices": [{"delta": delta, "finish_reason": value}, value], "usage": usage}
    for events in (read(sse(value, odd, b"[DONE]")), read(dump(value), False), read(dump(odd), False)):
        fold(events, "openai_chat")
        DIALECT.encode_stream_error(next((e for e in events if isinstance(e, Failure)), Failure()), "id")
