"""Rerank across dialects: every client's form is answered by every provider's, ranking and usage unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.chat import Usage
from freehold.wire.dialect import Asked, Peek, Quirks
from freehold.wire.rank import Ranked, RerankCodec, RerankReply, RerankRequest
from freehold.wire.registry import DIALECTS
from tests.traffic import Recorded, exchanges

RANKING = [name for name, dialect in DIALECTS.items() if name in ("openai_chat", "cohere", "voyage", "jina", "tei")]
PAIRS = [(client, upstream) for client in RANKING for upstream in RANKING]
DOCUMENTS = {"tei": "texts"}
TOP = {"voyage": "top_k", "tei": ""}
RETURN = {"tei": "return_text"}


def codec(name: str) -> RerankCodec:
    found = DIALECTS[name].rerank
    assert found is not None
    return found


def opened(name: str, body: dict[str, Any], path: str = "") -> Peek:
    return DIALECTS[name].peek(json.dumps(body).encode(), "rerank", Asked(model="by-url", path=path))


def asked(name: str, documents: list[Any], path: str = "", **fields: Any) -> RerankRequest:
    body = {"model": "m", "query": "q", DOCUMENTS.get(name, "documents"): documents, **fields}
    return codec(name).decode_request(opened(name, body, path))


def sent(request: RerankRequest, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, dropped = codec(name).encode_request(request, "there")
    return json.loads(body), dropped


def results_in(name: str, body: bytes) -> list[tuple[int, float, Any]]:
    """What a client of this dialect finds, read here without the codecs: index, score, the document's text."""
    reply = json.loads(body)
    items = reply if name == "tei" else reply["data"] if name == "voyage" else reply["results"]
    score = "score" if name == "tei" else "relevance_score"
    found = []
    for item in items:
        document = item.get("text" if name == "tei" else "document")
        found.append((item["index"], item[score], document.get("text") if isinstance(document, dict) else document))
    return found


rankings = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6).map(
    lambda scores: [(n, score) for n, score in sorted(enumerate(scores), key=lambda at: -at[1])]
)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=25, deadline=None)
@given(ranking=rankings, top_n=st.none() | st.integers(1, 7), with_documents=st.none() | st.booleans(), data=st.data())
def test_a_ranking_crosses_whole(
    client: str, upstream: str, ranking: list[tuple[int, float]], top_n: int | None, with_documents: bool | None, data: Any
) -> None:
    texts = data.draw(st.lists(st.text(max_size=6), min_size=len(ranking), max_size=len(ranking)))
    fields: dict[str, Any] = {}
    if top_n is not None and TOP.get(client, "top_n"):
        fields[TOP.get(client, "top_n")] = top_n
    if with_documents is not None:
        fields[RETURN.get(client, "return_documents")] = with_documents
    request = asked(client, texts, **fields)

    out, dropped = sent(request, upstream)
    assert (out["query"], out[DOCUMENTS.get(upstream, "documents")], dropped) == ("q", texts, ())
    assert out.get("model") == (None if upstream == "tei" else "there")
    if TOP.get(upstream, "top_n"):
        assert out.get(TOP.get(upstream, "top_n")) == request.top_n

    whole = RerankReply(model="x", results=[Ranked(index=n, score=score) for n, score in ranking], usage=Usage(input=7))
    body = codec(upstream).encode_reply(whole, RerankRequest(dialect=upstream, model="m", query="q"))
    came = codec(upstream).decode_reply(body)
    assert came.usage == (None if upstream == "tei" else whole.usage)
    returns = with_documents if with_documents is not None else client == "jina"
    wanted = [(n, score, texts[n] if returns else None) for n, score in ranking][: request.top_n]
    answer = codec(client).encode_reply(came, request)
    assert results_in(client, answer) == wanted
    if client != "tei":
        assert codec(client).decode_reply(answer).usage == (came.usage or codec(client).decode_reply(answer).usage)


