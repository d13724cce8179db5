"""Made-up InvokeModel calls of several model families, and what the tests of this folder share."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from hypothesis import strategies as st

from freehold.wire.chat import Event
from freehold.wire.dialect import Asked, Peek, Quirks, WriterOptions
from freehold.wire.eventstream import EventStreamDecoder, encode
from freehold.wire.registry import DIALECTS
from tests.traffic import Recorded, exchanges

DIALECT = DIALECTS["bedrock_invoke"]
QUIRKS = Quirks()
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

CLAUDE: dict[str, Any] = {
    "anthropic_version": "bedrock-2023-05-31",
    "anthropic_beta": ["b"],
    "max_tokens": 50,
    "system": "S",
    "messages": [{"role": "user", "content": "u"}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "top_k": 3,
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
}
METRICS = {"inputTokenCount": 7, "outputTokenCount": 9, "invocationLatency": 5, "firstByteLatency": 2}
CLAUDE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-x",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 1, "cache_read_input_tokens": 3},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 9}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
]


def chunk(payload: dict[str, Any]) -> bytes:

    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    body = {"bytes": b64encode(json.dumps(payload).encode()).decode(), "p": "abc"}
    return encode(json.dumps(body).encode(), {**headers})


STREAM = b"".join(chunk(event) for event in CLAUDE_EVENTS)


def peeked(body: dict[str, Any], model: str = MODEL, stream: bool = False) -> Peek:
    return DIALECT.peek(json.dumps(body).encode(), "chat", Asked(model=model, stream=stream))


def options(stream: bool) -> WriterOptions:
    return WriterOptions(stream=stream, model="asked", call_id="c1", created_s=7)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if a < b]


def cuts_of(data: bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(data)), max_size=40)


def read(data: bytes, stream: bool, cuts: list[int] | None = None) -> list[Event]:
    reader = DIALECT.reader(stream)
    events: list[Event] = []
    for piece in cut_up(data, cuts or []):
        events += reader.feed(piece)
    return events + reader.close()


def payloads(data: bytes) -> list[dict[str, Any]]:
    """The model's own events in a stream. Fails where it is cut or has a wrong checksum."""

    decoder = EventStreamDecoder()
    messages = decoder.feed(data)
    decoder.close()
    return [json.loads(b64decode(json.loads(message.payload)["bytes"])) for message in messages]


def recorded() -> list[tuple[Recorded, str, bool]]:
    """(exchange, its model, whether it is a stream) of every recorded InvokeModel call."""
    found = exchanges(("invoke", "invoke-with-response-stream"), "bedrock")
    return [(one, unquote(one.url.split("/model/")[1].rsplit("/", 1)[0]), one.endpoint != "invoke") for one in found]
