"""Embeddings across dialects: every client's form is answered by every provider's, numbers and usage unchanged."""

from __future__ import annotations

import json
import math
import struct
from array import array
from base64 import b64decode, b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Usage
from freehold.wire.dialect import Asked, Peek, Quirks
from freehold.wire.embed import EmbeddingsCodec, EmbedReply, EmbedRequest
from freehold.wire.embedform import base64_of, vector_of
from freehold.wire.registry import DIALECTS
from tests.traffic import Recorded, exchanges

EMBEDDING = [name for name, dialect in DIALECTS.items() if name in ("openai_chat", "cohere", "voyage", "jina", "tei")]
INPUT = {"openai_chat": "input", "cohere": "texts", "voyage": "input", "jina": "input", "tei": "inputs"}
PAIRS = [(client, upstream) for client in EMBEDDING for upstream in EMBEDDING]
# Amazon's and Ollama's own APIs share the endpoint's name, not its dialect.
FOREIGN = {"90ba9c1360af", "1e3541d08f77"}

float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
float64s = st.floats(allow_nan=False, allow_infinity=False)


def codec(name: str) -> EmbeddingsCodec:
    found = DIALECTS[name].embeddings
    assert found is not None
    return found


def opened(name: str, body: dict[str, Any]) -> Peek:
    return DIALECTS[name].peek(json.dumps(body).encode(), "embeddings", Asked(model="by-url"))


def asked(name: str, **fields: Any) -> EmbedRequest:
    return codec(name).decode_request(opened(name, {"model": "m", INPUT[name]: ["a", "b"], **fields}))


def sent(request: EmbedRequest, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, dropped = codec(name).encode_request(request, "there")
    return json.loads(body), dropped


def vectors_in(name: str, body: bytes) -> list[list[float]]:
    """What a client of this dialect finds, read here without the codecs."""
    reply = json.loads(body)
    if name == "tei":
        return reply  # type: ignore[no-any-return]
    if name == "cohere":
        items = reply["embeddings"].get("float") or reply["embeddings"]["base64"]
    else:
        assert [item["index"] for item in reply["data"]] == list(range(len(reply["data"])))
        items = [item["embedding"] for item in reply["data"]]
    return [list(struct.unpack(f"<{len(b64decode(v)) // 4}f", b64decode(v))) if isinstance(v, str) else v for v in items]


# --- all pairs -------------------------------------------------------------------------


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=20, deadline=None)
@given(vectors=st.lists(st.lists(float64s, min_size=1, max_size=8), min_size=1, max_size=4), tokens=st.integers(0, 9999))
def test_numbers_and_usage_pass_unchanged(client: str, upstream: str, vectors: list[list[float]], tokens: int) -> None:
    reply = EmbedReply(model="x", vectors=[array("d", v) for v in vectors], usage=Usage(input=tokens))
    theirs = EmbedRequest(dialect=client, model="m", texts=["t"] * len(vectors))
    came = codec(upstream).decode_reply(codec(upstream).encode_reply(reply, theirs))
    assert came.vectors == reply.vectors
    assert came.usage == (None if upstream == "tei" else reply.usage)
    answer = codec(client).encode_reply(came, theirs)
    assert vectors_in(client, answer) == vectors


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=20, deadline=None)
@given(vector=st.lists(float32s, min_size=1, max_size=8))
def test_float32s_are_the_same_whether_base64_or_numbers_on_either_side(client: str, upstream: str, vector: list[float]) -> None:
    for upstream_base64 in (False, True):
        reply = EmbedReply(vectors=[array("d", vector)])
        body = codec(upstream).encode_reply(reply, EmbedRequest(dialect="x", model="m", texts=["t"], base64=upstream_base64))
        for client_base64 in (False, True):
            wanted = EmbedRequest(dialect=client, model="m", texts=["t"], base64=client_base64)
            answer = codec(client).encode_reply(codec(upstream).decode_reply(body), wanted)
            assert vectors_in(client, answer) == [vector]


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(st.text(max_size=9), min_size=1, max_size=4), plain=st.booleans(), dimensions=st.none() | st.integers(1, 9999)
)
def test_texts_and_dimensions_reach_every_upstream(
    client: str, upstream: str, texts: list[str], plain: bool, dimensions: int | None
) -> None:
    if plain and client != "cohere":
        texts = [texts[0] or "a"]
    value: Any = texts[0] if plain and client != "cohere" else texts
    names = {"openai_chat": "dimensions", "jina": "dimensions", "tei": "dimensions"}
    body = {INPUT[client]: value} | ({names.get(client, "output_dimension"): dimensions} if dimensions else {})
    request = codec(client).decode_request(opened(client, {"model": "m", **body}))
    out, dropped = sent(request, upstream)
    there = out[INPUT[upstream]]
    assert ([there] if isinstance(there, str) else there) == texts
    assert out.get(names.get(upstream, "output_dimension")) == dimensions
    assert dropped == ()
    assert out.get("model") == (None if upstream == "tei" else "there")


