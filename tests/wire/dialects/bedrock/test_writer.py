"""Events as Converse replies: what is read is written again, and every event of a stream is where clients expect it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw, structs

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
from tests.wire.dialects.bedrock.samples import REPLY, REPLY_BYTES, STREAM, frames, meaning, read, written


def message_of(data: bytes) -> dict[str, Any]:
    """The reply that a client builds from a stream. Fails where the events are not in the API's order."""
    blocks: list[dict[str, Any]] = []
    is_open = False
    reply: dict[str, Any] = {}
    events = frames(data)
    assert events[0] == ("messageStart", {"role": "assistant"})
    assert [kind for kind, _ in events[-2:]] == ["messageStop", "metadata"]
    for kind, payload in events[1:]:
        if kind == "contentBlockStart":
            assert not is_open and payload["contentBlockIndex"] == len(blocks)
            blocks.append({"toolUse": payload["start"]["toolUse"] | {"input": ""}})
            is_open = True
        elif kind == "contentBlockDelta":
            if not is_open:
                assert payload["contentBlockIndex"] == len(blocks)
                blocks.append({})
                is_open = True
            assert payload["contentBlockIndex"] == len(blocks) - 1
            ((name, value),) = payload["delta"].items()
            if name == "text":
                blocks[-1]["text"] = blocks[-1].get("text", "") + value
            elif name == "toolUse":
                blocks[-1]["toolUse"]["input"] += value["input"]
            else:
                held = blocks[-1].setdefault(name, {})
                for key, text in value.items():
                    held[key] = held.get(key, "") + text
        elif kind == "contentBlockStop":
            assert is_open and payload["contentBlockIndex"] == len(blocks) - 1
            is_open = False
        else:
            assert not is_open
            reply |= payload
    for block in blocks:
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return {"content": blocks, **reply}


def test_what_is_read_is_written_again() -> None:
    assert json.loads(written(read(REPLY_BYTES, False), False)) == REPLY
    for data, stream in ((STREAM, True), (REPLY_BYTES, False)):
        events = read(data, stream)
        assert meaning(read(written(events, True), True)) == meaning(events)
        assert meaning(read(written(events, False), False)) == meaning(events)


FOREIGN: list[Event] = [
    Start(id="x", model="m", dialect="openai_chat", extras={"system_fingerprint": Raw(b'"f"')}),
    PartStart(part=0, body=Thinking()),
    Delta(part=0, text="hm"),
    Delta(part=0, signature="s"),
    PartEnd(part=0),
    PartStart(part=1, body=Text(text="")),
    Delta(part=1, text="Hi "),
    PartStart(part=2, body=ToolUse(id="a", name="f")),
    Delta(part=2, text='{"x":'),
    PartStart(part=3, body=ToolUse(id="", name="g")),
    PartEnd(part=2),
    Delta(part=1, text="there", citation=None),
    Delta(part=2, text=" 1}"),
    PartStart(part=4, body=Opaque(dialect="openai_chat", kind="audio", raw=Raw(b"{}"))),
    PartEnd(part=4),
    PartStart(choice=1, part=0, body=Text(text="other choice")),
    Finish(choice=1, reason="stop"),
    Finish(reason="stop", raw_reason="stop", extras={"message": Raw(b"{}")}),
    UsageReport(usage=Usage(input=20, output=8, cache_read=15, extras={"x": Raw(b"1")})),
    End(),
]


def test_a_foreign_reply_becomes_blocks_one_after_another() -> None:
    reply = message_of(written(FOREIGN, True))
    assert reply == {
        "content": [
            {"reasoningContent": {"text": "hm", "signature": "s"}},
            {"text": "Hi "},
            {"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": 1}}},
            {"toolUse": {"toolUseId": "tooluse_c1_3", "name": "g", "input": {}}},
            {"text": "there"},
        ],
        "stopReason": "tool_use",
        "usage": {
            "inputTokens": 5,
            "outputTokens": 8,
            "totalTokens": 28,
            "cacheReadInputTokens": 15,
            "cacheWriteInputTokens": 0,
        },
        "metrics": {"latencyMs": 0},
    }


