"""Every recorded Responses exchange, through every codec of this dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.chat import End, UsageReport
from tests.traffic import Recorded, cases, exchanges

from .bodies import DIALECT, QUIRKS, as_the_sdk_reads, cut, dump, opened, read, write

# The provider itself rounds the log probabilities of the whole text otherwise than those of its deltas.
ROUNDED = "39d79f22b05d"


def is_count(one: Recorded) -> bool:
    return one.url.endswith("/input_tokens")


def answered() -> list[Recorded]:
    return [one for one in exchanges(endpoint="responses") if one.status == 200]


def replies() -> list[Recorded]:
    return [one for one in answered() if not is_count(one)]


def cuts_of(one: Recorded) -> list[int]:
    """Odd places, different for each recording, the same in every run."""
    seed = int(one.id[:8], 16)
    return [(seed * (n + 1) * 2_654_435_761) % (len(one.response) + 1) for n in range(30)]


def test_every_recorded_request_decodes_and_encodes_to_equal_json() -> None:
    equal, refused = 0, []
    for one in exchanges(endpoint="responses"):
        peek = DIALECT.peek(dump(one.request), "count_tokens" if is_count(one) else "chat")
        try:
            request = DIALECT.decode_request(peek)
        except InvalidRequest as error:
            refused.append(error.param)
            continue
        body, dropped = DIALECT.encode_request(request, peek.model, QUIRKS)
        assert json.loads(body) == one.request, one.id
        assert dropped == (), one.id
        equal += 1
    assert equal > 500
    assert set(refused) == {"previous_response_id"}


def test_every_request_of_the_cases_decodes_and_encodes_to_equal_json() -> None:
    equal = 0
    for case in cases():
        for turn in ("", "followup-"):
            request = case.of("responses", turn).get("request")
            if request is not None:
                peek = DIALECT.peek(dump(request), "chat")
                body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, QUIRKS)
                assert (json.loads(body), dropped) == (request, ()), case.name
                equal += 1
    assert equal > 40


def test_every_recorded_request_passes_unchanged() -> None:
    for one in answered():
        peek = DIALECT.peek(dump(one.request), "count_tokens" if is_count(one) else "chat")
        body, dropped = DIALECT.patch(peek, peek.model, QUIRKS)
        assert (json.loads(body), dropped) == (one.request, ()), one.id
        assert peek.stream == one.stream
        assert DIALECT.input_text(peek).strip(), one.id


def test_every_recorded_reply_passes_and_tells_the_same_in_any_chunking() -> None:
    for one in answered():
        told: list[Any] = []
        for cuts in ([], cuts_of(one)):
            relay = DIALECT.tap(opened(), QUIRKS, one.is_sse, len)
            out = b"".join(relay.feed(piece) for piece in cut(one.response, cuts)) + relay.close()
            assert out == one.response, one.id
            told.append((relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()))
        assert told[0] == told[1], one.id
        assert told[0][1] and told[0][2] is None, one.id
        assert is_count(one) or (told[0][0] and told[0][3] and told[0][4] and told[0][5]), one.id


def test_every_recorded_reply_reads_the_same_in_any_chunking_and_as_the_tap_reads_it() -> None:
    for one in replies():
        events = read(one.response, one.is_sse)
        assert events == read(one.response, one.is_sse, cuts_of(one)), one.id
        assert type(events[-1]) is End, one.id
        relay = DIALECT.tap(opened(), QUIRKS, one.is_sse, len)
        relay.feed(one.response)
        relay.close()
        reports = [event.usage for event in events if isinstance(event, UsageReport)]
        for report in reports:
            report.extras = {}
        assert reports == [relay.usage], one.id


def last_response(one: Recorded) -> bytes:
    """The recorded reply as one object."""
    if not one.is_sse:
        return one.response
    data = [json.loads(line[5:]) for line in one.response.decode().splitlines() if line.startswith("data:")]
    return dump(next(event["response"] for event in reversed(data) if "response" in event))


def comparable(reply: dict[str, Any], provider: str) -> dict[str, Any]:
    for item in reply["output"]:
        item.pop("encrypted_content", None)  # OpenAI encrypts it anew for each event that holds it
        if provider == "bedrock" and item["type"] == "function_call":
            item.pop("id", None)  # gives none; ours has one
        for part in item.get("content") or []:
            if part["type"] == "output_text":
                part.setdefault("logprobs", [])  # required, but some leave it out
    return reply


@pytest.mark.parametrize("stream", [False, True])
def test_the_official_sdk_reads_every_recorded_reply_the_same_after_it_was_read_and_written(stream: bool) -> None:
    equal = 0
    for one in replies():
        if one.id == ROUNDED:
            continue
        expected = comparable(as_the_sdk_reads(last_response(one), False), one.provider)
        written = write(read(one.response, one.is_sse), stream, DIALECT.peek(dump(one.request), "chat"))
        got = comparable(as_the_sdk_reads(written, stream), one.provider)
        # Required fields that the provider left out are filled in.
        assert {name: got.get(name) for name in expected} == expected, one.id
        equal += 1
    assert equal > 500


def test_every_recorded_error_is_decoded_without_its_secrets() -> None:
    seen = 0
    for one in exchanges(endpoint="responses"):
        if one.status < 400:
            continue
        error = DIALECT.decode_error(one.status, one.response, one.provider)
        assert error.status == one.status
        assert "****" not in error.message and "without a readable reason" not in error.message, one.id
        seen += 1
    assert seen == 12
