"""Events <-> a whole reply. A dialect writes its whole-reply codec once and gets the stream's meaning from here.

`fold(unfold(reply)) == reply` for every reply whose parts are well formed; tests hold that.
"""

from __future__ import annotations

from msgspec import Raw, json, structs

from freehold.wire.chat import (
    AnyPart,
    ChatReply,
    Choice,
    Delta,
    End,
    Event,
    Failure,
    Finish,
    PartEnd,
    PartStart,
    Refusal,
    Start,
    Text,
    Thinking,
    ToolUse,
    UsageReport,
)

_decode_lists = json.Decoder(dict[str, list[Raw] | None]).decode


class Fold:
    """Collects events into a ChatReply. `failure` is set by the first Failure; `done` by End.

    Text pieces are kept in lists and joined once in `reply()`: a long stream costs linear time.
    """

    __slots__ = ("_logprobs", "_parts", "_pieces", "_reply", "done", "failure")

    def __init__(self, dialect: str) -> None:
        self._reply = ChatReply(dialect=dialect)
        self._parts: dict[tuple[int, int], AnyPart] = {}
        self._pieces: dict[tuple[int, int], list[str]] = {}
        self._logprobs: dict[int, list[Raw]] = {}
        self.failure: Failure | None = None
        self.done = False

    def add(self, events: list[Event]) -> None:
        for event in events:
            self._add(event)

    def _add(self, event: Event) -> None:
        if type(event) is Delta:
            self._delta(event)
        elif type(event) is PartStart:
            key = (event.choice, event.part)
            body = structs.replace(event.body)  # the reader may go on holding its own
            self._parts[key] = body
            self._pieces[key] = []
            self._choice(event.choice).parts.append(body)
        elif type(event) is Start:
            reply = self._reply
            reply.id, reply.model, reply.created_s = event.id, event.model, event.created_s
            reply.dialect = event.dialect or reply.dialect
            reply.extras = dict(event.extras)
            if event.usage is not None:
                reply.usage = event.usage
        elif type(event) is Finish:
            choice = self._choice(event.choice)
            choice.finish, choice.raw_reason = event.reason, event.raw_reason
            choice.stop_sequence = event.stop_sequence
            choice.extras.update(event.extras)
        elif type(event) is UsageReport:
            self._reply.usage = event.usage
        elif type(event) is Failure:
            self.failure = self.failure or event
        elif type(event) is End:
            self.done = True
        elif type(event) is PartEnd:
            pass

    def _delta(self, event: Delta) -> None:
        key = (event.choice, event.part)
        part = self._parts.get(key)
        if part is None:
            return
        if event.text:
            self._pieces[key].append(event.text)
        if event.signature:
            part.signature = event.signature
        if event.citation is not None and type(part) is Text:
            part.citations = [*part.citations, event.citation]
        if event.logprobs is not None:
            self._logprobs.setdefault(event.choice, []).append(event.logprobs)
        if event.extras:
            part.extras = {**part.extras, **event.extras}

    def _choice(self, index: int) -> Choice:
        for choice in self._reply.choices:
            if choice.index == index:
                return choice
        choice = Choice(index=index)
        self._reply.choices.append(choice)
        self._reply.choices.sort(key=lambda c: c.index)
        return choice

    def reply(self) -> ChatReply:
        """The reply so far. May be called again after more events."""
        for key, pieces in self._pieces.items():
            if pieces:
                _append(self._parts[key], "".join(pieces))
                pieces.clear()
        for index, raws in self._logprobs.items():
            choice = self._choice(index)
            held = [] if choice.logprobs is None else [choice.logprobs]
            choice.logprobs = _join_logprobs(held + raws)
        self._logprobs.clear()
        return self._reply


def _append(part: AnyPart, text: str) -> None:
    if isinstance(part, Text | Thinking | Refusal):
        part.text += text
    elif isinstance(part, ToolUse):
        part.arguments += text


def _join_logprobs(raws: list[Raw]) -> Raw:
    """OpenAI's logprobs objects -> one, their lists concatenated, the values untouched."""
    if len(raws) == 1:
        return raws[0]
    joined: dict[str, list[Raw] | None] = {}
    for raw in raws:
        try:
            lists = _decode_lists(raw)
        except ValueError:
            continue  # of another shape: nothing that could be joined
        for name, values in lists.items():
            held = joined.setdefault(name, None if values is None else [])
            if values is not None:
                joined[name] = values if held is None else held + values
    return Raw(json.encode(joined))


def fold(events: list[Event], dialect: str) -> ChatReply:
    collected = Fold(dialect)
    collected.add(events)
    return collected.reply()


def unfold(reply: ChatReply) -> list[Event]:
    """A whole reply as the events that a stream of it would have been, each part in one piece."""
    events: list[Event] = [
        Start(id=reply.id, model=reply.model, created_s=reply.created_s, dialect=reply.dialect, extras=dict(reply.extras)),
    ]
    for choice in reply.choices:
        # Logprobs are the text's; a reply of tool calls alone has them at its first part.
        with_logprobs = next((n for n, part in enumerate(choice.parts) if isinstance(part, Text | Refusal)), 0)
        for number, part in enumerate(choice.parts):
            body, text = _empty(part)
            logprobs = choice.logprobs if number == with_logprobs else None
            events.append(PartStart(choice=choice.index, part=number, body=body))
            if text or logprobs is not None:
                events.append(Delta(choice=choice.index, part=number, text=text, logprobs=logprobs))
            events.append(PartEnd(choice=choice.index, part=number))
        events.append(
            Finish(
                choice=choice.index,
                reason=choice.finish,
                raw_reason=choice.raw_reason,
                stop_sequence=choice.stop_sequence,
                extras=dict(choice.extras),
            )
        )
    if reply.usage is not None:
        events.append(UsageReport(usage=reply.usage))
    events.append(End())
    return events


def _empty(part: AnyPart) -> tuple[AnyPart, str]:
    """A part without its main text, and that text. Signatures and citations stay on the part."""
    if isinstance(part, Text | Thinking | Refusal):
        return structs.replace(part, text=""), part.text
    if isinstance(part, ToolUse):
        return structs.replace(part, arguments=""), part.arguments
    return part, ""
