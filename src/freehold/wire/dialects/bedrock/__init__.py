"""Amazon Bedrock: Converse, ConverseStream and CountTokens, on the client's side and on the upstream's.

peek.py and tap.py are the PASS side; decode.py, encode.py (with adapt.py for requests of other dialects), reader.py and
writer.py the translating one; content.py is both ways of a content block. InvokeModel, whose bodies are each model's own,
is the dialect bedrock_invoke.
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
from freehold.wire.dialects.bedrock import errors
from freehold.wire.dialects.bedrock import peek as peeking
from freehold.wire.dialects.bedrock.decode import decode_request
from freehold.wire.dialects.bedrock.encode import encode_request
from freehold.wire.dialects.bedrock.reader import StreamReader, whole_reader
from freehold.wire.dialects.bedrock.tap import StreamTap, WholeTap
from freehold.wire.dialects.bedrock.words import NAME
from freehold.wire.dialects.bedrock.writer import StreamWriter, whole_writer
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec


class BedrockDialect:
    """Base URLs of this dialect end before /model."""

    name = NAME
    client_paths: tuple[ClientPath, ...] = (
        ClientPath("/model/{model}/converse", "chat", stream=False),
        ClientPath("/model/{model}/converse-stream", "chat", stream=True),
        ClientPath("/model/{model}/count-tokens", "count_tokens"),
    )
    stream_content_type = b"application/vnd.amazon.eventstream"
    stream_types: tuple[bytes, ...] = (b"application/vnd.amazon.eventstream",)
    count_reply = b'{"inputTokens":%d}'
    embeddings: EmbeddingsCodec | None = None
    rerank: RerankCodec | None = None

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        if kind == "chat":
            return peeking.path("converse-stream" if peek.stream else "converse", model)
        return peeking.path("count-tokens", model) if kind == "count_tokens" else None

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
