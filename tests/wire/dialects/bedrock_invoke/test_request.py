"""Bodies pass as they are; Claude's are Anthropic's with three differences."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.dialect import Asked, Quirks
from freehold.wire.registry import DIALECTS
from tests.wire.dialects.bedrock_invoke.samples import CLAUDE, DIALECT, MODEL, QUIRKS, peeked

ANTHROPIC = DIALECTS["anthropic"]


def test_a_body_passes_byte_for_byte() -> None:
    body = b' { "inputText" : "\\u00e9",\n "textGenerationConfig": {"maxTokenCount": 9} } '
    peek = DIALECT.peek(body, "chat", Asked(model="m:1", stream=True))
    assert DIALECT.patch(peek, "other", QUIRKS) == (body, ())
    assert (peek.model, peek.stream, peek.max_output) == ("m:1", True, 9)
    assert DIALECT.path("chat", peek, "a:b") == "/model/a%3Ab/invoke-with-response-stream"
    assert DIALECT.path("chat", peeked({}), "a") == "/model/a/invoke"
    assert DIALECT.path("embeddings", peek, "a") is None


def test_only_quirks_change_a_body() -> None:
    body, dropped = DIALECT.patch(peeked({"a": 1, "b": 2}), MODEL, Quirks(drop=("a", "c"), rename={"b": "d"}))
    assert (json.loads(body), dropped) == ({"d": 2}, ("a",))


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        ({"max_tokens": 5}, 5),
        ({"max_gen_len": 6}, 6),
        ({"max_tokens_to_sample": 7}, 7),
        ({"maxTokens": 8}, 8),
        ({"inferenceConfig": {"maxTokens": 9}}, 9),
        ({"inferenceConfig": {"max_new_tokens": 10}}, 10),
        ({"textGenerationConfig": {"maxTokenCount": 11}}, 11),
        ({"max_tokens": "5"}, None),
        ({"inferenceConfig": 7}, None),
        ({}, None),
    ],
)
def test_the_limit_of_every_family_is_found(body: dict[str, Any], limit: int | None) -> None:
    assert peeked(body).max_output == limit


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"prompt": "p"}, "p"),
        ({"inputText": "p"}, "p"),
        ({"message": "p"}, "p"),
        ({"texts": ["p", "q"]}, "p\nq"),
        ({"schemaVersion": "1", "messages": [{"role": "user", "content": [{"text": "p"}]}]}, "p"),
        (CLAUDE, "S\nu\nf\n"),
        ({"prompt": 7, "messages": 8}, ""),
        ({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"text": {"truncationMode": "END", "value": "hey"}}}, "hey"),
    ],
)
def test_the_prompt_of_every_family_is_counted(body: dict[str, Any], text: str) -> None:
    assert DIALECT.input_text(peeked(body)).startswith(text)


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.peek(body, "chat", Asked(model="m"))
    with pytest.raises(InvalidRequest):
        DIALECT.peek(b"{}", "chat", Asked())


def test_claudes_body_comes_back_equal_and_reaches_anthropic() -> None:
    request = DIALECT.decode_request(peeked(CLAUDE, stream=True))
    body, dropped = DIALECT.encode_request(request, MODEL, QUIRKS)
    assert (json.loads(body), dropped) == (CLAUDE, ())
    body, dropped = ANTHROPIC.encode_request(request, "claude-x", QUIRKS)
    rest = {name: value for name, value in CLAUDE.items() if not name.startswith("anthropic_")}
    assert json.loads(body) == rest | {"model": "claude-x", "stream": True}
    assert dropped == ("anthropic_beta",)


def test_anthropics_request_becomes_a_claude_body() -> None:
    fields = {
        "model": "m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "u"}],
        "stream": True,
        "service_tier": "auto",
    }
    request = ANTHROPIC.decode_request(ANTHROPIC.peek(json.dumps(fields).encode(), "chat"))
    body, dropped = DIALECT.encode_request(request, MODEL, QUIRKS)
    assert json.loads(body) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "u"}],
    }
    assert dropped == ("service_tier",)


def test_only_claude_can_be_written_for() -> None:
    request = DIALECT.decode_request(peeked(CLAUDE))
    with pytest.raises(Unsupported, match="Claude"):
        DIALECT.encode_request(request, "amazon.nova-lite-v1:0", QUIRKS)
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"
    assert DIALECT.encode_request(request, arn, QUIRKS)[1] == ()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"max_tokens": "5"}, "max_tokens"),
        ({"stream": True}, "stream"),
        ({"model": "m"}, "model"),
        ({"messages": 7}, "messages"),
        ({"messages": []}, "messages"),
        ({"tools": 7}, "tools"),
    ],
)
def test_a_mistake_is_named_by_its_path(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.decode_request(peeked(CLAUDE | change))
    assert caught.value.param == param
