"""Anthropic Messages: /v1/messages and /v1/messages/count_tokens, on the client's side and on the upstream's."""

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
from freehold.wire.dialects.anthropic import error as errors
from freehold.wire.dialects.anthropic import peek as peeking
from freehold.wire.dialects.anthropic.blocks import NAME
from freehold.wire.dialects.anthropic.decode import decode_request
from freehold.wire.dialects.anthropic.encode import encode_request
from freehold.wire.dialects.anthropic.reader import StreamReader, whole_reader
from freehold.wire.dialects.anthropic.tap import StreamTap, WholeTap
from freehold.wire.dialects.anthropic.writer import StreamWriter, whole_writer
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec

_PATHS: dict[Kind, str] = {"chat": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"}


class AnthropicDialect:
    """Base URLs of this dialect end before /v1."""

    name = NAME
    client_paths: tuple[ClientPath, ...] = (
        ClientPath("/v1/messages", "chat"),
        ClientPath("/v1/messages/count_tokens", "count_tokens"),
    )
    stream_content_type = b"text/event-stream; charset=utf-8"
    stream_types: tuple[bytes, ...] = (b"text/event-stream",)
    count_reply = b'{"input_tokens":%d}'
    embeddings: EmbeddingsCodec | None = None
    rerank: RerankCodec | None = None

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        return _PATHS.get(kind)

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        return peeking.peek(body, kind)

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return peeking.patch(peek, model, quirks)

    def decode_request(self, peek: Peek) -> ChatRequest:
        return decode_request(peek)

    def encode_request(self, request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return encode_request(request, model, quirks)

    def tap(self, peek: Peek, quirks: Quirks, stream: bool, count: CountTokens) -> Relay:
        return StreamTap(count) if stream else WholeTap(count)

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