@pytest.mark.parametrize(("client", "upstream"), [pair for pair in PAIRS if "tei" not in pair])
@given(tokens=st.integers(0, 10**6), searches=st.integers(0, 10**6))
def test_tokens_and_search_units_cross(client: str, upstream: str, tokens: int, searches: int) -> None:
    usage = Usage(input=tokens, rerank_searches=searches)
    request = RerankRequest(dialect=client, model="m", query="q")
    first = codec(upstream).decode_reply(codec(upstream).encode_reply(RerankReply(usage=usage), request))
    assert codec(client).decode_reply(codec(client).encode_reply(first, request)).usage == usage


def test_documents_that_are_objects_with_a_text_alone_become_that_text() -> None:
    request = asked("jina", [{"text": "a"}, "b"])
    for upstream in RANKING:
        documents = sent(request, upstream)[0][DOCUMENTS.get(upstream, "documents")]
        assert documents == ([{"text": "a"}, "b"] if upstream == "jina" else ["a", "b"])


@pytest.mark.parametrize("document", [{"text": "a", "title": "t"}, {"image": "https://x"}, {"text": 5}, {}])
def test_documents_that_hold_more_than_text_are_refused_elsewhere(document: dict[str, Any]) -> None:
    request = asked("cohere", ["x", document], "/v1/rerank", rank_fields=["title"])
    assert sent(request, "cohere")[0]["documents"] == ["x", document]
    for upstream in RANKING:
        if upstream != "cohere":
            with pytest.raises(Unsupported) as caught:
                sent(request, upstream)
            assert caught.value.param == "documents[1]"


def test_fields_of_one_dialect_are_named_where_another_answers() -> None:
    request = asked("cohere", ["a"], max_tokens_per_doc=9, priority=1)
    assert sent(request, "voyage")[1] == ("max_tokens_per_doc", "priority")
    assert sent(request, "cohere")[1] == ()
    assert sent(asked("cohere", ["a"], max_chunks_per_doc=None), "voyage")[1] == ()  # null asks for nothing
    assert sent(asked("voyage", ["a"], truncation=True), "jina")[1] == ("truncation",)


def test_jina_is_told_not_to_send_the_documents_back() -> None:
    assert sent(asked("cohere", ["a"]), "jina")[0]["return_documents"] is False


def test_v1_goes_to_v1_and_is_answered_for_clients_of_every_maker() -> None:
    cohere = DIALECTS["cohere"]
    peek = opened("cohere", {"model": "m", "query": "q", "documents": ["a"]}, "/v1/rerank")
    assert cohere.path("rerank", peek, "m") == "/v1/rerank"
    assert (
        cohere.path("rerank", opened("cohere", {"model": "m", "query": "q", "documents": ["a"]}, "/v2/rerank"), "m")
        == "/v2/rerank"
    )
    request = codec("cohere").decode_request(peek)
    reply = RerankReply(id="i", results=[Ranked(index=0, score=0.5)], usage=Usage(input=3, rerank_searches=1))
    assert json.loads(codec("cohere").encode_reply(reply, request)) == {
        "id": "i",
        "object": "list",
        "model": "m",
        "results": [{"index": 0, "relevance_score": 0.5}],
        "usage": {"total_tokens": 3, "search_units": 1},
        "meta": {"api_version": {"version": "1"}, "billed_units": {"search_units": 1}, "tokens": {"input_tokens": 3}},
    }


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"query": ...}, "query"),
        ({"query": ["q"]}, "query"),
        ({"query": ""}, "query"),
        ({"documents": ...}, "documents"),
        ({"documents": []}, "documents"),
        ({"documents": "a"}, "documents"),
        ({"documents": ["a", 5]}, "documents[1]"),
        ({"documents": [["a"]]}, "documents[0]"),
        ({"top_n": 0}, "top_n"),
        ({"top_n": "3"}, "top_n"),
        ({"return_documents": 1}, "return_documents"),
    ],
)
def test_what_no_api_takes_is_refused_with_the_fields_name(name: str, fields: dict[str, Any], param: str) -> None:
    names = {
        "documents": DOCUMENTS.get(name, "documents"),
        "top_n": TOP.get(name, "top_n"),
        "return_documents": RETURN.get(name, "return_documents"),
    }
    body: dict[str, Any] = {"model": "m", "query": "q", names["documents"]: ["a"]}
    for field, value in fields.items():
        if not names.get(field, field):
            pytest.skip("this dialect has no such field")
        body[names.get(field, field)] = value
    with pytest.raises(InvalidRequest) as caught:
        codec(name).decode_request(opened(name, {key: value for key, value in body.items() if value is not ...}))
    stem, bracket, rest = param.partition("[")
    assert caught.value.param == names.get(stem, stem) + bracket + rest


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"5",
        b'{"results":5}',
        b'{"results":[{}]}',
        b'{"results":[{"index":0}]}',
        b'{"data":[{"index":-1,"relevance_score":1}]}',
        b'[{"index":"0","score":1}]',
        b'{"results":[',
        b'{"meta":' + b"[" * 5000,
    ],
)
def test_another_body_than_a_reply_is_a_value_error(name: str, body: bytes) -> None:
    with pytest.raises(ValueError):
        codec(name).decode_reply(body)


