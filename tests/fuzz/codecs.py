"""Damaged recordings through every codec: nothing raises but what is meant to be shown, chunking changes nothing."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from freehold.base.errors import ClientError, UpstreamRefused
from freehold.wire.chat import Failure
from freehold.wire.dialect import Asked, Dialect, Kind, Peek, Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from tests.fuzz.mutate import octets, pieces, structure
from tests.traffic import Recorded, exchanges

LARGE = 20_000  # bytes: larger recordings only cost time
PLAIN = Quirks()
CHATS = [d for d in DIALECTS.values() if any(path.kind == "chat" for path in d.client_paths)]

_ENDPOINTS: dict[str, tuple[str, Kind]] = {
    "chat/completions": ("openai_chat", "chat"),
    "responses": ("openai_responses", "chat"),
    "completions": ("openai_completions", "chat"),
    "embeddings": ("openai_chat", "embeddings"),
    "messages": ("anthropic", "chat"),
    "messages/count_tokens": ("anthropic", "count_tokens"),
    "generateContent": ("gemini", "chat"),
    "streamGenerateContent": ("gemini", "chat"),
    "batchEmbed": ("gemini", "embeddings"),
    "converse": ("bedrock", "chat"),
    "converse-stream": ("bedrock", "chat"),
    "invoke": ("bedrock_invoke", "chat"),
    "invoke-with-response-stream": ("bedrock_invoke", "chat"),
    "/chat": ("cohere", "chat"),
    "rerank": ("cohere", "rerank"),
    "/api/chat": ("ollama", "chat"),
    "/api/generate": ("ollama", "chat"),
}
_IN_PATH = re.compile(r"/models?/([^/:?]+(?:%3A[^/:?]+)?)")


@dataclass(frozen=True)
class Seed:
    """One recording and how it is opened."""

    recorded: Recorded
    dialect: Dialect
    kind: Kind
    asked: Asked
    stream: bool


def seeds() -> list[Seed]:
    return list(_seeds())


def _seeds() -> Iterator[Seed]:
    for one in exchanges(_ENDPOINTS):
        if len(json.dumps(one.request)) + len(one.response) > LARGE:
            continue
        name, kind = _ENDPOINTS[one.endpoint]
        dialect = DIALECTS[name]
        found = _IN_PATH.search(one.url)
        streams = "stream" in one.endpoint.lower() or one.is_sse or one.stream
        path = next((p.path for p in dialect.client_paths if p.path.endswith(one.endpoint)), "")
        model = unquote(found[1]) if found else "model"
        asked = Asked(model, "stream" in one.endpoint.lower() or None, {"alt": "sse"}, path)
        yield Seed(one, dialect, kind, asked, streams)


def try_request(seed: Seed, dice: random.Random) -> None:
    """A damaged request is refused with a ClientError, or opens, and then crosses to any dialect or is refused by it."""
    good = json.dumps(structure(seed.recorded.request, dice)).encode()
    body = octets(good, dice) if dice.random() < 0.3 else good
    try:
        peek = seed.dialect.peek(body, seed.kind, seed.asked)
    except ClientError:
        return
    seed.dialect.input_text(peek)
    seed.dialect.patch(peek, "another-model", PLAIN)
    seed.dialect.path(seed.kind, peek, "another-model")
    if seed.kind == "chat":
        try:
            request = seed.dialect.decode_request(peek)
        except ClientError:
            return
        target = dice.choice(CHATS)
        try:
            target.encode_request(request, dice.choice(("model", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-4o")), PLAIN)
        except ClientError:
            return


def try_reply(seed: Seed, dice: random.Random) -> None:
    """A damaged reply is read or is a Failure; it is written, and passed on, the same however it is cut."""
    data = octets(seed.recorded.response, dice)
    peek = _peek_of(seed)
    if peek is None:
        return
    once, cut = (_passed(seed, peek, parts) for parts in ([data], pieces(data, dice)))
    if once[3] is None and cut[3] is None and not (once[2] or cut[2]):
        assert once[0] == cut[0], "the tap changes bytes, depending on where they are cut"
    elif once[3] is None and cut[3] is None:
        assert once == cut, f"the tap depends on where the bytes are cut: {once[1:]} {cut[1:]}"
    else:  # how early a tap sees that a stream is broken, or what a cut one told, may depend on the cuts; its bytes may not
        shorter = min(len(once[0]), len(cut[0]))
        assert once[0][:shorter] == cut[0][:shorter], "the tap changes bytes, depending on where they are cut"
    if seed.kind != "chat":
        return
    events, cut_events = (_events(seed, parts) for parts in ([data], pieces(data, dice)))
    good, cut_good = _good(events), _good(cut_events)
    if len(good) == len(events):
        assert events == cut_events, "the reader depends on where the bytes are cut"
    else:
        assert len(cut_good) < len(cut_events), "the reader sees a failure or not, depending on where the bytes are cut"
        shorter = min(len(good), len(cut_good))
        assert good[:shorter] == cut_good[:shorter], "the reader depends on where the bytes are cut"
    client = dice.choice(CHATS)
    writer = client.writer(WriterOptions(dice.random() < 0.5, "model", "call_1", 1, True))
    for event in good:
        writer.write([event])
    writer.close()


def try_error(seed: Seed, dice: random.Random) -> None:
    """Whatever an upstream calls an error becomes one of ours."""
    body = octets(seed.recorded.response[:2000], dice)
    error = seed.dialect.decode_error(dice.choice((400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 529)), body, "lab")
    assert isinstance(error, UpstreamRefused)
    for dialect in DIALECTS.values():
        dialect.encode_error(error, "call_1")
        if dialect in CHATS:
            dialect.encode_stream_error(error, "call_1")


def _peek_of(seed: Seed) -> Peek | None:
    try:
        return seed.dialect.peek(json.dumps(seed.recorded.request).encode(), seed.kind, seed.asked)
    except ClientError:
        return None


def _passed(seed: Seed, peek: Peek, parts: list[bytes]) -> tuple[Any, ...]:
    relay = seed.dialect.tap(peek, PLAIN, seed.stream, len)
    out = b"".join([relay.feed(part) for part in parts if part]) + relay.close()
    return out, relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()


def _events(seed: Seed, parts: list[bytes]) -> list[Any]:
    reader = seed.dialect.reader(seed.stream)
    events: list[Any] = []
    for part in parts:
        if part:
            events += reader.feed(part)
    return events + reader.close()


def _good(events: list[Any]) -> list[Any]:
    """Up to the first Failure."""
    return events[: next((n for n, event in enumerate(events) if isinstance(event, Failure)), len(events))]


TRIES = (try_request, try_request, try_reply, try_reply, try_error)
