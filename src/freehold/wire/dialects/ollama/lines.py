"""The lines of a reply: a stream is one JSON object a line, a whole reply is one such object with everything in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Raw, Struct, json

from freehold.wire.chat import Failure, Usage
from freehold.wire.dialects.openai_chat.errors import failure_of

MAX_LINE_BYTES = 16 * 1024 * 1024
UNREADABLE = Failure(status=502, kind="upstream_broken", message="the provider's reply could not be read")


class TooLong(ValueError):
    """A line broke the bound."""


class LineDecoder:
    """Feed chunks, get the lines that are complete, blank ones left out. Every byte is looked at once."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Raises TooLong when an unfinished line grows over the bound."""
        end = chunk.rfind(b"\n")
        if end < 0:
            self._held += chunk
            whole = b""
        else:
            whole = bytes(self._held) + chunk[:end]
            self._held[:] = chunk[end + 1 :]
        if len(self._held) > MAX_LINE_BYTES:
            raise TooLong(f"a line is larger than {MAX_LINE_BYTES} bytes")
        return [line for line in whole.split(b"\n") if line and not line.isspace()]

    def close(self) -> bytes:
        """The unfinished last line."""
        rest = bytes(self._held).strip()
        self._held.clear()
        return rest


_NULL = Raw(b"null")


# Values are `Any` where servers that imitate Ollama's vary; they are checked where they are used.
class Function(Struct):
    name: Any = ""
    arguments: Raw = _NULL
    index: Any = None


class Call(Struct):
    function: Function | None = None
    id: Any = ""


class LineMessage(Struct):
    content: Any = ""
    thinking: Any = ""
    tool_calls: list[Call] | None = None


class Line(Struct):
    """A line of chat (`message`) or of generate (`response`, and the rest at the top level)."""

    model: Any = ""
    created_at: Any = ""
    message: LineMessage | None = None
    response: Any = None
    thinking: Any = ""
    tool_calls: list[Call] | None = None
    logprobs: Any = None
    done: Any = False
    done_reason: Any = ""
    error: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None


decode_line = json.Decoder(Line).decode


def usage_of(line: Any) -> Usage | None:
    """The counts of a line that has them: both hold all tokens, cached and thinking ones too. A count of 0 is not written."""
    counts = [_count(line.prompt_eval_count), _count(line.eval_count)]
    return Usage(input=counts[0] or 0, output=counts[1] or 0) if counts != [None, None] else None


def _count(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def failure_in(error: Any) -> Failure:
    """The error that a line tells: a text, or an object behind some faces."""
    return failure_of({"error": error})


def seconds_of(created_at: Any) -> int:
    """A time as Ollama writes it -> seconds since 1970; 0 where it is none."""
    try:
        return max(0, int(datetime.fromisoformat(created_at).timestamp()))
    except (TypeError, ValueError, OverflowError):
        return 0
