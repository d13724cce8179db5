"""Cohere's API v2: /v2/chat, /v2/embed and /v2/rerank, and /v1/rerank, on the client's side and on the upstream's.

This dialect owns the path /v1/rerank: the form is Cohere's, whoever else took it over. v1 of chat and embed are other
protocols and not spoken.
"""

from __future__ import annotations

from freehold.base.errors import GatewayError, UpstreamRefused
from freehold.wire.chat import ChatRequest, Failure
from freehold.wire.dialect import (
    NOTHING_ASKED,
    Asked,
    ClientPath,
    CountTokens,
    Kind,
    Peek,
    Quirks,
    Reader,
    Relay,
    Writer,
    WriterOptions,
)
from freehold.wire.dialects.cohere import errors
from freehold.wire.dialects.cohere import peek as peeking
from freehold.wire.dialects.cohere.decode import decode_request
from freehold.wire.dialects.cohere.embeddings import EMBEDDINGS
from freehold.wire.dialects.cohere.encode import encode_request
from freehold.wire.dialects.cohere.reader import StreamReader, whole_reader
from freehold.wire.dialects.cohere.rerank import RERANK, V1
from freehold.wire.dialects.cohere.tap import ChatStreamTap, ChatWholeTap
from freehold.wire.dialects.cohere.words import NAME
from freehold.wire.dialects.cohere.writer import StreamWriter, whole_writer
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec
from freehold.wire.wholetap import WholeTap

_PATHS: dict[Kind, str] = {"chat": "/v2/chat", "embeddings": "/v2/embed", "rerank": "/v2/rerank"}


class CohereDialect:
    """Base URLs of this dialect end before the version."""

    name = NAME
    client_paths: tuple[ClientPath, ...] = (
        ClientPath("/v2/chat", "chat"),
        ClientPath("/v2/embed", "embeddings"),
        ClientPath("/v2/rerank", "rerank"),
        ClientPath(V1, "rerank"),
    )
    stream_content_type = b"text/event-stream"
    stream_types: tuple[bytes, ...] = (b"text/event-stream",)
    count_reply = b""
    embeddings: EmbeddingsCodec | None = EMBEDDINGS
    rerank: RerankCodec | None = RERANK

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        """A v1 body goes to v1: v2 takes neither documents that are objects nor `return_documents`."""
        return V1 if kind == "rerank" and peek.path == V1 else _PATHS.get(kind)

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        return peeking.peek(body, kind, asked)

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return peeking.patch(peek, model, quirks)

    def decode_request(self, peek: Peek) -> ChatRequest:
        return decode_request(peek)

    def encode_request(self, request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return encode_request(request, model, quirks)

    def tap(self, peek: Peek, quirks: Quirks, stream: bool, count: CountTokens) -> Relay:
        if peek.kind != "chat":
            return WholeTap(count)
        return ChatStreamTap(count) if stream else ChatWholeTap(count)

    def reader(self, stream: bool) -> Reader:
        return StreamReader() if stream else whole_reader()

    def writer(self, options: WriterOptions) -> Writer:
        return StreamWriter(options) if options.stream else whole_writer(options)

    def encode_error(self, error: GatewayError, call_id: str) -> bytes:
        return errors.encode_error(error, call_id)

    def encode_stream_error(self, error: GatewayError | Failure, call_id: str) -> bytes:
        return errors.encode_stream_error(error, call_id)

    def decode_error(self, status: int, body: bytes, provider: str) -> UpstreamRefused:
        return errors.decode_error(status, body, provider)

    def input_text(self, peek: Peek) -> str:
        return peeking.input_text(peek)
