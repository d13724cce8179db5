"""What this dialect's tests share: short ways to open a body, to cut bytes and to read and write replies."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from freehold.wire.chat import ChatReply, ChatRequest, Event
from freehold.wire.dialect import Asked, Kind, Peek, Quirks, WriterOptions
from freehold.wire.dialects.gemini import GeminiDialect
from freehold.wire.fold import Fold

DIALECT = GeminiDialect()
PLAIN = Quirks()
ASKED = Asked(model="gemini-2.5-flash", stream=False)
STREAMED = Asked(model="gemini-2.5-flash", stream=True, query={"alt": "sse"})


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def opened(asked: Asked = ASKED, kind: Kind = "chat", **fields: Any) -> Peek:
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], **fields}
    return DIALECT.peek(dump({name: value for name, value in body.items() if value is not ...}), kind, asked)


def decoded(**fields: Any) -> ChatRequest:
    return DIALECT.decode_request(opened(**fields))


def encoded(request: ChatRequest, model: str = "gemini-2.5-flash", quirks: Quirks = PLAIN) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(DIALECT.encode_request(request, model, quirks)[0])
    return parsed


def again(body: dict[str, Any], asked: Asked = ASKED) -> dict[str, Any]:
    """A body decoded and encoded again."""
    request = DIALECT.decode_request(DIALECT.peek(dump(body), "chat", asked))
    written, dropped = DIALECT.encode_request(request, asked.model, PLAIN)
    assert dropped == ()
    parsed: dict[str, Any] = json.loads(written)
    return parsed


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(body) + 1) for at in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def sse(*values: Any, end: bytes = b"\r\n\r\n") -> bytes:
    return b"".join(b"data: " + (value if isinstance(value, bytes) else dump(value)) + end for value in values)


def chunk(*parts: dict[str, Any], finish: str | None = None, index: int = 0, **fields: Any) -> dict[str, Any]:
    """One reply object of a stream, or a whole one."""
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": index}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "R-1", **fields}


def read(body: bytes, stream: bool = True, cuts: list[int] | None = None) -> list[Event]:
    reader = DIALECT.reader(stream)
    events = [event for piece in cut(body, cuts or []) for event in reader.feed(piece)]
    return events + reader.close()


def folded(body: bytes, stream: bool = True) -> tuple[ChatReply, bool]:
    collected = Fold("gemini")
    collected.add(read(body, stream))
    return collected.reply(), collected.done


def options(stream: bool = True, peek: Peek | None = None) -> WriterOptions:
    return WriterOptions(stream=stream, model="asked", call_id="call1", created_s=99, include_usage=True, peek=peek)


def write(events: list[Event], stream: bool = True, peek: Peek | None = None) -> bytes:
    writer = DIALECT.writer(options(stream, peek))
    return writer.write(events) + writer.close()


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in stream.decode().splitlines() if line.startswith("data:")]


def merged(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """A stream's chunks as one reply: plain text joined, later fields over earlier ones. For comparing two streams."""
    out: dict[str, Any] = {"candidates": {}}
    for one in chunks:
        out |= {name: value for name, value in one.items() if name not in ("candidates", "usageMetadata")}
        out["usageMetadata"] = out.get("usageMetadata", {}) | one.get("usageMetadata", {})
        for place, candidate in enumerate(one.get("candidates", [])):
            held = out["candidates"].setdefault(candidate.get("index", place), {"parts": [], "index": place})
            held |= {name: value for name, value in candidate.items() if name != "content"}
            for part in candidate.get("content", {}).get("parts", []):
                _merge(held["parts"], part)
    return out


def _merge(parts: list[dict[str, Any]], part: dict[str, Any]) -> None:
    if part == {"text": ""}:
        return
    last = parts[-1] if parts else {}
    plain = {"text"}, {"text", "thought"}
    if set(part) in plain and set(part) == set(last):
        last["text"] += part["text"]
    else:
        parts.append(dict(part))
