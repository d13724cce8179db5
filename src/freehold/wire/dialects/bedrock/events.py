"""One event of a ConverseStream reply, typed for speed, and what its words mean."""

from __future__ import annotations

from msgspec import Raw, Struct, json

from freehold.wire.chat import Extras, Failure, Finish
from freehold.wire.clean import clean_message
from freehold.wire.dialects.bedrock.usage import WireTier, WireUsage
from freehold.wire.dialects.bedrock.words import FINISH_IN, STATUS
from freehold.wire.eventstream import Message

ABSENT = Raw()  # msgspec decodes no `Raw | None`
BROKEN = "upstream_broken"


class WireReasoning(Struct):
    text: str | None = None
    signature: str | None = None
    redactedContent: str | None = None


class WireInput(Struct):
    input: str | None = None


class WireDelta(Struct):
    text: str | None = None
    toolUse: WireInput | None = None
    reasoningContent: WireReasoning | None = None
    citation: Raw = ABSENT
    toolResult: Raw = ABSENT
    image: Raw = ABSENT


class WireRouter(Struct):
    invokedModelId: str | None = None


class WireTrace(Struct):
    promptRouter: WireRouter | None = None


class WireEvent(Struct):
    """Any event's payload: its kind is in the message's header."""

    contentBlockIndex: int = 0
    start: Raw = ABSENT
    delta: WireDelta | None = None
    stopReason: str | None = None
    additionalModelResponseFields: Raw = ABSENT
    usage: WireUsage | None = None
    serviceTier: WireTier | None = None
    trace: WireTrace | None = None
    message: str | None = None
    originalStatusCode: int | None = None

    def model(self) -> str:
        """The model that a prompt router chose; "" where none did."""
        router = self.trace.promptRouter if self.trace is not None else None
        return (router.invokedModelId or "") if router is not None else ""


decode_event = json.Decoder(WireEvent).decode

# Told at the end of a reply, in messageStop and metadata of a stream or at the top level of a whole one.
FINISH_EXTRAS = ("additionalModelResponseFields", "metrics", "trace", "performanceConfig", "serviceTier")


class _Sequence(Struct):
    stop_sequence: str | None = None


_sequence = json.Decoder(_Sequence).decode


def finish(reason: str, extras: Extras) -> Finish:
    """The stop sequence is told only to who asked for the field of Claude's reply that holds it."""
    sequence: str | None = None
    if "additionalModelResponseFields" in extras:
        try:
            sequence = _sequence(extras["additionalModelResponseFields"]).stop_sequence
        except (ValueError, RecursionError):
            pass
    return Finish(reason=FINISH_IN.get(reason, "unknown"), raw_reason=reason, stop_sequence=sequence, extras=extras)


def is_failure(message: Message) -> bool:
    return message.text(":message-type") in ("exception", "error")


def failure(message: Message) -> Failure:
    """An exception or error message inside a stream."""
    kind = message.text(":exception-type") or message.text(":error-code")
    name = kind[:1].upper() + kind[1:]
    told = message.text(":error-message")
    status = STATUS.get(name, 502)
    if message.payload:
        try:
            event = decode_event(message.payload)
            told = event.message or told
            if name == "ModelStreamErrorException" and event.originalStatusCode in (408, 429, 500, 503, 529):
                status = event.originalStatusCode or status
        except (ValueError, RecursionError):
            pass
    if status == 403:
        told = ""
    return Failure(
        status=status,
        message=clean_message(told) or "The provider reported an error in its reply.",
        error_type=name if name in STATUS else None,
    )


def broken(message: str) -> Failure:
    return Failure(kind=BROKEN, message=message)
