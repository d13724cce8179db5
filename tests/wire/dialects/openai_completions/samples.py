"""What this dialect's tests share."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from freehold.wire.chat import ChatRequest, Event
from freehold.wire.dialect import Peek, Quirks, WriterOptions
from freehold.wire.dialects.openai_completions import OpenAICompletionsDialect

DIALECT = OpenAICompletionsDialect()
ALWAYS = Quirks(stream_usage="always")  # adds nothing of ours to a streamed request


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def opened(**fields: Any) -> Peek:
    return DIALECT.peek(dump({"model": "m", "prompt": "Once", **fields}), "chat")


def decoded(**fields: Any) -> ChatRequest:
    return DIALECT.decode_request(opened(**fields))


def encoded(request: ChatRequest, quirks: Quirks = ALWAYS) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(DIALECT.encode_request(request, request.model, quirks)[0])
    return parsed


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(body) + 1) for at in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def sse(*values: Any) -> bytes:
    return b"".join(b"data: " + (value if isinstance(value, bytes) else dump(value)) + b"\n\n" for value in values)


def chunk(text: str, finish: str | None = None, index: int = 0, logprobs: Any = None, **fields: Any) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}
    return {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "gpt", "choices": [choice], **fields}


def read(body: bytes, stream: bool = True, cuts: list[int] | None = None) -> list[Event]:
    reader = DIALECT.reader(stream)
    events = [event for piece in cut(body, cuts or []) for event in reader.feed(piece)]
    return events + reader.close()


def write(events: list[Event], stream: bool = True, include_usage: bool = False) -> bytes:
    options = WriterOptions(stream=stream, model="asked", call_id="call1", created_s=99, include_usage=include_usage)
    writer = DIALECT.writer(options)
    return writer.write(events) + writer.close()


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.decode().split("\n\n") if line.startswith("data: {")]
