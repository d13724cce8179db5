"""Every recorded chat completion and embeddings exchange, through every codec of this dialect."""

from __future__ import annotations

import json
from typing import Any

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import ChatReply, End, Failure, Text, Thinking, ToolUse, UsageReport
from freehold.wire.fold import Fold
from tests.traffic import Recorded, exchanges

from .bodies import ALWAYS, DIALECT, cut, dump, read, write

# Bedrock's and Ollama's own embeddings APIs share the endpoint's name, not its dialect.
FOREIGN = {"90ba9c1360af", "1e3541d08f77"}


def answered(endpoint: str) -> list[Recorded]:
    return [one for one in exchanges(endpoint=endpoint) if one.status == 200 and one.id not in FOREIGN]


def fold_of(one: Recorded, body: bytes, cuts: list[int] | None = None) -> tuple[ChatReply, bool]:
    collected = Fold("openai_chat")
    collected.add(read(body, one.is_sse, cuts))
    return collected.reply(), collected.done


def cuts_of(one: Recorded) -> list[int]:
    """Odd places, different for each recording, the same in every run."""
    seed = int(one.id[:8], 16)
    return [(seed * (n + 1) * 2_654_435_761) % (len(one.response) + 1) for n in range(30)]


def test_every_recorded_request_decodes_and_encodes_to_equal_json() -> None:
    refused = []
    for one in exchanges(endpoint="chat/completions"):
        try:
            peek = DIALECT.peek(dump(one.request), "chat")
        except InvalidRequest:
            refused.append(one.status)
            continue
        body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, ALWAYS)
        assert json.loads(body) == one.request, one.id
        assert dropped == (), one.id
    assert set(refused) <= {400}  # we refuse only what the provider refused too


def test_every_recorded_request_passes_unchanged() -> None:
    for endpoint, kind in (("chat/completions", "chat"), ("embeddings", "embeddings")):
        for one in answered(endpoint):
            peek = DIALECT.peek(dump(one.request), kind)  # type: ignore[arg-type]
            body, dropped = DIALECT.patch(peek, peek.model, ALWAYS)
            assert (json.loads(body), dropped) == (one.request, ()), one.id
            assert DIALECT.input_text(peek).strip(), one.id


def test_every_recorded_reply_passes_and_tells_the_same_in_any_chunking() -> None:
    peek = DIALECT.peek(dump({"model": "m", "messages": [{}]}), "chat")
    for endpoint in ("chat/completions", "embeddings"):
        for one in answered(endpoint):
            told: list[Any] = []
            for cuts in ([], cuts_of(one)):
                relay = DIALECT.tap(peek, ALWAYS, one.is_sse, len)
                out = b"".join(relay.feed(piece) for piece in cut(one.response, cuts)) + relay.close()
                assert out == one.response, one.id
                told.append((relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()))
            assert told[0] == told[1], one.id
            assert told[0][1] or told[0][2] is not None, one.id


def test_every_recorded_reply_reads_the_same_in_any_chunking_and_as_the_tap_reads_it() -> None:
    peek = DIALECT.peek(dump({"model": "m", "messages": [{}]}), "chat")
    for one in answered("chat/completions"):
        events = read(one.response, one.is_sse)
        assert events == read(one.response, one.is_sse, cuts_of(one)), one.id
        assert type(events[-1]) in (End, Failure), one.id
        relay = DIALECT.tap(peek, ALWAYS, one.is_sse, len)
        relay.feed(one.response)
        relay.close()
        reports = [event.usage for event in events if isinstance(event, UsageReport)]
        for report in reports:
            report.extras = {}
        assert (reports[-1] if reports else None) == relay.usage, one.id


def test_every_recorded_reply_written_again_reads_the_same() -> None:
    for one in answered("chat/completions"):
        reply, done = fold_of(one, one.response)
        if not done:
            continue
        again, done = fold_of(one, write(read(one.response, one.is_sse), one.is_sse, include_usage=True))
        assert done, one.id
        assert meaning(again) == meaning(reply), one.id


def meaning(reply: ChatReply) -> list[Any]:
    """What must survive being written: empty texts may go, an empty call becomes {}."""
    choices = []
    for choice in reply.choices:
        parts: list[Any] = []
        for part in choice.parts:
            if isinstance(part, Text) and part.text:
                parts.append(("text", part.text, [bytes(raw) for raw in part.citations]))
            elif isinstance(part, Thinking):
                parts.append(("thinking", part.text, part.signature, part.redacted))
            elif isinstance(part, ToolUse):
                parts.append(("tool", part.id, part.name, part.arguments or "{}"))
        logprobs = None if choice.logprobs is None else json.loads(bytes(choice.logprobs))
        choices.append((choice.index, choice.finish, parts, logprobs))
    usage = reply.usage
    return [
        reply.id,
        reply.model,
        choices,
        None if usage is None else (usage.input, usage.output, usage.cache_read, usage.reasoning),
    ]


def test_every_recorded_error_is_decoded_without_its_secrets() -> None:
    for endpoint in ("chat/completions", "embeddings"):
        for one in exchanges(endpoint=endpoint):
            if one.status < 400:
                continue
            error = DIALECT.decode_error(one.status, one.response, one.provider)
            assert error.status == one.status
            assert "sk-" not in error.message, one.id
            assert "without a readable reason" not in error.message, one.id
