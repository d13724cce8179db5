"""peek.py: a body opened at its top level, for all three kinds."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.base.errors import InvalidRequest
from freehold.wire.dialect import Asked, Kind, Quirks

from .samples import DIALECT, dump

BODIES: dict[Kind, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    "embeddings": {"model": "m", "texts": ["a"]},
    "rerank": {"model": "m", "query": "q", "documents": ["a"]},
}


def test_what_a_peek_tells() -> None:
    peek = DIALECT.peek(dump(BODIES["chat"] | {"stream": True, "max_tokens": 5}), "chat")
    assert (peek.model, peek.stream, peek.max_output, peek.kind) == ("m", True, 5, "chat")
    assert DIALECT.peek(dump(BODIES["chat"] | {"stream": None, "max_tokens": None}), "chat").stream is False
    assert DIALECT.peek(dump(BODIES["rerank"]), "rerank", Asked(path="/v1/rerank")).path == "/v1/rerank"


@pytest.mark.parametrize("kind", BODIES)
def test_what_no_endpoint_takes_is_refused(kind: Kind) -> None:
    for body in (
        b"",
        b"[]",
        b"{",
        dump(BODIES[kind] | {"model": ""}),
        dump(BODIES[kind] | {"model": 5}),
        dump({"model": "m"}),
        b"{}",
    ):
        with pytest.raises(InvalidRequest):
            DIALECT.peek(body, kind)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"stream": 1}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
    ],
)
def test_mistakes_are_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.peek(dump(BODIES["chat"] | fields), "chat")
    assert caught.value.param == param


def test_images_may_stand_without_texts() -> None:
    DIALECT.peek(dump({"model": "m", "images": ["data:"]}), "embeddings")
    DIALECT.peek(dump({"model": "m", "texts": None, "inputs": [{}]}), "embeddings")
    for body in ({"images": []}, {"texts": None}, {"texts": "a"}):
        with pytest.raises(InvalidRequest):
            DIALECT.peek(dump({"model": "m", **body}), "embeddings")


def test_patch_changes_the_model_and_nothing_else() -> None:
    body = b'{"model":"m","messages":[ {"role":"user","content":"\\u00e9"} ],"k":1.50,"x":[1, 2]}'
    peek = DIALECT.peek(body, "chat")
    assert DIALECT.patch(peek, "m", Quirks()) == (body, ())
    assert DIALECT.patch(peek, "n", Quirks(rename={"k": "top_k"}, drop=("x",))) == (
        b'{"model":"n","messages":[ {"role":"user","content":"\\u00e9"} ],"top_k":1.50}',
        ("x",),
    )
    assert DIALECT.patch(peek, "m", Quirks()) == (body, ())


def test_input_text_is_what_the_model_reads() -> None:
    body = {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "data:QQ"}}],
            },
            {
                "role": "assistant",
                "tool_plan": "two",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "three"}}],
            },
            {"role": "tool", "content": [{"type": "document", "document": {"data": {"a": "four"}, "id": "d"}}]},
        ],
        "documents": ["five", {"data": "six"}],
        "tools": [{"type": "function"}],
    }
    text = DIALECT.input_text(DIALECT.peek(dump(body), "chat"))
    for word in ("one", "two", "three", "four", "five", "six", "function"):
        assert word in text
    assert "QQ" not in text and "assistant" not in text
    assert DIALECT.input_text(DIALECT.peek(dump(BODIES["rerank"]), "rerank")) == "q\na"
    assert DIALECT.input_text(DIALECT.peek(dump({"model": "m", "messages": [5], "documents": 7}), "chat")) == ""