@pytest.mark.parametrize("upstream", EMBEDDING)
def test_a_bare_text_stays_bare_where_the_api_has_that(upstream: str) -> None:
    request = codec("openai_chat").decode_request(opened("openai_chat", {"model": "m", "input": "one"}))
    out, _ = sent(request, upstream)
    assert out[INPUT[upstream]] == (["one"] if upstream == "cohere" else "one")


PURPOSES = {
    "query": {"cohere": "search_query", "voyage": "query", "jina": "retrieval.query"},
    "document": {"cohere": "search_document", "voyage": "document", "jina": "retrieval.passage"},
    "classification": {"cohere": "classification", "jina": "classification"},
    "clustering": {"cohere": "clustering", "jina": "separation"},
    "similarity": {"jina": "text-matching"},
}
PURPOSE_FIELD = {"cohere": "input_type", "voyage": "input_type", "jina": "task"}


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("upstream", EMBEDDING)
def test_a_purpose_is_said_in_the_targets_words_or_named_as_dropped(purpose: str, upstream: str) -> None:
    words = PURPOSES[purpose]
    for client in words:
        request = asked(client, **{PURPOSE_FIELD[client]: words[client]})
        assert request.purpose == purpose
        out, dropped = sent(request, upstream)
        if upstream in words:
            assert out[PURPOSE_FIELD[upstream]] == words[upstream] and dropped == ()
        else:
            assert dropped == ("input_type",)


@pytest.mark.parametrize(
    ("client", "fields", "meaning"),
    [
        ("cohere", {"truncate": "START"}, "START"),
        ("cohere", {"truncate": "END"}, "END"),
        ("cohere", {"truncate": "NONE"}, "NONE"),
        ("voyage", {"truncation": True}, "END"),
        ("voyage", {"truncation": False}, "NONE"),
        ("jina", {"truncate": True}, "END"),
        ("tei", {"truncate": True, "truncation_direction": "Left"}, "START"),
        ("tei", {"truncate": True}, "END"),
        ("tei", {"truncate": False}, "NONE"),
    ],
)
def test_how_long_texts_are_cut_crosses(client: str, fields: dict[str, Any], meaning: str) -> None:
    request = asked(client, **fields)
    assert request.truncate == meaning
    assert sent(request, client)[0].items() >= fields.items()
    assert sent(request, "cohere")[0]["truncate"] == meaning
    voyage, dropped = sent(request, "voyage")
    assert (voyage.get("truncation"), dropped) == {
        "START": (None, ("truncate",)),
        "END": (True, ()),
        "NONE": (False, ()),
    }[meaning]


def test_cohere_is_always_told_what_the_texts_are_for() -> None:
    assert sent(asked("openai_chat"), "cohere")[0]["input_type"] == "search_document"
    assert "input_type" not in sent(asked("cohere"), "cohere")[0]  # its own client may leave it out, for older models


# --- what can't cross --------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [[5, 6], [[5, 6], [7]]])
def test_token_ids_go_where_they_are_understood(tokens: Any) -> None:
    request = asked("openai_chat", input=tokens)
    assert sent(request, "openai_chat")[0]["input"] == tokens
    assert sent(request, "tei")[0]["inputs"] == tokens
    for upstream in ("cohere", "voyage", "jina"):
        with pytest.raises(Unsupported, match="token ids"):
            sent(request, upstream)


