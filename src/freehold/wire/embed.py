"""The canonical embeddings request and reply, and the codec by which a dialect reads and writes them."""

from __future__ import annotations

from array import array
from typing import Literal, Protocol

from msgspec import Struct, field

from freehold.wire.chat import Extras, Usage

Purpose = Literal["", "query", "document", "classification", "clustering", "similarity"]


class EmbedRequest(Struct, kw_only=True):
    """`texts`, or `tokens` (one list of token ids a text) where the client sent ids; never both."""

    dialect: str
    model: str
    texts: list[str] = field(default_factory=list)
    tokens: list[list[int]] = field(default_factory=list)
    plain: bool = False  # one bare text, not a list of them
    dimensions: int | None = None
    base64: bool = False  # the client wants little-endian float32 in base64 instead of numbers
    purpose: Purpose = ""
    titles: list[str] = field(default_factory=list)  # of the documents, in order of the texts; empty where none was given
    truncate: str = ""  # the source's word: "START", "END", "NONE"
    user: str | None = None
    extras: Extras = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)  # as in a ChatRequest


class EmbedReply(Struct, kw_only=True):
    """`vectors` in the order of the texts, float64 so that a number read and written again is the same number."""

    model: str = ""
    id: str = ""
    vectors: list[array[float]] = field(default_factory=list)
    usage: Usage | None = None


class EmbeddingsCodec(Protocol):
    """Raises as the chat side of a dialect does: InvalidRequest for a client's mistake, Unsupported for what can't be sent."""

    def decode_request(self, peek: object) -> EmbedRequest:
        """`peek` is the Peek of this dialect."""
        ...

    def encode_request(self, request: EmbedRequest, model: str) -> tuple[bytes, tuple[str, ...]]:
        """The body, and the names of what it cannot express."""
        ...

    def decode_reply(self, body: bytes) -> EmbedReply:
        """Raises ValueError where the body is no such reply."""
        ...

    def encode_reply(self, reply: EmbedReply, request: EmbedRequest) -> bytes: ...
