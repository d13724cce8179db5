"""Embeddings and rerank replies cross dialects whole."""

from __future__ import annotations

import json

import pytest

from freehold.wire import whole
from freehold.wire.dialect import ClientPath
from freehold.wire.embed import EmbedReply
from freehold.wire.registry import DIALECTS
from freehold.wire.whole import WholeTranslation

OPENAI = json.dumps(
    {
        "object": "list",
        "model": "text-embedding-3-small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.25]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
).encode()


def relay() -> WholeTranslation[EmbedReply]:
    openai, cohere = DIALECTS["openai_chat"].embeddings, DIALECTS["cohere"].embeddings
    assert openai is not None and cohere is not None
    peek = DIALECTS["cohere"].peek(b'{"model":"m","texts":["a"],"input_type":"search_query"}', "embeddings")
    request = cohere.decode_request(peek)
    return WholeTranslation(openai.decode_reply, lambda reply: cohere.encode_reply(reply, request))


@pytest.mark.parametrize("size", [1, 7, len(OPENAI)])
def test_the_reply_is_written_anew_when_it_is_complete(size: int) -> None:
    translation = relay()
    assert [translation.feed(OPENAI[at : at + size]) for at in range(0, len(OPENAI), size)] == [b""] * -(-len(OPENAI) // size)
    written = json.loads(translation.close())
    assert written["embeddings"]["float"] == [[0.1, -0.25]]
    assert translation.done and translation.usage is not None
    assert (translation.usage.input, translation.model) == (3, "text-embedding-3-small")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"data":3}', b"\xff", OPENAI[:-1]])
def test_what_is_no_such_reply_is_a_failure(body: bytes) -> None:
    translation = relay()
    translation.feed(body)
    assert translation.close() == b""
    assert (translation.done, translation.failure is not None) == (False, True)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "MAX_BYTES", 100)
    translation = relay()
    for _ in range(3):
        translation.feed(b" " * 50)
    assert translation.failure is not None
    assert translation.close() == b""


def test_every_path_names_a_kind_that_its_dialect_can_peek() -> None:
    paths = [(d, p) for d in DIALECTS.values() for p in d.client_paths]
    assert {type(path) for _, path in paths} == {ClientPath}
    assert all(d.embeddings is not None for d, p in paths if p.kind == "embeddings")
    assert all(d.rerank is not None for d, p in paths if p.kind == "rerank")
