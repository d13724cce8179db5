from __future__ import annotations

import pytest
from msgspec import json

from freehold.wire.dialect import Quirks
from freehold.wire.registry import DIALECTS, SPOKEN

VERTEX = SPOKEN["anthropic_vertex"]
BODY = b'{"model":"lab/m","max_tokens":5,"stream":%b,"messages":[{"role":"user","content":"x"}],"top_k": 1e1}'


@pytest.mark.parametrize(("stream", "action"), [(b"true", "streamRawPredict"), (b"false", "rawPredict")])
def test_the_model_and_the_form_of_the_reply_stand_in_the_path(stream: bytes, action: str) -> None:
    peek = VERTEX.peek(BODY % stream, "chat")
    assert VERTEX.path("chat", peek, "claude-x@20260101") == f"/models/claude-x@20260101:{action}"
    assert VERTEX.path("count_tokens", peek, "m") is None
    assert VERTEX.path("chat", peek, "../a b") == f"/models/..%2Fa%20b:{action}"


def test_the_body_has_the_version_and_no_model_and_is_else_untouched() -> None:
    body, dropped = VERTEX.patch(VERTEX.peek(BODY % b"true", "chat"), "claude-x", Quirks())
    assert dropped == ()
    assert body == (
        b'{"anthropic_version":"vertex-2023-10-16","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"x"}],"top_k":1e1}'
    )


def test_a_request_of_another_dialect_is_encoded_the_same_way() -> None:
    openai = DIALECTS["openai_chat"]
    request = openai.decode_request(openai.peek(b'{"model":"m","messages":[{"role":"user","content":"x"}]}', "chat"))
    fields = json.decode(VERTEX.encode_request(request, "claude-sonnet-4-5", Quirks())[0])
    assert "model" not in fields and fields["anthropic_version"] == "vertex-2023-10-16"


def test_clients_of_the_dialect_pass() -> None:
    assert VERTEX.name == DIALECTS["anthropic"].name
    assert "anthropic_vertex" not in DIALECTS
