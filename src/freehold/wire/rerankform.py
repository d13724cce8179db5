"""A rerank codec made from a table of field names. The APIs differ in little else.

How many results, and whether with their documents, is decided here when the reply is written, from what the client
asked: upstreams differ in what they can be asked, and the documents are the client's own. Scores stay the float64 that
they were, in the order of the provider's ranking.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct, json

from freehold.base.errors import InvalidRequest, Unsupported
from freehold.wire.counts import read_counts
from freehold.wire.dialect import Peek
from freehold.wire.rank import Ranked, RerankReply, RerankRequest
from freehold.wire.typed import (
    NULL,
    Fields,
    as_bool,
    as_fields,
    as_int,
    as_list,
    as_str,
    decoded,
    filled,
    kind_of,
    nulls,
    optional,
    required,
)

encode = json.Encoder().encode
_ABSENT = Raw()


class RerankForm(Struct, frozen=True, kw_only=True):
    """How a dialect spells a rerank request and its reply; "" where it has no such field."""

    dialect: str
    model: str = "model"
    documents: str = "documents"
    top_n: str = "top_n"
    return_documents: str = "return_documents"
    returns_documents: bool = False  # also when it is not asked to
    results: str = "results"  # "": the reply is the bare list
    score: str = "relevance_score"
    document: str = "document"
    bare: bool = False  # a reply's document is a string, not {"text": ...}


class FormRerank:
    """A RerankCodec. Dialects that differ in more than names override single steps."""

    def __init__(self, form: RerankForm) -> None:
        self.form = form

    def decode_request(self, peek: object) -> RerankRequest:
        assert isinstance(peek, Peek)
        form = self.form
        fields = dict(peek.fields)
        fields.pop("model", None)
        request = RerankRequest(dialect=form.dialect, model=peek.model, query=required(fields, "query", as_str, "a string"))
        request.documents = required(fields, form.documents, as_list, "an array of texts")
        for number, raw in enumerate(request.documents):
            if kind_of(raw) not in ("a string", "an object"):
                path = f"{form.documents}[{number}]"
                raise InvalidRequest(f"{path}: must be a string or an object, not {kind_of(raw)}", param=path)
        if form.top_n:
            request.top_n = optional(fields, form.top_n, as_int, "a whole number", request.spelling)
            if request.top_n is not None and request.top_n < 1:
                raise InvalidRequest(f"{form.top_n}: is {request.top_n}; it must be 1 or more", param=form.top_n)
        if form.return_documents:
            wanted = "true or false"
            request.return_documents = optional(fields, form.return_documents, as_bool, wanted, request.spelling)
        request.extras = fields
        return request

    def encode_request(self, request: RerankRequest, model: str) -> tuple[bytes, tuple[str, ...]]:
        form = self.form
        own = request.dialect == form.dialect
        body: dict[str, Any] = {form.model: model} if form.model else {}
        body["query"] = request.query
        body[form.documents] = request.documents if own else [_text(raw, n) for n, raw in enumerate(request.documents)]
        if request.top_n is not None and form.top_n:
            body[form.top_n] = request.top_n
        if own:
            if request.return_documents is not None:
                body[form.return_documents] = request.return_documents
            return encode(body | nulls(request.spelling) | request.extras), ()
        if form.returns_documents and form.return_documents:
            body[form.return_documents] = False  # encode_reply has them
        return encode(body), tuple(name for name, raw in request.extras.items() if bytes(raw) != NULL)

    def decode_reply(self, body: bytes) -> RerankReply:
        bare = body.lstrip()[:1] == b"["
        reply = _Reply(results=decoded(_items, body)) if bare else decoded(_reply, body)
        items = reply.results if reply.results is not None else reply.data
        if items is None:
            raise ValueError("the reply holds no results")
        results = [_ranked(item) for item in items]
        results.sort(key=lambda ranked: -ranked.score)
        usage = read_counts(reply.usage, reply.meta)
        return RerankReply(id=reply.id or "", model=reply.model or "", results=results, usage=usage)

    def encode_reply(self, reply: RerankReply, request: RerankRequest) -> bytes:
        form = self.form
        with_documents = form.returns_documents if request.return_documents is None else request.return_documents
        results = [self._result(ranked, request, with_documents) for ranked in reply.results[: request.top_n]]
        return encode(self.envelope(results, reply, request) if form.results else results)

    def envelope(self, results: list[Any], reply: RerankReply, request: RerankRequest) -> dict[str, Any]:
        """What surrounds the results: the form of Jina, vLLM, OpenRouter and Voyage."""
        usage: dict[str, int] = {"total_tokens": reply.usage.input if reply.usage is not None else 0}
        if reply.usage is not None and reply.usage.rerank_searches:
            usage["search_units"] = reply.usage.rerank_searches
        out: dict[str, Any] = {"id": reply.id} if reply.id else {}
        return out | {"object": "list", self.form.results: results, "model": reply.model or request.model, "usage": usage}

    def _result(self, ranked: Ranked, request: RerankRequest, with_documents: bool) -> dict[str, Any]:
        out: dict[str, Any] = {"index": ranked.index, self.form.score: ranked.score}
        if with_documents:
            document = ranked.document
            if document is None and ranked.index < len(request.documents):
                document = request.documents[ranked.index]
            if document is not None:
                out[self.form.document] = _text_of(document) if self.form.bare else _object_of(document)
        return out


def check_rerank(fields: Fields, documents: str) -> None:
    """Raises InvalidRequest for what no reranker takes."""
    filled(fields, "query", '"', "a string")
    filled(fields, documents, "[", "an array of texts")


# --- documents -------------------------------------------------------------------------


def _text(raw: Raw, number: int) -> Raw:
    """A document for an API that takes strings. Raises Unsupported for an object that holds more than a text."""
    if kind_of(raw) == "a string":
        return raw
    text = _text_of(raw)
    if isinstance(text, Raw) and kind_of(text) == "a string" and len(as_fields(raw)) == 1:
        return text
    path = f"documents[{number}]"
    raise Unsupported(f"{path}: this target ranks plain texts; send a string", param=path)


def _text_of(raw: Raw) -> Raw:
    """The text of {"text": ...}; any other document as it is."""
    return as_fields(raw).get("text", raw) if kind_of(raw) == "an object" else raw


def _object_of(raw: Raw) -> Raw | dict[str, Raw]:
    return raw if kind_of(raw) == "an object" else {"text": raw}


# --- replies ------------------------------------------------------------------------------


class _Item(Struct):
    index: int
    relevance_score: float | None = None
    score: float | None = None  # TEI
    document: Raw = _ABSENT
    text: Raw = _ABSENT  # TEI


class _Reply(Struct):
    results: list[_Item] | None = None
    data: list[_Item] | None = None  # Voyage
    id: str | None = None
    model: str | None = None
    usage: Any = None
    meta: Any = None


_reply = json.Decoder(_Reply).decode
_items = json.Decoder(list[_Item]).decode


def _ranked(item: _Item) -> Ranked:
    score = item.relevance_score if item.relevance_score is not None else item.score
    if score is None or item.index < 0:
        raise ValueError("a result lacks its index or score")
    document = item.document if item.document != _ABSENT else item.text
    known = document != _ABSENT and kind_of(document) in ("a string", "an object")
    return Ranked(index=item.index, score=score, document=document if known else None)
