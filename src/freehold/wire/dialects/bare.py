"""What the dialects that only embed and rank are made of: paths, and a table of field names for either codec."""

from __future__ import annotations

from typing import Any, NoReturn

from msgspec import Raw, json

from freehold.base.errors import GatewayError, Unsupported, UpstreamRefused
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
from freehold.wire.dialects.openai_chat.errors import decode_error
from freehold.wire.embed import EmbeddingsCodec
from freehold.wire.embedform import FormEmbeddings
from freehold.wire.fields import join
from freehold.wire.rank import RerankCodec
from freehold.wire.rerankform import FormRerank, check_rerank
from freehold.wire.typed import Fields, filled, model_of, opened
from freehold.wire.wholetap import WholeTap

_encode = json.Encoder().encode
_any = json.Decoder().decode


class BareDialect:
    """A Dialect without chat. Its replies are JSON documents, never streams. `paths` are the upstream's, by kind."""

    stream_content_type = b"text/event-stream"
    stream_types: tuple[bytes, ...] = ()

    def __init__(
        self,
        name: str,
        client_paths: tuple[ClientPath, ...],
        paths: dict[Kind, str],
        embeddings: FormEmbeddings,
        rerank: FormRerank,
    ) -> None:
        self.name = name
        self.client_paths = client_paths
        self.embeddings: EmbeddingsCodec | None = embeddings
        self.rerank: RerankCodec | None = rerank
        self.count_reply = b""
        self._paths = paths
        self._texts = embeddings.form.input
        self._documents = rerank.form.documents
        self._names_model = bool(embeddings.form.model)

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        return self._paths.get(kind)

    def peek(self, body: bytes, kind: Kind, asked: Asked = NOTHING_ASKED) -> Peek:
        fields = opened(body)
        model = model_of(fields, asked.model)
        if kind == "embeddings":
            filled(fields, self._texts, '"[', "a text or an array of texts")
        elif kind == "rerank":
            check_rerank(fields, self._documents)
        else:
            self._no_chat()
        return Peek(kind, fields, model, False, None, False)

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        fields = peek.fields
        if model != peek.model and self._names_model:
            fields = fields | {"model": Raw(_encode(model))}
        return fit(fields, quirks)

    def tap(self, peek: Peek, quirks: Quirks, stream: bool, count: CountTokens) -> Relay:
        return WholeTap(count)

    def decode_error(self, status: int, body: bytes, provider: str) -> UpstreamRefused:
        return decode_error(status, body, provider)

    def encode_error(self, error: GatewayError, call_id: str) -> bytes:
        return _encode({"detail": error.message})

    def encode_stream_error(self, error: GatewayError | Failure, call_id: str) -> bytes:
        return b""  # there are no streams

    def input_text(self, peek: Peek) -> str:
        return input_text(peek.fields, self._texts, "query", self._documents)

    # --- chat, which there is none of ------------------------------------------------

    def decode_request(self, peek: Peek) -> ChatRequest:
        self._no_chat()

    def encode_request(self, request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        self._no_chat()

    def reader(self, stream: bool) -> Reader:
        self._no_chat()

    def writer(self, options: WriterOptions) -> Writer:
        self._no_chat()

    def _no_chat(self) -> NoReturn:
        raise Unsupported(f"{self.name} embeds and ranks texts; it has no chat", param="model")


def fit(fields: Fields, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
    """The body with the provider's quirks obeyed and every value as it came, and the names left out."""
    if not quirks.drop and not quirks.rename:
        return join(fields), ()
    dropped = tuple(name for name in fields if name in quirks.drop)
    return join({quirks.rename.get(name, name): raw for name, raw in fields.items() if name not in quirks.drop}), dropped


def input_text(fields: Fields, *names: str) -> str:
    """All texts in these fields, a line each; a token id counts as one short word. This feeds an estimate, never an error."""
    pieces: list[str] = []
    for name in names:
        raw = fields.get(name)
        if raw is not None:
            try:
                _collect(_any(raw), pieces)
            except (ValueError, RecursionError):
                continue
    return "\n".join(pieces)


def _collect(value: Any, pieces: list[str]) -> None:
    if isinstance(value, str):
        pieces.append(value)
    elif isinstance(value, list):
        if value and all(type(item) is int for item in value):
            pieces.append(" a" * len(value))
            return
        for item in value:
            _collect(item, pieces)
    elif isinstance(value, dict) and "image" not in value and "image_url" not in value:
        for item in value.values():
            _collect(item, pieces)
