"""Canonical events -> the client's response, as the events of a stream or as one object.

Both forms build the same items (output_out.py); the whole one keeps the events to itself. Choices after the first are
left out: this API has one.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.wire.chat import Delta, End, Event, Finish, FinishReason, PartEnd, PartStart, Refusal, Start, Usage, UsageReport
from freehold.wire.dialect import WriterOptions
from freehold.wire.dialects.openai_responses.echo import repeated
from freehold.wire.dialects.openai_responses.output_out import Output
from freehold.wire.dialects.openai_responses.usage import write_usage
from freehold.wire.dialects.openai_responses.words import NAME, decode_any, encode
from freehold.wire.sse import encode as sse

Members = dict[str, Any]

# Why a response is incomplete, in this API's words.
_INCOMPLETE: dict[FinishReason, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}
_TIERS = ("auto", "default", "flex", "priority")
_FAILED = {"code": "server_error", "message": "The provider stopped with an error."}


class _Writer:
    """What both writers know."""

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._start: Start | None = None
        self._output = Output(options.call_id, "", self._emit)
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._ended = False
        self._repeated = repeated(options.peek)

    def _emit(self, kind: str, members: Members) -> None:
        raise NotImplementedError

    def _begin(self, start: Start) -> Start:
        if self._start is None:
            self._start = start
            self._usage = start.usage
            self._output = Output(self._options.call_id, start.dialect, self._emit)
            self._announce()
        return self._start

    def _announce(self) -> None:
        """Tell that the response has begun."""

    def _write(self, event: Event) -> None:
        if self._ended:
            return
        if type(event) is Start:
            self._begin(event)
        elif type(event) is UsageReport:
            self._usage = event.usage
        elif type(event) is End:
            self._end()
        elif getattr(event, "choice", 0):
            return
        elif type(event) is Finish:
            self._finish = event
        elif isinstance(event, PartStart | Delta | PartEnd):
            self._begin(Start())  # an upstream that never said it began
            if type(event) is Delta:
                self._output.delta(event)
            elif type(event) is PartStart:
                self._output.part_start(event)
            elif type(event) is PartEnd:
                self._output.part_end(event)

    def _end(self) -> None:
        """Late usage (OpenAI's chat sends it after the finish reason) is why the end waits until here."""
        start = self._begin(Start())
        finish = self._finish or Finish(reason="unknown")
        status, reason = _status(finish, self._output.kinds, start.dialect == NAME)
        self._output.close("completed" if status == "completed" else "incomplete")
        self._ended = True
        response = self._response(status)
        response["completed_at"] = response["created_at"] if status == "completed" else None
        response["output"] = self._output.items
        response["incomplete_details"] = {"reason": reason} if reason else None
        response["error"] = _FAILED if status == "failed" else None
        if start.dialect == NAME:
            response.update(finish.extras)
        response["usage"] = None if self._usage is None else Raw(write_usage(self._usage, start.dialect == NAME))
        self._last(status, response)

    def _last(self, status: str, response: Members) -> None:
        self._emit(f"response.{status}", {"response": response})

    def _response(self, status: str) -> Members:
        start, options = self._start or Start(), self._options
        tier = self._usage.service_tier if self._usage is not None else ""
        response = {
            "id": start.id or f"resp_{options.call_id}",
            "object": "response",
            "created_at": start.created_s or options.created_s,
            "completed_at": None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": start.model or options.model,
            "output": [],
            "service_tier": tier if tier in _TIERS else "default",
            "usage": None,
            **self._repeated,
        }
        return response | start.extras if start.dialect == NAME else response


def _status(finish: Finish, kinds: set[type], own: bool) -> tuple[str, str]:
    """The response's status, and why it is incomplete. A refusal that the model put into words is complete."""
    if own:
        said = finish.extras.get("status")
        word = decode_any(said) if said is not None else ""
        if word == "incomplete" or (word != "completed" and finish.raw_reason not in ("", "completed")):
            return "incomplete", "" if finish.raw_reason == "incomplete" else finish.raw_reason
        return "completed", ""
    if finish.reason == "error":
        return "failed", ""
    if finish.reason == "refusal" and Refusal in kinds:
        return "completed", ""
    reason = _INCOMPLETE.get(finish.reason, "")
    return ("incomplete" if reason else "completed"), reason


class StreamWriter(_Writer):
    """One server-sent event for each event of the API, numbered from 0."""

    def __init__(self, options: WriterOptions) -> None:
        self._out: list[bytes] = []
        self._number = 0
        super().__init__(options)

    def write(self, events: list[Event]) -> bytes:
        for event in events:
            self._write(event)
        data = b"".join(self._out)
        self._out.clear()
        return data

    def close(self) -> bytes:
        return self.write([End()])

    def _announce(self) -> None:
        response = self._response("in_progress")
        self._emit("response.created", {"response": response})
        self._emit("response.in_progress", {"response": response})

    def _emit(self, kind: str, members: Members) -> None:
        event = {"type": kind, "sequence_number": self._number, **members}
        self._number += 1
        self._out.append(sse(encode(event), kind.encode()))


class WholeWriter(_Writer):
    """Collects the events; `close` returns one response object."""

    def __init__(self, options: WriterOptions) -> None:
        self._response_body = b""
        super().__init__(options)

    def write(self, events: list[Event]) -> bytes:
        for event in events:
            self._write(event)
        return b""

    def close(self) -> bytes:
        self._write(End())
        return self._response_body

    def _emit(self, kind: str, members: Members) -> None:
        pass

    def _last(self, status: str, response: Members) -> None:
        self._response_body = encode(response)
