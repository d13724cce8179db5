"""Every recorded InvokeModel exchange passes byte for byte; Claude's go through the translating codecs as well."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from freehold.base.errors import Unsupported
from freehold.wire.chat import ChatReply, ToolUse
from freehold.wire.fold import fold
from tests.wire.dialects.bedrock.samples import plain
from tests.wire.dialects.bedrock_invoke.samples import DIALECT, QUIRKS, cut_up, options, peeked, read, recorded


def test_every_recorded_request_passes_byte_for_byte() -> None:
    seen: Counter[str] = Counter()
    for one, model, stream in recorded():
        peek = peeked(one.request, model, stream)
        assert DIALECT.patch(peek, model, QUIRKS) == (json.dumps(one.request).encode(), ())
        assert DIALECT.input_text(peek) or not one.request, one.id
        if "anthropic_version" not in one.request:
            with pytest.raises(Unsupported):
                DIALECT.decode_request(peek)
            continue
        body, dropped = DIALECT.encode_request(DIALECT.decode_request(peek), model, QUIRKS)
        assert (json.loads(body), dropped) == (one.request, ()), one.id
        assert peek.max_output == one.request["max_tokens"]
        seen["translated"] += 1
    assert seen["translated"] == 75


def test_every_recorded_reply_passes_unchanged_and_says_what_it_used() -> None:
    silent: Counter[str] = Counter()
    seen = 0
    for one, model, stream in recorded():
        if one.status != 200:
            continue
        tap = DIALECT.tap(peeked(one.request, model, stream), QUIRKS, stream, len)
        size = 1 + seen % 50
        out = b"".join(tap.feed(piece) for piece in cut_up(one.response, list(range(0, len(one.response), size)))) + tap.close()
        assert out == one.response and tap.done and tap.failure is None, one.id
        assert tap.produced() > 0 or "embed" in model, one.id
        if tap.usage is None:
            silent[model.split(".")[0]] += 1
        else:
            assert tap.usage.input > 0 and not tap.usage.estimated, one.id
        if stream:
            assert tap.usage is not None and tap.usage.output > 0, one.id
        seen += 1
    assert seen == 134
    # These tell their counts in headers only.
    assert silent.keys() <= {"cohere", "us", "mistral", "ai21", "anthropic"} and silent.total() <= 12


def test_every_recorded_claude_reply_means_the_same_when_written_again() -> None:
    seen = 0
    for one, _, stream in recorded():
        if one.status != 200 or "anthropic_version" not in one.request:
            continue
        events = read(one.response, stream)
        assert read(one.response, stream, list(range(0, len(one.response), 1 + seen % 40))) == events, one.id
        for stream_out in (True, False):
            writer = DIALECT.writer(options(stream_out))
            again = read(writer.write(events) + writer.close(), stream_out)
            assert _meaning(fold(again, "x")) == _meaning(fold(events, "x")), one.id
        seen += 1
    assert seen == 74


def _meaning(reply: ChatReply) -> Any:
    for choice in reply.choices:
        for part in choice.parts:
            if isinstance(part, ToolUse):
                part.arguments = json.dumps(json.loads(part.arguments or "{}"))
    return plain(reply)
