"""One choice of a reply, delta by delta -> canonical events: text, thinking, refusals and tool calls as numbered parts."""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import AnyPart, Delta, Event, Finish, PartEnd, PartStart, Refusal, Text, Thinking, ToolUse
from freehold.wire.dialects.openai_chat.reasoning import detail_in, detail_members, detail_out, take_call_signature
from freehold.wire.dialects.openai_chat.words import FINISH_IN, IN, encode, opaque, raw, rest_of, text_of

_CALL_WORDS = frozenset(("index", "id", "type", "function"))
_CHOICE_WORDS = frozenset(("index", "delta", "message", "finish_reason", "logprobs", "text"))


class ChoiceReader:
    """Turns the deltas of one choice (or its whole message, which is one large delta) into events."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.finished = False
        self._parts = 0
        self._open: tuple[int, type[Any], str] | None = None  # part number, kind, and what tells two of a kind apart
        self._tools: dict[int, tuple[int, str]] = {}  # slot -> (part number, id)
        self._slot = -1
        self._pending: dict[int, ToolUse] = {}  # tool calls whose name has not come yet, by slot
        self.reply_id = ""

    def delta(self, delta: dict[str, Any], events: list[Event]) -> None:
        self._reasoning(delta, events)
        content = delta.get("content")
        if isinstance(content, str):
            if content:
                self._text(Text(text=""), content, events)
        elif isinstance(content, list):
            for item in content:
                self._item(item, events)
        elif isinstance(content, dict):  # Cloudflare's JSON mode gives the object itself
            self._text(Text(text=""), encode(content).decode(), events)
        if isinstance(delta.get("annotations"), list):
            self._citations(delta["annotations"], events)
        refusal = delta.get("refusal")
        if isinstance(refusal, str) and refusal:
            self._text(Refusal(text=""), refusal, events)
        if isinstance(delta.get("audio"), dict):
            self._whole(opaque("audio", delta["audio"], "audio"), events)
        calls = delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._call(call, events)
        call = delta.get("function_call")
        if isinstance(call, dict):
            self._call({"index": -1, "id": f"call_{self.reply_id}", "function": call}, events)

    def finish(self, choice: dict[str, Any], message_extras: dict[str, Any], events: list[Event]) -> None:
        if self.finished:
            return
        self.finished = True
        for slot, part in self._pending.items():  # no name ever came: the client's own parser will say so
            self._start_call(slot, part, events)
        self._pending.clear()
        self.close_part(events)
        word = choice.get("finish_reason")
        word = word if isinstance(word, str) else ""
        reason = FINISH_IN.get(word, "unknown")
        if reason == "stop" and self._tools:
            reason = "tool_use"  # OpenAI says "stop" when tool_choice named the tool; some servers always do
        extras = rest_of(choice, _CHOICE_WORDS)
        if message_extras:
            extras["message"] = raw(message_extras)
        events.append(Finish(choice=self.index, reason=reason, raw_reason=word, extras=extras))

    def close_part(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(PartEnd(choice=self.index, part=self._open[0]))
            self._open = None

    def logprobs(self, value: Any, events: list[Event]) -> None:
        """Logprobs belong to the text just sent; an open text part carries them (an empty one where none came)."""
        if isinstance(value, dict):
            kind = Refusal if not value.get("content") and value.get("refusal") else Text
            number = self._ensure(kind(text=""), "", events)
            last = events[-1] if events else None
            if type(last) is Delta and last.part == number and last.logprobs is None:
                last.logprobs = raw(value)
            else:
                events.append(Delta(choice=self.index, part=number, logprobs=raw(value)))

    # --- parts ---------------------------------------------------------------

    def _ensure(self, body: AnyPart, tag: str, events: list[Event]) -> int:
        """The number of an open part of this kind; starts one where there is none."""
        held = self._open
        if held is not None and held[1] is type(body) and held[2] == tag:
            return held[0]
        self.close_part(events)
        number = self._parts
        self._parts += 1
        self._open = (number, type(body), tag)
        events.append(PartStart(choice=self.index, part=number, body=body))
        return number

    def _text(self, body: AnyPart, text: str, events: list[Event], tag: str = "") -> None:
        number = self._ensure(body, tag, events)
        events.append(Delta(choice=self.index, part=number, text=text))

    def _whole(self, body: AnyPart, events: list[Event]) -> None:
        self.close_part(events)
        events.append(PartStart(choice=self.index, part=self._parts, body=body))
        events.append(PartEnd(choice=self.index, part=self._parts))
        self._parts += 1

    def _item(self, item: Any, events: list[Event]) -> None:
        """One member of a content list (Mistral's)."""
        kind = item.get("type") if isinstance(item, dict) else None
        if kind == "text" and isinstance(item.get("text"), str):
            self._text(Text(text=""), item["text"], events)
        elif kind == "thinking" and isinstance(item.get("thinking"), list | str):
            inner = item["thinking"]
            texts = [inner] if isinstance(inner, str) else [t["text"] for t in inner if isinstance(t, dict) and "text" in t]
            joined = "".join(text for text in texts if isinstance(text, str))
            if joined:
                self._text(Thinking(spelling={IN: "content"}), joined, events, "content")
        elif isinstance(kind, str):
            self._whole(opaque(kind, item, "content_parts"), events)

    def _citations(self, items: list[Any], events: list[Event]) -> None:
        for item in items:
            number = self._ensure(Text(text=""), "", events)
            events.append(Delta(choice=self.index, part=number, citation=raw(item)))

    def _reasoning(self, delta: dict[str, Any], events: list[Event]) -> None:
        details = delta.get("reasoning_details")
        if isinstance(details, list) and details:
            parts = [part for item in details if (part := detail_in(item)) is not None]
            for part in parts:
                self._detail(part, events)
            if parts:
                return  # `reasoning` beside it repeats the same text
        for key in ("reasoning_content", "reasoning"):
            text = delta.get(key)
            if isinstance(text, str) and text:
                self._text(Thinking(spelling={IN: key}), text, events, key)
                return

    def _detail(self, part: Thinking, events: list[Event]) -> None:
        members = detail_members(part)
        if part.redacted:
            self._whole(part, events)
            return
        if members["type"] == "reasoning.encrypted":  # another maker's: nothing that another dialect could show
            self._whole(opaque(members["type"], detail_out(part), "reasoning_details"), events)
            return
        text, signature, foreign = part.text, part.signature, members.pop("signature", None)
        for empty in ("text", "summary"):
            members.pop(empty, None)
        part.text = part.signature = ""
        part.spelling["item"] = text_of(members)
        # Items of one index are one block of thinking, until its signature ends it.
        number = self._ensure(part, f"details {members['type']} {members.get('index')}", events)
        extras = {"signature": raw(foreign)} if foreign else {}
        if text or signature or extras:
            events.append(Delta(choice=self.index, part=number, text=text, signature=signature, extras=extras))
        if signature:
            self.close_part(events)

    # --- tool calls -------------------------------------------------------------

    def _call(self, call: dict[str, Any], events: list[Event]) -> None:
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        call_id = call["id"] if isinstance(call.get("id"), str) else ""
        name = function["name"] if isinstance(function.get("name"), str) else ""
        slot = self._slot_of(call.get("index"), call_id, name)
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else "" if arguments is None else encode(arguments).decode()
        if isinstance(call.get("custom"), dict) or call.get("type", "function") not in ("function", None, ""):
            self._whole(opaque(f"{call.get('type')} tool call", call, "tool_calls"), events)
            return
        if slot not in self._tools:
            self._begin_call(slot, call, call_id, name, text, events)
        else:
            signature = take_call_signature(rest_of(call, _CALL_WORDS)) if "extra_content" in call else ""
            if text or signature:
                events.append(Delta(choice=self.index, part=self._tools[slot][0], text=text, signature=signature))

    def _begin_call(self, slot: int, call: dict[str, Any], call_id: str, name: str, text: str, events: list[Event]) -> None:
        part = self._pending.get(slot)
        if part is None:
            part = ToolUse(id=call_id, name="", extras=rest_of(call, _CALL_WORDS))
            part.signature = take_call_signature(part.extras)
            if slot == -1:
                part.spelling[IN] = "function_call"
        part.id = part.id or call_id
        part.name = part.name or name
        part.arguments += text
        self._pending[slot] = part
        if part.name:
            del self._pending[slot]
            self._start_call(slot, part, events)

    def _start_call(self, slot: int, part: ToolUse, events: list[Event]) -> None:
        part.id = part.id or f"call_{self.reply_id}_{len(self._tools)}"
        text, part.arguments = part.arguments, ""
        self.close_part(events)
        number = self._parts
        self._parts += 1
        self._open = (number, ToolUse, str(slot))
        self._tools[slot] = (number, part.id)
        events.append(PartStart(choice=self.index, part=number, body=part))
        if text:
            events.append(Delta(choice=self.index, part=number, text=text))

    def _slot_of(self, index: Any, call_id: str, name: str) -> int:
        """Which call a delta belongs to. The index says it, where it is there and honest.

        Some servers give no index, or 0 to every parallel call: a new id that comes with a name is a new call.
        """
        held_id = self._tools[index][1] if type(index) is int and index in self._tools else call_id
        if type(index) is int and not (name and call_id and call_id != held_id):
            slot = index
        else:
            known = next((s for s, (_, held) in self._tools.items() if call_id and held == call_id), None)
            if known is not None:
                slot = known
            elif (call_id or name or self._slot < 0) and index != -1:
                slot = max((*self._tools, *self._pending, -1)) + 1
            else:
                slot = self._slot
        self._slot = slot
        return slot
