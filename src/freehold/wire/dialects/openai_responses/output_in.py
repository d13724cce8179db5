"""One output item of a reply, event by event or whole -> its parts.

`added`: it was announced; `event`: something of it came; `done`: here is all of it; `cut`: the reply ended before that.
What `done` tells beyond what came before is given as the last deltas of a part, its members without a word as extras.
"""

from __future__ import annotations

from typing import Any, Protocol

from freehold.wire.chat import AnyPart, Delta, Event, Extras, Opaque, PartEnd, PartStart, Refusal, Text, Thinking
from freehold.wire.dialects.openai_responses import items_in
from freehold.wire.dialects.openai_responses.items_out import item_members, reasoning, texts_of
from freehold.wire.dialects.openai_responses.words import BREAKS, CALL, IN, ITEM_EXTRAS, JOINT, NAME, raw, rest_of

_STREAMED = ("output_text", "refusal")  # content that comes in deltas; other kinds are told whole
_UNTOLD = 1_000_000  # content indexes of our own, for parts that were never announced
_PART_WORDS = ("type", "text", "refusal", "annotations", "logprobs")


class Numbers(Protocol):
    def number(self, kind: type) -> int: ...


class Item:
    def __init__(self, reply: Numbers, item: dict[str, Any]) -> None:
        self._reply = reply
        # How it will end, unless the finished item says otherwise.
        self._item = {**item, "status": "completed"} if item.get("status") == "in_progress" else item
        self.ended = False

    def added(self, events: list[Event]) -> None:
        pass

    def event(self, kind: str, value: dict[str, Any], events: list[Event]) -> None:
        pass

    def done(self, item: dict[str, Any], events: list[Event]) -> None:
        pass

    def cut(self, events: list[Event]) -> None:
        pass


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


class WholeItem(Item):
    """An item without a word here."""

    def done(self, item: dict[str, Any], events: list[Event]) -> None:
        body = items_in.opaque_item(_string(item.get("type")), item)
        number = self._reply.number(Opaque)
        events += [PartStart(part=number, body=body), PartEnd(part=number)]


class _Part:
    """A started part and how much of it was told."""

    __slots__ = ("body", "citations", "ended", "logprobs", "number", "sent")

    def __init__(self, number: int, body: AnyPart) -> None:
        self.number = number
        self.body = body
        self.sent = 0  # characters
        self.citations = 0
        self.logprobs = False
        self.ended = False

    def text(self, text: str, events: list[Event], **told: Any) -> None:
        if (text or told) and not self.ended:
            self.sent += len(text)
            events.append(Delta(part=self.number, text=text, **told))


def _late(started: dict[str, Any], item: dict[str, Any], *known: str) -> dict[str, Any]:
    """Members of the finished item that its beginning did not tell."""
    absent = object()
    return {key: member for key, member in item.items() if key not in known and started.get(key, absent) != member}


class MessageItem(Item):
    def __init__(self, reply: Numbers, item: dict[str, Any]) -> None:
        super().__init__(reply, item)
        self._parts: dict[int, _Part] = {}  # by content index

    def event(self, kind: str, value: dict[str, Any], events: list[Event]) -> None:
        index = value.get("content_index")
        index = index if type(index) is int else 0
        if kind == "response.content_part.added":
            given = value.get("part")
            if isinstance(given, dict) and given.get("type") in _STREAMED:
                self._part(index, given, events)
        elif kind == "response.output_text.delta":
            part = self._part(index, {"type": "output_text"}, events)
            logprobs = value.get("logprobs")
            told = {"logprobs": raw({"content": logprobs})} if isinstance(logprobs, list) and logprobs else {}
            part.logprobs = part.logprobs or bool(told)
            part.text(_string(value.get("delta")), events, **told)
        elif kind == "response.refusal.delta":
            self._part(index, {"type": "refusal"}, events).text(_string(value.get("delta")), events)
        elif kind == "response.content_part.done" and index in self._parts and isinstance(value.get("part"), dict):
            self._rest(self._parts[index], value["part"], events)
        elif kind == "response.output_text.annotation.added" and isinstance(value.get("annotation"), dict):
            part = self._part(index, {"type": "output_text"}, events)
            part.citations += 1
            part.text("", events, citation=raw(value["annotation"]))

    def _part(self, index: int, given: dict[str, Any], events: list[Event]) -> _Part:
        part = self._parts.get(index)
        return part if part is not None else self._start(index, given, events)

    def _start(self, index: int, given: dict[str, Any], events: list[Event]) -> _Part:
        kind = given.get("type")
        body: AnyPart
        if kind == "refusal":
            body = Refusal(text="")
        elif kind == "output_text":
            body = Text(text="")
        else:
            body = Opaque(dialect=NAME, kind=_string(kind), raw=raw(given))
        if not self._parts:
            items_in.around(body, self._item, "role", "content")
        part = self._parts[index] = _Part(self._reply.number(type(body)), body)
        events.append(PartStart(part=part.number, body=body))
        return part

    def done(self, item: dict[str, Any], events: list[Event]) -> None:
        content = item.get("content")
        content = [given for given in content if isinstance(given, dict)] if isinstance(content, list) else []
        # By their order: some servers count a message's parts from the item's own index.
        started = iter(sorted(self._parts))  # a copy: parts are added below
        for place, given in enumerate(content):
            index = next(started, None) if given.get("type") in _STREAMED else None
            part = self._parts[index] if index is not None else self._start(_UNTOLD + place, given, events)
            self._rest(part, given, events)
        if not self._parts:
            part = self._start(0, {"type": "output_text"}, events)
            part.body.spelling[IN] = "empty"
        first = next(iter(self._parts.values()))
        late = _late(item_members(first.body), item, "role", "content")
        if late:
            events.append(Delta(part=first.number, extras={ITEM_EXTRAS: raw(late)}))
        self.cut(events)

    def _rest(self, part: _Part, given: dict[str, Any], events: list[Event]) -> None:
        """The last of a part: what of it was not told yet."""
        if isinstance(part.body, Opaque) or part.ended:
            return
        text = _string(given.get("refusal" if isinstance(part.body, Refusal) else "text"))
        told: dict[str, Any] = {}
        logprobs = given.get("logprobs")
        if isinstance(logprobs, list) and logprobs and not part.logprobs:
            told["logprobs"] = raw({"content": logprobs})
        extras = rest_of(given, *_PART_WORDS)
        if extras:
            told["extras"] = extras
        part.text(text[part.sent :], events, **told)
        annotations = given.get("annotations")
        for citation in annotations[part.citations :] if isinstance(annotations, list) else ():
            part.text("", events, citation=raw(citation))
        self._end(part, events)

    def _end(self, part: _Part, events: list[Event]) -> None:
        if not part.ended:
            part.ended = True
            events.append(PartEnd(part=part.number))

    def cut(self, events: list[Event]) -> None:
        for part in self._parts.values():
            self._end(part, events)