@pytest.mark.parametrize(
    ("client", "body"),
    [
        ("cohere", {"images": ["data:image/png;base64,QQ=="], "input_type": "image"}),
        ("cohere", {"inputs": [{"content": [{"type": "text", "text": "a"}]}]}),
        ("cohere", {"texts": ["a"], "images": ["data:image/png;base64,QQ=="]}),
        ("jina", {"input": [{"text": "a"}, {"image": "https://x/y.png"}]}),
    ],
)
def test_media_go_back_to_their_own_dialect_only(client: str, body: dict[str, Any]) -> None:
    request = codec(client).decode_request(opened(client, {"model": "m", **body}))
    assert sent(request, client)[0] == {"model": "there", **body}
    for upstream in EMBEDDING:
        if upstream != client:
            with pytest.raises(Unsupported, match="text only"):
                sent(request, upstream)


def test_texts_beside_images_can_be_masked() -> None:
    request = asked("cohere", texts=["secret"], images=["data:"])
    request.texts = ["***"]
    assert sent(request, "cohere")[0]["texts"] == ["***"]


def test_a_reply_of_no_vectors_is_a_reply() -> None:
    assert codec("cohere").decode_reply(b'{"embeddings":{"float":[]}}').vectors == []


@pytest.mark.parametrize(
    ("client", "fields"),
    [
        ("cohere", {"embedding_types": ["int8", "float"]}),
        ("voyage", {"output_dtype": "int8"}),
        ("jina", {"embedding_type": ["binary"]}),
        ("openai_chat", {"encoding_format": "base64_int8"}),
    ],
)
def test_vectors_of_other_numbers_than_floats_are_not_promised(client: str, fields: dict[str, Any]) -> None:
    request = asked(client, **fields)
    assert sent(request, client)[0].items() >= fields.items()
    for upstream in EMBEDDING:
        if upstream != client:
            with pytest.raises(Unsupported, match="floats only"):
                sent(request, upstream)


def test_fields_of_one_dialect_are_named_where_another_answers() -> None:
    request = asked("jina", late_chunking=True, normalized=True)
    assert sent(request, "voyage")[1] == ("late_chunking", "normalized")
    assert sent(asked("openai_chat", user="u"), "cohere")[1] == ("user",)
    assert sent(asked("voyage", output_dimension=None, output_dtype=None), "cohere")[1] == ()  # null asks for nothing


@pytest.mark.parametrize("name", EMBEDDING)
@pytest.mark.parametrize("value", [5, None, {}, [], "", [1.5], [True], ["a", 1], [[1], "a"], [[]] * 0])
def test_what_no_api_takes_is_refused_with_the_fields_name(name: str, value: Any) -> None:
    if name == "jina" and isinstance(value, list) and value and value != ["a", 1]:
        pytest.skip("may be content of its own")
    with pytest.raises(InvalidRequest) as caught:
        codec(name).decode_request(opened(name, {"model": "m", INPUT[name]: value}))
    assert caught.value.param == INPUT[name]


@pytest.mark.parametrize("name", EMBEDDING)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"data":5}',
        b'{"data":[{"embedding":[null]}]}',
        b'{"data":[{"embedding":"*"}]}',
        b'{"data":[{"embedding":"QQ=="}]}',
        b"[[1,",
        b'[["a"]]',
        b'{"embeddings":{"int8":[[1]]}}',
        b"[" * 5000,
        b'{"usage":' + b"[" * 5000,
    ],
)
def test_another_body_than_a_reply_is_a_value_error(name: str, body: bytes) -> None:
    if name == "tei" and body == b"[]":
        pytest.skip("no vectors, but a reply")
    with pytest.raises(ValueError):
        codec(name).decode_reply(body)


# --- numbers -----------------------------------------------------------------------------


def test_base64_is_little_endian_float32() -> None:
    assert b64decode(base64_of(array("d", [1.0, -2.5]))) == bytes.fromhex("0000803f000020c0")
    assert vector_of("AACAPwAAIMA=") == array("d", [1.0, -2.5])


def test_numbers_beyond_float32_become_infinity_in_base64() -> None:
    assert math.isinf(struct.unpack("<f", b64decode(base64_of(array("d", [1e300]))))[0])


