"""Errors of a Responses API: as replies they are OpenAI's, the same as of its chat API; inside a reply they have forms
of their own."""

from __future__ import annotations

from typing import Any, Final

from msgspec import json, structs

from freehold.base.errors import GatewayError
from freehold.wire.chat import Failure
from freehold.wire.dialects.openai_chat.errors import decode_error, encode_error, failure_of
from freehold.wire.dialects.openai_responses.words import encode
from freehold.wire.sse import encode as sse

__all__ = ["UNREADABLE", "decode_error", "encode_error", "encode_stream_error", "failure"]

UNREADABLE: Final = Failure(status=502, kind="upstream_broken", message="the provider's reply could not be read")
UNFINISHED: Final = Failure(status=502, message="the provider stopped before its reply was finished")

# Codes of a failed response -> the status that the same error has as a reply. Others are the provider's fault: 502.
_STATUS = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "invalid_prompt": 400, "context_length_exceeded": 400}
_REQUEST_TYPES = {"invalid_request_error": 400}

# The writer that counted the events is not known here, and the number must be above all before it.
_LAST_NUMBER = 2**31 - 1


def encode_stream_error(error: GatewayError | Failure, call_id: str) -> bytes:
    """An `error` event: OpenAI's flat members, and the `error` object on which the official SDKs raise."""
    if isinstance(error, GatewayError):
        inner = json.decode(encode_error(error, call_id))["error"]
    else:
        inner = {
            "message": error.message or "the provider failed while it answered",
            "type": error.error_type or ("invalid_request_error" if error.status < 500 else "server_error"),
            "param": None,
            "code": error.code or error.kind,
        }
    flat = {"code": inner["code"], "message": inner["message"], "param": inner["param"]}
    return sse(encode({"type": "error", "sequence_number": _LAST_NUMBER, **flat, "error": inner}), b"error")


def failure(value: dict[str, Any]) -> Failure:
    """An `error` event, flat or with an `error` object, or the `error` of a failed response as {"error": ...}."""
    found = failure_of({key: member for key, member in value.items() if key != "type"})
    if found.status == 502:
        status = _STATUS.get(found.code or "") or _REQUEST_TYPES.get(found.error_type or "", 502)
        found = structs.replace(found, status=status)
    return found if found.message else structs.replace(found, message="the provider reported an error in its reply")
