"""The built-in upstream: answers from inside the process, so that a fresh install works without any provider key.

Speaks the OpenAI chat dialect behind the same port as a real server (`answer` stands in for a connection). Everything
it says is labelled as the sandbox's. Its usage is honest about what it is: one token per whitespace-separated word
of the messages' text, as no model and no tokenizer is involved. Embeddings are hashes: stable, and without meaning.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
import time
from typing import Any

import msgspec

from freehold.upstream.reply import Reply

MODEL = "echo"
DIMENSIONS = 8
WORD_DELAY_S = 0.02  # between two streamed words, so that a stream can be seen to be one
_JSON = b"application/json"
_SSE = b"text/event-stream"

Json = dict[str, Any]


class Refused(Exception):
    """An error reply in OpenAI's form."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


async def answer(head: bytes, body: bytes) -> Reply:
    """A reply to one HTTP request, as `Pool.send` would return it. Never raises on bad input: that is a 4xx reply."""
    target = head.split(b" ", 2)[1].split(b"?", 1)[0] if head.count(b" ") > 1 else b""
    try:
        if target.endswith(b"/models"):
            return whole(200, {"object": "list", "data": [model_card()]})
        request = decode(body)
        if target.endswith(b"/chat/completions"):
            return chat(request)
        if target.endswith(b"/embeddings"):
            return whole(200, embed(request))
        raise Refused(404, "the sandbox has /chat/completions, /embeddings and /models only")
    except Refused as refusal:
        return whole(refusal.status, refusal.body)


class Script:
    """Feeds a streamed reply piece by piece on a timer. A reply.Source."""

    def __init__(self, pieces: list[bytes], delay_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces = pieces[::-1]
        self._delay_s = delay_s
        self._timer: asyncio.TimerHandle | None = None
        self.reply = new_reply(self, 200, _SSE)
        self._step()

    def pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def resume(self) -> None:
        if self._timer is None and self._pieces:
            self._timer = self._loop.call_later(self._delay_s, self._step)

    def abort(self) -> None:
        self._pieces.clear()
        self.pause()

    def _step(self) -> None:
        self._timer = None
        piece = self._pieces.pop()
        if not self._pieces:
            self.reply.finish(piece)
            return
        self._timer = self._loop.call_later(self._delay_s, self._step)
        self.reply.feed(piece)  # may pause or abort: then the timer just set is cancelled


class Nothing:
    """The source of a reply that is whole from the start."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...


def new_reply(source: Script | Nothing, status: int, content_type: bytes) -> Reply:
    reply = Reply(source, asyncio.get_running_loop())
    reply.status = status
    reply.head = b"HTTP/1.1 %d \r\ncontent-type: %b\r\nx-freehold-sandbox: true" % (status, content_type)
    return reply


def whole(status: int, body: Json) -> Reply:
    reply = new_reply(Nothing(), status, _JSON)
    reply.finish(msgspec.json.encode(body))
    return reply


def decode(body: bytes) -> Json:
    try:
        request = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Refused(400, "the request body is not valid JSON") from None
    if not isinstance(request, dict):
        raise Refused(400, "the request body must be a JSON object")
    return request


def chat(request: Json) -> Reply:
    expect_model(request)
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages must be a list with at least one message", param="messages")
    said = [(message.get("role"), text_of(message.get("content"))) for message in messages if isinstance(message, dict)]
    last = next((text for role, text in reversed(said) if role == "user"), "")
    words = f"[sandbox] You said: {last}".split(" ")
    finish = "stop"
    limit = request.get("max_completion_tokens", request.get("max_tokens"))
    if isinstance(limit, int) and not isinstance(limit, bool) and 0 < limit < len(words):
        words, finish = words[:limit], "length"
    reply_text = " ".join(words)
    prompt = sum(len(text.split()) for _, text in said)
    completion = len(reply_text.split())
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    shared = {"id": reply_id(request), "created": int(time.time()), "model": MODEL}
    if request.get("stream") is not True:
        message = {"role": "assistant", "content": reply_text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return whole(200, {**shared, "object": "chat.completion", "choices": [choice], "usage": usage})
    options = request.get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True
    return Script(stream(shared, words, finish, usage if asked else None), WORD_DELAY_S).reply


def stream(shared: Json, words: list[str], finish: str, usage: Json | None) -> list[bytes]:
    """The events of a streamed reply, one for each word. With `usage`, every chunk has the field, as at OpenAI."""
    shared = {**shared, "object": "chat.completion.chunk"}
    tail: Json = {} if usage is None else {"usage": None}

    def event(delta: Json, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return b"data: " + msgspec.json.encode({**shared, "choices": [choice], **tail}) + b"\n\n"

    events = [event({"role": "assistant", "content": ""})]
    events += [event({"content": word if i == 0 else f" {word}"}) for i, word in enumerate(words)]
    events.append(event({}, finish))
    if usage is not None:
        events.append(b"data: " + msgspec.json.encode({**shared, "choices": [], "usage": usage}) + b"\n\n")
    events.append(b"data: [DONE]\n\n")
    return events


def embed(request: Json) -> Json:
    expect_model(request)
    given = request.get("input")
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not inputs or not all(isinstance(text, str) for text in inputs):
        raise Refused(400, "input must be a string or a list of strings", param="input")
    form = request.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise Refused(400, 'encoding_format must be "float" or "base64"', param="encoding_format")
    vectors = [vector(text) for text in inputs]
    shown = [base64.b64encode(struct.pack(f"<{DIMENSIONS}f", *v)).decode() for v in vectors] if form == "base64" else vectors
    data = [{"object": "embedding", "index": i, "embedding": value} for i, value in enumerate(shown)]
    words = sum(len(text.split()) for text in inputs)
    return {
        "object": "list",
        "data": data,
        "model": MODEL,
        "usage": {"prompt_tokens": words, "total_tokens": words},
        "note": "synthetic vectors from the sandbox: stable for a text, without meaning",
    }


def vector(text: str) -> list[float]:
    """DIMENSIONS floats of unit length that depend on the text alone."""
    digest = hashlib.sha256(text.encode()).digest()
    raw = [int.from_bytes(digest[i * 4 : i * 4 + 4], "big") / 2**31 - 1 for i in range(DIMENSIONS)]
    length = sum(x * x for x in raw) ** 0.5 or 1.0
    return [x / length for x in raw]


def expect_model(request: Json) -> None:
    model = request.get("model")
    if model != MODEL:
        shown = model[:100] if isinstance(model, str) else model.__class__.__name__
        raise Refused(404, f"the sandbox has no model {shown!r}; it serves {MODEL!r}", code="model_not_found", param="model")


def model_card() -> Json:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "freehold-sandbox"}


def text_of(content: object) -> str:
    """A message's text: the string itself, or its text parts joined by a space."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return " ".join(text for text in texts if isinstance(text, str))


def reply_id(request: Json) -> str:
    """The same request gets the same id: a sandbox is there to be compared with."""
    return "chatcmpl-sandbox-" + hashlib.sha256(msgspec.json.encode(request)).hexdigest()[:16]
