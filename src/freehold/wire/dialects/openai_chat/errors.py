"""Errors as OpenAI's API writes them, and errors of upstreams in every shape that has been seen, made safe to show.

An upstream's message may hold what a client must not see: the gateway's key, an organisation's name, a URL with
credentials. wire.clean takes those out; where the gateway's own credential was refused nothing of the message is kept.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import DecodeError

from freehold.base.errors import ClientError, GatewayError, LimitExceeded, UpstreamRefused
from freehold.wire.chat import Failure
from freehold.wire.clean import clean_identifier, clean_message
from freehold.wire.dialects.openai_chat.words import decode_any, encode

_PARAM = re.compile(r"[A-Za-z][A-Za-z0-9_.\-\[\]]{0,127}\Z")


# --- out ------------------------------------------------------------------------------


def encode_error(error: GatewayError, call_id: str) -> bytes:
    """{"error": {"message", "type", "param", "code"}}, as the official SDKs read it."""
    code: str | None = error.kind
    if isinstance(error, UpstreamRefused):
        code = error.code or error.kind
        kind = error.error_type or _type_of(error.status)
    elif isinstance(error, LimitExceeded):
        kind = "requests"
    elif isinstance(error, ClientError):
        kind = "invalid_request_error"
    else:
        kind = _type_of(error.status)
    if type(error).kind == "invalid_request":
        code = None  # OpenAI's own malformed-request errors carry none
    return _error(error.message, kind, error.param, code)


def encode_stream_error(error: GatewayError | Failure, call_id: str) -> bytes:
    """An error event; the stream closes after it, without [DONE]. The SDKs raise on it."""
    if isinstance(error, GatewayError):
        return b"data: " + encode_error(error, call_id) + b"\n\n"
    body = _error(
        error.message or "the provider failed while it answered",
        error.error_type or _type_of(error.status),
        None,
        error.code or error.kind,
    )
    return b"data: " + body + b"\n\n"


def _type_of(status: int) -> str:
    if status == 429:
        return "requests"
    return "invalid_request_error" if 400 <= status < 500 else "server_error"


def _error(message: str, kind: str, param: str | None, code: str | None) -> bytes:
    return encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


# --- in -------------------------------------------------------------------------------


def _first_text(*values: Any) -> str:
    return next((value for value in values if isinstance(value, str) and value.strip()), "")


def _open(value: Any) -> tuple[str, dict[str, Any]]:
    """The message, and the object that holds type, code and param, from any vendor's shape.

    Seen: {"error": {...}}, {"error": "text"}, {"message", "type"}, {"detail": "text" | [{"msg", "loc"}]},
    {"object": "error", "message"}, {"errors": [...]}, and Google's [{"error": {...}}].
    """
    if isinstance(value, list):
        value = value[0] if value else {}
    if not isinstance(value, dict):
        return "", {}
    error = value.get("error")
    if isinstance(error, dict):
        return _first_text(error.get("message"), error.get("detail"), error.get("error")), error
    detail, errors = value.get("detail"), value.get("errors")
    for items in (detail, errors):
        if isinstance(items, list) and items:
            first = items[0]
            if isinstance(first, dict):
                return _first_text(first.get("msg"), first.get("message")), value
            detail = first
    message = value.get("message")
    if isinstance(message, dict):
        message = message.get("detail")
    return _first_text(error, message, detail, value.get("msg"), value.get("error_description")), value


def decode_error(status: int, body: bytes, provider: str) -> UpstreamRefused:
    """An upstream's error reply. Bodies that are not JSON are never shown."""
    try:
        message, holder = _open(decode_any(body))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        message, holder = "", {}
    if status in (401, 403):
        return UpstreamRefused(
            f"{provider} refused the gateway's credential ({status}); whoever runs the gateway must check that provider's key",
            status=status,
        )
    cleaned = clean_message(message)
    param = holder.get("param")
    return UpstreamRefused(
        f"{provider} answered {status}: {cleaned}" if cleaned else f"{provider} answered {status} without a readable reason",
        status=status,
        param=param if isinstance(param, str) and _PARAM.match(param) else None,
        code=clean_identifier(holder.get("code")),
        error_type=clean_identifier(holder.get("type")),
    )


def failure_of(value: dict[str, Any]) -> Failure:
    """An error object inside a reply. Its code may be an HTTP status (OpenRouter, Azure); else it is the upstream's fault."""
    message, holder = _open(value)
    status = 502
    for key in ("status", "code", "status_code"):
        number = holder.get(key)
        if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) == 3:
            number = int(number)
        if type(number) is int and 400 <= number < 600:
            status = number
            break
    if status in (401, 403):
        message = "the provider refused the gateway's credential"
    return Failure(
        status=status,
        message=clean_message(message),
        code=clean_identifier(holder.get("code")),
        error_type=clean_identifier(holder.get("type")),
    )
