"""Made-up Converse requests and replies that hold one of everything, and what the tests of this folder share."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from hypothesis import strategies as st

from freehold.wire.chat import ChatReply, Event, ToolUse
from freehold.wire.dialect import Asked, Peek, Quirks, WriterOptions
from freehold.wire.eventstream import EventStreamDecoder, encode
from freehold.wire.fold import fold
from freehold.wire.registry import DIALECTS
from tests.traffic import Recorded, exchanges

DIALECT = DIALECTS["bedrock"]
QUIRKS = Quirks()
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def frame(kind: str, payload: dict[str, Any], message_type: str = "event") -> bytes:
    headers = {f":{message_type}-type": kind, ":content-type": "application/json", ":message-type": message_type}
    return encode(json.dumps(payload).encode(), {**headers})


def block(index: int, *deltas: dict[str, Any], start: dict[str, Any] | None = None) -> list[tuple[str, dict[str, Any]]]:
    head = [("contentBlockStart", {"contentBlockIndex": index, "start": start})] if start else []
    middle = [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta, "p": "abc"}) for delta in deltas]
    return [*head, *middle, ("contentBlockStop", {"contentBlockIndex": index})]


USAGE = {
    "inputTokens": 12,
    "outputTokens": 42,
    "totalTokens": 64,
    "cacheReadInputTokens": 3,
    "cacheWriteInputTokens": 7,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 5}, {"ttl": "5m", "inputTokens": 2}],
}
CITATION = {"title": "T", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}
SERVER_TOOL = {"toolUseId": "s1", "name": "nova_grounding", "type": "server_tool_use"}
SERVER_RESULT = {"toolUseId": "s1", "type": "nova_grounding_result", "status": "success"}

STREAM_EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("messageStart", {"role": "assistant", "p": "abcdef"}),
    *block(
        0,
        {"reasoningContent": {"text": "Let me "}},
        {"reasoningContent": {"text": 'see: "metadata"'}},
        {"reasoningContent": {"signature": "sig=="}},
    ),
    *block(1, {"reasoningContent": {"redactedContent": "b3BhcXVl"}}),
    *block(2, {"toolUse": {"input": '{"query":'}}, {"toolUse": {"input": ' "x"}'}}, start={"toolUse": SERVER_TOOL}),
    *block(3, {"toolResult": [{"text": "a"}]}, {"toolResult": [{"text": "b"}]}, start={"toolResult": SERVER_RESULT}),
    *block(4, {"text": "Grüße "}, {"citation": CITATION}, {"text": '\U0001f600 "contentBlock"'}, {"tomorrow": 1}),
    *block(
        5,
        {"toolUse": {"input": '{"a": 1'}},
        {"toolUse": {"input": ', "b":2}'}},
        start={"toolUse": {"toolUseId": "t1", "name": "add"}},
    ),
    *block(6, {"toolUse": {"input": ""}}, start={"toolUse": {"toolUseId": "t2", "name": "now", "type": "tool_use"}}),
    ("messageStop", {"stopReason": "tool_use", "additionalModelResponseFields": {"stop_sequence": None}}),
    (
        "metadata",
        {
            "usage": USAGE,
            "metrics": {"latencyMs": 9},
            "trace": {"promptRouter": {"invokedModelId": "amazon.nova-pro"}},
            "serviceTier": {"type": "flex"},
        },
    ),
]
STREAM = b"".join(frame(kind, payload) for kind, payload in STREAM_EVENTS)

REPLY: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": 'Let me see: "metadata"', "signature": "sig=="}}},
                {"reasoningContent": {"redactedContent": "b3BhcXVl"}},
                {"toolUse": {**SERVER_TOOL, "input": {"query": "x"}}},
                {"toolResult": {**SERVER_RESULT, "content": [{"text": "a"}, {"text": "b"}]}},
                {"citationsContent": {"content": [{"text": 'Grüße \U0001f600 "contentBlock"'}], "citations": [CITATION]}},
                {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"a": 1, "b": 2}}},
                {"toolUse": {"toolUseId": "t2", "name": "now", "type": "tool_use", "input": {}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "additionalModelResponseFields": {"stop_sequence": None},
    "usage": USAGE,
    "metrics": {"latencyMs": 9},
    "trace": {"promptRouter": {"invokedModelId": "amazon.nova-pro"}},
    "serviceTier": {"type": "flex"},
}
REPLY_BYTES = json.dumps(REPLY).encode()

REQUEST: dict[str, Any] = {
    "system": [{"text": "S"}, {"cachePoint": {"type": "default"}}, {"guardContent": {"text": {"text": "g"}}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"text": "u"},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
                {"image": {"format": "png", "source": {"bytes": "QQ=="}}},
                {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k"}}}},
                {"document": {"format": "pdf", "name": "d", "source": {"bytes": "QQ=="}, "citations": {"enabled": True}}},
                {"document": {"name": "t", "source": {"text": "plain"}, "context": "c"}},
                {"document": {"format": "txt", "name": "c", "source": {"content": [{"text": "x"}]}}},
                {"audio": {"format": "wav", "source": {"bytes": "QQ=="}}},
                {"video": {"format": "mp4", "source": {"bytes": "QQ=="}}},
                {"guardContent": {"text": {"text": "g", "qualifiers": ["query"]}}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                {"reasoningContent": {"redactedContent": "QQ=="}},
                {"text": "I call"},
                {"citationsContent": {"content": [{"text": "a"}, {"text": "bc"}], "citations": [CITATION]}},
                {"citationsContent": {"citations": [CITATION]}},
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"b": 1, "a": 2.50}}},
                {"toolUse": {"toolUseId": "t2", "name": "g", "input": {}, "type": "tool_use"}},
                {"cachePoint": {"type": "default"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "toolResult": {
                        "toolUseId": "t1",
                        "status": "success",
                        "content": [
                            {"text": "one"},
                            {"json": {"x": [1, 2]}},
                            {"image": {"format": "png", "source": {"bytes": "QQ=="}}},
                            {"searchResult": {"source": "u", "title": "t", "content": [{"text": "x"}]}},
                        ],
                    }
                },
                {"toolResult": {"toolUseId": "t2", "status": "error", "content": [{"json": None}]}},
            ],
        },
        {"role": "system", "content": [{"text": "later"}]},
    ],
    "inferenceConfig": {"maxTokens": 99, "temperature": 0.5, "topP": 1, "stopSequences": ["END"]},
    "toolConfig": {
        "tools": [
            {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}, "strict": True}},
            {"toolSpec": {"name": "g", "inputSchema": {"json": {}}}},
            {"cachePoint": {"type": "default"}},
            {"systemTool": {"name": "nova_grounding"}},
        ],
        "toolChoice": {"tool": {"name": "f"}},
    },
    "outputConfig": {
        "effort": "low",
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": '{ "type": "object" }', "name": "N", "description": "D"}},
        },
    },
    "additionalModelRequestFields": {
        "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "full"},
        "top_k": 5,
        "anthropic_beta": ["b"],
    },
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    "performanceConfig": {"latency": "optimized"},
    "promptVariables": {"v": {"text": "x"}},
    "requestMetadata": {"team": "a"},
    "serviceTier": {"type": "flex"},
}


def asked(model: str = MODEL, stream: bool = False) -> Asked:
    return Asked(model=model, stream=stream)


def peeked(body: dict[str, Any], model: str = MODEL, stream: bool = False) -> Peek:
    return DIALECT.peek(json.dumps(body).encode(), "chat", asked(model, stream))


def again(body: dict[str, Any]) -> Any:
    """Decoded and encoded for the same dialect."""
    out, dropped = DIALECT.encode_request(DIALECT.decode_request(peeked(body)), MODEL, QUIRKS)
    assert dropped == ()
    return json.loads(out)


def options(stream: bool) -> WriterOptions:
    return WriterOptions(stream=stream, model="asked", call_id="c1", created_s=7)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


def cuts_of(data: bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(data)), max_size=40)


def read(data: bytes, stream: bool, cuts: list[int] | None = None) -> list[Event]:
    """All events of a reply that arrives cut at these places."""
    reader = DIALECT.reader(stream)
    events: list[Event] = []
    for chunk in cut_up(data, cuts or []):
        events += reader.feed(chunk)
    return events + reader.close()


def written(events: list[Event], stream: bool) -> bytes:
    writer = DIALECT.writer(options(stream))
    return writer.write(events) + writer.close()


def frames(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The events of a stream: (type, payload). Fails where it is cut or has a wrong checksum."""
    decoder = EventStreamDecoder()
    messages = decoder.feed(data)
    decoder.close()
    return [(m.text(":event-type") or m.text(":exception-type"), json.loads(m.payload)) for m in messages]


def meaning(events: list[Event]) -> Any:
    """What a reply says, however it was spelled: raw JSON and tool arguments parsed."""
    reply: ChatReply = fold(events, "bedrock")
    for choice in reply.choices:
        for part in choice.parts:
            part.spelling = {}
            if isinstance(part, ToolUse):
                part.arguments = json.dumps(json.loads(part.arguments or "{}"))
    reply.model = ""  # a stream's start can't know it
    return plain(reply)


def plain(value: Any) -> Any:
    if hasattr(value, "__struct_fields__"):
        return (type(value).__name__, {name: plain(getattr(value, name)) for name in value.__struct_fields__})
    if type(value).__name__ == "Raw":
        return json.loads(bytes(value))
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def recorded() -> list[tuple[Recorded, str, bool]]:
    """(exchange, its model, whether it is a stream) of every recorded Converse call."""
    found = exchanges(("converse", "converse-stream"), "bedrock")
    return [(one, unquote(one.url.split("/model/")[1].rsplit("/", 1)[0]), one.endpoint == "converse-stream") for one in found]
