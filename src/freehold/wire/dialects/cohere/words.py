"""Names and small tables that the codecs of this dialect share."""

from __future__ import annotations

from typing import Final

from msgspec import Raw, json

from freehold.wire.chat import Failure, FinishReason

NAME: Final = "cohere"

encode = json.Encoder().encode
decode_any = json.Decoder().decode

# Keys of a part's or message's `spelling`.
IN: Final = "in"  # "tool_plan", "documents": the field it was written in, where that is not the content
INNER: Final = "inner"  # members of an inner object that have no word, as JSON text
FORM: Final = "form"  # how a document's data was written: "object", "string" or "bare"

ABSENT: Final = Raw()  # msgspec decodes no `Raw | None`
UNREADABLE: Final = Failure(kind="upstream_broken", message="the provider's reply could not be read")

FINISH_IN: Final[dict[str, FinishReason]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop_sequence",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_use",
    "ERROR": "error",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
    "TIMEOUT": "error",
    "USER_CANCEL": "error",
}
FINISH_OUT: Final[dict[FinishReason, str]] = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_use": "TOOL_CALL",
    "content_filter": "ERROR",
    "refusal": "COMPLETE",
    "pause": "COMPLETE",
    "error": "ERROR",
    "unknown": "COMPLETE",
}


def finish_word(reason: FinishReason, raw_reason: str, own: bool) -> str:
    """The finish reason in Cohere's words; its own where the reply is Cohere's."""
    return raw_reason if own and raw_reason else FINISH_OUT[reason]
