"""Jina's words, as its API documents them."""

from __future__ import annotations

import json

from msgspec import Raw

from freehold.wire.chat import Usage
from freehold.wire.dialects.jina import JINA
from freehold.wire.embed import EmbedRequest
from freehold.wire.rank import Ranked, RerankReply, RerankRequest


def test_an_embeddings_request() -> None:
    codec = JINA.embeddings
    assert codec is not None
    request = EmbedRequest(
        dialect="x", model="m", texts=["a", "b"], dimensions=64, base64=True, purpose="similarity", truncate="NONE"
    )
    body, dropped = codec.encode_request(request, "jina-embeddings-v4")
    assert dropped == () and json.loads(body) == {
        "model": "jina-embeddings-v4",
        "input": ["a", "b"],
        "dimensions": 64,
        "embedding_type": "base64",
        "task": "text-matching",
        "truncate": False,
    }


def test_a_rerank_request_and_its_reply() -> None:
    codec = JINA.rerank
    assert codec is not None
    request = RerankRequest(dialect="x", model="m", query="q", documents=[Raw(b'"a"'), Raw(b'"b"')], top_n=1)
    body, dropped = codec.encode_request(request, "jina-reranker-v2")
    assert dropped == () and json.loads(body) == {
        "model": "jina-reranker-v2",
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 1,
        "return_documents": False,
    }
    reply = RerankReply(model="jina-reranker-v2", results=[Ranked(index=1, score=0.5)], usage=Usage(input=4))
    assert json.loads(codec.encode_reply(reply, request)) == {
        "object": "list",
        "results": [{"index": 1, "relevance_score": 0.5, "document": {"text": "b"}}],
        "model": "jina-reranker-v2",
        "usage": {"total_tokens": 4},
    }
