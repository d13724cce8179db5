"""Gemini's API on Vertex AI, where it differs: embeddings are made by `:predict`, from instances, in Google's older form.

Only upstreams speak it. For everything else it is the dialect "gemini", so that Gemini's clients pass. A model may take
fewer texts at once than are sent (gemini-embedding-001 takes one): Google says so, and that refusal is the client's to see.
"""

from __future__ import annotations

from array import array
from typing import Any
from urllib.parse import quote

from msgspec import Struct, json

from freehold.base.errors import Unsupported
from freehold.wire.chat import Usage
from freehold.wire.dialect import CountTokens, Kind, Peek, Quirks, Relay
from freehold.wire.dialects.gemini import GeminiDialect
from freehold.wire.dialects.gemini.embeddings import TASKS, GeminiEmbeddings
from freehold.wire.dialects.gemini.words import NAME, bare_model, encode
from freehold.wire.embed import EmbeddingsCodec, EmbedReply, EmbedRequest
from freehold.wire.whole import WholeTranslation


class _Statistics(Struct, frozen=True):
    token_count: float = 0  # written as 6 or 6.0


class _Embedding(Struct):
    values: list[float]
    statistics: _Statistics = _Statistics()


class _Prediction(Struct):
    embeddings: _Embedding


class _Metadata(Struct, frozen=True):
    billableCharacterCount: int = 0


class _Reply(Struct):
    predictions: list[_Prediction]
    metadata: _Metadata = _Metadata()


_decode = json.Decoder(_Reply).decode


class PredictEmbeddings(GeminiEmbeddings):
    def encode_request(self, request: EmbedRequest, model: str) -> tuple[bytes, tuple[str, ...]]:
        if request.tokens:
            raise Unsupported("input: this target takes texts, not token ids.", param="input")
        dropped = [name for name in ("user",) if getattr(request, name)]
        if request.dialect != NAME:
            dropped += [key for key, raw in request.extras.items() if bytes(raw) != b"null"]
        parameters: dict[str, Any] = {}
        if request.dimensions is not None:
            parameters["outputDimensionality"] = request.dimensions
        if request.truncate:
            parameters["autoTruncate"] = request.truncate != "NONE"
        body: dict[str, Any] = {"instances": [_instance(request, number) for number in range(len(request.texts))]}
        return encode(body | ({"parameters": parameters} if parameters else {})), tuple(dropped)

    def decode_reply(self, body: bytes) -> EmbedReply:
        try:
            reply = _decode(body)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        found = [prediction.embeddings for prediction in reply.predictions]
        tokens = sum(max(int(one.statistics.token_count), 0) for one in found)
        usage = Usage(input=tokens, characters=max(reply.metadata.billableCharacterCount, 0))
        return EmbedReply(vectors=[array("d", one.values) for one in found], usage=usage if tokens or usage.characters else None)


def _instance(request: EmbedRequest, number: int) -> dict[str, Any]:
    out: dict[str, Any] = {"content": request.texts[number]}
    if request.purpose:
        out["task_type"] = TASKS[request.purpose]
    if number < len(request.titles) and request.titles[number] and request.purpose in ("", "document"):
        out["title"] = request.titles[number]
        out.setdefault("task_type", TASKS["document"])
    return out


class GeminiOnVertex(GeminiDialect):
    """Base URLs end in /publishers/google."""

    embeddings: EmbeddingsCodec | None = PredictEmbeddings()

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        if kind == "embeddings":
            return f"/models/{quote(bare_model(model), safe='')}:predict"
        return super().path(kind, peek, model)

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        if peek.kind != "embeddings":
            return super().patch(peek, model, quirks)
        assert self.embeddings is not None
        return self.embeddings.encode_request(self.embeddings.decode_request(peek), model)

    def tap(self, peek: Peek, quirks: Quirks, stream: bool, count: CountTokens) -> Relay:
        if peek.kind != "embeddings":
            return super().tap(peek, quirks, stream, count)
        codec = self.embeddings
        assert codec is not None
        request = codec.decode_request(peek)
        return WholeTranslation(codec.decode_reply, lambda reply: codec.encode_reply(reply, request))
