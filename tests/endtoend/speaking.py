"""The chat dialects as a client and as an upstream: what one sends, and how one reads and writes a reply.

Written by hand from the dialects' published forms; nothing here imports the product. A reply says TEXT, calls no tool and
counts TOKENS.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.endtoend.framing import aws, events, frames, lines, sse

TEXT = 'Grüße \U0001f600 "quoted"\n'
HALVES = (TEXT[:7], TEXT[7:])
TOKENS = (11, 5)  # input, output

Body = dict[str, Any]
_USER = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True)
class Spoken:
    """One dialect, or another form of its requests. `path` and `upstream_path` are (whole, streamed)."""

    path: tuple[str, str]
    upstream_path: tuple[str, str]
    ask: Callable[[bool], Body]
    whole: Callable[[], bytes]
    stream: Callable[[], list[bytes]]
    stream_type: str
    read_whole: Callable[[Body], str]
    read_stream: Callable[[bytes], str]
    errors_in_stream: Callable[[bytes], list[str]]
    error: Callable[[Body], str]
    usage: Callable[[Body], tuple[int, int]]
    dialect: str = ""


# --- OpenAI ----------------------------------------------------------------------------

_CHAT_USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}


def _chat_whole() -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
    return json.dumps(
        {"id": "c", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice], "usage": _CHAT_USAGE}
    ).encode()


def _chat_stream() -> list[bytes]:
    def chunk(delta: Body, finish: str | None = None) -> Body:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x", "choices": [choice]}

    last = {**chunk({}), "choices": [], "usage": _CHAT_USAGE}
    return [
        sse(chunk({"role": "assistant", "content": HALVES[0]})),
        sse(chunk({"content": HALVES[1]})),
        sse(chunk({}, "stop"), last, done=True),
    ]


def _completions_whole() -> bytes:
    choice = {"index": 0, "text": TEXT, "finish_reason": "stop", "logprobs": None}
    return json.dumps(
        {"id": "c", "object": "text_completion", "created": 1, "model": "x", "choices": [choice], "usage": _CHAT_USAGE}
    ).encode()


def _completions_stream() -> list[bytes]:
    def chunk(text: str, finish: str | None = None) -> Body:
        choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": None}
        return {"id": "c", "object": "text_completion", "created": 1, "model": "x", "choices": [choice]}

    last = {**chunk(""), "choices": [], "usage": _CHAT_USAGE}
    return [sse(chunk(HALVES[0])), sse(chunk(HALVES[1])), sse(chunk("", "stop"), last, done=True)]


def _message(text: str, status: str = "completed") -> Body:
    content = [{"type": "output_text", "text": text, "annotations": []}] if text else []
    return {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content}


def _response(output: list[Body], status: str) -> Body:
    usage = {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5, "total_tokens": 16}
    usage["output_tokens_details"] = {"reasoning_tokens": 0}
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "x", "output": output}
    return {**head, "error": None, "usage": usage if status == "completed" else None}


def _responses_stream() -> list[bytes]:
    where = {"item_id": "msg_1", "output_index": 0}
    part = {**where, "content_index": 0}
    told: list[Body] = [
        {"type": "response.created", "response": _response([], "in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": _message("", "in_progress")},
        {"type": "response.content_part.added", **part, "part": {"type": "output_text", "text": "", "annotations": []}},
        {"type": "response.output_text.delta", **part, "delta": HALVES[0]},
        {"type": "response.output_text.delta", **part, "delta": HALVES[1]},
        {"type": "response.output_text.done", **part, "text": TEXT},
        {"type": "response.content_part.done", **part, "part": {"type": "output_text", "text": TEXT, "annotations": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": _message(TEXT)},
        {"type": "response.completed", "response": _response([_message(TEXT)], "completed")},
    ]
    numbered = [{**event, "sequence_number": n} for n, event in enumerate(told)]
    return [sse(*numbered[:4], named=True), sse(numbered[4], named=True), sse(*numbered[5:], named=True)]


def _response_text(reply: Body) -> str:
    return "".join(part["text"] for item in reply["output"] if item["type"] == "message" for part in item["content"])


# --- Anthropic, and Claude behind InvokeModel ------------------------------------------


def _claude_events() -> list[Body]:
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "x", "content": [], "stop_reason": None}
    return [
        {"type": "message_start", "message": {**start, "stop_sequence": None, "usage": {"input_tokens": 11, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": HALVES[0]}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": HALVES[1]}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]


def _claude_whole() -> bytes:
    usage = {"input_tokens": 11, "output_tokens": 5}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "x", "content": [{"type": "text", "text": TEXT}]}
    return json.dumps({**head, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}).encode()


def _claude_stream() -> list[bytes]:
    told = _claude_events()
    return [sse(*told[:3], named=True), sse(told[3], named=True), sse(*told[4:], named=True)]


def _invoke_stream() -> list[bytes]:
    chunks = [aws(("chunk", {"bytes": base64.b64encode(json.dumps(event).encode()).decode()})) for event in _claude_events()]
    return [b"".join(chunks[:3]), chunks[3], b"".join(chunks[4:])]


def _claude_text(told: list[Body]) -> str:
    assert [told[0]["type"], told[-1]["type"]] == ["message_start", "message_stop"]
    return "".join(event["delta"].get("text", "") for event in told if event["type"] == "content_block_delta")


def _invoked(data: bytes) -> list[Body]:
    found = frames(data)
    assert {heads[":event-type"] for heads, _ in found} == {"chunk"}
    return [json.loads(base64.b64decode(body["bytes"])) for _, body in found]


# --- Gemini, Converse, Cohere, Ollama --------------------------------------------------


def _gemini(text: str, finish: str | None = None) -> Body:
    candidate: Body = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    reply: Body = {"candidates": [candidate], "modelVersion": "x", "responseId": "r"}
    if finish:
        candidate["finishReason"] = finish
        reply["usageMetadata"] = {"promptTokenCount": 11, "candidatesTokenCount": 5, "totalTokenCount": 16}
    return reply


def _gemini_text(told: list[Body]) -> str:
    assert told[-1]["candidates"][0]["finishReason"] == "STOP"
    return "".join(part.get("text", "") for reply in told for part in reply["candidates"][0].get("content", {}).get("parts", ()))


_CONVERSE_USAGE = {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16}


def _converse_whole() -> bytes:
    message = {"role": "assistant", "content": [{"text": TEXT}]}
    return json.dumps(
        {"output": {"message": message}, "stopReason": "end_turn", "usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 1}}
    ).encode()


def _converse_stream() -> list[bytes]:
    def delta(text: str) -> bytes:
        return aws(("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}))

    end = aws(
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": _CONVERSE_USAGE, "metrics": {"latencyMs": 1}}),
    )
    return [aws(("messageStart", {"role": "assistant"})) + delta(HALVES[0]), delta(HALVES[1]), end]


def _converse_text(data: bytes) -> str:
    found = frames(data)
    assert [found[0][0][":event-type"], found[-1][0][":event-type"]] == ["messageStart", "metadata"]
    return "".join(body["delta"].get("text", "") for heads, body in found if heads[":event-type"] == "contentBlockDelta")


_COHERE_USAGE = {"billed_units": {"input_tokens": 11, "output_tokens": 5}, "tokens": {"input_tokens": 80, "output_tokens": 5}}


def _cohere_whole() -> bytes:
    message = {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}
    return json.dumps({"id": "r", "finish_reason": "COMPLETE", "message": message, "usage": _COHERE_USAGE}).encode()


def _cohere_stream() -> list[bytes]:
    def text(words: str) -> Body:
        return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": words}}}}

    start = {"type": "message-start", "id": "r", "delta": {"message": {"role": "assistant", "content": []}}}
    begin = {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}
    end = {"type": "message-end", "id": "r", "delta": {"finish_reason": "COMPLETE", "usage": _COHERE_USAGE}}
    stop = {"type": "content-end", "index": 0}
    return [sse(start, begin, text(HALVES[0]), named=True), sse(text(HALVES[1]), named=True), sse(stop, end, named=True)]


def _cohere_text(told: list[Body]) -> str:
    assert [told[0]["type"], told[-1]["type"]] == ["message-start", "message-end"]
    return "".join(event["delta"]["message"]["content"]["text"] for event in told if event["type"] == "content-delta")


_OLLAMA_END = {"done": True, "done_reason": "stop", "prompt_eval_count": 11, "eval_count": 5}
_AT = {"model": "x", "created_at": "2026-01-01T00:00:00Z"}


def _ollama_line(text: str, generate: bool, end: bool) -> Body:
    said: Body = {"response": text} if generate else {"message": {"role": "assistant", "content": text}}
    return {**_AT, **said, **(_OLLAMA_END if end else {"done": False})}


def _ollama_stream(generate: bool = False) -> list[bytes]:
    told = [(HALVES[0], False), (HALVES[1], False), ("", True)]
    return [json.dumps(_ollama_line(text, generate, end)).encode() + b"\n" for text, end in told]


def _ollama_text(told: list[Body]) -> str:
    assert [line["done"] for line in told] == [False] * (len(told) - 1) + [True]
    return "".join(line["message"]["content"] if "message" in line else line["response"] for line in told)


# --- the table -------------------------------------------------------------------------


def _in_events(name: str) -> Callable[[bytes], list[str]]:
    """Errors told as an event with a member `name` that holds a message."""

    def found(data: bytes) -> list[str]:
        return [event[name]["message"] for event in events(data) if isinstance(event.get(name), dict)]

    return found


def _exceptions(data: bytes) -> list[str]:
    return [body["message"] for heads, body in frames(data) if heads[":message-type"] == "exception" and heads[":exception-type"]]


def _error_message(reply: Body) -> str:
    return str(reply["error"]["message"])


def _same(path: str) -> tuple[str, str]:
    return path, path


_EVENTS, _AWS, _NDJSON = "text/event-stream", "application/vnd.amazon.eventstream", "application/x-ndjson"
_CLAUDE_ASK = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": _USER}
_GEMINI_ASK = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
_GEMINI_UP = ("/v1beta/models/claude-x:generateContent", "/v1beta/models/claude-x:streamGenerateContent?alt=sse")


def _chat_usage(reply: Body) -> tuple[int, int]:
    return reply["usage"]["prompt_tokens"], reply["usage"]["completion_tokens"]


def _claude_usage(reply: Body) -> tuple[int, int]:
    return reply["usage"]["input_tokens"], reply["usage"]["output_tokens"]


def _gemini_usage(reply: Body) -> tuple[int, int]:
    return reply["usageMetadata"]["promptTokenCount"], reply["usageMetadata"]["candidatesTokenCount"]


SPOKEN: dict[str, Spoken] = {
    "openai_chat": Spoken(
        _same("/v1/chat/completions"), _same("/v1/chat/completions"), lambda s: {"model": "m", "messages": _USER, "stream": s},
        _chat_whole, _chat_stream, _EVENTS,
        lambda r: r["choices"][0]["message"]["content"],
        lambda d: "".join(c["delta"].get("content") or "" for e in events(d) for c in e["choices"]),
        _in_events("error"), _error_message, _chat_usage,
    ),
    "openai_responses": Spoken(
        _same("/v1/responses"), _same("/v1/responses"), lambda s: {"model": "m", "input": "Hello", "stream": s},
        lambda: json.dumps(_response([_message(TEXT)], "completed")).encode(), _responses_stream, _EVENTS,
        _response_text, lambda d: _response_text(events(d)[-1]["response"]),
        _in_events("error"), _error_message, _claude_usage,
    ),
    "openai_completions": Spoken(
        _same("/v1/completions"), _same("/v1/completions"), lambda s: {"model": "m", "prompt": "Hello", "stream": s},
        _completions_whole, _completions_stream, _EVENTS,
        lambda r: r["choices"][0]["text"], lambda d: "".join(c["text"] for e in events(d) for c in e["choices"]),
        _in_events("error"), _error_message, _chat_usage,
    ),
    "anthropic": Spoken(
        _same("/v1/messages"), _same("/v1/messages"), lambda s: {"model": "m", "max_tokens": 99, "messages": _USER, "stream": s},
        _claude_whole, _claude_stream, _EVENTS,
        lambda r: r["content"][0]["text"], lambda d: _claude_text(events(d)),
        _in_events("error"), _error_message, _claude_usage,
    ),
    "gemini": Spoken(
        ("/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent?alt=sse"), _GEMINI_UP, lambda s: _GEMINI_ASK,
        lambda: json.dumps(_gemini(TEXT, "STOP")).encode(),
        lambda: [sse(_gemini(HALVES[0])), sse(_gemini(HALVES[1])), sse(_gemini("", "STOP"))], _EVENTS,
        lambda r: _gemini_text([r]), lambda d: _gemini_text(events(d)),
        _in_events("error"), _error_message, _gemini_usage,
    ),
    "gemini array": Spoken(
        ("/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent"), _GEMINI_UP, lambda s: _GEMINI_ASK,
        lambda: b"", list, "application/json",
        lambda r: _gemini_text([r]), lambda d: _gemini_text(json.loads(d)),
        lambda d: [], _error_message, _gemini_usage, "gemini",
    ),
    "bedrock": Spoken(
        ("/model/m/converse", "/model/m/converse-stream"), ("/model/claude-x/converse", "/model/claude-x/converse-stream"),
        lambda s: {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]},
        _converse_whole, _converse_stream, _AWS,
        lambda r: r["output"]["message"]["content"][0]["text"], _converse_text, _exceptions, lambda r: str(r["message"]),
        lambda r: (r["usage"]["inputTokens"], r["usage"]["outputTokens"]),
    ),
    "bedrock_invoke": Spoken(
        ("/model/m/invoke", "/model/m/invoke-with-response-stream"),
        ("/model/claude-x/invoke", "/model/claude-x/invoke-with-response-stream"), lambda s: _CLAUDE_ASK,
        _claude_whole, _invoke_stream, _AWS,
        lambda r: r["content"][0]["text"], lambda d: _claude_text(_invoked(d)), _exceptions, lambda r: str(r["message"]),
        _claude_usage,
    ),
    "cohere": Spoken(
        _same("/v2/chat"), _same("/v2/chat"), lambda s: {"model": "m", "messages": _USER, "stream": s},
        _cohere_whole, _cohere_stream, _EVENTS,
        lambda r: r["message"]["content"][0]["text"], lambda d: _cohere_text(events(d)),
        lambda d: [e["delta"]["error"] for e in events(d) if (e.get("delta") or {}).get("finish_reason") == "ERROR"],
        lambda r: str(r["message"]),
        lambda r: (r["usage"]["billed_units"]["input_tokens"], r["usage"]["billed_units"]["output_tokens"]),
    ),
    "ollama": Spoken(
        _same("/api/chat"), _same("/api/chat"), lambda s: {"model": "m", "messages": _USER, "stream": s},
        lambda: json.dumps(_ollama_line(TEXT, False, True)).encode(), _ollama_stream, _NDJSON,
        lambda r: r["message"]["content"], lambda d: _ollama_text(lines(d)),
        lambda d: [line["error"] for line in lines(d) if "error" in line], lambda r: str(r["error"]),
        lambda r: (r["prompt_eval_count"], r["eval_count"]),
    ),
    "ollama generate": Spoken(
        _same("/api/generate"), _same("/api/generate"), lambda s: {"model": "m", "prompt": "Hello", "stream": s},
        lambda: json.dumps(_ollama_line(TEXT, True, True)).encode(), lambda: _ollama_stream(generate=True), _NDJSON,
        lambda r: r["response"], lambda d: _ollama_text(lines(d)),
        lambda d: [line["error"] for line in lines(d) if "error" in line], lambda r: str(r["error"]),
        lambda r: (r["prompt_eval_count"], r["eval_count"]), "ollama",
    ),
}  # fmt: skip
CLIENTS = tuple(SPOKEN)
UPSTREAMS = tuple(name for name, spoken in SPOKEN.items() if not spoken.dialect)
