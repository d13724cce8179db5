"""Every recorded v2 chat, through every codec of this dialect."""

from __future__ import annotations

import json

from freehold.base.errors import Unsupported
from freehold.wire.chat import End, UsageReport
from freehold.wire.dialect import Quirks, WriterOptions
from freehold.wire.fold import fold
from freehold.wire.registry import DIALECTS
from freehold.wire.translate import Translation
from tests.traffic import Recorded, exchanges

from .samples import DIALECT, cut, dump, encoded, events_of, read, write


def chats() -> list[Recorded]:
    found = [one for one in exchanges(provider="cohere") if one.url.endswith("/v2/chat")]
    assert len(found) > 70
    return found


def answered() -> list[Recorded]:
    return [one for one in chats() if one.status == 200]


def cuts_of(one: Recorded) -> list[int]:
    """Odd places, different for each recording, the same in every run."""
    return [(int(one.id[:8], 16) * (n + 1) * 2_654_435_761) % (len(one.response) + 1) for n in range(30)]


def test_every_recorded_request_decodes_and_encodes_to_equal_json() -> None:
    for one in chats():
        peek = DIALECT.peek(dump(one.request), "chat")
        assert encoded(DIALECT.decode_request(peek), peek.model) == (one.request, ()), one.id


def test_every_recorded_request_passes_unchanged() -> None:
    for one in chats():
        peek = DIALECT.peek(dump(one.request), "chat")
        assert peek.stream == one.stream and DIALECT.input_text(peek).strip(), one.id
        body, dropped = DIALECT.patch(peek, peek.model, Quirks())
        assert (json.loads(body), dropped) == (one.request, ()), one.id


def test_every_recorded_request_crosses_to_the_other_chat_dialects() -> None:
    for one in chats():
        request = DIALECT.decode_request(DIALECT.peek(dump(one.request), "chat"))
        for name in ("openai_chat", "anthropic"):
            try:
                _, dropped = DIALECTS[name].encode_request(request, "m", Quirks())
            except Unsupported as error:
                raise AssertionError(f"{one.id} to {name}: {error.message}") from None
            assert set(dropped) <= {"reasoning", "reasoning_effort"}, one.id


def test_every_recorded_reply_passes_and_tells_the_same_in_any_chunking() -> None:
    for one in answered():
        peek = DIALECT.peek(dump(one.request), "chat")
        told = []
        for cuts in ([], cuts_of(one)):
            relay = DIALECT.tap(peek, Quirks(), one.is_sse, lambda text: len(text) // 4)
            out = b"".join(relay.feed(piece) for piece in cut(one.response, cuts)) + relay.close()
            assert out == one.response, one.id
            told.append((relay.usage, relay.done, relay.failure, relay.finish, relay.produced()))
        assert told[0] == told[1], one.id
        usage, done, failure, finish, produced = told[0]
        assert done and failure is None and usage is not None and finish, one.id
        assert 0.3 < produced / usage.output < 4, one.id  # an estimate, but of the right text
        reports = [event.usage for event in read(one.response, one.is_sse) if isinstance(event, UsageReport)]
        reports[-1].extras = {}
        assert reports[-1] == usage, one.id


def test_every_recorded_reply_reads_the_same_in_any_chunking() -> None:
    for one in answered():
        events = read(one.response, one.is_sse)
        assert events == read(one.response, one.is_sse, cuts_of(one)), one.id
        assert type(events[-1]) is End, one.id


def test_every_recorded_reply_is_written_as_it_was() -> None:
    for one in answered():
        written = write(read(one.response, one.is_sse), one.is_sse)
        if one.is_sse:
            assert events_of(written) == events_of(one.response), one.id
        else:
            assert json.loads(written) == json.loads(one.response), one.id


def test_every_recorded_reply_is_the_same_whole_and_streamed() -> None:
    for one in answered():
        events = read(one.response, one.is_sse)
        reply = fold(events, "cohere")
        for stream in (False, True):
            again = fold(read(write(events, stream), stream), "cohere")
            assert [c.parts for c in again.choices] == [c.parts for c in reply.choices], one.id
            assert (again.id, again.usage, again.choices[0].finish) == (reply.id, reply.usage, reply.choices[0].finish)


def test_every_recorded_reply_reaches_the_other_chat_dialects_whole() -> None:
    for one in answered():
        for name in ("openai_chat", "anthropic"):
            for stream in (False, True):
                options = WriterOptions(stream=stream, model="asked", call_id="c", created_s=1, include_usage=True)
                relay = Translation(DIALECT.reader(one.is_sse), DIALECTS[name].writer(options), len)
                data = relay.feed(one.response) + relay.close()
                assert relay.done, one.id
                reader = DIALECTS[name].reader(stream)
                there = fold(reader.feed(data) + reader.close(), name)
                here = fold(read(one.response, one.is_sse), "cohere")
                for kind in ("text", "arguments"):
                    said = ["".join(getattr(part, kind, "") or "" for part in r.choices[0].parts) for r in (here, there)]
                    if name == "openai_chat" and kind == "text":  # thinking and content are two fields there
                        said = ["".join(sorted(text)) for text in said]
                    assert said[0].replace("{}", "") == said[1].replace("{}", ""), (one.id, name, stream)
                assert there.usage is not None and there.usage.input == relay.usage.input, one.id  # type: ignore[union-attr]


def test_every_recorded_error_is_decoded_without_its_secrets() -> None:
    errors = [one for one in chats() if one.status >= 400]
    assert len(errors) >= 2
    for one in errors:
        error = DIALECT.decode_error(one.status, one.response, "cohere")
        assert error.status == one.status and "***" not in error.message and "without a readable" not in error.message
