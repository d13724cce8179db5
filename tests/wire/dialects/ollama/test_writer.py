"""Events -> the client's bytes, in both forms, streamed and whole."""

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
from tests.wire.dialects.ollama.samples import (
    GENERATED,
    LAST,
    STREAM,
    WHOLE,
    dump,
    lines,
    lines_of,
    opened,
    prompted,
    read,
    said,
    write,
)

ZEROS = {"total_duration": 0, "load_duration": 0, "prompt_eval_duration": 0, "eval_duration": 0}
HEAD = {"model": "gpt", "created_at": "1970-01-01T00:00:07Z"}
EVENTS: list[Event] = [
    Start(id="x", model="gpt", created_s=7, dialect="openai_chat", extras={"system_fingerprint": Raw(b'"fp"')}),
    PartStart(part=0, body=Thinking(text="")),
    Delta(part=0, text="hm", signature="sig"),
    PartEnd(part=0),
    PartStart(part=1, body=Text(text="")),
    Delta(part=1, text="Hi "),
    Delta(part=1, text="there"),
    PartEnd(part=1),
    PartStart(part=2, body=ToolUse(id="a", name="f")),
    Delta(part=2, text='{"x":'),
    PartStart(part=3, body=ToolUse(id="b", name="g")),
    Delta(part=2, text=" 1.0}"),
    PartEnd(part=2),
    PartEnd(part=3),
    Finish(reason="tool_use", raw_reason="tool_calls", extras={"odd": Raw(b"1")}),
    UsageReport(usage=Usage(input=20, output=8, cache_read=15)),
    End(),
]
TOOL_CALLS = [
    {"id": "a", "function": {"name": "f", "arguments": {"x": 1.0}, "index": 0}},
    {"id": "b", "function": {"name": "g", "arguments": {}, "index": 1}},
]


def test_another_dialects_stream_as_a_chat() -> None:
    def line(content: str = "", **fields: Any) -> dict[str, Any]:
        return {**HEAD, "message": {"role": "assistant", "content": content, **fields}, "done": False}

    assert lines_of(write(EVENTS)) == [
        line(thinking="hm"),
        line("Hi "),
        line("there"),
        line(tool_calls=TOOL_CALLS),
        {**line(), "done": True, "done_reason": "stop", **ZEROS, "prompt_eval_count": 20, "eval_count": 8},
    ]
    assert b'"arguments":{"x": 1.0}' in write(EVENTS)


def test_another_dialects_reply_as_a_whole_chat() -> None:
    assert json.loads(write(EVENTS, stream=False)) == {
        **HEAD,
        "message": {"role": "assistant", "content": "Hi there", "thinking": "hm", "tool_calls": TOOL_CALLS},
        "done": True,
        "done_reason": "stop",
        **ZEROS,
        "prompt_eval_count": 20,
        "eval_count": 8,
    }


def test_the_generate_form() -> None:
    whole = json.loads(write(EVENTS, False, prompted()))
    assert (whole["response"], whole["thinking"], whole["tool_calls"]) == ("Hi there", "hm", TOOL_CALLS)
    assert "message" not in whole
    streamed = lines_of(write(EVENTS, True, prompted()))
    assert [line["response"] for line in streamed] == ["", "Hi ", "there", "", ""]
    assert streamed[0]["thinking"] == "hm" and streamed[-1]["done"] is True


@pytest.mark.parametrize(
    ("data", "stream", "peek"),
    [(STREAM, True, opened()), (GENERATED, True, prompted()), (dump(WHOLE), False, opened())],
)
def test_its_own_reply_written_again_reads_the_same(data: bytes, stream: bool, peek: Any) -> None:
    assert read(write(read(data, stream), stream, peek), stream) == read(data, stream)


def test_its_own_reply_goes_back_as_it_came() -> None:
    assert json.loads(write(read(dump(WHOLE), False), False)) == WHOLE
    bare = lines(said("hi"), said(tool_calls=[{"function": {"name": "f", "arguments": {}}}]), LAST)
    assert write(read(bare)) == b"".join(dump_compact(line) for line in lines_of(bare))


