"""Hugging Face text-embeddings-inference: /embed and /rerank. Base URLs end before these.

A server holds one model, so no body names one; a client's URL does. Neither reply tells any usage: the gateway counts.
Its /v1/embeddings is `openai_chat`'s and tells it: a provider of that dialect serves where only embeddings are asked for.
"""

from __future__ import annotations

from typing import Any

from msgspec import json

from freehold.base.errors import GatewayError
from freehold.wire.dialect import ClientPath
from freehold.wire.dialects.bare import BareDialect
from freehold.wire.dropped import Dropped
from freehold.wire.embed import EmbedReply, EmbedRequest
from freehold.wire.embedform import EmbedForm, FormEmbeddings, encode, vector_of
from freehold.wire.rerankform import FormRerank, RerankForm
from freehold.wire.typed import Fields, as_bool, decoded, optional

NAME = "tei"
_vectors = json.Decoder(list[list[float]]).decode
_TYPES = {413: "Validation", 422: "Tokenizer", 424: "Backend", 429: "Overloaded"}


class TEIEmbeddings(FormEmbeddings):
    def knobs_in(self, fields: Fields, request: EmbedRequest) -> None:
        cut = optional(fields, "truncate", as_bool, "true or false", request.spelling)
        if cut is None:
            return
        left = bytes(fields.get("truncation_direction", b"")) == b'"Left"'
        request.truncate = "START" if cut and left else "END" if cut else "NONE"
        if left and cut:
            del fields["truncation_direction"]

    def knobs_out(self, request: EmbedRequest, body: dict[str, Any], own: bool, dropped: Dropped) -> None:
        if request.truncate:
            body["truncate"] = request.truncate != "NONE"
            if request.truncate == "START":
                body["truncation_direction"] = "Left"
        if request.purpose:
            dropped["input_type"] = None  # prompts there have the names that the model's maker gave them

    def decode_reply(self, body: bytes) -> EmbedReply:
        return EmbedReply(vectors=[vector_of(vector) for vector in decoded(_vectors, body)])

    def encode_reply(self, reply: EmbedReply, request: EmbedRequest) -> bytes:
        return encode([vector.tolist() for vector in reply.vectors])


class TEIDialect(BareDialect):
    def encode_error(self, error: GatewayError, call_id: str) -> bytes:
        return encode({"error": error.message, "error_type": _TYPES.get(error.status, "Validation")})


TEI = TEIDialect(
    NAME,
    (ClientPath("/tei/{model}/embed", "embeddings"), ClientPath("/tei/{model}/rerank", "rerank")),
    {"embeddings": "/embed", "rerank": "/rerank"},
    TEIEmbeddings(EmbedForm(dialect=NAME, input="inputs", model="", tokens=True)),
    FormRerank(
        RerankForm(
            dialect=NAME,
            model="",
            documents="texts",
            top_n="",
            return_documents="return_text",
            results="",
            score="score",
            document="text",
            bare=True,
        )
    ),
)
