"""Ollama's own API: /api/chat, /api/generate and its embeddings, on the client's side and on the upstream's.

peek.py is the PASS side of a request, request_in/request_out/messages_* the translating one; tap.py is the PASS side of
a reply, reader.py and writer.py the translating one; embeddings.py both sides of those. pages.py says what else an Ollama
server answers. Base URLs of this dialect end before /api.

Of the four calls two are older forms of the others, marked by `Peek.form`: their paths and bodies are their own on the
upstream's side too, so that they may pass as they are.
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
from freehold.wire.dialects.ollama import errors
from freehold.wire.dialects.ollama import peek as peeking
from freehold.wire.dialects.ollama.embeddings import OllamaEmbeddings
from freehold.wire.dialects.ollama.reader import StreamReader, whole_reader
from freehold.wire.dialects.ollama.request_in import decode_request
from freehold.wire.dialects.ollama.request_out import encode_request
from freehold.wire.dialects.ollama.tap import StreamTap, WholeTap
from freehold.wire.dialects.ollama.words import EMBEDDINGS, GENERATE, NAME
from freehold.wire.dialects.ollama.writer import StreamWriter, whole_writer
from freehold.wire.dialects.openai_chat.errors import decode_error
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec

_PATHS: dict[tuple[Kind, str], str] = {("chat", GENERATE): "/api/generate", ("embeddings", EMBEDDINGS): "/api/embeddings"}
_USUAL: dict[Kind, str] = {"chat": "/api/chat", "embeddings": "/api/embed"}


class OllamaDialect:
    name = NAME
    client_paths: tuple[ClientPath, ...] = (
        ClientPath("/api/chat", "chat"),
        ClientPath("/api/generate", "chat"),
        ClientPath("/api/embed", "embeddings"),
        ClientPath("/api/embeddings", "embeddings"),
    )
    stream_content_type = b"application/x-ndjson"
    stream_types: tuple[bytes, ...] = (b"application/x-ndjson",)
    count_reply = b""
    embeddings: EmbeddingsCodec | None = OllamaEmbeddings()
    rerank: RerankCodec | None = None

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        return _PATHS.get((kind, peek.form)) or _USUAL.get(kind)

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
        return StreamWriter(options) if options.stream else whole_writer(options)

    def encode_error(self, error: GatewayError, call_id: str) -> bytes:
        return errors.encode_error(error)

    def encode_stream_error(self, error: GatewayError | Failure, call_id: str) -> bytes:
        return errors.encode_stream_error(error)

    def decode_error(self, status: int, body: bytes, provider: str) -> UpstreamRefused:
        return decode_error(status, body, provider)

    def input_text(self, peek: Peek) -> str:
        return peeking.input_text(peek)
