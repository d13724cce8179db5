"""Errors as Anthropic's API writes them, and its errors in canonical form."""

from __future__ import annotations

from msgspec import Raw, Struct, json

from freehold.base.errors import GatewayError, UpstreamRefused
from freehold.wire.chat import Failure
from freehold.wire.clean import clean_identifier, clean_message
from freehold.wire.dialects.anthropic.events import ABSENT, STATUS
from freehold.wire.sse import encode as sse

_encode = json.Encoder().encode
_TYPES = {status: kind for kind, status in STATUS.items()} | {
    405: "invalid_request_error",
    408: "timeout_error",
    409: "invalid_request_error",
    422: "invalid_request_error",
    503: "overloaded_error",
}


class _Error(Struct):
    type: str | None = None
    message: str | None = None
    code: str | int | None = None


class _Body(Struct):
    error: Raw = ABSENT
    message: str | None = None
    detail: str | None = None


_body = json.Decoder(_Body).decode
_error = json.Decoder(_Error | str | None).decode


def encode_error(error: GatewayError | Failure, call_id: str) -> bytes:
    """{"type": "error", "error": {"type", "message"}, "request_id"}. This API has no `param`: the message names it."""
    kind = error.error_type if isinstance(error, UpstreamRefused | Failure) else None
    if kind not in STATUS:
        kind = _TYPES.get(error.status) or ("api_error" if error.status >= 500 else "invalid_request_error")
    message = error.message
    param = getattr(error, "param", None)
    if param and param not in message:
        message = f"{param}: {message}"
    return _encode({"type": "error", "error": {"type": kind, "message": message}, "request_id": call_id})


def encode_stream_error(error: GatewayError | Failure, call_id: str) -> bytes:
    return sse(encode_error(error, call_id), b"error")


def decode_error(status: int, body: bytes, provider: str) -> UpstreamRefused:
    """An upstream's error reply: its type and its cleaned message; a body in another form is not shown at all."""
    message, kind, code = _told(body)
    if status in (401, 403):
        # Its words may hold the credential, and what they ask for is the operator's to do.
        message = f"{provider} refused the gateway's credential for this call ({status}). Check the provider's api_key."
    elif not message:
        message = f"{provider} answered with status {status} and no readable message."
    return UpstreamRefused(message, status=status, code=code, error_type=kind)


def _told(body: bytes) -> tuple[str, str | None, str | None]:
    """(cleaned message, type, code) of {"error": {...}}, {"error": "..."}, {"message": "..."} or {"detail": "..."}."""
    try:
        outer = _body(body)
        error = _error(outer.error) if outer.error != ABSENT else None
    except (ValueError, RecursionError):
        return "", None, None
    if isinstance(error, _Error):
        return clean_message(error.message or ""), clean_identifier(error.type), clean_identifier(error.code)
    return clean_message(error or outer.message or outer.detail or ""), None, None