def test_a_foreign_reply_as_a_whole_keeps_nothing_of_another_dialect() -> None:
    reply = json.loads(written(FOREIGN, False))
    assert set(reply) == {"output", "stopReason", "usage", "metrics"}
    content = reply["output"]["message"]["content"]
    assert content[0] == {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
    assert content[1] == {"text": "Hi there"} and content[2]["toolUse"]["input"] == {"x": 1}


def test_a_stop_sequence_is_told_where_bedrocks_clients_look() -> None:
    events = [Start(dialect="anthropic"), Finish(reason="stop_sequence", raw_reason="stop_sequence", stop_sequence="END"), End()]
    for reply in (message_of(written(events, True)), json.loads(written(events, False))):
        assert reply["additionalModelResponseFields"] == {"stop_sequence": "END"}
        assert reply["stopReason"] == "stop_sequence"


def test_a_reply_that_said_nothing_is_still_well_formed() -> None:
    assert message_of(written([End()], True))["stopReason"] == "end_turn"
    assert json.loads(written([], False))["output"]["message"] == {"role": "assistant", "content": []}


def test_arguments_that_are_no_object_are_shown_as_such() -> None:
    events = [
        Start(),
        PartStart(part=0, body=ToolUse(id="a", name="f", arguments='{"x":')),
        PartEnd(part=0),
        Finish(reason="length"),
    ]
    (block,) = json.loads(written(events, False))["output"]["message"]["content"]
    assert block["toolUse"]["input"] == {"INVALID_JSON": '{"x":'}


def test_a_refusal_is_text_and_cache_writes_are_split_by_their_life() -> None:
    usage = Usage(input=10, output=1, cache_write=8, cache_write_1h=3)
    events = [
        Start(),
        PartStart(part=0, body=Refusal(text="no")),
        PartEnd(part=0),
        UsageReport(usage=usage),
        Finish(reason="refusal"),
    ]
    for reply in (message_of(written(events, True)), json.loads(written(events, False))):
        assert reply["stopReason"] == "content_filtered"
        assert reply["usage"]["cacheDetails"] == [{"ttl": "1h", "inputTokens": 3}, {"ttl": "5m", "inputTokens": 5}]
        assert (reply["usage"]["inputTokens"], reply["usage"]["totalTokens"]) == (2, 11)


_BODIES = st.sampled_from(
    [
        Text(text=""),
        Text(text="t"),
        Thinking(),
        Thinking(redacted="QQ=="),
        Thinking(text="h", signature="s"),
        ToolUse(id="i", name="n"),
        Refusal(text="r"),
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["delta", "end"])), max_size=30),
    st.lists(_BODIES, min_size=5, max_size=5),
)
def test_any_order_of_events_gives_a_stream_that_clients_can_read(steps: list[tuple[int, str]], bodies: list[Any]) -> None:
    """Blocks never overlap and no text is lost, however the parts are interleaved."""
    events: list[Event] = [Start(dialect="x")]
    started: set[int] = set()
    for part, step in steps:
        if part not in started:
            started.add(part)
            events.append(PartStart(part=part, body=structs.replace(bodies[part])))
        events.append(Delta(part=part, text="[]"[len(events) % 2]) if step == "delta" else PartEnd(part=part))
    events += [Finish(reason="stop"), End()]
    streamed = written(events, True)
    texts = {"text": 0, "toolUse": 0, "reasoning": 0}
    is_open = -1
    for kind, payload in frames(streamed):
        if kind == "contentBlockStop":
            assert is_open == payload["contentBlockIndex"]
            is_open = -1
        elif kind in ("contentBlockStart", "contentBlockDelta"):
            assert is_open in (-1, payload["contentBlockIndex"])
            is_open = payload["contentBlockIndex"]
            delta = payload.get("delta", {})
            texts["text"] += len(delta.get("text", ""))
            texts["reasoning"] += len(delta.get("reasoningContent", {}).get("text", ""))
            texts["toolUse"] += len(delta.get("toolUse", {}).get("input", "").replace("{}", ""))
    assert is_open == -1
    wanted = {"text": 0, "toolUse": 0, "reasoning": 0}
    for event in events:
        if isinstance(event, PartStart | Delta):
            body = bodies[event.part]
            kind = "toolUse" if isinstance(body, ToolUse) else "reasoning" if isinstance(body, Thinking) else "text"
            if not (isinstance(body, Thinking) and body.redacted):
                wanted[kind] += len(event.text if isinstance(event, Delta) else getattr(body, "text", ""))
    assert texts == wanted


def test_a_block_of_an_odd_shape_is_left_out_of_a_stream() -> None:
    content = [{"toolUse": "x"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": "x"}}, {"video": {}}, {"text": "a"}]
    events = read(json.dumps(REPLY | {"output": {"message": {"content": content}}}).encode(), False)
    assert [block for block in message_of(written(events, True))["content"] if "text" in block] == [{"text": "a"}]
    assert json.loads(written(events, False))["output"]["message"]["content"] == content
