"""OpenAI's older text completions: /v1/completions, on the client's side and on the upstream's.

A prompt is one user message to other dialects, and only such a message can be sent here. What this API shares with chat
completions (knobs, usage, errors, taps, the frame of a stream) is the chat dialect's code.
"""

from __future__ import annotations

from freehold.wire.chat import ChatRequest
from freehold.wire.dialect import NOTHING_ASKED, Asked, ClientPath, Kind, Peek, Quirks, Reader, Writer, WriterOptions
from freehold.wire.dialects.openai_chat import OpenAIChatDialect
from freehold.wire.dialects.openai_completions import peek as peeking
from freehold.wire.dialects.openai_completions.reader import StreamReader, whole_reader
from freehold.wire.dialects.openai_completions.request import NAME, decode_request, encode_request
from freehold.wire.dialects.openai_completions.writer import StreamWriter, whole_writer
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.rank import RerankCodec


class OpenAICompletionsDialect(OpenAIChatDialect):
    name = NAME
    client_paths: tuple[ClientPath, ...] = (ClientPath("/v1/completions", "chat"),)
    count_reply = b""
    embeddings: EmbeddingsCodec | None = None
    rerank: RerankCodec | None = None

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        return "/completions" if kind == "chat" else None

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        return peeking.peek(body, kind)

    def decode_request(self, peek: Peek) -> ChatRequest:
        return decode_request(peek)

    def encode_request(self, request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return encode_request(request, model, quirks)

    def reader(self, stream: bool) -> Reader:
        return StreamReader() if stream else whole_reader()

    def writer(self, options: WriterOptions) -> Writer:
        return StreamWriter(options) if options.stream else whole_writer(options)

    def input_text(self, peek: Peek) -> str:
        return peeking.input_text(peek)
