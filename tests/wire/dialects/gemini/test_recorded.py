"""Every recorded generateContent, streamGenerateContent, countTokens and batchEmbedContents exchange, through every codec."""

from __future__ import annotations

import json
from typing import Any

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import End, Failure, UsageReport
from freehold.wire.dialect import Asked, Kind
from tests.traffic import Recorded, exchanges

from .bodies import DIALECT, PLAIN, chunks_of, cut, dump, merged, read, write

GENERATE = ("generateContent", "streamGenerateContent")
KINDS: dict[str, Kind] = {"countTokens": "count_tokens", "batchEmbed": "embeddings"}


def recorded(*endpoints: str, status: int | None = None) -> list[Recorded]:
    found = exchanges(endpoint=endpoints, provider=("gemini", "vertex"))
    # A batch of requests to be answered later is another API under the same name.
    return [one for one in found if "batch" not in one.request and (status is None or one.status == status)]


def asked_of(one: Recorded) -> Asked:
    model = one.url.rpartition("/models/")[2].partition(":")[0]
    return Asked(model=model, stream=one.endpoint == "streamGenerateContent", query={"alt": "sse"})


def replies_of(one: Recorded) -> list[dict[str, Any]]:
    if one.is_sse:
        return chunks_of(one.response)
    value = json.loads(one.response)
    return value if isinstance(value, list) else [value]


def as_array(one: Recorded) -> bytes:
    """A recorded stream in the form that Google sends without `alt=sse`."""
    if not one.is_sse:
        return one.response
    lines = [line.strip()[6:] for line in one.response.split(b"\n") if line.startswith(b"data: ")]
    return b"[" + b",\r\n".join(lines) + b"]"


def cuts_of(one: Recorded) -> list[int]:
    """Odd places, different for each recording, the same in every run."""
    seed = int(one.id[:8], 16)
    return [(seed * (n + 1) * 2_654_435_761) % (len(one.response) + 1) for n in range(30)]


def test_the_recordings_are_all_here() -> None:
    counts = {endpoint: len(recorded(endpoint)) for endpoint in (*GENERATE, *KINDS)}
    assert counts == {"generateContent": 235, "streamGenerateContent": 113, "countTokens": 4, "batchEmbed": 7}


def test_every_recorded_request_decodes_and_encodes_to_equal_json() -> None:
    refused = []
    for one in recorded(*GENERATE):
        try:
            peek = DIALECT.peek(dump(one.request), "chat", asked_of(one))
            request = DIALECT.decode_request(peek)
        except InvalidRequest:
            refused.append(one.status)
            continue
        body, dropped = DIALECT.encode_request(request, peek.model, PLAIN)
        assert json.loads(body) == one.request, one.id
        assert dropped == (), one.id
    assert refused == [400]  # the role that the provider refused too


def test_every_recorded_request_passes_unchanged_and_has_a_path() -> None:
    for one in recorded(*GENERATE, *KINDS):
        kind = KINDS.get(one.endpoint, "chat")
        peek = DIALECT.peek(dump(one.request), kind, asked_of(one))
        body, dropped = DIALECT.patch(peek, peek.model, PLAIN)
        assert (json.loads(body), dropped) == (one.request, ()), one.id
        assert DIALECT.input_text(peek).strip(), one.id
        path = DIALECT.path(kind, peek, peek.model)
        assert path is not None and (path in one.url or "%24alt" in one.url), one.id


def test_every_recorded_reply_passes_and_tells_the_same_in_any_chunking() -> None:
    for one in recorded(*GENERATE, *KINDS, status=200):
        peek = DIALECT.peek(dump(one.request), KINDS.get(one.endpoint, "chat"), asked_of(one))
        told: list[Any] = []
        for cuts in ([], cuts_of(one)):
            relay = DIALECT.tap(peek, PLAIN, one.is_sse, len)
            out = b"".join(relay.feed(piece) for piece in cut(one.response, cuts)) + relay.close()
            assert out == one.response, one.id
            told.append((relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()))
        assert told[0] == told[1], one.id
        assert told[0][1] and told[0][2] is None, one.id
        if one.endpoint in GENERATE:
            assert told[0][0] is not None and told[0][3] and told[0][4], one.id


def test_every_recorded_reply_reads_the_same_in_any_chunking_and_as_the_tap_reads_it() -> None:
    for one in recorded(*GENERATE, status=200):
        events = read(one.response, one.is_sse)
        assert events == read(one.response, one.is_sse, cuts_of(one)), one.id
        assert type(events[-1]) is End and not any(type(event) is Failure for event in events), one.id
        relay = DIALECT.tap(DIALECT.peek(dump(one.request), "chat", asked_of(one)), PLAIN, one.is_sse, len)
        relay.feed(one.response)
        relay.close()
        usage = [event.usage for event in events if isinstance(event, UsageReport)][-1]
        usage.extras = {}
        assert usage == relay.usage, one.id


def test_every_recorded_reply_written_again_is_equal_json() -> None:
    for one in recorded(*GENERATE, status=200):
        written = write(read(one.response, one.is_sse), one.is_sse)
        if one.is_sse:
            assert merged(chunks_of(written)) == merged(replies_of(one)), one.id
        elif isinstance(json.loads(one.response), dict):
            assert json.loads(written) == json.loads(one.response), one.id
        else:
            assert merged([json.loads(written)]) == merged(replies_of(one)), one.id


def test_every_recorded_stream_reads_the_same_as_a_json_array_and_is_written_as_one() -> None:
    for one in recorded("streamGenerateContent", status=200):
        chunks = replies_of(one)
        array = as_array(one)
        assert read(array, stream=False) == read(one.response, one.is_sse), one.id
        assert read(array, stream=True, cuts=cuts_of(one)) == read(one.response, one.is_sse), one.id
        body = DIALECT.peek(dump(one.request), "chat", Asked(model="m", stream=True))
        assert (body.form, body.stream_type) == ("array", b"application/json")
        written = write(read(one.response, one.is_sse), peek=body)
        assert merged(json.loads(written)) == merged(chunks), one.id


def test_every_recorded_error_is_decoded() -> None:
    for one in recorded(*GENERATE):
        if one.status < 400:
            continue
        error = DIALECT.decode_error(one.status, one.response, one.provider)
        assert error.error_type == json.loads(one.response)["error"]["status"], one.id
        assert error.status == (401 if error.code == "API_KEY_INVALID" else one.status), one.id
        assert "no readable message" not in error.message, one.id


def test_every_recorded_embedding_request_and_reply_survives_its_codec() -> None:
    codec = DIALECT.embeddings
    assert codec is not None
    for one in recorded("batchEmbed"):
        if "inline_data" in json.dumps(one.request):
            continue
        request = codec.decode_request(DIALECT.peek(dump(one.request), "embeddings", asked_of(one)))
        assert json.loads(codec.encode_request(request, asked_of(one).model)[0]) == one.request
        reply = codec.decode_reply(one.response)
        assert json.loads(codec.encode_reply(reply, request))["embeddings"] == json.loads(one.response)["embeddings"]