def dump_compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_use", "stop"),
        ("stop_sequence", "stop"),
        ("content_filter", "content_filter"),
        ("refusal", "content_filter"),
        ("pause", "stop"),
        ("error", "error"),
        ("unknown", "stop"),
    ],
)
def test_finish_reasons(reason: Any, word: str) -> None:
    events: list[Event] = [Start(), Finish(reason=reason, raw_reason="their_word"), End()]
    assert json.loads(write(events))["done_reason"] == json.loads(write(events, False))["done_reason"] == word


def test_counts_are_left_out_where_nobody_told_them() -> None:
    last = json.loads(write([Start(), Finish(reason="stop"), End()]))
    assert "eval_count" not in last and last["model"] == "asked" and last["created_at"] == "1970-01-01T00:01:39Z"


def test_usage_told_at_the_start_counts_until_a_later_one() -> None:
    assert json.loads(write([Start(usage=Usage(input=5)), End()]))["prompt_eval_count"] == 5


def test_only_the_first_choice_is_written() -> None:
    events: list[Event] = [
        Start(),
        PartStart(choice=1, part=0, body=Text(text="")),
        Delta(choice=1, part=0, text="no"),
        PartStart(part=0, body=Text(text="yes")),
        Finish(choice=1, reason="length"),
        Finish(reason="stop"),
        End(),
    ]
    assert [line["message"]["content"] for line in lines_of(write(events))] == ["yes", ""]
    whole = json.loads(write(events, False))
    assert (whole["message"]["content"], whole["done_reason"]) == ("yes", "stop")


def test_a_refusal_is_text_and_other_dialects_parts_stay_behind() -> None:
    opaque = Opaque(dialect="anthropic", kind="server_tool_use", raw=Raw(b"{}"))
    events: list[Event] = [
        Start(),
        PartStart(part=0, body=opaque),
        PartStart(part=1, body=Refusal(text="")),
        Delta(part=1, text="I won't"),
        End(),
    ]
    assert [line["message"]["content"] for line in lines_of(write(events))] == ["I won't", ""]
    assert json.loads(write(events, False))["message"]["content"] == "I won't"


def test_arguments_that_are_no_object_are_shown_as_such() -> None:
    for arguments in ("{", "[1]", "oops"):
        events: list[Event] = [Start(), PartStart(part=0, body=ToolUse(id="a", name="f")), Delta(part=0, text=arguments), End()]
        for line in (lines_of(write(events))[0], json.loads(write(events, False))):
            assert line["message"]["tool_calls"][0]["function"]["arguments"] == {"INVALID_JSON": arguments}


def test_logprobs_are_a_list_at_the_top() -> None:
    logprobs = Raw(b'{"content":[{"token":"a","logprob":-1,"bytes":null,"top_logprobs":[]}],"refusal":null}')
    events: list[Event] = [Start(), PartStart(part=0, body=Text(text="")), Delta(part=0, text="a", logprobs=logprobs), End()]
    expected = [{"token": "a", "logprob": -1, "bytes": None, "top_logprobs": []}]
    assert lines_of(write(events))[0]["logprobs"] == json.loads(write(events, False))["logprobs"] == expected


def test_a_reply_that_never_began_still_ends() -> None:
    assert json.loads(write([]))["done"] is True
    assert json.loads(write([], False))["done"] is True


def test_a_line_is_one_line_to_every_client() -> None:
    """Pretty-printed arguments, and the characters at which some clients split text into lines."""
    said = "a\u2028b\u2029c\x85d\ne\rf\x0bg"
    events: list[Event] = [
        Start(),
        PartStart(part=0, body=Text(text="")),
        Delta(part=0, text=said),
        PartStart(part=1, body=ToolUse(id="a", name="f")),
        Delta(part=1, text='{\n  "x": "\u2028\\n",\r\n  "y": 1\n}'),
        Finish(reason="tool_use"),
        End(),
    ]
    first, calls, _ = (json.loads(line) for line in write(events).decode().splitlines())
    assert first["message"]["content"] == said
    assert calls["message"]["tool_calls"][0]["function"]["arguments"] == {"x": "\u2028\n", "y": 1}
