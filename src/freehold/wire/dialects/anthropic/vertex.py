"""Anthropic Messages as Google's Vertex AI serves them: the model stands in the path, the API's version in the body.

Only upstreams speak it. For everything else it is the dialect "anthropic", so that Anthropic clients pass.
"""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Raw

from freehold.wire.chat import ChatRequest
from freehold.wire.dialect import Kind, Peek, Quirks
from freehold.wire.dialects.anthropic import AnthropicDialect
from freehold.wire.fields import join, split

_VERSION = Raw(b'"vertex-2023-10-16"')


class AnthropicOnVertex(AnthropicDialect):
    """Base URLs end in /publishers/anthropic."""

    def path(self, kind: Kind, peek: Peek, model: str) -> str | None:
        if kind != "chat":
            return None
        return f"/models/{quote(model, safe='@')}:{'streamRawPredict' if peek.stream else 'rawPredict'}"

    def patch(self, peek: Peek, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        body, dropped = super().patch(peek, model, quirks)
        return _for_vertex(body), dropped

    def encode_request(self, request: ChatRequest, model: str, quirks: Quirks) -> tuple[bytes, tuple[str, ...]]:
        body, dropped = super().encode_request(request, model, quirks)
        return _for_vertex(body), dropped


def _for_vertex(body: bytes) -> bytes:
    fields = split(body)
    fields.pop("model", None)
    return join({"anthropic_version": _VERSION, **{k: v for k, v in fields.items() if k != "anthropic_version"}})
