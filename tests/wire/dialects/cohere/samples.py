"""What this dialect's tests share: made-up replies, and short ways to open, read and write."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from freehold.wire.chat import ChatRequest, Event
from freehold.wire.dialect import Peek, Quirks, WriterOptions
from freehold.wire.dialects.cohere import CohereDialect

DIALECT = CohereDialect()
USAGE = {
    "billed_units": {"input_tokens": 9, "output_tokens": 7},
    "tokens": {"input_tokens": 900, "output_tokens": 8, "reasoning_tokens": 3},
    "cached_tokens": 640,
}
CITATION = {"start": 0, "end": 2, "text": "Hé", "sources": [], "type": "TEXT_CONTENT", "content_index": 1}


def dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def opened(**fields: Any) -> Peek:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return DIALECT.peek(dump({key: value for key, value in body.items() if value is not ...}), "chat")


def decoded(**fields: Any) -> ChatRequest:
    return DIALECT.decode_request(opened(**fields))


def encoded(request: ChatRequest, model: str = "m", quirks: Quirks | None = None) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, dropped = DIALECT.encode_request(request, model, quirks or Quirks())
    parsed: dict[str, Any] = json.loads(body)
    return parsed, dropped


def delta(kind: str, index: int | None = None, **message: Any) -> dict[str, Any]:
    event: dict[str, Any] = {"type": kind}
    if index is not None:
        event["index"] = index
    return event | ({"delta": {"message": message}} if message else {})


def sse(*values: dict[str, Any]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (v.get("type", "x").encode(), dump(v)) for v in values)


def end(reason: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **fields}}


START = {"id": "r1", **delta("message-start", role="assistant", content=[], tool_plan="", tool_calls=[], citations=[])}
STREAM = (
    sse(
        START,
        delta("content-start", 0, content={"type": "thinking", "thinking": ""}),
        delta("content-delta", 0, content={"thinking": "hm"}),
        delta("content-end", 0),
        delta("content-start", 1, content={"type": "text", "text": ""}),
        delta("content-delta", 1, content={"text": "Hé "}),
        delta("content-delta", 1, content={"text": '"message-end"'}),
        delta("citation-start", 0, citations=CITATION),
        delta("citation-end", 0),
        delta("content-end", 1),
        delta("tool-plan-delta", tool_plan="I will "),
        delta("tool-plan-delta", tool_plan="look."),
        delta("tool-call-start", 0, tool_calls={"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}),
        delta("tool-call-delta", 0, tool_calls={"function": {"arguments": '{"a"'}}),
        delta("tool-call-delta", 0, tool_calls={"function": {"arguments": ": 1}"}}),
        delta("tool-call-end", 0),
        end("TOOL_CALL"),
    )
    + b"data: [DONE]\n\n"
)
WHOLE = {
    "id": "r1",
    "message": {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": 'Hé "message-end"'}],
        "tool_plan": "I will look.",
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
        "citations": [CITATION],
    },
    "finish_reason": "TOOL_CALL",
    "usage": USAGE,
}


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(body) + 1) for at in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def read(body: bytes, stream: bool = True, cuts: list[int] | None = None) -> list[Event]:
    reader = DIALECT.reader(stream)
    events = [event for piece in cut(body, cuts or []) for event in reader.feed(piece)]
    return events + reader.close()


def write(events: list[Event], stream: bool = True) -> bytes:
    writer = DIALECT.writer(WriterOptions(stream=stream, model="asked", call_id="call1", created_s=99))
    return writer.write(events) + writer.close()


def events_of(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.decode().split("\n") if line.startswith("data: {")]
