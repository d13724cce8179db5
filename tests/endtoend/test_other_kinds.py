"""Embeddings, rerank and token counts through the gateway: every pair of the dialects that have them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.endtoend.conftest import add_upstream
from tests.pipeline.conftest import RunningGateway
from tests.pipeline.upstream import Act

Body = dict[str, Any]
VECTORS = [[0.5, -0.25], [0.125, 1.0]]
TEXTS = ["one", "two"]
SCORES = [(1, 0.75), (0, 0.25)]  # (index, score), best first


class Form(NamedTuple):
    """One dialect: the client's path and body, the upstream's path and reply, and how to read a reply and a request."""

    path: str
    ask: Body
    upstream_path: str
    reply: Any
    read: Callable[[Any], Any]
    asked: Callable[[Body], list[str]]
    tokens: int = 9


def _openai_vectors(reply: Body) -> list[list[float]]:
    return [item["embedding"] for item in sorted(reply["data"], key=lambda item: item["index"])]


_LISTED = [{"object": "embedding", "index": n, "embedding": vector} for n, vector in enumerate(VECTORS)]
_OPENAI_USAGE = {"prompt_tokens": 9, "total_tokens": 9}
_OPENAI_REPLY = {"object": "list", "data": _LISTED, "model": "x", "usage": _OPENAI_USAGE}
_TOTAL_ONLY = {**_OPENAI_REPLY, "usage": {"total_tokens": 9}}
_PARTS = [{"content": {"parts": [{"text": text}]}, "model": "models/m"} for text in TEXTS]
_BILLED = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 9}}

EMBED = {
    "openai_chat": Form(
        "/v1/embeddings", {"model": "m", "input": TEXTS}, "/v1/embeddings", _OPENAI_REPLY, _openai_vectors, lambda b: b["input"]
    ),
    "gemini": Form(
        "/v1beta/models/m:batchEmbedContents", {"requests": _PARTS}, "/v1beta/models/claude-x:batchEmbedContents",
        {"embeddings": [{"values": vector} for vector in VECTORS]},
        lambda r: [e["values"] for e in r["embeddings"]],
        lambda b: [one["content"]["parts"][0]["text"] for one in b["requests"]], 0,
    ),
    "cohere": Form(
        "/v2/embed", {"model": "m", "texts": TEXTS, "input_type": "search_document", "embedding_types": ["float"]}, "/v2/embed",
        {"id": "r", "embeddings": {"float": VECTORS}, "texts": TEXTS, "meta": _BILLED, "response_type": "embeddings_by_type"},
        lambda r: r["embeddings"]["float"], lambda b: b["texts"],
    ),
    "ollama": Form(
        "/api/embed", {"model": "m", "input": TEXTS}, "/api/embed",
        {"model": "x", "embeddings": VECTORS, "total_duration": 1, "load_duration": 1, "prompt_eval_count": 9},
        lambda r: r["embeddings"], lambda b: b["input"],
    ),
    "voyage": Form(
        "/voyage/v1/embeddings", {"model": "m", "input": TEXTS}, "/v1/embeddings", _TOTAL_ONLY,
        _openai_vectors, lambda b: b["input"],
    ),
    "jina": Form(
        "/jina/v1/embeddings", {"model": "m", "input": TEXTS}, "/v1/embeddings", _TOTAL_ONLY,
        _openai_vectors, lambda b: [one["text"] if isinstance(one, dict) else one for one in b["input"]],
    ),
    "tei": Form("/tei/m/embed", {"inputs": TEXTS}, "/embed", VECTORS, lambda r: r, lambda b: b["inputs"], 0),
}  # fmt: skip

_RANKED = [{"index": index, "relevance_score": score} for index, score in SCORES]


def _scores(name: str) -> Callable[[Body], list[tuple[int, float]]]:
    return lambda reply: [(item["index"], item["relevance_score"]) for item in reply[name]]


def _documents(body: Body) -> list[str]:
    return [one["text"] if isinstance(one, dict) else one for one in body["documents"]]


_RANK = {"model": "m", "query": "which?", "documents": TEXTS}
RERANK = {
    "cohere": Form(
        "/v2/rerank", _RANK, "/v2/rerank", {"id": "r", "results": _RANKED, "meta": {"billed_units": {"search_units": 1}}},
        _scores("results"), _documents, 0,
    ),
    "voyage": Form(
        "/voyage/v1/rerank", _RANK, "/v1/rerank", {"object": "list", "data": _RANKED, "model": "x", "usage": {"total_tokens": 9}},
        _scores("data"), _documents,
    ),
    "jina": Form(
        "/jina/v1/rerank", _RANK, "/v1/rerank", {"model": "x", "results": _RANKED, "usage": {"total_tokens": 9}},
        _scores("results"), _documents,
    ),
    "tei": Form(
        "/tei/m/rerank", {"query": "which?", "texts": TEXTS}, "/rerank", [{"index": i, "score": s} for i, s in SCORES],
        lambda r: [(item["index"], item["score"]) for item in r], lambda b: b["texts"], 0,
    ),
}  # fmt: skip


async def check(gateway: RunningGateway, kind: str, asking: Form, answering: Form, upstream: str, want: Any) -> None:
    server = await add_upstream(gateway, upstream)
    server.acts(Act(pieces=[json.dumps(answering.reply).encode()]))
    got = await gateway.call(asking.path, asking.ask)
    assert got.status == 200, got.body
    assert got.headers["content-type"] == "application/json" and got.headers["x-freehold-target"] == "up/claude-x"
    assert asking.read(got.json) == want
    assert server.seen[0].path == answering.upstream_path
    assert answering.asked(server.seen[0].json) == TEXTS
    line = await gateway.line()
    assert (line.kind, line.outcome, line.output) == (kind, "ok", 0)
    if answering.tokens:
        assert (line.input, line.estimated) == (answering.tokens, False)


@pytest.mark.parametrize("upstream", EMBED)
@pytest.mark.parametrize("client", EMBED)
async def test_embeddings_cross_between_any_two(gateway: RunningGateway, client: str, upstream: str) -> None:
    await check(gateway, "embeddings", EMBED[client], EMBED[upstream], upstream, VECTORS)


@pytest.mark.parametrize("upstream", RERANK)
@pytest.mark.parametrize("client", RERANK)
async def test_rerank_crosses_between_any_two(gateway: RunningGateway, client: str, upstream: str) -> None:
    await check(gateway, "rerank", RERANK[client], RERANK[upstream], upstream, SCORES)


COUNTS: dict[str, tuple[str, Body, str, Any]] = {
    "anthropic": (
        "/v1/messages/count_tokens", {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]},
        "input_tokens", {"input_tokens": 7},
    ),
    "openai_responses": (
        "/v1/responses/input_tokens", {"model": "m", "input": "Hello there"},
        "input_tokens", {"object": "response.input_tokens", "input_tokens": 7},
    ),
    "gemini": (
        "/v1beta/models/m:countTokens", {"contents": [{"role": "user", "parts": [{"text": "Hello there"}]}]},
        "totalTokens", {"totalTokens": 7},
    ),
    "bedrock": (
        "/model/m/count-tokens", {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "Hello there"}]}]}}},
        "inputTokens", {"inputTokens": 7},
    ),
}  # fmt: skip


@pytest.mark.parametrize("upstream", [*COUNTS, "openai_chat"])
@pytest.mark.parametrize("client", COUNTS)
async def test_tokens_are_counted_by_the_upstream_that_speaks_so_and_here_for_any_other(
    gateway: RunningGateway, client: str, upstream: str
) -> None:
    path, ask, name, reply = COUNTS[client]
    server = await add_upstream(gateway, upstream)
    server.acts(Act(pieces=[json.dumps(reply).encode()]))
    got = await gateway.call(path, ask)
    assert got.status == 200, got.body
    assert got.json[name] == (7 if client == upstream else 2)
    assert len(server.seen) == (client == upstream)
    line = await gateway.line()
    assert (line.kind, line.outcome, line.input, line.output) == ("count_tokens", "ok", 0, 0)
