"""Errors as Google's APIs write them (google.rpc.Status), and Google's errors in canonical form."""

from __future__ import annotations

import re
from typing import Any

from freehold.base.errors import GatewayError, UpstreamRefused
from freehold.wire.chat import Failure
from freehold.wire.clean import clean_message
from freehold.wire.dialects.gemini.events import STATUS, STATUS_OF_WORD, identifier
from freehold.wire.dialects.gemini.words import decode_any, encode
from freehold.wire.sse import encode as sse

_TYPE = "type.googleapis.com/google.rpc."
_DELAY = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)s")
_KEY_REASONS = ("API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_EXPIRED")


def encode_error(error: GatewayError | Failure, call_id: str) -> bytes:
    """{"error": {"code", "message", "status", "details"}}; the details tell our error code, the field and when to retry."""
    word = error.error_type if isinstance(error, UpstreamRefused | Failure) else None
    if word not in STATUS_OF_WORD:
        word = STATUS.get(error.status) or ("INTERNAL" if error.status >= 500 else "INVALID_ARGUMENT")
    code = getattr(error, "code", None) or error.kind
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPE}ErrorInfo", "reason": code.upper(), "domain": "freehold"},
        {"@type": f"{_TYPE}RequestInfo", "requestId": call_id},
    ]
    if isinstance(error, GatewayError):
        if error.param:
            violation = {"field": error.param, "description": error.message}
            details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
        if error.retry_after_s is not None:
            details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after_s:g}s"})
    return encode({"error": {"code": error.status, "message": error.message, "status": word, "details": details}})


def encode_stream_error(error: GatewayError | Failure, call_id: str) -> bytes:
    return sse(encode_error(error, call_id))


def decode_error(status: int, body: bytes, provider: str) -> UpstreamRefused:
    """An upstream's error reply. A body in another form is not shown at all.

    Google answers 400 to a key that it doesn't know. That is the gateway's own, so it counts as 401: another target may
    do better, and the client is not told that its request was wrong.
    """
    told = _told(body)
    details = [one for one in _list(told.get("details")) if isinstance(one, dict)]
    reason = next((word for one in details if (word := identifier(one.get("reason")))), None)
    if status == 400 and reason in _KEY_REASONS:
        status = 401
    message = told.get("message")
    text = clean_message(message) if isinstance(message, str) else ""
    if status in (401, 403):
        # Its words may hold the credential, and what they ask for is the operator's to do.
        text = f"{provider} refused the gateway's credential for this call ({status}). Check the provider's api_key."
    elif not text:
        text = f"{provider} answered with status {status} and no readable message."
    delays = (_DELAY.fullmatch(delay) for one in details if isinstance(delay := one.get("retryDelay"), str))
    delay = next((float(found[1]) for found in delays if found is not None), None)
    return UpstreamRefused(text, status=status, code=reason, error_type=identifier(told.get("status")), retry_after_s=delay)


def _told(body: bytes) -> dict[str, Any]:
    """The error object of {"error": {...}}, of a stream's [{"error": {...}}], or of one event of it."""
    try:
        value = decode_any(body.strip().removeprefix(b"data:"))
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list):
        value = value[0] if value else None
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
