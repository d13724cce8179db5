"""OpenAI's Responses API: /v1/responses and /v1/responses/input_tokens, on the client's side and on the upstream's.

peek.py is the PASS side of a request, request_* and items_* the translating one; tap.py is the PASS side of a reply,
reader.py (with output_in.py) and writer.py (with output_out.py, slots.py, reasoning_out.py, echo.py) the translating one;
errors.py both. Error replies, the use of quirks and data URLs are the same as in OpenAI's chat API and come from there.
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
from freehold.wire.dialects.openai_responses import errors
from freehold.wire.dialects.openai_responses import peek as peeking
from freehold.wire.dialects.openai_responses.reader import StreamReader, whole_reader
from freehold.wire.dialects.openai_responses.request_in import decode_request
from freehold.wire.dialects.openai_responses.request_out import encode_request
from freehold.wire.dialects.openai_responses.tap import StreamTap, WholeTap
from freehold.wire.dialects.openai_responses.words import NAME
from freehold.wire.dialects.openai_responses.writer import StreamWriter, WholeWriter
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec

_PATHS: dict[Kind, str] = {"chat": "/responses", "count_tokens": "/responses/input_tokens"}


class OpenAIResponsesDialect:
    """Base URLs of this dialect end in /v1."""

    name = NAME
    client_paths: tuple[ClientPath, ...] = (
        ClientPath("/v1/responses", "chat"),
        ClientPath("/v1/responses/input_tokens", "count_tokens"),
    )
    stream_content_type = b"text/event-stream; charset=utf-8"
    stream_types: tuple[bytes, ...] = (b"text/event-stream",)
    count_reply = b'{"object":"response.input_tokens","input_tokens":%d}'
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
        return StreamWriter(options) if options.stream else WholeWriter(options)

    def encode_error(self, error: GatewayError, call_id: str) -> bytes:
        return errors.encode_error(error, call_id)

    def encode_stream_error(self, error: GatewayError | Failure, call_id: str) -> bytes:
        return errors.encode_stream_error(error, call_id)

    def decode_error(self, status: int, body: bytes, provider: str) -> UpstreamRefused:
        return errors.decode_error(status, body, provider)

    def input_text(self, peek: Peek) -> str:
        return peeking.input_text(peek)
