"""Opening, patching and counting a Converse request without decoding it."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Asked, Quirks
from tests.wire.dialects.bedrock.samples import DIALECT, MODEL, QUIRKS, REQUEST, asked, peeked

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


def test_the_path_says_the_model_and_the_form_of_the_reply() -> None:
    peek = peeked(HELLO | {"inferenceConfig": {"maxTokens": 7}}, stream=True)
    assert (peek.model, peek.stream, peek.max_output, peek.wants_usage) == (MODEL, True, 7, True)
    assert not peeked(HELLO).stream and peeked(HELLO).max_output is None


def test_models_are_quoted_as_a_signature_needs_them() -> None:
    arn = "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.anthropic.claude-3-7-sonnet-20250219-v1:0"
    quoted = "arn%3Aaws%3Abedrock%3Aus-east-1%3A012345678901%3Ainference-profile%2Fus.anthropic.claude-3-7-sonnet-20250219-v1%3A0"
    assert DIALECT.path("chat", peeked(HELLO), arn) == f"/model/{quoted}/converse"
    assert DIALECT.path("chat", peeked(HELLO, stream=True), "a_b~c.d-e f") == "/model/a_b~c.d-e%20f/converse-stream"
    assert DIALECT.path("count_tokens", peeked(HELLO), "m:1") == "/model/m%3A1/count-tokens"
    assert DIALECT.path("embeddings", peeked(HELLO), "m") is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": None}, "messages"),
        (HELLO | {"inferenceConfig": []}, "inferenceConfig"),
        (HELLO | {"inferenceConfig": {"maxTokens": "7"}}, "inferenceConfig"),
        (HELLO | {"inferenceConfig": {"maxTokens": 0}}, "inferenceConfig.maxTokens"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_its_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        peeked(body)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": [}', b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        DIALECT.peek(body, "chat", asked())


def test_a_request_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="model"):
        DIALECT.peek(json.dumps(HELLO).encode(), "chat", Asked())


def test_a_stored_prompt_brings_its_own_messages() -> None:
    peek = peeked({"promptVariables": {"v": {"text": "x"}}}, model="arn:aws:bedrock:us-east-1:1:prompt/P:1")
    assert DIALECT.decode_request(peek).messages == []
    assert json.loads(DIALECT.encode_request(DIALECT.decode_request(peek), peek.model, QUIRKS)[0]) == {
        "promptVariables": {"v": {"text": "x"}}
    }


def test_patch_leaves_every_value_as_it_was_written() -> None:
    body = b'{"messages" : [ {"role":"user", "content":[{"text":"\\u00e9"}]} ], "inferenceConfig":{"temperature":1.0e0}}'
    patched, dropped = DIALECT.patch(DIALECT.peek(body, "chat", asked()), "other", QUIRKS)
    assert b'[ {"role":"user", "content":[{"text":"\\u00e9"}]} ]' in patched and b"1.0e0" in patched
    assert dropped == ()


def test_patch_obeys_the_quirks() -> None:
    quirks = Quirks(drop=("serviceTier", "absent"), rename={"requestMetadata": "meta"})
    patched, dropped = DIALECT.patch(peeked(REQUEST), MODEL, quirks)
    fields = json.loads(patched)
    assert dropped == ("serviceTier",) and "serviceTier" not in fields
    assert fields["meta"] == {"team": "a"}


def test_all_prompt_text_is_counted_and_no_bytes() -> None:
    text = DIALECT.input_text(peeked(REQUEST))
    for piece in ("S", "g", "u", "plain", "hm", "I call", "bc", '{"b":1,"a":2.5}', "one", '{"x":[1,2]}', "later", "nova", "END"):
        assert (piece in text) == (piece not in ("nova", "END")), piece
    assert "QQ==" not in text and "sig" not in text


def test_count_tokens_holds_either_form() -> None:
    converse = DIALECT.peek(json.dumps({"input": {"converse": HELLO}}).encode(), "count_tokens", asked())
    body = b64encode(json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()).decode()
    invoke = DIALECT.peek(json.dumps({"input": {"invokeModel": {"body": body}}}).encode(), "count_tokens", asked())
    assert "hello" in DIALECT.input_text(converse) and "hello" in DIALECT.input_text(invoke)
    with pytest.raises(InvalidRequest):
        DIALECT.peek(b'{"messages": []}', "count_tokens", asked())


def test_unreadable_values_count_as_nothing() -> None:
    for body in ({"input": 1}, {"input": {"invokeModel": {"body": "%"}}}, {"input": {"invokeModel": 3}}):
        if body["input"] != 1:
            assert DIALECT.input_text(DIALECT.peek(json.dumps(body).encode(), "count_tokens", asked())) == ""
