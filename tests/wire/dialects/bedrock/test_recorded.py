"""Every recorded Converse exchange goes through every codec."""

from __future__ import annotations

import json

from freehold.wire.translate import Translation
from tests.wire.dialects.bedrock.samples import DIALECT, QUIRKS, asked, cut_up, meaning, options, read, recorded, written


def test_every_recorded_request_passes_and_comes_back_equal() -> None:
    seen = 0
    for one, model, stream in recorded():
        body = json.dumps(one.request).encode()
        peek = DIALECT.peek(body, "chat", asked(model, stream))
        assert json.loads(DIALECT.patch(peek, model, QUIRKS)[0]) == one.request, one.id
        assert DIALECT.input_text(peek), one.id
        encoded, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), model, QUIRKS)
        assert (json.loads(encoded), dropped) == (one.request, ()), one.id
        seen += 1
    assert seen == 112


def test_every_recorded_reply_passes_unchanged_and_is_understood() -> None:
    seen = 0
    for one, model, stream in recorded():
        if one.status != 200:
            continue
        peek = DIALECT.peek(json.dumps(one.request).encode(), "chat", asked(model, stream))
        tap = DIALECT.tap(peek, QUIRKS, stream, len)
        size = 1 + seen % 50
        out = b"".join(tap.feed(chunk) for chunk in cut_up(one.response, list(range(0, len(one.response), size)))) + tap.close()
        assert out == one.response, one.id
        assert tap.done and tap.failure is None and tap.finish and tap.usage is not None and tap.usage.input, one.id
        translation = Translation(DIALECT.reader(stream), DIALECT.writer(options(False)), len)
        translation.feed(one.response)
        translation.close()
        assert translation.usage is not None
        translation.usage.extras = {}
        assert (translation.usage, translation.finish) == (tap.usage, tap.finish), one.id
        assert (tap.produced() > 0) == (translation.produced() > 0), one.id
        seen += 1
    assert seen == 108


def test_every_recorded_reply_means_the_same_in_any_chunking_and_when_written_again() -> None:
    seen = 0
    for one, _, stream in recorded():
        if one.status != 200:
            continue
        events = read(one.response, stream)
        assert read(one.response, stream, list(range(0, len(one.response), 1 + seen % 40))) == events, one.id
        for stream_out in (True, False):
            assert meaning(read(written(events, stream_out), stream_out)) == meaning(events), (one.id, stream_out)
        if not stream:
            assert json.loads(written(events, False)) == json.loads(one.response), one.id
        seen += 1
    assert seen == 108


def test_every_recorded_error_is_read() -> None:
    seen = 0
    for one, _, _ in recorded():
        if one.status >= 400:
            error = DIALECT.decode_error(one.status, one.response, "aws")
            assert error.status == one.status and error.message, one.id
            assert one.status == 403 or error.message in json.loads(one.response)["message"], one.id
            seen += 1
    assert seen == 4
