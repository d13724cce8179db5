"""OpenAI Chat Completions and Embeddings, as OpenAI and the many servers compatible with it speak them; rerank as vLLM
and OpenRouter do.

media.py and media_tap.py pass images, audio, moderations, files and batches, which are never translated. For the others
peek.py is the PASS side of a request, request_in/request_out/messages_* the translating one; tap.py is the PASS side of
a reply, reader.py and writer.py the translating one; errors.py both. The codecs of the other kinds are tables.
"""

from __future__ import annotations

from freehold.base.errors import GatewayError, UpstreamRefused
from freehold.wire.chat import ChatRequest, Failure, Usage
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
from freehold.wire.dialects.openai_chat import errors, media, peek
from freehold.wire.dialects.openai_chat.media_tap import DocumentTap, EventsTap, PassTap
from freehold.wire.dialects.openai_chat.reader import StreamReader, whole_reader
from freehold.wire.dialects.openai_chat.request_in import decode_request
from freehold.wire.dialects.openai_chat.request_out import encode_request
from freehold.wire.dialects.openai_chat.tap import StreamTap, WholeTap
from freehold.wire.dialects.openai_chat.words import NAME
from freehold.wire.dialects.openai_chat.writer import StreamWriter, whole_writer
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.embedform import EmbedForm, FormEmbeddings
from freehold.wire.rank import RerankCodec
from freehold.wire.rerankform import FormRerank, RerankForm

_PATHS: dict[Kind, str] = {"chat": "/chat/completions", "embeddings": "/embeddings", "rerank": "/rerank"}


class OpenAIChatDialect:
    name = NAME
    client_paths: tuple[ClientPath, ...] = (
        ClientPath("/v1/chat/completions", "chat"),
        ClientPath("/v1/embeddings", "embeddings"),
        *media.PATHS,
    )
    stream_content_type = b"text/event-stream"
    stream_types: tuple[bytes, ...] = (b"text/event-stream",)
    count_reply = b""
    embeddings: EmbeddingsCodec | None = FormEmbeddings(
        EmbedForm(dialect=NAME, tokens=True, encoding="encoding_format", user="user")
    )
    rerank: RerankCodec | None = FormRerank(RerankForm(dialect=NAME))

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        return _PATHS.get(kind) or (peek.path if peek.opaque else None)

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        return media.peek(body, kind, asked) if kind in media.KINDS else peek.peek(body, kind)

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return _patch(peek, model, quirks)

    def decode_request(self, peek: Peek) -> ChatRequest:
        return decode_request(peek)

    def encode_request(self, request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        return encode_request(request, model, quirks)

    def tap(self, peek: Peek, quirks: Quirks, stream: bool, count: CountTokens) -> Relay:
        if peek.opaque:
            return _media_tap(peek, stream, count)
        if not stream:
            return WholeTap(count)
        return StreamTap(count, cut_usage=quirks.stream_usage == "ask" and not peek.wants_usage)

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
        return media.input_text(peek) if peek.opaque else _input_text(peek)


def _media_tap(peek: Peek, stream: bool, count: CountTokens) -> Relay:
    spoken = media.text_of(peek, "input") if peek.kind == "speech" else ""
    usage = Usage(input=count(spoken), characters=len(spoken), estimated=True) if spoken else None
    if peek.kind == "images":
        images, form = media.pictures_of(peek)
        usage = Usage(input=count(media.input_text(peek)), images=images, image_form=form, estimated=True)
    if stream:
        return EventsTap(usage)
    return PassTap(usage) if peek.kind == "speech" or media.is_text(peek) else DocumentTap(usage)


_patch = peek.patch
_input_text = peek.input_text
