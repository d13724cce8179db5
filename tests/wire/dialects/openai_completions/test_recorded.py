"""Every recorded text completion, through every codec of this dialect, the official SDK's parser as the judge."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai.types import Completion

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import End, Failure, UsageReport
from freehold.wire.registry import DIALECTS
from tests.traffic import Recorded, exchanges
from tests.wire.dialects.openai_completions.samples import ALWAYS, DIALECT, chunks_of, cut, dump, opened, read, write

WRITERS_STREAM = "20c918e219f7"  # {"value": text} without an end: not this API, though at its path


def recorded() -> list[Recorded]:
    return exchanges(endpoint="completions")


def answered() -> list[Recorded]:
    return [one for one in recorded() if one.status == 200]


def cuts_of(one: Recorded) -> list[int]:
    seed = int(one.id[:8], 16)
    return [(seed * (n + 1) * 2_654_435_761) % (len(one.response) + 1) for n in range(30)]


def test_all_are_here() -> None:
    assert (len(recorded()), len(answered())) == (72, 70)


def test_every_recorded_request_decodes_and_encodes_to_equal_json() -> None:
    for one in recorded():
        try:
            peek = DIALECT.peek(dump(one.request), "chat")
        except InvalidRequest:
            assert one.status == 400
            continue
        body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, ALWAYS)
        assert (json.loads(body), dropped) == (one.request, ()), one.id


def test_every_recorded_request_passes_unchanged() -> None:
    for one in answered():
        peek = DIALECT.peek(dump(one.request), "chat")
        body, dropped = DIALECT.patch(peek, peek.model, ALWAYS)
        assert (json.loads(body), dropped) == (one.request, ()), one.id
        assert DIALECT.input_text(peek).strip(), one.id
        assert peek.max_output == one.request.get("max_tokens")


def test_every_recorded_reply_passes_and_tells_the_same_in_any_chunking() -> None:
    for one in answered():
        told: list[Any] = []
        for cuts in ([], cuts_of(one)):
            relay = DIALECT.tap(opened(), ALWAYS, one.is_sse, len)
            out = b"".join([relay.feed(piece) for piece in cut(one.response, cuts)]) + relay.close()
            assert out == one.response, one.id
            told.append((relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()))
        assert told[0] == told[1], one.id
        assert told[0][1] is (one.id != WRITERS_STREAM), one.id


def test_every_recorded_reply_reads_the_same_in_any_chunking_and_as_the_tap_reads_it() -> None:
    for one in answered():
        events = read(one.response, one.is_sse)
        assert events == read(one.response, one.is_sse, cuts_of(one)), one.id
        assert not any(isinstance(event, Failure) for event in events)
        assert isinstance(events[-1], End) is (one.id != WRITERS_STREAM), one.id
        relay = DIALECT.tap(opened(), ALWAYS, one.is_sse, len)
        relay.feed(one.response)
        relay.close()
        reports = [event.usage for event in events if isinstance(event, UsageReport)]
        for report in reports:
            report.extras = {}
        assert (reports[-1] if reports else None) == relay.usage, one.id


def parsed(value: dict[str, Any]) -> Completion:
    """As the SDK reads a reply: leniently. What we write ourselves must also be valid."""
    return Completion.construct(**value)


def joined(chunks: list[dict[str, Any]]) -> dict[int, list[Any]]:
    """What a client collects: per choice its text and finish reason."""
    found: dict[int, list[Any]] = {}
    for one in chunks:
        for choice in one["choices"]:
            held = found.setdefault(choice.get("index", 0), ["", None])
            held[0] += choice.get("text") or ""
            held[1] = choice["finish_reason"] or held[1]
    return found


def test_every_recorded_reply_written_again_is_the_same_to_the_sdk() -> None:
    streams = wholes = 0
    for one in answered():
        if one.id == WRITERS_STREAM:
            continue
        again = write(read(one.response, one.is_sse), one.is_sse, include_usage=True)
        if one.is_sse:
            first, second = chunks_of(one.response), chunks_of(again)
            assert again.endswith(b"data: [DONE]\n\n")
            assert joined(second) == joined(first), one.id
            assert {c["id"] for c in second} == {c["id"] for c in first} and {c["model"] for c in second} == {
                c["model"] for c in first
            }
            streams += 1
            continue
        told, written = json.loads(one.response), json.loads(again)
        if one.provider == "writer":  # it leaves out what the others always say
            assert [choice["text"] for choice in written["choices"]] == [choice["text"] for choice in told["choices"]]
            continue
        assert written["choices"] == told["choices"], one.id
        Completion.model_validate(written)
        a, b = parsed(written), parsed(told)
        assert (a.id, a.model, a.created, a.choices) == (b.id, b.model, b.created, b.choices), one.id
        assert a.usage is not None and b.usage is not None
        assert (a.usage.prompt_tokens, a.usage.completion_tokens) == (b.usage.prompt_tokens, b.usage.completion_tokens)
        wholes += 1
    assert (streams, wholes) == (22, 46)


def test_every_recorded_prompt_crosses_or_is_refused() -> None:
    crossed = refused = 0
    for one in answered():
        request = DIALECT.decode_request(DIALECT.peek(dump(one.request), "chat"))
        prompt = one.request["prompt"]
        only_here = prompt[1:] or not isinstance(prompt[0], str) if isinstance(prompt, list) else "suffix" in one.request
        for name in ("openai_chat", "anthropic", "ollama"):
            if only_here:
                with pytest.raises(Unsupported):
                    DIALECTS[name].encode_request(request, "claude-sonnet-4-5", ALWAYS)
                refused += 1
                continue
            body, _ = DIALECTS[name].encode_request(request, "claude-sonnet-4-5", ALWAYS)
            (message,) = json.loads(body)["messages"]
            assert message["content"] == (prompt[0] if isinstance(prompt, list) else prompt), one.id
            crossed += 1
    assert crossed > 180 and refused >= 12


def test_every_recorded_error_is_decoded() -> None:
    errors = {one.status: DIALECT.decode_error(one.status, one.response, "openai") for one in recorded() if one.status >= 400}
    assert errors[404].code == "model_not_found" and errors[400].param == "max_tokens"


def test_the_sdk_raises_on_our_errors() -> None:
    import httpx2 as httpx

    body = DIALECT.encode_error(InvalidRequest("no", param="prompt"), "c1")

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, content=body, headers={"content-type": "application/json"})

    client = openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=httpx.Client(transport=httpx.MockTransport(answer)))
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="m", prompt="p")
    assert caught.value.param == "prompt"
