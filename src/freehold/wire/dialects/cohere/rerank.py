"""/v2/rerank, and /v1/rerank, which Jina, vLLM, LiteLLM and others took over from it.

/v1/rerank is answered with what clients of any of these look for: Cohere's `meta` beside their `model` and `usage`.
"""

from __future__ import annotations

from typing import Any

from freehold.wire.dialect import Peek
from freehold.wire.dialects.cohere.words import NAME
from freehold.wire.rank import RerankReply, RerankRequest
from freehold.wire.rerankform import FormRerank, RerankForm

V1 = "/v1/rerank"


class CohereRerank(FormRerank):
    def decode_request(self, peek: object) -> RerankRequest:
        assert isinstance(peek, Peek)
        request = super().decode_request(peek)
        request.spelling["path"] = peek.path
        return request

    def envelope(self, results: list[Any], reply: RerankReply, request: RerankRequest) -> dict[str, Any]:
        common = super().envelope(results, reply, request) if request.spelling.get("path") == V1 else {}
        meta: dict[str, Any] = {"api_version": {"version": "1" if common else "2"}}
        if reply.usage is not None and reply.usage.rerank_searches:
            meta["billed_units"] = {"search_units": reply.usage.rerank_searches}
        if reply.usage is not None and reply.usage.input:
            meta["tokens"] = {"input_tokens": reply.usage.input}
        return common | ({"id": reply.id} if reply.id else {}) | {"results": results, "meta": meta}


RERANK = CohereRerank(RerankForm(dialect=NAME))