def test_a_result_about_no_document_of_the_request_has_none() -> None:
    reply = RerankReply(results=[Ranked(index=9, score=1.0)])
    request = RerankRequest(dialect="jina", model="m", query="q", documents=[Raw(b'"a"')], return_documents=True)
    assert results_in("jina", codec("jina").encode_reply(reply, request)) == [(9, 1.0, None)]


# --- recorded traffic ------------------------------------------------------------------------


def recorded() -> list[tuple[str, Recorded]]:
    names = {"cohere": "cohere", "voyage": "voyage", "openrouter": "openai_chat"}
    return [(names[one.provider], one) for one in exchanges(endpoint="rerank")]


def path_of(one: Recorded) -> str:
    return "/" + "/".join(one.url.split("/")[-2:])


def test_every_recorded_request_goes_back_as_it_came_and_on_to_every_upstream() -> None:
    assert len(recorded()) == 10
    for name, one in recorded():
        peek = opened(name, one.request, path_of(one))
        request = codec(name).decode_request(peek)
        body, dropped = codec(name).encode_request(request, request.model)
        assert (json.loads(body), dropped) == (one.request, ()), one.id
        for upstream in RANKING:
            out, _ = sent(request, upstream)
            assert out[DOCUMENTS.get(upstream, "documents")] == one.request["documents"], one.id


def test_every_recorded_reply_reaches_every_client_and_reads_the_same() -> None:
    for name, one in recorded():
        reply = codec(name).decode_reply(one.response)
        raw = json.loads(one.response)
        wanted = [(n, score) for n, score, _ in results_in(name, one.response)]
        assert [(r.index, r.score) for r in reply.results] == wanted
        billed = raw.get("meta", {}).get("billed_units", {}).get("search_units", 0)
        assert reply.usage == Usage(input=raw.get("usage", {}).get("total_tokens", 0), rerank_searches=billed), one.id
        request = codec(name).decode_request(opened(name, one.request, path_of(one)))
        for client in RANKING:
            theirs = RerankRequest(dialect=client, model="m", query="q", documents=request.documents)
            answer = codec(client).encode_reply(reply, theirs)
            assert [(n, score) for n, score, _ in results_in(client, answer)] == wanted, one.id
            again = codec(client).decode_reply(answer)
            assert [(r.index, r.score) for r in again.results] == wanted
            assert client == "tei" or again.usage == reply.usage, one.id


def test_every_recorded_reply_passes_unchanged_with_its_usage_seen() -> None:
    for name, one in recorded():
        peek = opened(name, one.request, path_of(one))
        body, dropped = DIALECTS[name].patch(peek, peek.model, Quirks())
        assert (json.loads(body), dropped) == (one.request, ()) and DIALECTS[name].input_text(peek), one.id
        tap = DIALECTS[name].tap(peek, Quirks(), False, len)
        assert tap.feed(one.response) + tap.close() == one.response
        told = codec(name).decode_reply(one.response).usage
        assert tap.done and tap.usage is not None and told is not None
        assert (tap.usage.input, tap.usage.rerank_searches) == (told.input, told.rerank_searches), one.id
