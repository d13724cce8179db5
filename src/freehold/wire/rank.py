"""The canonical rerank request and reply, and the codec by which a dialect reads and writes them."""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw, Struct, field

from freehold.wire.chat import Extras, Usage


class RerankRequest(Struct, kw_only=True):
    dialect: str
    model: str
    query: str
    documents: list[Raw] = field(default_factory=list)  # JSON strings or objects, as the client sent them
    top_n: int | None = None
    return_documents: bool | None = None
    extras: Extras = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)  # as in chat.py


class Ranked(Struct, kw_only=True):
    """`index` counts the request's documents from 0."""

    index: int
    score: float
    document: Raw | None = None


class RerankReply(Struct, kw_only=True):
    """`results` best first."""

    id: str = ""
    model: str = ""
    results: list[Ranked] = field(default_factory=list)
    usage: Usage | None = None


class RerankCodec(Protocol):
    def decode_request(self, peek: object) -> RerankRequest:
        """`peek` is the Peek of this dialect. Raises InvalidRequest."""
        ...

    def encode_request(self, request: RerankRequest, model: str) -> tuple[bytes, tuple[str, ...]]:
        """The body, and the names of what it cannot express. Raises Unsupported."""
        ...

    def decode_reply(self, body: bytes) -> RerankReply:
        """Raises ValueError where the body is no such reply."""
        ...

    def encode_reply(self, reply: RerankReply, request: RerankRequest) -> bytes: ...
