"""bare.py, voyage, jina, tei: dialects that embed and rank and have no chat."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.base.errors import InvalidRequest, Unsupported, UpstreamRefused
from freehold.wire.dialect import Asked, Dialect, Kind, Quirks, WriterOptions
from freehold.wire.registry import DIALECTS

BARE = [DIALECTS[name] for name in ("voyage", "jina", "tei")]
TEXTS = {"voyage": "input", "jina": "input", "tei": "inputs"}
DOCUMENTS = {"voyage": "documents", "jina": "documents", "tei": "texts"}


def body_of(dialect: Dialect, kind: Kind, **fields: Any) -> bytes:
    named = {} if dialect.name == "tei" else {"model": "m"}
    held = {"query": "q", DOCUMENTS[dialect.name]: ["a", "b"]} if kind == "rerank" else {TEXTS[dialect.name]: ["a", "b"]}
    return json.dumps(named | held | fields).encode()


@pytest.mark.parametrize("dialect", BARE, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("kind", ["embeddings", "rerank"])
def test_a_body_passes_with_only_the_model_changed(dialect: Dialect, kind: Kind) -> None:
    body = body_of(dialect, kind, x=1.0)
    peek = dialect.peek(body, kind, Asked(model="by-url"))
    assert (peek.model, peek.stream, peek.kind) == ("by-url" if dialect.name == "tei" else "m", False, kind)
    named = {} if dialect.name == "tei" else {"model": "there"}
    sent, dropped = dialect.patch(peek, "there", Quirks())
    assert (json.loads(sent), dropped) == (json.loads(body) | named, ())
    assert dialect.patch(peek, peek.model, Quirks(drop=("x",)))[1] == ("x",)
    assert "a\nb" in dialect.input_text(peek)
    assert dialect.path(kind, peek, "m") in ("/v1/embeddings", "/v1/rerank", "/embed", "/rerank")


@pytest.mark.parametrize("dialect", BARE, ids=lambda dialect: dialect.name)
def test_there_is_no_chat(dialect: Dialect) -> None:
    peek = dialect.peek(body_of(dialect, "rerank"), "rerank", Asked(model="m"))
    options = WriterOptions(stream=False, model="m", call_id="c", created_s=1)
    calls: list[Any] = [
        lambda: dialect.peek(b'{"model":"m","messages":[]}', "chat"),
        lambda: dialect.decode_request(peek),
        lambda: dialect.reader(False),
        lambda: dialect.writer(options),
    ]
    for call in calls:
        with pytest.raises(Unsupported, match="no chat"):
            call()
    assert dialect.path("chat", peek, "m") is None and dialect.path("count_tokens", peek, "m") is None


@pytest.mark.parametrize("dialect", BARE, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("kind", ["embeddings", "rerank"])
def test_bodies_that_no_endpoint_takes_are_refused(dialect: Dialect, kind: Kind) -> None:
    wrong = {TEXTS[dialect.name]: []} if kind == "embeddings" else {DOCUMENTS[dialect.name]: []}
    for body in (b"", b"[]", b"{}", b'{"model":"m"}', body_of(dialect, kind, **wrong)):
        with pytest.raises(InvalidRequest):
            dialect.peek(body, kind, Asked(model="m"))
    with pytest.raises(InvalidRequest):
        dialect.peek(body_of(dialect, kind, model=""), kind)


@pytest.mark.parametrize("dialect", BARE, ids=lambda dialect: dialect.name)
def test_errors_are_said_and_read_in_the_vendors_form(dialect: Dialect) -> None:
    said = dialect.encode_error(InvalidRequest("too long"), "call1")
    assert json.loads(said) == (
        {"error": "too long", "error_type": "Validation"} if dialect.name == "tei" else {"detail": "too long"}
    )
    error = dialect.decode_error(413, said, "there")
    assert isinstance(error, UpstreamRefused) and (error.status, error.message) == (413, "there answered 413: too long")
    assert dialect.encode_stream_error(error, "call1") == b""


def test_token_ids_count_as_words() -> None:
    tei = DIALECTS["tei"]
    assert tei.input_text(tei.peek(b'{"inputs":[[1,2,3]]}', "embeddings", Asked(model="m"))).split() == ["a", "a", "a"]


def test_media_are_left_out_of_the_text() -> None:
    jina = DIALECTS["jina"]
    body = b'{"model":"m","input":[{"text":"a"},{"image":"QUJD"},5,null]}'
    assert jina.input_text(jina.peek(body, "embeddings")) == "a"


def test_every_path_of_a_client_belongs_to_one_dialect() -> None:
    paths = [(path.method, path.path) for dialect in DIALECTS.values() for path in dialect.client_paths]
    assert len(paths) == len(set(paths))
    owners = {path.path: dialect.name for dialect in DIALECTS.values() for path in dialect.client_paths}
    assert (owners["/v1/rerank"], owners["/v1/embeddings"]) == ("cohere", "openai_chat")
