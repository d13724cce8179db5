"""The words of text-embeddings-inference, as its API documents them."""

from __future__ import annotations

import json
from array import array

from msgspec import Raw

from freehold.wire.chat import Usage
from freehold.wire.dialect import Asked
from freehold.wire.dialects.tei import TEI
from freehold.wire.embed import EmbedReply, EmbedRequest
from freehold.wire.rank import Ranked, RerankReply, RerankRequest


def test_an_embeddings_request_and_its_reply() -> None:
    codec = TEI.embeddings
    assert codec is not None
    request = EmbedRequest(dialect="x", model="m", texts=["a"], dimensions=64, base64=True, purpose="query", truncate="START")
    body, dropped = codec.encode_request(request, "m")
    assert dropped == ("input_type",) and json.loads(body) == {
        "inputs": ["a"],
        "dimensions": 64,
        "truncate": True,
        "truncation_direction": "Left",
    }
    reply = EmbedReply(vectors=[array("d", [0.5, 1.0])], usage=Usage(input=4))
    assert codec.encode_reply(reply, request) == b"[[0.5,1.0]]"


def test_a_rerank_request_and_its_reply() -> None:
    codec = TEI.rerank
    assert codec is not None
    request = RerankRequest(
        dialect="x", model="m", query="q", documents=[Raw(b'"a"'), Raw(b'"b"')], top_n=1, return_documents=True
    )
    body, dropped = codec.encode_request(request, "m")
    assert dropped == () and json.loads(body) == {"query": "q", "texts": ["a", "b"]}
    reply = RerankReply(results=[Ranked(index=1, score=0.5), Ranked(index=0, score=0.1)])
    assert json.loads(codec.encode_reply(reply, request)) == [{"index": 1, "score": 0.5, "text": "b"}]
    assert codec.decode_reply(b'[{"index":0,"score":0.1},{"index":1,"score":0.5,"text":"b"}]').results == [
        Ranked(index=1, score=0.5, document=Raw(b'"b"')),
        Ranked(index=0, score=0.1),
    ]


def test_fields_of_its_own_come_back() -> None:
    codec = TEI.embeddings
    assert codec is not None
    body = {"inputs": [[1, 2]], "normalize": False, "prompt_name": "query", "truncate": None, "truncation_direction": "Right"}
    request = codec.decode_request(TEI.peek(json.dumps(body).encode(), "embeddings", Asked(model="m")))
    assert json.loads(codec.encode_request(request, "m")[0]) == body
