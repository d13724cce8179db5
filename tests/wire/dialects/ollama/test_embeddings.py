"""Embeddings in both of Ollama's forms."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Usage
from freehold.wire.dialect import Asked
from freehold.wire.dialects.ollama.embeddings import OllamaEmbeddings
from freehold.wire.embed import EmbedReply, EmbedRequest
from tests.wire.dialects.ollama.samples import DIALECT, EMBED, EMBEDDINGS, dump

CODEC = OllamaEmbeddings()


def decoded(asked: Asked = EMBED, **fields: Any) -> EmbedRequest:
    return CODEC.decode_request(DIALECT.peek(dump({"model": "m", **fields}), "embeddings", asked))


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (EMBED, {"input": "a"}),
        (EMBED, {"input": ["a"]}),
        (EMBED, {"input": ["a", ""], "truncate": True, "dimensions": 5, "keep_alive": "5m", "options": {"num_ctx": 1}}),
        (EMBED, {"input": "a", "truncate": False, "dimensions": None, "keep_alive": None, "options": {}}),
        (EMBEDDINGS, {"prompt": "a", "options": {}, "keep_alive": 0}),
    ],
)
def test_requests_go_back_as_they_came(asked: Asked, fields: dict[str, Any]) -> None:
    body, dropped = CODEC.encode_request(decoded(asked, **fields), "m")
    assert (json.loads(body), dropped) == ({"model": "m", **fields}, ())


def test_what_the_canonical_form_says() -> None:
    request = decoded(input=["a", "b"], truncate=False, dimensions=5, keep_alive="5m")
    assert (request.texts, request.plain, request.truncate, request.dimensions) == (["a", "b"], False, "NONE", 5)
    assert list(request.extras) == ["keep_alive"]
    assert decoded(EMBEDDINGS, prompt="a").texts == ["a"]


@pytest.mark.parametrize("fields", [{"input": []}, {"input": [1]}, {"input": ["a", None]}, {"input": "a", "truncate": "END"}])
def test_a_clients_mistake_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        decoded(**fields)


def test_a_foreign_request() -> None:
    request = EmbedRequest(
        dialect="cohere",
        model="x",
        texts=["a"],
        dimensions=4,
        purpose="query",
        truncate="START",
        titles=["t"],
        user="u",
        base64=True,
    )
    body, dropped = CODEC.encode_request(request, "m")
    assert json.loads(body) == {"model": "m", "input": ["a"], "dimensions": 4}
    assert set(dropped) == {"purpose", "truncate", "titles", "user"}
    with pytest.raises(Unsupported):
        CODEC.encode_request(EmbedRequest(dialect="openai_chat", model="x", tokens=[[1, 2]]), "m")


def test_replies_in_both_forms() -> None:
    vectors = [[0.1, -2.5], [1e-9, 3.0]]
    reply = CODEC.decode_reply(dump({"model": "e", "embeddings": vectors, "total_duration": 5, "prompt_eval_count": 8}))
    assert reply == EmbedReply(model="e", vectors=[array("d", vector) for vector in vectors], usage=Usage(input=8))
    written = json.loads(CODEC.encode_reply(reply, decoded(input=["a", "b"])))
    assert written == {"model": "e", "embeddings": vectors, "total_duration": 0, "load_duration": 0, "prompt_eval_count": 8}
    assert json.loads(CODEC.encode_reply(reply, decoded(EMBEDDINGS, prompt="a"))) == {"embedding": vectors[0]}
    assert CODEC.decode_reply(dump({"embedding": [1, 2]})).vectors == [array("d", [1.0, 2.0])]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"embeddings": [["a"]]}', b'{"embeddings": 5}'])
def test_what_is_no_such_reply_is_told(body: bytes) -> None:
    with pytest.raises(ValueError):
        CODEC.decode_reply(body)