def test_vectors_come_in_the_order_of_their_index() -> None:
    body = b'{"data":[{"index":1,"embedding":[1]},{"index":0,"embedding":[0]}],"model":"m"}'
    assert [list(v) for v in codec("openai_chat").decode_reply(body).vectors] == [[0.0], [1.0]]


def test_perplexitys_int8_vectors_are_read_as_such() -> None:
    packed = b64encode(array("b", [-128, 0, 127, 5]).tobytes()).decode()
    body = json.dumps({"model": "pplx-embed-v1-0.6b", "data": [{"index": 0, "embedding": packed}]}).encode()
    assert codec("openai_chat").decode_reply(body).vectors == [array("d", [-128, 0, 127, 5])]


# --- recorded traffic ----------------------------------------------------------------------


def recorded() -> list[tuple[str, Recorded]]:
    found = [("openai_chat", one) for one in exchanges(endpoint="embeddings") if one.provider != "voyage"]
    found += [("voyage", one) for one in exchanges(endpoint="embeddings", provider="voyage")]
    found += [("cohere", one) for one in exchanges(provider="cohere") if one.url.endswith("/v2/embed")]
    return [(name, one) for name, one in found if one.id not in FOREIGN]


def test_every_recorded_request_goes_back_as_it_came_and_on_to_every_upstream() -> None:
    count = crossed = 0
    for name, one in recorded():
        request = codec(name).decode_request(opened(name, one.request))
        body, dropped = codec(name).encode_request(request, request.model)
        assert (json.loads(body), dropped) == (one.request, ()), one.id
        texts = one.request[INPUT[name]]
        for upstream in EMBEDDING:
            try:
                out, dropped = sent(request, upstream)
            except Unsupported:
                assert request.tokens or one.status == 400, one.id
                continue
            there = out[INPUT[upstream]]
            assert there == texts or there == [texts], one.id
            assert set(dropped) <= {"input_type", "truncate"}, one.id
            crossed += 1
        count += 1
    assert count > 60 and crossed > 5 * 60


def test_every_recorded_reply_reaches_every_client_with_the_same_numbers() -> None:
    count = 0
    for name, one in recorded():
        if one.status != 200:
            continue
        reply = codec(name).decode_reply(one.response)
        raw = json.loads(one.response)
        if one.provider != "perplexity":
            assert [list(v) for v in reply.vectors] == vectors_in(name, one.response), one.id
        texts = one.request[INPUT[name]]
        wanted = 1 if isinstance(texts, str) or isinstance(texts[0], int) else len(texts)
        assert len(reply.vectors) == wanted, one.id
        usage = raw["meta"]["billed_units"]["input_tokens"] if name == "cohere" else raw["usage"]["total_tokens"]
        assert reply.usage is not None and reply.usage.input == usage, one.id
        for client in EMBEDDING:
            for base64 in (False, True):
                answer = codec(client).encode_reply(reply, EmbedRequest(dialect=client, model="m", texts=["t"], base64=base64))
                expected = [[struct.unpack("<f", struct.pack("<f", x))[0] for x in v] for v in reply.vectors]
                exact = not base64 or client == "tei"
                assert vectors_in(client, answer) == ([list(v) for v in reply.vectors] if exact else expected), one.id
                if client != "tei":
                    again = codec(client).decode_reply(answer)
                    assert again.usage == reply.usage, one.id
        count += 1
    assert count > 60


def test_every_recorded_reply_passes_unchanged_with_its_usage_seen() -> None:
    for name, one in recorded():
        peek = opened(name, one.request)
        body, dropped = DIALECTS[name].patch(peek, peek.model, Quirks())
        assert (json.loads(body), dropped) == (one.request, ()) and DIALECTS[name].input_text(peek), one.id
        if one.status != 200:
            continue
        for size in (1 << 20, 777):
            tap = DIALECTS[name].tap(peek, Quirks(), False, len)
            out = b"".join(tap.feed(one.response[at : at + size]) for at in range(0, len(one.response), size)) + tap.close()
            assert (out, tap.done, tap.failure, tap.produced()) == (one.response, True, None, 0), one.id
            told = codec(name).decode_reply(one.response).usage
            assert tap.usage is not None and told is not None and tap.usage.input == told.input, one.id
