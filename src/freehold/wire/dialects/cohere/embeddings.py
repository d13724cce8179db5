"""/v2/embed. `input_type` is required for all models since v3: "search_document" is sent where nobody said what for."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field, json

from freehold.wire.counts import read_counts
from freehold.wire.dialects.cohere.words import NAME
from freehold.wire.dropped import Dropped
from freehold.wire.embed import EmbedReply, EmbedRequest
from freehold.wire.embedform import BASE64, EmbedForm, FormEmbeddings, base64_of, encode, take_word, vector_of
from freehold.wire.typed import Fields, decoded

_TYPES = "embedding_types"
_FALLBACK = "search_document"


class _Vectors(Struct):
    floats: list[list[float]] | None = field(default=None, name="float")
    base64: list[str] | None = None


class _Reply(Struct):
    embeddings: _Vectors | list[list[float]]  # the list: v1, when no type was asked for
    id: str | None = None
    meta: Any = None


_reply = json.Decoder(_Reply).decode


class CohereEmbeddings(FormEmbeddings):
    def knobs_in(self, fields: Fields, request: EmbedRequest) -> None:
        super().knobs_in(fields, request)
        types = bytes(fields.get(_TYPES, b"")).replace(b" ", b"")
        if types in (b'["float"]', b'["base64"]'):
            request.base64 = types == b'["base64"]'
            request.spelling[_TYPES] = "said"
            del fields[_TYPES]
        request.truncate = take_word(fields, "truncate", ("START", "END", "NONE"), request)

    def knobs_out(self, request: EmbedRequest, body: dict[str, Any], own: bool, dropped: Dropped) -> None:
        super().knobs_out(request, body, own, dropped)
        dropped.pop("truncate", None)
        if request.truncate:
            body["truncate"] = request.truncate
        if not own:
            body.setdefault("input_type", _FALLBACK)
        if request.base64 or not own or _TYPES in request.spelling:
            body[_TYPES] = [BASE64 if request.base64 else "float"]

    def decode_reply(self, body: bytes) -> EmbedReply:
        reply = decoded(_reply, body)
        found = reply.embeddings
        vectors = found if isinstance(found, list) else found.floats if found.floats is not None else found.base64
        if vectors is None:
            raise ValueError("the reply holds no float vectors")
        return EmbedReply(
            id=reply.id or "", vectors=[vector_of(vector) for vector in vectors], usage=read_counts(None, reply.meta)
        )

    def encode_reply(self, reply: EmbedReply, request: EmbedRequest) -> bytes:
        vectors: list[Any] = [base64_of(v) if request.base64 else v.tolist() for v in reply.vectors]
        meta: dict[str, Any] = {"api_version": {"version": "2"}}
        if reply.usage is not None:
            meta["billed_units"] = {"input_tokens": reply.usage.input}
        return encode(
            {
                "id": reply.id,
                "embeddings": {BASE64 if request.base64 else "float": vectors},
                "texts": request.texts,
                "meta": meta,
                "response_type": "embeddings_by_type",
            }
        )


EMBEDDINGS = CohereEmbeddings(
    EmbedForm(
        dialect=NAME,
        input="texts",
        bare=False,
        dimensions="output_dimension",
        purpose="input_type",
        purposes={
            "query": "search_query",
            "document": _FALLBACK,
            "classification": "classification",
            "clustering": "clustering",
        },
        media=("images", "inputs"),
    )
)
