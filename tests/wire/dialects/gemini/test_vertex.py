"""Embeddings by :predict. The replies are made up in the form that Google documents."""

from __future__ import annotations

import pytest
from msgspec import json

from freehold.base.errors import Unsupported
from freehold.wire.dialect import Asked, Quirks
from freehold.wire.embed import EmbedRequest
from freehold.wire.registry import DIALECTS, SPOKEN

VERTEX = SPOKEN["gemini_vertex"]
REPLY = (
    b'{"predictions":[{"embeddings":{"statistics":{"truncated":false,"token_count":6.0},"values":[0.1,0.2]}},'
    b'{"embeddings":{"values":[0.3,0.4],"statistics":{"token_count":2}}}],"metadata":{"billableCharacterCount":21}}'
)
BATCH = {
    "requests": [
        {"model": "models/e", "content": {"parts": [{"text": "one"}]}, "taskType": "RETRIEVAL_DOCUMENT", "title": "t"},
        {"model": "models/e", "content": {"parts": [{"text": "two"}]}, "taskType": "RETRIEVAL_DOCUMENT"},
    ]
}


def test_a_gemini_clients_request_and_reply_are_rewritten() -> None:
    peek = VERTEX.peek(json.encode(BATCH), "embeddings", Asked(model="lab/e", path="x"))
    assert VERTEX.path("embeddings", peek, "text-embedding-005") == "/models/text-embedding-005:predict"
    body, dropped = VERTEX.patch(peek, "text-embedding-005", Quirks())
    assert json.decode(body) == {
        "instances": [
            {"content": "one", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"},
            {"content": "two", "task_type": "RETRIEVAL_DOCUMENT"},
        ]
    }
    assert dropped == ()
    tap = VERTEX.tap(peek, Quirks(), False, len)
    assert tap.feed(REPLY[:50]) + tap.feed(REPLY[50:]) == b""
    said = json.decode(tap.close())
    assert said["embeddings"] == [{"values": [0.1, 0.2]}, {"values": [0.3, 0.4]}]
    assert tap.done and tap.usage is not None and (tap.usage.input, tap.usage.characters) == (8, 21)


def test_one_text_gets_one_embedding() -> None:
    peek = VERTEX.peek(b'{"content":{"parts":[{"text":"one"}]}}', "embeddings", Asked(model="lab/e", path="x"))
    tap = VERTEX.tap(peek, Quirks(), False, len)
    tap.feed(b'{"predictions":[{"embeddings":{"values":[1.0]}}]}')
    assert json.decode(tap.close()) == {"embedding": {"values": [1.0]}}


def test_another_dialects_request_is_written_with_its_size_and_purpose() -> None:
    assert VERTEX.embeddings is not None
    request = EmbedRequest(dialect="cohere", model="m", texts=["a"], purpose="query", dimensions=64, truncate="NONE", user="u")
    body, dropped = VERTEX.embeddings.encode_request(request, "text-embedding-005")
    assert json.decode(body) == {
        "instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"outputDimensionality": 64, "autoTruncate": False},
    }
    assert dropped == ("user",)
    with pytest.raises(Unsupported):
        VERTEX.embeddings.encode_request(EmbedRequest(dialect="openai_chat", model="m", tokens=[[1]]), "m")


@pytest.mark.parametrize("body", [b"{}", b"[]", b"no", b'{"predictions":[{}]}', b"[" * 5000])
def test_what_is_no_such_reply_is_a_failure(body: bytes) -> None:
    peek = VERTEX.peek(b'{"content":{"parts":[{"text":"one"}]}}', "embeddings", Asked(model="lab/e", path="x"))
    tap = VERTEX.tap(peek, Quirks(), False, len)
    tap.feed(body)
    assert tap.close() == b"" and tap.failure is not None


def test_chats_are_geminis() -> None:
    peek = VERTEX.peek(b'{"contents":[{"parts":[{"text":"x"}]}]}', "chat", Asked(model="lab/m"))
    assert VERTEX.path("chat", peek, "gemini-3") == DIALECTS["gemini"].path("chat", peek, "gemini-3")
    assert VERTEX.patch(peek, "m", Quirks()) == DIALECTS["gemini"].patch(peek, "m", Quirks())
    assert "gemini_vertex" not in DIALECTS and VERTEX.name == "gemini"
