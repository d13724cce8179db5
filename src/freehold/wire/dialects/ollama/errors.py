"""Errors as Ollama writes them: {"error": "text"}, in a stream as a line of its own."""

from __future__ import annotations

from freehold.base.errors import GatewayError
from freehold.wire.chat import Failure
from freehold.wire.dialects.ollama.words import encode, encode_line


def encode_error(error: GatewayError) -> bytes:
    return encode({"error": error.message})


def encode_stream_error(error: GatewayError | Failure) -> bytes:
    """The clients raise on it. The stream closes after it, without a line that says done."""
    return encode_line({"error": error.message or "the provider failed while it answered"})
