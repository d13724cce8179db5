"""What this dialect's tests share: short ways to open a body, and replies of every form."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from freehold.wire.chat import ChatRequest, Event
from freehold.wire.dialect import Asked, Peek, Quirks, WriterOptions
from freehold.wire.dialects.ollama import OllamaDialect

DIALECT = OllamaDialect()
QUIRKS = Quirks()
CHAT, GENERATE, EMBED, EMBEDDINGS = (Asked(path=f"/api/{word}") for word in ("chat", "generate", "embed", "embeddings"))
PNG = "iVBORw0KGgoAAAANSUhEUg=="


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def opened(**fields: Any) -> Peek:
    """A chat; `...` leaves a field out."""
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return DIALECT.peek(dump({name: value for name, value in body.items() if value is not ...}), "chat", CHAT)


def prompted(**fields: Any) -> Peek:
    return DIALECT.peek(dump({"model": "m", "prompt": "hi", **fields}), "chat", GENERATE)


def decoded(**fields: Any) -> ChatRequest:
    return DIALECT.decode_request(opened(**fields))


def encoded(request: ChatRequest, quirks: Quirks = QUIRKS) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(DIALECT.encode_request(request, request.model, quirks)[0])
    return parsed


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def cuts_of(data: bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(data)), max_size=12)


def lines(*values: Any) -> bytes:
    return b"".join((value if isinstance(value, bytes) else dump(value)) + b"\n" for value in values)


def lines_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def read(data: bytes, stream: bool = True, cuts: list[int] | None = None) -> list[Event]:
    reader = DIALECT.reader(stream)
    events = [event for piece in cut_up(data, cuts or []) for event in reader.feed(piece)]
    return events + reader.close()


def write(events: list[Event], stream: bool = True, peek: Peek | None = None) -> bytes:
    writer = DIALECT.writer(WriterOptions(stream=stream, model="asked", call_id="call1", created_s=99, peek=peek))
    return writer.write(events) + writer.close()


HEAD = {"model": "qwen3", "created_at": "2026-08-07T06:08:46.460387Z"}
COUNTS = {
    "total_duration": 500,
    "load_duration": 40,
    "prompt_eval_count": 12,
    "prompt_eval_duration": 3,
    "eval_count": 34,
    "eval_duration": 77,
}


def said(content: str = "", **fields: Any) -> dict[str, Any]:
    """A line of a chat."""
    return {**HEAD, "message": {"role": "assistant", "content": content, **fields}, "done": False}


CALLS = [
    {"id": "call_a", "function": {"index": 0, "name": "add", "arguments": {"b": 1, "a": 2.50}}},
    {"id": "call_b", "function": {"index": 1, "name": "now", "arguments": {}}},
]
LAST = {**HEAD, "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **COUNTS}
STREAM = lines(
    said(thinking="Let me "),
    said(thinking='see: "done":true "error"'),
    said("Grüße "),
    said('\U0001f600 {"error": "none"} "done":false'),
    said(tool_calls=[CALLS[0]]),
    said(tool_calls=[CALLS[1]]),
    LAST,
)
MESSAGE = {
    "role": "assistant",
    "content": 'Grüße \U0001f600 {"error": "none"} "done":false',
    "thinking": 'Let me see: "done":true "error"',
    "tool_calls": CALLS,
}
WHOLE = {**HEAD, "message": MESSAGE, "done": True, "done_reason": "stop", **COUNTS}
GENERATED = lines(
    {**HEAD, "response": "", "thinking": "hm", "done": False},
    {**HEAD, "response": "one ", "done": False},
    {**HEAD, "response": "two", "done": False},
    {**HEAD, "response": "", "done": True, "done_reason": "length", "context": [1, 2, 3], **COUNTS},
)
