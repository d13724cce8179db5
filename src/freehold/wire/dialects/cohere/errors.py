"""Errors as Cohere's API writes them, and its errors in canonical form."""

from __future__ import annotations

import re
from typing import Any

from freehold.base.errors import GatewayError, UpstreamRefused
from freehold.wire.chat import Failure
from freehold.wire.clean import clean_message
from freehold.wire.dialects.cohere.words import decode_any, encode
from freehold.wire.sse import encode as sse

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def encode_error(error: GatewayError, call_id: str) -> bytes:
    """{"id", "message"}, and `error_type` where there is one. This API has no `param`: the message names it."""
    message = error.message if not error.param or error.param in error.message else f"{error.param}: {error.message}"
    body = {"id": call_id, "message": message}
    if isinstance(error, UpstreamRefused) and error.error_type:
        body["error_type"] = error.error_type
    return encode(body)


def encode_stream_error(error: GatewayError | Failure, call_id: str) -> bytes:
    """A message-end that says ERROR, which is how this API tells that a stream broke; no [DONE] follows."""
    message = error.message or "the provider failed while it answered"
    body = {"type": "message-end", "id": call_id, "delta": {"finish_reason": "ERROR", "error": message}}
    return sse(encode(body), b"message-end")


def decode_error(status: int, body: bytes, provider: str) -> UpstreamRefused:
    """An upstream's error reply. A body in another form than {"message": ...} is not shown at all."""
    try:
        value = decode_any(body)
    except (ValueError, RecursionError):
        value = None
    held: dict[str, Any] = value if isinstance(value, dict) else {}
    if status in (401, 403, 498):
        # Its words may hold the credential, and what they ask for is the operator's to do.
        return UpstreamRefused(
            f"{provider} refused the gateway's credential ({status}); whoever runs the gateway must check that provider's key",
            status=status,
        )
    message = _cleaned(held.get("message")) or _cleaned(held.get("error"))
    kind = held.get("error_type")
    return UpstreamRefused(
        f"{provider} answered {status}: {message}" if message else f"{provider} answered {status} without a readable reason",
        status=status,
        error_type=kind if isinstance(kind, str) and _IDENTIFIER.fullmatch(kind) else None,
    )


def failure(message: Any) -> Failure:
    """An error that came inside a reply with status 200."""
    return Failure(status=502, message=_cleaned(message) or "the provider reported an error in its reply")


def _cleaned(value: Any) -> str:
    return clean_message(value) if isinstance(value, str) else ""
