"""Google's Gemini API, as the Gemini Developer API and Vertex AI speak it, on the client's side and on the upstream's.

The model and the kind of call are in the URL: /v1beta/models/MODEL:generateContent. A base URL of an upstream ends in
/v1beta, on Vertex AI in /publishers/google. A stream is one JSON array unless the client asks for `alt=sse`; upstream it
is always asked for as server-sent events.
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
from freehold.wire.dialects.gemini import error as errors
from freehold.wire.dialects.gemini import peek as peeking
from freehold.wire.dialects.gemini.decode import decode_request
from freehold.wire.dialects.gemini.embeddings import GeminiEmbeddings
from freehold.wire.dialects.gemini.encode import encode_request
from freehold.wire.dialects.gemini.reader import StreamReader, whole_reader
from freehold.wire.dialects.gemini.tap import StreamTap, WholeTap
from freehold.wire.dialects.gemini.words import NAME
from freehold.wire.dialects.gemini.writer import StreamWriter, whole_writer
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec

_ACTIONS: tuple[tuple[str, Kind, bool | None], ...] = (
    ("generateContent", "chat", False),
    ("streamGenerateContent", "chat", True),
    ("countTokens", "count_tokens", None),
    ("embedContent", "embeddings", None),
    ("batchEmbedContents", "embeddings", None),
)


class GeminiDialect:
    name = NAME
    client_paths: tuple[ClientPath, ...] = tuple(
        ClientPath(f"/{version}/models/{{model}}:{action}", kind, stream)
        for version in ("v1beta", "v1")
        for action, kind, stream in _ACTIONS
    )
    stream_content_type = b"text/event-stream"
    stream_types: tuple[bytes, ...] = (b"text/event-stream",)
    count_reply = b'{"totalTokens":%d}'
    embeddings: EmbeddingsCodec | None = GeminiEmbeddings()
    rerank: RerankCodec | None = None

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        return peeking.path(kind, peek, model)

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        return peeking.peek(body, kind, asked)

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
        if not options.stream:
            return whole_writer(options)
        return StreamWriter(options, array=options.peek is not None and options.peek.form == peeking.ARRAY)

    def encode_error(self, error: GatewayError, call_id: str) -> bytes:
        return errors.encode_error(error, call_id)

    def encode_stream_error(self, error: GatewayError | Failure, call_id: str) -> bytes:
        return errors.encode_stream_error(error, call_id)

    def decode_error(self, status: int, body: bytes, provider: str) -> UpstreamRefused:
        return errors.decode_error(status, body, provider)

    def input_text(self, peek: Peek) -> str:
        return peeking.input_text(peek)
