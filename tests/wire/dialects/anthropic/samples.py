"""Small hand-made Messages traffic, and a client's view of a stream."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from freehold.wire.chat import Event
from freehold.wire.dialect import Quirks, WriterOptions
from freehold.wire.dialects.anthropic import AnthropicDialect

DIALECT = AnthropicDialect()
QUIRKS = Quirks()
STREAMED = WriterOptions(stream=True, model="asked-model", call_id="c1", created_s=1)
WHOLE = WriterOptions(stream=False, model="asked-model", call_id="c1", created_s=1)


def body(**fields: Any) -> bytes:
    base: dict[str, Any] = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    merged = {name: value for name, value in (base | fields).items() if value is not ...}
    return json.dumps(merged).encode()


def sse(*events: dict[str, Any], line_end: str = "\n") -> bytes:
    lines = [f"event: {e['type']}{line_end}data: {json.dumps(e)}{line_end}{line_end}" for e in events]
    return "".join(lines).encode()


def block_events(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    changes = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *changes,
        {"type": "content_block_stop", "index": index},
    ]


USAGE_START = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 5,
    "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 3},
    "output_tokens": 1,
    "service_tier": "standard",
}
USAGE_END = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 7,
    "cache_read_input_tokens": 5,
    "output_tokens": 42,
    "output_tokens_details": {"thinking_tokens": 9},
}
SERVER_USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
SEARCH_RESULT = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "url": "u"}],
}
CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0}

STREAM_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": USAGE_START,
        },
    },
    *block_events(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Let me "},
        {"type": "thinking_delta", "thinking": 'see: message_stop "error"'},
        {"type": "signature_delta", "signature": "sig=="},
    ),
    {"type": "ping"},
    *block_events(1, {"type": "redacted_thinking", "data": "opaque"}),
    *block_events(
        2,
        SERVER_USE,
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"query":'},
        {"type": "input_json_delta", "partial_json": ' "x"}'},
    ),
    *block_events(3, SEARCH_RESULT),
    *block_events(
        4,
        {"type": "text", "text": ""},
        {"type": "text_delta", "text": "Grüße "},
        {"type": "citations_delta", "citation": CITATION},
        {"type": "text_delta", "text": '\U0001f600 "text_delta"'},
        {"type": "delta_of_tomorrow", "more": 1},
    ),
    *block_events(
        5,
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"a": 1'},
        {"type": "input_json_delta", "partial_json": ', "b":2}'},
    ),
    *block_events(6, {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}}),
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None, "stop_details": None},
        "usage": USAGE_END,
    },
    {"type": "message_stop"},
]
STREAM = sse(*STREAM_EVENTS)

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [
        {"type": "thinking", "thinking": 'Let me see: message_stop "error"', "signature": "sig=="},
        {"type": "redacted_thinking", "data": "opaque"},
        SERVER_USE | {"input": {"query": "x"}},
        SEARCH_RESULT,
        {"type": "text", "text": 'Grüße \U0001f600 "text_delta"', "citations": [CITATION]},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": 2}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "stop_details": None,
    "usage": USAGE_START | USAGE_END,
}
WHOLE_BYTES = json.dumps(MESSAGE).encode()


def read(data: bytes, stream: bool, cuts: list[int] | None = None) -> list[Event]:
    """All events of a reply that arrives cut at these places."""
    reader = DIALECT.reader(stream)
    events: list[Event] = []
    for chunk in cut_up(data, cuts or []):
        events += reader.feed(chunk)
    return events + reader.close()


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


def cuts_of(data: bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(data)), max_size=40)


def written(events: list[Event], options: WriterOptions) -> bytes:
    writer = DIALECT.writer(options)
    return writer.write(events) + writer.close()


def message_of(data: bytes) -> dict[str, Any]:
    """The message that a client builds from a stream. Fails where the events are not in the API's order."""
    message: dict[str, Any] = {}
    json_text = ""
    is_open = ended = False
    for chunk in data.decode().split("\n\n")[:-1]:
        name, _, line = chunk.partition("\n")
        event = json.loads(line.removeprefix("data: "))
        kind = event["type"]
        assert name == f"event: {kind}" and not ended
        if kind == "message_start":
            assert not message
            message = event["message"]
        elif kind == "content_block_start":
            assert not is_open and event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
            is_open, json_text = True, ""
        elif kind == "content_block_delta":
            assert is_open and event["index"] == len(message["content"]) - 1
            json_text = _change(message["content"][-1], event["delta"], json_text)
        elif kind == "content_block_stop":
            assert is_open and event["index"] == len(message["content"]) - 1
            is_open = False
            if json_text:
                message["content"][-1]["input"] = json.loads(json_text)
        elif kind == "message_delta":
            assert not is_open
            message |= event["delta"]
            message["usage"] |= event["usage"]
        elif kind == "message_stop":
            ended = True
    assert ended and not is_open
    return message


def _change(block: dict[str, Any], delta: dict[str, Any], json_text: str) -> str:
    kind = delta["type"]
    if kind == "text_delta":
        block["text"] += delta["text"]
    elif kind == "thinking_delta":
        block["thinking"] += delta["thinking"]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
    else:
        assert kind == "input_json_delta" and block["type"] in ("tool_use", "server_tool_use")
        return json_text + str(delta["partial_json"])
    return json_text
