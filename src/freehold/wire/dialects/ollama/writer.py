"""Canonical events -> the client's reply in the chat or the generate form, as lines or as one object.

Tool calls are whole on this wire: they are held until the reply finishes, since some upstreams come back to an earlier
call. The last line waits for the usage, which some send after the finish. Only the first choice is written. Thinking goes
out as its text: this API has no place for signatures. A refusal is the reply's text.

Tool arguments that are not a JSON object become {"INVALID_JSON": "<the text>"}, as in an Anthropic reply.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Raw

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Finish,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.dialect import WriterOptions
from freehold.wire.dialects.ollama.words import (
    FINISH_OUT,
    GENERATE,
    MADE,
    NAME,
    Fields,
    decode_fields,
    decode_list,
    encode,
    encode_line,
)
from freehold.wire.wholewriter import WholeWriter

_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_LAST_SECOND = 253_402_300_799  # of the year 9999


class _Form:
    """What both writers say the same way: the head of a line, its content, and the end."""

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._generate = options.peek is not None and options.peek.form == GENERATE
        self._head: dict[str, Any] = {}
        self.own = False

    def start(self, start: Start | ChatReply) -> None:
        if self._head:
            return
        self.own = start.dialect == NAME
        created = start.created_s if 0 < start.created_s <= _LAST_SECOND else self._options.created_s
        self._head = {
            "model": start.model or self._options.model,
            "created_at": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if self.own:
            self._head.update(start.extras)

    def line(self, content: str, fields: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
        """One object: `fields` (thinking, tool_calls) stand beside the content, `rest` at the top level."""
        self.start(Start())  # an upstream that never said it began
        if self._generate:
            return {**self._head, "response": content, **fields, **rest}
        return {**self._head, "message": {"role": "assistant", "content": content, **fields}, **rest}

    def end(self, finish: Finish | Choice, reason: str, usage: Usage | None) -> dict[str, Any]:
        word = finish.raw_reason if self.own else FINISH_OUT[reason]  # type: ignore[index]
        rest: dict[str, Any] = {"done": True}
        if word:
            rest["done_reason"] = word
        if self.own:
            rest.update(finish.extras)  # durations and counts as they came: a count of 0 is not written there
            return rest
        rest.update(dict.fromkeys(_DURATIONS, 0))
        if usage is not None:
            rest["prompt_eval_count"] = usage.input
            rest["eval_count"] = usage.output
        return rest

    def call(self, part: ToolUse, arguments: str, place: int) -> dict[str, Any]:
        own = part.spelling if self.own else {}
        function: dict[str, Any] = {"name": part.name, "arguments": _object(arguments)}
        if not self.own:
            function["index"] = place
        elif "index" in own:
            function["index"] = Raw(own["index"].encode())
        if own.get("id") == MADE:
            return {"function": function}
        return {"id": part.id or f"call_{self._options.call_id}_{place}", "function": function}


def _object(arguments: str) -> Raw:
    try:
        decode_fields(arguments or "{}")
    except (ValueError, RecursionError):
        return Raw(encode({"INVALID_JSON": arguments}))
    return Raw((arguments or "{}").encode())


def _tokens(logprobs: Raw) -> list[Raw] | None:
    """OpenAI's {"content": [...]} -> the list that Ollama writes."""
    try:
        members: Fields = decode_fields(logprobs)
        return decode_list(members["content"])
    except (ValueError, RecursionError, KeyError):
        return None


class StreamWriter:
    """A line for each piece of text, one for the tool calls, one for the end."""

    def __init__(self, options: WriterOptions) -> None:
        self._form = _Form(options)
        self._bodies: dict[int, AnyPart] = {}
        self._calls: dict[int, list[str]] = {}  # part -> pieces of its arguments
        self._finish: Finish | None = None
        self._usage: Usage | None = None
        self._ended = False

    def write(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._ended or getattr(event, "choice", None):
                continue
            if type(event) is Delta:
                self._delta(event, out)
            elif type(event) is PartStart:
                self._part(event, out)
            elif type(event) is Finish:
                self._finish = event
            elif type(event) is UsageReport:
                self._usage = event.usage
            elif type(event) is Start:
                self._form.start(event)
                self._usage = event.usage
            elif type(event) is End:
                self._end(out)
        return b"".join(out)

    def close(self) -> bytes:
        return self.write([End()])

    def _part(self, event: PartStart, out: list[bytes]) -> None:
        body = self._bodies[event.part] = event.body
        if isinstance(body, ToolUse):
            self._calls[event.part] = [body.arguments]
        elif isinstance(body, Text | Thinking | Refusal) and body.text:
            self._text(body, body.text, None, out)

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        body = self._bodies.get(event.part)
        if isinstance(body, ToolUse):
            self._calls[event.part].append(event.text)
        elif isinstance(body, Text | Thinking | Refusal) and (event.text or event.logprobs is not None):
            self._text(body, event.text, event.logprobs, out)

    def _text(self, body: AnyPart, text: str, logprobs: Raw | None, out: list[bytes]) -> None:
        rest: dict[str, Any] = {"done": False}
        if logprobs is not None and (tokens := _tokens(logprobs)) is not None:
            rest["logprobs"] = tokens
        thinking = isinstance(body, Thinking)
        line = self._form.line("" if thinking else text, {"thinking": text} if thinking else {}, rest)
        out.append(encode_line(line))

    def _end(self, out: list[bytes]) -> None:
        self._ended = True
        calls: list[Any] = []
        for number, pieces in self._calls.items():
            part = self._bodies[number]
            assert isinstance(part, ToolUse)
            calls.append(self._form.call(part, "".join(pieces), len(calls)))
        if calls:
            out.append(encode_line(self._form.line("", {"tool_calls": calls}, {"done": False})))
        finish = self._finish or Finish(reason="unknown")
        self._form.start(Start())
        out.append(encode_line(self._form.line("", {}, self._form.end(finish, finish.reason, self._usage))))


def whole_writer(options: WriterOptions) -> WholeWriter:
    return WholeWriter(_whole, options)


def _whole(reply: ChatReply, options: WriterOptions) -> bytes:
    form = _Form(options)
    form.start(reply)
    choice = next((choice for choice in reply.choices if choice.index == 0), Choice())
    parts = choice.parts
    fields: dict[str, Any] = {}
    thinking = "".join(part.text for part in parts if isinstance(part, Thinking))
    if thinking:
        fields["thinking"] = thinking
    calls = [part for part in parts if isinstance(part, ToolUse)]
    if calls:
        fields["tool_calls"] = [form.call(part, part.arguments, place) for place, part in enumerate(calls)]
    rest = form.end(choice, choice.finish, reply.usage)
    if choice.logprobs is not None and (tokens := _tokens(choice.logprobs)) is not None:
        rest["logprobs"] = tokens
    text = "".join(part.text for part in parts if isinstance(part, Text | Refusal))
    return encode(form.line(text, fields, rest))
