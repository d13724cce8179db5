"""Upstream bytes -> events, in any chunking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.wire.chat import Delta, End, Failure, Start, Text, Thinking, ToolUse, Usage
from freehold.wire.fold import fold
from tests.wire.dialects.ollama.samples import (
    COUNTS,
    GENERATED,
    HEAD,
    LAST,
    MESSAGE,
    STREAM,
    WHOLE,
    cuts_of,
    dump,
    lines,
    read,
    said,
)


def parts_of(data: bytes, stream: bool = True) -> list[Any]:
    return fold(read(data, stream), "ollama").choices[0].parts


@settings(max_examples=100, deadline=None)
@given(cuts_of(STREAM))
def test_a_stream_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    assert read(STREAM, True, cuts) == read(STREAM)


@pytest.mark.parametrize(("data", "stream"), [(STREAM, True), (dump(WHOLE), False)])
def test_a_chat_in_either_form(data: bytes, stream: bool) -> None:
    events = read(data, stream)
    assert events[0] == Start(
        model="qwen3",
        created_s=1786082926,
        dialect="ollama",
        extras={"created_at": events[0].extras["created_at"]},  # type: ignore[union-attr]
    )
    reply = fold(events, "ollama")
    (choice,) = reply.choices
    thinking, text, first, second = choice.parts
    assert isinstance(thinking, Thinking) and thinking.text == MESSAGE["thinking"]
    assert isinstance(text, Text) and text.text == MESSAGE["content"]
    assert isinstance(first, ToolUse) and (first.id, first.name, first.arguments) == ("call_a", "add", '{"b": 1, "a": 2.5}')
    assert isinstance(second, ToolUse) and (second.id, second.name, second.arguments) == ("call_b", "now", "{}")
    assert (choice.finish, choice.raw_reason, reply.usage) == ("tool_use", "stop", Usage(input=12, output=34))
    assert type(events[-1]) is End


def test_a_generate_reply() -> None:
    reply = fold(read(GENERATED), "ollama")
    (choice,) = reply.choices
    assert [part.text for part in choice.parts if isinstance(part, Thinking | Text)] == ["hm", "one two"]
    assert (choice.finish, bytes(choice.extras["context"])) == ("length", b"[1, 2, 3]")


def test_calls_without_ids_get_one_each_that_differs_between_replies() -> None:
    calls = [{"function": {"name": "f", "arguments": {}}}] * 2
    first = parts_of(lines(said(tool_calls=calls), LAST))
    later = parts_of(lines({**said(tool_calls=calls), "created_at": "2026-08-07T06:09:00Z"}, LAST))
    assert [part.id for part in first] == ["call_20260807060846460387_0", "call_20260807060846460387_1"]
    assert not {part.id for part in first} & {part.id for part in later}


def test_arguments_keep_their_text() -> None:
    text = b'{"b":1.50,"a":[1 ,2],"c":"\\u00e9"}'
    line = b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":%b}}]},"done":true}' % text
    assert parts_of(line + b"\n")[0].arguments == text.decode()
    as_string = b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":"{\\"a\\":1}"}}]},"done":true}\n'
    assert parts_of(as_string)[0].arguments == '{"a":1}'
    missing = b'{"message":{"tool_calls":[{"function":{"name":"f"}},{"function":{"name":"g","arguments":null}}]},"done":true}\n'
    assert [part.arguments for part in parts_of(missing)] == ["", ""]


def test_tool_envelopes_in_the_text_stay_text() -> None:
    said_text = '<tool_call>{"name": "f"}</tool_call><function=f>'
    (part,) = parts_of(lines(said(said_text), LAST))
    assert isinstance(part, Text) and part.text == said_text


def test_logprobs_become_openais() -> None:
    logprobs = [{"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -2}]}, {"token": "c", "logprob": -1}]
    for data, stream in (
        (lines({**said("ac"), "logprobs": logprobs}, LAST), True),
        (dump({**WHOLE, "logprobs": logprobs}), False),
    ):
        (choice,) = fold(read(data, stream), "ollama").choices
        assert choice.logprobs is not None
        assert json.loads(bytes(choice.logprobs)) == {
            "content": [
                {"token": "a", "logprob": -0.1, "top_logprobs": [{"token": "b", "logprob": -2}], "bytes": None},
                {"token": "c", "logprob": -1, "bytes": None, "top_logprobs": []},
            ],
            "refusal": None,
        }


def test_an_error_line_ends_everything() -> None:
    events = read(
        lines(said("a"), {"error": "an error was encountered while running the model: sk-abcdef1234567890"}, said("b"), LAST)
    )
    failure = events[-1]
    assert isinstance(failure, Failure) and failure.status == 502
    assert failure.message.startswith("an error was encountered") and "abcdef" not in failure.message
    assert [event.text for event in events if isinstance(event, Delta)] == ["a"]


def test_a_cut_stream_has_no_end() -> None:
    cut = STREAM[: STREAM.rindex(b'"done": true')]
    events = read(cut)
    assert not any(isinstance(event, End | Failure) for event in events)
    assert [part.name for part in fold(events, "ollama").choices[0].parts if isinstance(part, ToolUse)] == ["add", "now"]


def test_a_last_line_without_its_line_end_counts() -> None:
    assert read(STREAM.rstrip()) == read(STREAM)
    assert read(STREAM.replace(b"\n", b"\r\n\r\n")) == read(STREAM)


def test_nothing_counts_after_the_end() -> None:
    assert read(STREAM + lines(said("more"), {"error": "late"}) + b"garbage\n") == read(STREAM)


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b"[]",
        b"5",
        b'{"message": 5}',
        b'{"message": {"tool_calls": 5}}',
        b"\xff\xfe",
        b'{"message":{"content":"\xff"}}',
        b"{" * 5000,
    ],
)
def test_unreadable_lines_are_a_failure(line: bytes) -> None:
    for stream in (True, False):
        assert isinstance(read(line + b"\n", stream)[-1], Failure)


def test_an_endless_line_is_a_failure_in_bounded_memory() -> None:
    from freehold.wire.dialects.ollama.reader import StreamReader

    reader = StreamReader()
    events = [event for _ in range(40) for event in reader.feed(b"x" * 1_000_000)]
    assert [type(event) for event in events] == [Failure]


def test_progress_lines_are_passed_over() -> None:
    data = lines({"model": "m", "completed": 1, "total": 4, "done": False}, {**HEAD, "response": "", "done": True, **COUNTS})
    assert type(read(data)[0]) is Start and type(read(data)[-1]) is End


def test_a_reply_that_loaded_the_model() -> None:
    data = {**HEAD, "message": {"role": "assistant", "content": ""}, "done_reason": "load", "done": True}
    (choice,) = fold(read(dump(data), False), "ollama").choices
    assert (choice.finish, choice.raw_reason, choice.parts) == ("unknown", "load", [])


_odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["function", "name", "arguments", "id", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_names = st.sampled_from(
    [
        "model",
        "created_at",
        "message",
        "response",
        "thinking",
        "tool_calls",
        "done",
        "done_reason",
        "error",
        "eval_count",
        "logprobs",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(_names, _odd, max_size=6), max_size=4))
def test_odd_values_never_raise(values: list[dict[str, Any]]) -> None:
    for stream in (True, False):
        read(lines(*values), stream)
    for value in values:
        read(lines(said("a"), {**LAST, "message": value}))
