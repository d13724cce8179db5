"""Recorded exchanges with values replaced, removed and cut: nothing raises but the errors that are meant to be shown."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from freehold.base.errors import ClientError
from freehold.wire.chat import Failure
from freehold.wire.registry import DIALECTS
from tests.traffic import Recorded, exchanges

from .bodies import DIALECT, PLAIN, STREAMED, chunks_of, cut, dump, opened, options, read, sse

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    5,
    1e30,
    2**70,
    "",
    "x",
    [],
    {},
    [1],
    [None],
    {"a": 1},
    [{}],
    [[]],
    "models/x",
    3.5,
]
LARGE = 15_000  # bytes: larger recordings only cost time

CHATS = [d for d in DIALECTS.values() if any(path.kind == "chat" for path in d.client_paths)]


def mutated(value: Any, dice: random.Random) -> Any:
    value = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            places.append((node, key))
            walk(node[key])

    walk(value)
    for node, key in dice.sample(places, min(len(places), dice.choice([1, 1, 2, 3]))):
        if isinstance(node, dict) and dice.random() < 0.2:
            node.pop(key, None)
        else:
            node[key] = json.loads(json.dumps(dice.choice(VALUES)))
    return value


def small(endpoint: str | tuple[str, ...]) -> list[Recorded]:
    return [one for one in exchanges(endpoint=endpoint) if len(json.dumps(one.request)) + len(one.response) < LARGE]


@pytest.mark.parametrize("seed", range(3))
def test_mutated_requests_are_refused_or_written_back_as_they_came(seed: int) -> None:
    dice = random.Random(seed)
    recorded = small(("generateContent", "streamGenerateContent"))
    kept = 0
    for _ in range(400):
        body = mutated(dice.choice(recorded).request, dice)
        try:
            peek = DIALECT.peek(dump(body), "chat", STREAMED)
            DIALECT.input_text(peek)
            DIALECT.patch(peek, "other", PLAIN)
            written, _ = DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, PLAIN)
        except ClientError:
            continue
        assert json.loads(written) == body
        kept += 1
        for target, model in (("openai_chat", "gpt"), ("anthropic", "claude-sonnet-4-5")):
            try:
                DIALECTS[target].encode_request(DIALECT.decode_request(peek), model, PLAIN)
            except ClientError:
                continue
    assert kept > 50


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("endpoint", "name"), [("chat/completions", "openai_chat"), ("messages", "anthropic")])
def test_mutated_requests_of_others_are_refused_or_become_readable_ones(seed: int, endpoint: str, name: str) -> None:
    dice = random.Random(seed)
    recorded = small(endpoint)
    kept = 0
    for _ in range(400):
        body = mutated(dice.choice(recorded).request, dice)
        model = dice.choice(["gemini-3-flash", "gemini-2.5-pro", "gemini-1.5-pro", "gemini-flash-latest", "x"])
        try:
            request = DIALECTS[name].decode_request(DIALECTS[name].peek(dump(body), "chat"))
            written, _ = DIALECT.encode_request(request, model, PLAIN)
        except ClientError:
            continue
        found = json.loads(written)
        assert found["contents"] and all(content["parts"] for content in found["contents"])
        DIALECT.decode_request(DIALECT.peek(written, "chat", STREAMED))
        kept += 1
    assert kept > 50


@pytest.mark.parametrize("seed", range(3))
def test_mutated_replies_are_read_passed_and_written_without_an_exception(seed: int) -> None:
    dice = random.Random(seed)
    recorded = [one for one in small(("generateContent", "streamGenerateContent")) if one.status == 200]
    for _ in range(300):
        one = dice.choice(recorded)
        value = mutated(chunks_of(one.response) if one.is_sse else json.loads(one.response), dice)
        data = sse(*value) if one.is_sse else dump(value)
        data = data[: dice.randrange(len(data) + 1)] if dice.random() < 0.2 else data
        cuts = [dice.randrange(len(data) + 1) for _ in range(4)]
        events = read(data, one.is_sse, cuts)
        assert events == read(data, one.is_sse)
        good = [event for event in events if not isinstance(event, Failure)]
        for dialect in CHATS:
            for stream in (True, False):
                writer = dialect.writer(options(stream))
                writer.write(good)
                writer.close()
        told = []
        for where in ([], cuts):
            relay = DIALECT.tap(opened(), PLAIN, one.is_sse, len)
            out = b"".join(relay.feed(piece) for piece in cut(data, where)) + relay.close()
            assert out == data or relay.failure is not None or not relay.done
            told.append((out, relay.usage, relay.done, relay.failure, relay.model, relay.finish, relay.produced()))
        assert told[0] == told[1]
