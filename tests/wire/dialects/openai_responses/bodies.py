"""What this dialect's tests share: short ways to open a body, to cut bytes, and a client's view of a reply."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import httpx2
import openai

from freehold.wire.chat import ChatRequest, Event
from freehold.wire.dialect import Peek, Quirks, WriterOptions
from freehold.wire.dialects.openai_responses import OpenAIResponsesDialect

DIALECT = OpenAIResponsesDialect()
QUIRKS = Quirks()


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def opened(**fields: Any) -> Peek:
    body: dict[str, Any] = {"model": "m", "input": "hi", **fields}
    return DIALECT.peek(dump({k: v for k, v in body.items() if v is not ...}), "chat")


def decoded(**fields: Any) -> ChatRequest:
    return DIALECT.decode_request(opened(**fields))


def encoded(request: ChatRequest, model: str = "m", quirks: Quirks = QUIRKS) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, dropped = DIALECT.encode_request(request, model, quirks)
    parsed: dict[str, Any] = json.loads(body)
    return parsed, dropped


def cut(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(body) + 1) for at in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


def sse(*events: dict[str, Any], line_end: str = "\n") -> bytes:
    lines = [f"event: {e['type']}{line_end}data: {json.dumps(e)}{line_end}{line_end}" for e in events]
    return "".join(lines).encode()


def read(body: bytes, stream: bool = True, cuts: list[int] | None = None) -> list[Event]:
    reader = DIALECT.reader(stream)
    events = [event for piece in cut(body, cuts or []) for event in reader.feed(piece)]
    return events + reader.close()


def write(events: list[Event], stream: bool = True, peek: Peek | None = None) -> bytes:
    options = WriterOptions(stream=stream, model="asked", call_id="call_1", created_s=99, peek=peek)
    writer = DIALECT.writer(options)
    return writer.write(events) + writer.close()


def events_of(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.decode().split("\n") if line.startswith("data: ")]


def reply_of(events: list[Event], stream: bool, peek: Peek | None = None) -> dict[str, Any]:
    """The response that a client ends up with."""
    body = write(events, stream, peek)
    found: dict[str, Any] = events_of(body)[-1]["response"] if stream else json.loads(body)
    return found


def sdk_for(body: bytes, stream: bool) -> openai.OpenAI:
    """The official SDK, in front of one reply."""
    kind = "text/event-stream" if stream else "application/json"
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, content=body, headers={"content-type": kind}))
    return openai.OpenAI(base_url="http://test/v1", api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))


def as_the_sdk_reads(body: bytes, stream: bool) -> dict[str, Any]:
    """The last response of a reply as the official SDK parses it, with the fields that arrived."""
    client = sdk_for(body, stream)
    if not stream:
        return client.responses.create(model="m", input="hi").model_dump(exclude_unset=True, warnings=False)
    last: Any = None
    for last in client.responses.create(model="m", input="hi", stream=True):  # noqa: B007
        pass
    found: dict[str, Any] = last.response.model_dump(exclude_unset=True, warnings=False)
    return found


# --- a made-up stream with every kind of event ----------------------------------------------

USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 15},
    "output_tokens": 8,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 28,
}
BASE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 7,
    "model": "gpt-x",
    "store": False,
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
    "encrypted_content": "gAAA",
}
CITATION = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
TEXT = {"type": "output_text", "text": 'Grüße 😀 "delta":"x"', "annotations": [CITATION], "logprobs": []}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "status": "completed",
    "role": "assistant",
    "phase": "commentary",
    "content": [TEXT, {"type": "refusal", "refusal": "No."}],
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "add", "arguments": '{"a": 1}', "status": "completed"}
CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_b", "name": "run", "input": "go", "status": "completed"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
OUTPUT: list[dict[str, Any]] = [REASONING, MESSAGE, CALL, CUSTOM, SEARCH]
RESPONSE = {**BASE, "status": "completed", "output": OUTPUT, "usage": USAGE, "error": None, "incomplete_details": None}


def numbered(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def _text_events(place: dict[str, Any], text: str, kind: str, **more: Any) -> list[dict[str, Any]]:
    return [
        {"type": f"response.{kind}.delta", **place, "delta": text[:2], **more},
        {"type": f"response.{kind}.delta", **place, "delta": text[2:], **more},
    ]


def _reasoning_events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for number, piece in enumerate(REASONING["summary"]):
        place = {"item_id": "rs_1", "output_index": 0, "summary_index": number}
        text = piece["text"]  # type: ignore[index]
        events += [
            {"type": "response.reasoning_summary_part.added", **place, "part": {"type": "summary_text", "text": ""}},
            *_text_events(place, text, "reasoning_summary_text"),
            {"type": "response.reasoning_summary_text.done", **place, "text": text},
            {"type": "response.reasoning_summary_part.done", **place, "part": piece},
        ]
    return events


def stream_events() -> list[dict[str, Any]]:
    begun = {**BASE, "status": "in_progress", "output": [], "usage": None}
    first = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    second = {**first, "content_index": 1}
    call = {"item_id": "fc_1", "output_index": 2}
    added, done = "response.output_item.added", "response.output_item.done"
    return numbered(
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": added, "output_index": 0, "item": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"}},
        *_reasoning_events(),
        {"type": done, "output_index": 0, "item": REASONING},
        {"type": added, "output_index": 1, "item": {**MESSAGE, "status": "in_progress", "content": []}},
        {"type": "response.content_part.added", **first, "part": {**TEXT, "text": "", "annotations": []}},
        *_text_events(first, str(TEXT["text"]), "output_text", logprobs=[]),
        {"type": "response.output_text.annotation.added", **first, "annotation_index": 0, "annotation": CITATION},
        {"type": "response.output_text.done", **first, "text": TEXT["text"], "logprobs": []},
        {"type": "response.content_part.done", **first, "part": TEXT},
        {"type": "response.content_part.added", **second, "part": {"type": "refusal", "refusal": ""}},
        *_text_events(second, "No.", "refusal"),
        {"type": "response.refusal.done", **second, "refusal": "No."},
        {"type": "response.content_part.done", **second, "part": MESSAGE["content"][1]},  # type: ignore[index]
        {"type": done, "output_index": 1, "item": MESSAGE},
        {"type": added, "output_index": 2, "item": {**CALL, "status": "in_progress", "arguments": ""}},
        *_text_events(call, str(CALL["arguments"]), "function_call_arguments"),
        {"type": "response.function_call_arguments.done", **call, "name": "add", "arguments": CALL["arguments"]},
        {"type": done, "output_index": 2, "item": CALL},
        {"type": "keepalive"},
        {"type": added, "output_index": 3, "item": {**CUSTOM, "status": "in_progress", "input": ""}},
        {"type": "response.custom_tool_call_input.delta", "item_id": "ctc_1", "output_index": 3, "delta": "go"},
        {"type": "response.custom_tool_call_input.done", "item_id": "ctc_1", "output_index": 3, "input": "go"},
        {"type": done, "output_index": 3, "item": CUSTOM},
        {"type": added, "output_index": 4, "item": {**SEARCH, "status": "in_progress"}},
        {"type": done, "output_index": 4, "item": SEARCH},
        {"type": "response.completed", "response": RESPONSE},
    )


STREAM = sse(*stream_events())
