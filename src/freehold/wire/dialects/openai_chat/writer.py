"""Canonical events -> the client's chat completion, as chunks or as one object.

Thinking goes out as `reasoning_content` (what most clients show) and, unless it came in as a bare string, also as
`reasoning_details`, which carries the signature that the next turn must bring back. Opaque parts and extras of other
dialects stay behind.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json, structs

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Finish,
    Opaque,
    PartEnd,
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
from freehold.wire.dialects.openai_chat.reasoning import detail_out, new_detail, sign_call
from freehold.wire.dialects.openai_chat.usage import write_usage
from freehold.wire.dialects.openai_chat.words import FINISH_IN, FINISH_OUT, IN, NAME, decode_any, encode
from freehold.wire.wholewriter import WholeWriter

_BARE = ("reasoning_content", "reasoning", "content")  # spellings of thinking that have no signature
_ANNOTATION = json.Decoder(dict[str, Any]).decode


def finish_word(event: Finish | Choice, reason: str, own: bool) -> str:
    """The finish reason in OpenAI's words; the provider's own where it already spoke this dialect."""
    if own and event.raw_reason in FINISH_IN:
        return event.raw_reason
    return FINISH_OUT[reason]  # type: ignore[index]


def _annotation(citation: Raw) -> Any:
    """OpenAI's annotations hold a member of their type's name; its Responses API has those members beside the type. Other
    dialects' citations stay behind: None."""
    try:
        value = _ANNOTATION(citation)
    except ValueError:  # no object, or no UTF-8
        return None
    kind = value.get("type")
    if kind == "url_citation" and kind not in value and "url" in value:
        return {"type": kind, kind: {key: member for key, member in value.items() if key != "type"}}
    return citation if kind in ("url_citation", "file_citation", "file") else None