class CallItem(Item):
    def __init__(self, reply: Numbers, item: dict[str, Any]) -> None:
        super().__init__(reply, item)
        self._part: _Part | None = None

    def added(self, events: list[Event]) -> None:
        body = items_in.tool_use({**self._item, "arguments": ""}, CALL)
        self._part = _Part(self._reply.number(type(body)), body)
        events.append(PartStart(part=self._part.number, body=body))

    def event(self, kind: str, value: dict[str, Any], events: list[Event]) -> None:
        if kind == "response.function_call_arguments.delta" and self._part is not None:
            self._part.text(_string(value.get("delta")), events)

    def done(self, item: dict[str, Any], events: list[Event]) -> None:
        if self._part is None:
            self.added(events)
        assert self._part is not None
        late = _late(item_members(self._part.body), item, "type", "call_id", "name", "arguments")
        extras: Extras = {ITEM_EXTRAS: raw(late)} if late else {}
        rest = _string(item.get("arguments"))[self._part.sent :]
        if rest or extras:
            self._part.text(rest, events, extras=extras)
        self.cut(events)

    def cut(self, events: list[Event]) -> None:
        if self._part is not None:
            events.append(PartEnd(part=self._part.number))


class ReasoningItem(Item):
    """Begins with its first text, which says whether the model's own words or a summary come; or when it is done."""

    def __init__(self, reply: Numbers, item: dict[str, Any]) -> None:
        super().__init__(reply, item)
        self._part: _Part | None = None
        self._main = ""  # "summary" or "content"
        self._piece = 0
        self._breaks: list[int] = []

    def event(self, kind: str, value: dict[str, Any], events: list[Event]) -> None:
        if kind == "response.reasoning_summary_text.delta":
            main, piece = "summary", value.get("summary_index")
        elif kind in ("response.reasoning_text.delta", "response.reasoning.delta"):
            main, piece = "content", value.get("content_index")
        else:
            return
        text = _string(value.get("delta"))
        if self._part is None:
            self._main = main
            self._piece = piece if type(piece) is int else 0
            self._start(self._item, events)
        if main != self._main:
            return  # the other kind of text is told when the item is done
        assert self._part is not None
        if type(piece) is int and piece != self._piece:
            self._piece = piece
            self._breaks.append(self._part.sent)
            self._part.text(JOINT, events, extras={BREAKS: raw(self._breaks)})
        self._part.text(text, events)

    def _start(self, item: dict[str, Any], events: list[Event]) -> _Part:
        body = items_in.thinking(item, "")
        body.signed_by = NAME
        body.text = body.signature = ""  # told when it is done
        if self._main == "content":
            body.spelling[IN] = "content"
        body.spelling.pop(BREAKS, None)
        for name in ("summary", "content"):
            body.extras.pop(name, None)
        self._part = _Part(self._reply.number(Thinking), body)
        events.append(PartStart(part=self._part.number, body=body))
        return self._part

    def done(self, item: dict[str, Any], events: list[Event]) -> None:
        final = items_in.thinking(item, "")
        main = "content" if final.spelling.get(IN) == "content" else "summary"
        if self._part is None:
            self._main = main
        part = self._part or self._start(item, events)
        text, extras = "", dict(final.extras)
        if main == self._main:
            text = final.text[part.sent :]
            if text and len(texts := texts_of(final)) > 1:
                extras[BREAKS] = raw(items_in.breaks_of(texts))
        written = reasoning(part.body)  # type: ignore[arg-type]
        extras |= {key: raw(member) for key, member in _late(written, item, "type", self._main, "encrypted_content").items()}
        if text or extras or final.signature:
            part.text(text, events, extras=extras, signature=final.signature)
        self.cut(events)

    def cut(self, events: list[Event]) -> None:
        if self._part is not None:
            events.append(PartEnd(part=self._part.number))
