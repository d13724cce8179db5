"""Each dialect's call is one that Freehold's own codec reads, and says the same; each reply is read where it says what."""

from __future__ import annotations

import json

import pytest

from bench.calls import Call
from bench.shapes import MAX_TOKENS, SHAPES, STOPPED, TEMPERATURE, Dialect
from freehold.wire.chat import ChatReply, ChatRequest, Choice, Message, Text, Usage
from freehold.wire.dialect import Asked, WriterOptions
from freehold.wire.fold import unfold
from freehold.wire.registry import DIALECTS

NAMES: dict[Dialect, str] = {"openai": "openai_chat", "responses": "openai_responses", "completions": "openai_completions"}


def texts(messages: list[Message]) -> list[tuple[str, str]]:
    return [(m.role, "".join(part.text for part in m.parts if isinstance(part, Text))) for m in messages]


def read(dialect: Dialect) -> ChatRequest:
    codec = DIALECTS[NAMES.get(dialect, dialect)]
    body = Call(client=dialect, body_bytes=4_000).body("a-model")
    return codec.decode_request(codec.peek(body, "chat", Asked(model="a-model", stream=False)))


@pytest.mark.parametrize("dialect", SHAPES)
def test_a_call_says_the_same_in_every_dialect(dialect: Dialect) -> None:
    request = read(dialect)
    assert (request.model, request.max_tokens, request.temperature) == ("a-model", MAX_TOKENS, TEMPERATURE)
    said = texts(request.messages)
    if dialect == "completions":  # one text
        assert [role for role, _ in said] == ["user"]
        return
    assert [role for role, _ in said] == ["system", "user", "assistant", "user", "assistant", "user"]
    # The last text fills the body up, each dialect's to another length.
    assert said[:-1] == texts(read("openai").messages)[:-1]


@pytest.mark.parametrize("dialect", SHAPES)
def test_a_reply_is_read_where_it_says_what(dialect: Dialect) -> None:
    choice = Choice(parts=[Text(text="Good day.")], finish="stop")
    reply = ChatReply(dialect="", id="r", model="m", created_s=1, choices=[choice], usage=Usage(input=18, output=12))
    codec = DIALECTS[NAMES.get(dialect, dialect)]
    opened = codec.peek(Call(client=dialect).body("a-model"), "chat", Asked(model="a-model", stream=False))
    writer = codec.writer(WriterOptions(stream=False, model="m", call_id="c", created_s=1, peek=opened))
    writer.write(unfold(reply))
    text, ended, tokens = SHAPES[dialect].reply(json.loads(writer.close()))
    assert (text, STOPPED[ended], tokens) == ("Good day.", "stop", (18, 12))
