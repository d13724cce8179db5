"""Every recorded exchange of Ollama's own API, through every codec of this dialect."""

from __future__ import annotations

import json
from typing import Any

from freehold.wire.chat import End
from freehold.wire.dialect import Peek
from freehold.wire.fold import fold
from tests.traffic import Recorded, exchanges
from tests.wire.dialects.ollama.samples import (
    CHAT,
    DIALECT,
    EMBEDDINGS,
    GENERATE,
    QUIRKS,
    cut_up,
    dump,
    lines_of,
    read,
    write,
)

EMBEDDING = "1e3541d08f77"  # filed under an OpenAI path, in the older form


def recorded() -> list[Recorded]:
    return exchanges(endpoint=("/api/chat", "/api/generate"))


def peek_of(one: Recorded) -> Peek:
    return DIALECT.peek(dump(one.request), "chat", GENERATE if "prompt" in one.request else CHAT)


def is_stream(one: Recorded) -> bool:
    return b"\n{" in one.response


def cuts_of(one: Recorded) -> list[int]:
    seed = int(one.id[:8], 16)
    return [(seed * (n + 1) * 2_654_435_761) % (len(one.response) + 1) for n in range(30)]


def test_all_are_here() -> None:
    assert len(recorded()) == 19
    assert sum(is_stream(one) for one in recorded()) == 5


def test_every_recorded_request_decodes_and_encodes_to_equal_json() -> None:
    for one in recorded():
        peek = peek_of(one)
        body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, QUIRKS)
        assert (json.loads(body), dropped) == (one.request, ()), one.id
        assert DIALECT.path("chat", peek, peek.model) == ("/api/generate" if "prompt" in one.request else "/api/chat")


def test_every_recorded_request_passes_unchanged() -> None:
    for one in recorded():
        peek = peek_of(one)
        assert json.loads(DIALECT.patch(peek, peek.model, QUIRKS)[0]) == one.request, one.id
        assert peek.stream is one.request.get("stream", True)
        assert DIALECT.input_text(peek).strip(), one.id


def test_every_recorded_reply_passes_and_tells_the_same_in_any_chunking() -> None:
    for one in recorded():
        if one.status != 200:
            continue
        told: list[Any] = []
        for cuts in ([], cuts_of(one), list(range(len(one.response)))):
            relay = DIALECT.tap(peek_of(one), QUIRKS, is_stream(one), len)
            out = b"".join([relay.feed(piece) for piece in cut_up(one.response, cuts)]) + relay.close()
            assert out == one.response, one.id
            told.append((relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()))
        assert told[0] == told[1] == told[2], one.id
        usage, done, failure, model, finish, produced = told[0]
        assert (done, failure, model, finish) == (True, None, one.request["model"], "stop"), one.id
        assert usage is not None and usage.output > 0 and produced > 0
        last = lines_of(one.response)[-1]
        assert (usage.input, usage.output) == (last.get("prompt_eval_count", 0), last["eval_count"]), one.id


def test_every_recorded_reply_reads_the_same_in_any_chunking() -> None:
    for one in recorded():
        if one.status != 200:
            continue
        stream = is_stream(one)
        events = read(one.response, stream)
        assert events == read(one.response, stream, cuts_of(one)), one.id
        assert type(events[-1]) is End, one.id
        (choice,) = fold(events, "ollama").choices
        assert choice.finish == ("tool_use" if "tool" in one.tags else "stop"), one.id


def test_every_recorded_reply_written_again_is_equal() -> None:
    for one in recorded():
        if one.status != 200:
            continue
        stream = is_stream(one)
        again = lines_of(write(read(one.response, stream), stream, peek_of(one)))
        first = lines_of(one.response)
        for line in first:  # each has a time of its own, and empty texts go
            line["created_at"] = first[0]["created_at"]
        held = [line for line in first if line["done"] or line.get("response") or line["message"]["content"]]
        assert again == held, one.id


def test_every_recorded_error_is_decoded() -> None:
    for one in recorded():
        if one.status >= 400:
            error = DIALECT.decode_error(one.status, one.response, "ollama")
            assert (error.status, error.message) == (404, "ollama answered 404: model 'nonexistent-model:latest' not found")


def test_the_recorded_embedding_goes_through_every_codec() -> None:
    (one,) = exchanges(ids=[EMBEDDING])
    codec = DIALECT.embeddings
    assert codec is not None
    peek = DIALECT.peek(dump(one.request), "embeddings", EMBEDDINGS)
    assert json.loads(DIALECT.patch(peek, peek.model, QUIRKS)[0]) == one.request
    request = codec.decode_request(peek)
    assert json.loads(codec.encode_request(request, request.model)[0]) == one.request
    reply = codec.decode_reply(one.response)
    assert json.loads(codec.encode_reply(reply, request)) == json.loads(one.response)
    relay = DIALECT.tap(peek, QUIRKS, False, len)
    assert relay.feed(one.response) + relay.close() == one.response
    assert relay.done and relay.failure is None
