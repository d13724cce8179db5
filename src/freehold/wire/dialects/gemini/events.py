"""What a Gemini reply's words mean: finish reasons, block reasons, errors inside a reply."""

from __future__ import annotations

import re
from typing import Any

from freehold.wire.chat import Failure, FinishReason
from freehold.wire.clean import clean_message

FINISH: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "OTHER": "error",
    # The same as numbers, as some clients of Vertex AI ask for them; both APIs agree on these five only.
    "1": "stop",
    "2": "length",
    "3": "content_filter",
    "4": "content_filter",
    "5": "error",
}
FINISH_OUT: dict[FinishReason, str] = {
    "stop": "STOP",
    "tool_use": "STOP",
    "stop_sequence": "STOP",
    "pause": "STOP",
    "unknown": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "error": "OTHER",
}

STATUS: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
STATUS_OF_WORD: dict[str, int] = {
    **{word: status for status, word in reversed(STATUS.items())},
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "ALREADY_EXISTS": 409,
    "DEADLINE_EXCEEDED": 504,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNKNOWN": 500,
}
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def finish_word(value: Any) -> str:
    """A finish reason as a word; "" where there is none."""
    if isinstance(value, str):
        return value
    return str(value) if type(value) is int and value else ""


def identifier(value: Any) -> str | None:
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def failure(error: Any) -> Failure:
    """An error object inside a reply with status 200."""
    told = error if isinstance(error, dict) else {}
    word, status = identifier(told.get("status")), told.get("code")
    if type(status) is not int or not 400 <= status < 600:
        status = STATUS_OF_WORD.get(word or "", 502)
    message = told.get("message")
    text = clean_message(message) if isinstance(message, str) else ""
    if status in (401, 403):
        text = "the provider refused the gateway's credential"
    return Failure(status=status, message=text or "The provider reported an error in its reply.", error_type=word)


def broken(message: str) -> Failure:
    return Failure(kind="upstream_broken", message=message)
