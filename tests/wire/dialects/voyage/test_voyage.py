"""Voyage's words, as its API documents them."""

from __future__ import annotations

import json
from array import array

from msgspec import Raw

from freehold.wire.chat import Usage
from freehold.wire.dialects.voyage import VOYAGE
from freehold.wire.embed import EmbedReply, EmbedRequest
from freehold.wire.rank import Ranked, RerankReply, RerankRequest


def test_an_embeddings_request_and_its_reply() -> None:
    codec = VOYAGE.embeddings
    assert codec is not None
    request = EmbedRequest(
        dialect="x", model="m", texts=["a"], plain=True, dimensions=256, base64=True, purpose="query", truncate="END"
    )
    body, dropped = codec.encode_request(request, "voyage-3")
    assert dropped == () and json.loads(body) == {
        "model": "voyage-3",
        "input": "a",
        "output_dimension": 256,
        "encoding_format": "base64",
        "input_type": "query",
        "truncation": True,
    }
    request.base64 = False
    reply = EmbedReply(model="voyage-3", vectors=[array("d", [0.5])], usage=Usage(input=4))
    assert json.loads(codec.encode_reply(reply, request)) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "model": "voyage-3",
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }


def test_a_rerank_request_and_its_reply() -> None:
    codec = VOYAGE.rerank
    assert codec is not None
    request = RerankRequest(dialect="x", model="m", query="q", documents=[Raw(b'"a"')], top_n=1, return_documents=True)
    body, dropped = codec.encode_request(request, "rerank-2")
    assert dropped == () and json.loads(body) == {"model": "rerank-2", "query": "q", "documents": ["a"], "top_k": 1}
    reply = RerankReply(model="rerank-2", results=[Ranked(index=0, score=0.5)], usage=Usage(input=4))
    assert json.loads(codec.encode_reply(reply, request)) == {
        "object": "list",
        "data": [{"index": 0, "relevance_score": 0.5, "document": "a"}],
        "model": "rerank-2",
        "usage": {"total_tokens": 4},
    }


def test_float_as_the_number_type_asks_for_nothing_special() -> None:
    codec = VOYAGE.embeddings
    assert codec is not None
    peek = VOYAGE.peek(b'{"model":"m","input":"a","output_dtype":"float"}', "embeddings")
    request = codec.decode_request(peek)
    assert request.extras == {}
    assert json.loads(codec.encode_request(request, "m")[0])["output_dtype"] == "float"
