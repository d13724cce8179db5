"""Amazon Bedrock's InvokeModel and InvokeModelWithResponseStream: every model's own bodies, passed as they are.

It is a dialect beside `bedrock`, since its requests and replies are other ones; a provider row says which of the two a
target is reached by. PASS works for every model: the body goes byte for byte, tap.py and shapes.py learn what the reply
says. Claude's bodies are Anthropic's (request.py, chunks.py), so they can be translated, both from clients and for
upstreams: it is the way to Claude on Bedrock that keeps all of Anthropic's API. Bodies of other families are refused then.
"""

from __future__ import annotations

from typing import Final

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
from freehold.wire.dialects.anthropic.reader import whole_reader
from freehold.wire.dialects.anthropic.writer import whole_writer
from freehold.wire.dialects.bedrock import errors
from freehold.wire.dialects.bedrock import peek as converse
from freehold.wire.dialects.bedrock_invoke import peek as peeking
from freehold.wire.dialects.bedrock_invoke.chunks import StreamReader, StreamWriter
from freehold.wire.dialects.bedrock_invoke.request import decode_request, encode_request
from freehold.wire.dialects.bedrock_invoke.tap import StreamTap, WholeTap
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec

NAME: Final = "bedrock_invoke"


class BedrockInvokeDialect:
    """Base URLs of this dialect end before /model. Embedding models are called by the same path and count as chat."""

    name = NAME
    client_paths: tuple[ClientPath, ...] = (
        ClientPath("/model/{model}/invoke", "chat", stream=False),
        ClientPath("/model/{model}/invoke-with-response-stream", "chat", stream=True),
    )
    stream_content_type = b"application/vnd.amazon.eventstream"
    stream_types: tuple[bytes, ...] = (b"application/vnd.amazon.eventstream",)
    count_reply = b""
    embeddings: EmbeddingsCodec | None = None
    rerank: RerankCodec | None = None

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        operation = "invoke-with-response-stream" if peek.stream else "invoke"
        return converse.path(operation, model) if kind == "chat" else None

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        return peeking.peek(body, kind, asked)

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return peeking.patch(peek, quirks)

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