class StreamWriter:
    """One chunk an event, all with one id, model and time; then the usage chunk if asked for, and [DONE]."""

    def __init__(self, options: WriterOptions) -> None:
        self._options = options
        self._head = b""
        self._tail = b'}],"usage":null}\n\n' if options.include_usage else b"}]}\n\n"
        self._open: set[int] = set()  # choices that have their role chunk
        self._bodies: dict[tuple[int, int], AnyPart] = {}
        self._tools: dict[tuple[int, int], list[int]] = {}  # (choice, part) -> [tool index, characters sent]
        self._tool_count: dict[int, int] = {}
        self._details: dict[tuple[int, int], int] = {}  # (choice, part) -> index in reasoning_details
        self._usage: Usage | None = None
        self._dialect = ""
        self._own = False
        self._ended = False

    def write(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is Delta:
                self._delta(event, out)
            elif type(event) is PartStart:
                self._part(event, out)
            elif type(event) is PartEnd:
                self._part_end(event, out)
            elif type(event) is Finish:
                self._finish(event, out)
            elif type(event) is UsageReport:
                self._usage = event.usage
            elif type(event) is Start:
                self._start(event, out)
            elif type(event) is End:
                self._end(out)
        return b"".join(out)

    def close(self) -> bytes:
        return b""

    def _start(self, event: Start, out: list[bytes]) -> None:
        options = self._options
        self._dialect = event.dialect
        self._own = event.dialect == NAME
        self._usage = event.usage
        head: dict[str, Any] = {
            "id": event.id or f"chatcmpl-{options.call_id}",
            "object": "chat.completion.chunk",
            "created": event.created_s or options.created_s,
            "model": event.model or options.model,
        }
        if self._own:
            head.update(event.extras)
        self._head = b"data: " + encode(head)[:-1] + b',"choices":['
        self._role(0, out)

    def _role(self, choice: int, out: list[bytes]) -> None:
        if choice not in self._open:
            self._open.add(choice)
            self._chunk(choice, {"role": "assistant", "content": ""}, out)

    def _chunk(
        self, choice: int, delta: dict[str, Any], out: list[bytes], finish: bytes = b"null", logprobs: Raw | None = None
    ) -> None:
        if not self._head:
            self._start(Start(), out)
        held = b"null" if logprobs is None else bytes(logprobs)
        out.append(
            b'%s{"index":%d,"delta":%s,"logprobs":%s,"finish_reason":%s%s'
            % (self._head, choice, encode(delta), held, finish, self._tail)
        )

    def _part(self, event: PartStart, out: list[bytes]) -> None:
        body, key = event.body, (event.choice, event.part)
        self._bodies[key] = body
        self._role(event.choice, out)
        if isinstance(body, ToolUse):
            self._tool(event, body, out)
        elif isinstance(body, Thinking):
            self._thinking(event, body, out)
        elif isinstance(body, Text | Refusal):
            if body.text:
                self._delta(Delta(choice=event.choice, part=event.part, text=body.text), out)
            for citation in body.citations if isinstance(body, Text) else ():
                self._delta(Delta(choice=event.choice, part=event.part, citation=citation), out)
        elif isinstance(body, Opaque) and body.dialect == NAME:
            self._chunk(event.choice, _opaque_fields([body]), out)

    def _tool(self, event: PartStart, body: ToolUse, out: list[bytes]) -> None:
        if _field_of(body, self._own) == "function_call":
            self._tools[event.choice, event.part] = [-1, len(body.arguments)]
            self._chunk(event.choice, {"function_call": {"name": body.name, "arguments": body.arguments}}, out)
            return
        index = self._tool_count.get(event.choice, 0)
        self._tool_count[event.choice] = index + 1
        self._tools[event.choice, event.part] = [index, len(body.arguments)]
        call: dict[str, Any] = {
            "index": index,
            "id": body.id,
            "type": "function",
            "function": {"name": body.name, "arguments": body.arguments},
        }
        if self._own:
            call.update(body.extras)
        self._chunk(event.choice, {"tool_calls": [sign_call(call, body.signature)]}, out)

    def _thinking(self, event: PartStart, body: Thinking, out: list[bytes]) -> None:
        if _field_of(body, self._own) not in _BARE:
            self._details[event.choice, event.part] = sum(1 for choice, _ in self._details if choice == event.choice)
        if body.text or body.signature or body.redacted:
            piece = structs.replace(body, extras={})
            self._chunk(event.choice, self._thinking_fields(event.choice, event.part, piece), out)

    def _thinking_fields(self, choice: int, part: int, piece: Thinking) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if piece.text:
            fields["reasoning_content"] = piece.text
        index = self._details.get((choice, part))
        if index is not None:
            fields["reasoning_details"] = [_detail(piece, index, self._dialect, piece=True)]
        return fields

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        body = self._bodies.get((event.choice, event.part))
        if isinstance(body, Text | Refusal):
            delta: dict[str, Any] = {}
            if event.text:
                delta["content" if isinstance(body, Text) else "refusal"] = event.text
            annotation = _annotation(event.citation) if event.citation is not None else None
            if annotation is not None:
                delta["annotations"] = [annotation]
            if delta or event.logprobs is not None:
                self._chunk(event.choice, delta, out, logprobs=event.logprobs)
        elif isinstance(body, ToolUse):
            tool = self._tools[event.choice, event.part]
            if event.signature and tool[0] >= 0:
                self._chunk(event.choice, {"tool_calls": [sign_call({"index": tool[0]}, event.signature)]}, out)
            if event.text:
                tool[1] += len(event.text)
                self._arguments(event.choice, tool[0], event.text, out)
        elif isinstance(body, Thinking):
            piece = structs.replace(body, text=event.text, signature=event.signature, redacted="", extras=event.extras)
            fields = self._thinking_fields(event.choice, event.part, piece)
            if fields:
                self._chunk(event.choice, fields, out)

    def _arguments(self, choice: int, index: int, text: str, out: list[bytes]) -> None:
        if index < 0:
            self._chunk(choice, {"function_call": {"arguments": text}}, out)
        else:
            self._chunk(choice, {"tool_calls": [{"index": index, "function": {"arguments": text}}]}, out)

    def _part_end(self, event: PartEnd, out: list[bytes]) -> None:
        key = (event.choice, event.part)
        body = self._bodies.get(key)
        if isinstance(body, ToolUse) and not self._tools[key][1]:
            # Clients parse the joined arguments as JSON: a call without any must still be an object.
            self._tools[key][1] = 2
            self._arguments(event.choice, self._tools[key][0], "{}", out)

    def _finish(self, event: Finish, out: list[bytes]) -> None:
        self._role(event.choice, out)
        delta: dict[str, Any] = {}
        if self._own and "message" in event.extras:
            delta = decode_any(event.extras["message"])
        word = finish_word(event, event.reason, self._own)
        self._chunk(event.choice, delta, out, finish=encode(word))

    def _end(self, out: list[bytes]) -> None:
        if self._ended:
            return
        self._ended = True
        if self._options.include_usage and self._usage is not None:
            if not self._head:
                self._start(Start(), out)
            out.append(self._head + b'],"usage":' + write_usage(self._usage, self._own) + b"}\n\n")
        out.append(b"data: [DONE]\n\n")


def whole_writer(options: WriterOptions) -> WholeWriter:
    return WholeWriter(_whole, options)


def _whole(reply: ChatReply, options: WriterOptions) -> bytes:
    own = reply.dialect == NAME
    body: dict[str, Any] = {
        "id": reply.id or f"chatcmpl-{options.call_id}",
        "object": "chat.completion",
        "created": reply.created_s or options.created_s,
        "model": reply.model or options.model,
        "choices": [_choice(choice, reply.dialect) for choice in reply.choices],
    }
    if reply.usage is not None:
        body["usage"] = Raw(write_usage(reply.usage, own))
    if own:
        body.update(reply.extras)
    return encode(body)


def _choice(choice: Choice, dialect: str) -> dict[str, Any]:
    own = dialect == NAME
    item: dict[str, Any] = {"index": choice.index, "message": _message(choice, dialect), "logprobs": choice.logprobs}
    item["finish_reason"] = finish_word(choice, choice.finish, own)
    if own:
        item.update((key, value) for key, value in choice.extras.items() if key != "message")
    return item


def _message(choice: Choice, dialect: str) -> dict[str, Any]:
    own = dialect == NAME
    texts = [part for part in choice.parts if isinstance(part, Text)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(part.text for part in texts) if texts else None,
        "refusal": "".join(part.text for part in choice.parts if isinstance(part, Refusal)) or None,
    }
    citations = [found for part in texts for citation in part.citations if (found := _annotation(citation)) is not None]
    if citations:
        message["annotations"] = citations
    thinking = [part for part in choice.parts if isinstance(part, Thinking)]
    if thinking:
        text = "".join(part.text for part in thinking)
        if text:
            message["reasoning_content"] = text
    details = _details(choice.parts, dialect)
    if details:
        message["reasoning_details"] = details
    calls = []
    for part in choice.parts:
        if isinstance(part, ToolUse) and _field_of(part, own) == "function_call":
            message["function_call"] = {"name": part.name, "arguments": part.arguments or "{}"}
        elif isinstance(part, ToolUse):
            function = {"name": part.name, "arguments": part.arguments or "{}"}
            extras = part.extras if own else {}
            calls.append(sign_call({"id": part.id, "type": "function", "function": function, **extras}, part.signature))
    if calls:
        message["tool_calls"] = calls
    opaque = [part for part in choice.parts if isinstance(part, Opaque) and part.dialect == NAME and not _is_detail(part)]
    for key, value in _opaque_fields(opaque).items():
        message[key] = message.get(key, []) + value if isinstance(value, list) else value
    if own and "message" in choice.extras:
        message.update(decode_any(choice.extras["message"]))
    return message


def _field_of(part: AnyPart, own: bool) -> str:
    """The field that a part of this dialect was read from. Another dialect's spelling is its own."""
    return part.spelling.get(IN, "") if own else ""


def _detail(part: Thinking, index: int, dialect: str, piece: bool = False) -> dict[str, Any]:
    """Thinking, or a piece of it, as an item of `reasoning_details`."""
    if _field_of(part, dialect == NAME) != "reasoning_details":
        return new_detail(part, index, dialect, piece)
    return {**detail_out(part), **part.extras}


def _details(parts: list[AnyPart], dialect: str) -> list[Any]:
    """`reasoning_details`: thinking that may be signed and other makers' items, in the order in which they came."""
    details: list[Any] = []
    for part in parts:
        if isinstance(part, Thinking) and _field_of(part, dialect == NAME) not in _BARE:
            details.append(_detail(part, len(details), dialect))
        elif _is_detail(part):
            details.append(part.raw)  # type: ignore[union-attr]
    return details


def _is_detail(part: AnyPart) -> bool:
    return isinstance(part, Opaque) and part.dialect == NAME and part.spelling.get(IN, "") == "reasoning_details"


def _opaque_fields(parts: list[Opaque]) -> dict[str, Any]:
    """This dialect's own parts in the fields they came from. Content parts of servers' own kinds have no field here."""
    fields: dict[str, Any] = {}
    for part in parts:
        field = part.spelling.get(IN, "")
        if field == "audio":
            fields["audio"] = part.raw
        elif field:
            fields.setdefault(field, []).append(part.raw)
    return fields
