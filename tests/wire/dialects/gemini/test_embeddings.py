"""embedContent and batchEmbedContents."""

from __future__ import annotations

import json
from array import array
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Usage
from freehold.wire.embed import EmbedReply, EmbedRequest, Purpose

from .bodies import DIALECT, opened

CODEC = DIALECT.embeddings
assert CODEC is not None


def decoded(**fields: Any) -> EmbedRequest:
    assert CODEC is not None
    return CODEC.decode_request(opened(kind="embeddings", contents=..., **fields))


def encoded(request: EmbedRequest, model: str = "m") -> tuple[Any, tuple[str, ...]]:
    assert CODEC is not None
    body, dropped = CODEC.encode_request(request, model)
    return json.loads(body), dropped


def content(*texts: str) -> dict[str, Any]:
    return {"parts": [{"text": text} for text in texts]}


def test_a_batch_is_its_texts_in_order() -> None:
    settings = {"model": "models/x", "taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 8}
    request = decoded(requests=[{**settings, "content": content("a"), "title": "T"}, {**settings, "content": content("b", "c")}])
    assert (request.texts, request.titles, request.plain) == (["a", "b\nc"], ["T", ""], False)
    assert (request.purpose, request.dimensions) == ("document", 8)


def test_a_single_content_is_plain() -> None:
    request = decoded(content=content("a"), task_type="RETRIEVAL_QUERY", embed_content_config={"output_dimensionality": 4})
    assert (request.texts, request.plain, request.purpose, request.dimensions) == (["a"], True, "query", 4)


def test_requests_go_back_as_they_came_with_the_targets_model() -> None:
    batch = [{"model": "models/x", "content": content("a", "b"), "taskType": "QUESTION_ANSWERING", "newField": 1}]
    assert encoded(decoded(requests=batch))[0] == {"requests": [{**batch[0], "model": "models/m"}]}
    assert encoded(decoded(content=content("a"), title="T"))[0] == {"content": content("a"), "title": "T"}


def test_a_changed_text_is_what_is_sent() -> None:
    request = decoded(requests=[{"content": content("secret"), "taskType": "CLUSTERING"}])
    request.texts[0] = "***"
    assert encoded(request)[0] == {"requests": [{"model": "models/m", "content": content("***"), "taskType": "CLUSTERING"}]}


@pytest.mark.parametrize(
    ("purpose", "task"),
    [
        ("query", "RETRIEVAL_QUERY"),
        ("document", "RETRIEVAL_DOCUMENT"),
        ("classification", "CLASSIFICATION"),
        ("clustering", "CLUSTERING"),
        ("similarity", "SEMANTIC_SIMILARITY"),
    ],
)
def test_purposes(purpose: Purpose, task: str) -> None:
    foreign = EmbedRequest(dialect="x", model="m", texts=["a"], purpose=purpose, plain=True)
    assert encoded(foreign)[0]["requests"][0]["taskType"] == task
    assert decoded(content=content("a"), taskType=task).purpose == purpose


def test_a_foreign_request_is_always_a_batch_and_names_what_it_loses() -> None:
    foreign = EmbedRequest(
        dialect="x", model="m", texts=["a", "b"], plain=False, dimensions=8, titles=["T", ""], user="u", truncate="END"
    )
    body, dropped = encoded(foreign, "models/g")
    assert body == {
        "requests": [
            {
                "model": "models/g",
                "content": content("a"),
                "taskType": "RETRIEVAL_DOCUMENT",
                "title": "T",
                "outputDimensionality": 8,
            },
            {"model": "models/g", "content": content("b"), "outputDimensionality": 8},
        ]
    }
    assert dropped == ("user", "truncate")


def test_what_cannot_be_carried_is_refused() -> None:
    with pytest.raises(Unsupported):
        encoded(EmbedRequest(dialect="x", model="m", tokens=[[1]]))
    with pytest.raises(Unsupported):
        decoded(content={"parts": [{"inlineData": {"mimeType": "image/png", "data": "QQ=="}}]})
    with pytest.raises(Unsupported):
        decoded(requests=[{"content": content("a"), "taskType": "CLUSTERING"}, {"content": content("b")}])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"requests": []}, "requests"),
        ({"requests": "x"}, "requests"),
        ({}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"requests": [{"content": {}}]}, "requests[0].content.parts"),
        ({"content": content("a"), "taskType": "DANCING"}, "taskType"),
        ({"content": content("a"), "outputDimensionality": "x"}, "outputDimensionality"),
    ],
)
def test_mistakes_are_told_with_their_path(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == param


def test_replies_in_both_forms() -> None:
    assert CODEC is not None
    reply = EmbedReply(vectors=[array("d", [0.1, -4.623822e-05])], usage=Usage(input=3))
    batch = CODEC.encode_reply(reply, EmbedRequest(dialect="gemini", model="m"))
    assert json.loads(batch) == {"embeddings": [{"values": [0.1, -4.623822e-05]}], "usageMetadata": {"promptTokenCount": 3}}
    single = CODEC.encode_reply(reply, EmbedRequest(dialect="gemini", model="m", plain=True))
    assert json.loads(single)["embedding"] == {"values": [0.1, -4.623822e-05]}
    for body in (batch, single):
        assert CODEC.decode_reply(body) == reply


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"embeddings":5}', b'{"embeddings":[{"values":["x"]}]}', b"[" * 5000])
def test_what_is_no_reply_is_a_value_error(body: bytes) -> None:
    assert CODEC is not None
    with pytest.raises(ValueError):
        CODEC.decode_reply(body)
