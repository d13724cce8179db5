"""What a chat request asks and what a reply says, freed of how a dialect words it: two of them are compared by value.

Taken from the canonical form that a dialect's own decoder gives. Documented normalisation:
- The conversation is a flat list of (side, kind, value): how it is grouped into messages doesn't count, nor do empty texts,
  white space at a text's ends, or where neighbouring texts are cut. System texts are compared apart from the rest.
- Tool calls are numbered in their order (dialects differ in the ids they allow); arguments are compared as JSON values.
- Media in a tool's result follow it on the user's side, where a dialect has no place for them inside.
- A JSON Schema is compared by the names of its properties, at every depth: dialects differ in the keywords they take.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from freehold.wire.chat import (
    AnyPart,
    Audio,
    ChatReply,
    ChatRequest,
    File,
    Image,
    Media,
    Opaque,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)

Value = tuple[Any, ...]
KNOBS = ("temperature", "top_p", "top_k", "min_p", "seed", "n", "frequency_penalty", "presence_penalty", "logprobs", "max_tokens")
_NEUTRAL: dict[str, Any] = {"n": 1, "frequency_penalty": 0, "presence_penalty": 0, "logprobs": False}  # as good as unset
_CARRIES = re.compile(r"Attachmentsfromtoolcall[^:]+:")


def asked(request: ChatRequest) -> dict[str, Any]:
    """By aspect: system, turns, thinking, tools, tool_choice, one_at_a_time, output, reasoning, stop, cache, and each knob."""
    told = _Told()
    for message in request.messages:
        side = {"system": "system", "developer": "system", "assistant": "assistant"}.get(message.role, "user")
        for part in message.parts:
            if not _is_logprobs(part):
                told.say(side, part)
    told.attach()
    found: dict[str, Any] = {"system": _words(" ".join(told.system)), "turns": told.turns, "thinking": told.thinking}
    found["tools"] = [
        (tool.name, _words(tool.description or ""), _names(tool.parameters))
        if tool.raw is None
        else ("built in", bytes(tool.raw))
        for tool in request.tools
    ]
    choice = request.tool_choice
    if choice is not None and choice.mode != "auto":
        found["tool_choice"] = (choice.mode, choice.name)
    if request.parallel_tools is False:
        found["one_at_a_time"] = True
    if request.output is not None and request.output.kind != "text":
        found["output"] = (request.output.kind, _names(request.output.schema))
    if request.reasoning is not None and _thinks(request):
        found["reasoning"] = True
    if request.stop:
        found["stop"] = request.stop
    if told.marks or any(tool.cache for tool in request.tools):
        found["cache"] = told.marks + sum(tool.cache is not None for tool in request.tools)
    for knob in KNOBS:
        value = getattr(request, knob)
        if value is not None and value != _NEUTRAL.get(knob):
            found[knob] = value
    if any(_is_logprobs(part) for message in request.messages for part in message.parts):
        found["logprobs"] = True
    return found


def _is_logprobs(part: AnyPart) -> bool:
    """Completions' `logprobs` is a count, and content of its own: no other dialect's switch means the same."""
    return isinstance(part, Opaque) and (part.dialect, part.kind) == ("openai_completions", "logprobs")


def _thinks(request: ChatRequest) -> bool:
    held = request.reasoning
    assert held is not None
    if held.enabled is False or held.effort == "none" or held.budget_tokens == 0:
        return False
    return bool(held.enabled or held.effort or held.budget_tokens or held.adaptive or held.extras)  # extras: to be shown it


class _Told:
    """The conversation so far."""

    def __init__(self) -> None:
        self.system: list[str] = []
        self.turns: list[Value] = []
        self.thinking: list[str] = []
        self.marks = 0
        self._ids: dict[str, int] = {}
        self._attached: list[Value] = []

    def say(self, side: str, part: AnyPart) -> None:
        self.marks += part.cache is not None
        if isinstance(part, ToolResult):
            texts = [p.text for p in part.parts if isinstance(p, Text)]
            self.marks += sum(p.cache is not None for p in part.parts)
            self.turns.append(("user", "result", self._number(part.call_id), _loose("".join(texts))))
            self._attached += [("user", *_value(p)) for p in part.parts if not isinstance(p, Text)]
            return
        self.attach()
        if isinstance(part, Thinking):
            self.thinking += [part.text] if part.text else []
        elif isinstance(part, ToolUse):
            self.turns.append((side, "call", self._number(part.id), part.name, _json(part.arguments)))
        elif isinstance(part, Text | Refusal):
            self._text(side, part.text)
        else:
            self.turns.append((side, *_value(part)))

    def attach(self) -> None:
        attached, self._attached = self._attached, []
        self.turns += attached

    def _text(self, side: str, text: str) -> None:
        text = _words(text)
        if not text or _CARRIES.fullmatch(text):
            return
        if side == "system":
            self.system.append(text)
        elif self.turns and self.turns[-1][:2] == (side, "text"):
            self.turns[-1] = (side, "text", self.turns[-1][2] + text)
        else:
            self.turns.append((side, "text", text))

    def _number(self, call_id: str) -> int:
        return self._ids.setdefault(call_id, len(self._ids))


def _words(text: str) -> str:
    return "".join(text.split())


def _loose(text: str) -> Any:
    """A tool's result: JSON by its value, since dialects that want an object there write it anew."""
    value = _json(text)
    return value if isinstance(value, dict | list) else _words(text)


def _value(part: AnyPart) -> Value:
    if isinstance(part, Image | File | Audio):
        media = part.media
        kind = "media" if media.kind == "url" else type(part).__name__.lower()  # Gemini tells no kind of what is at a URL
        return (kind, _media(media))
    if isinstance(part, Opaque):
        return ("opaque", part.kind)
    return (type(part).__name__.lower(),)


def _media(media: Media) -> Any:
    """A document of plain text is its text, however it is written."""
    if media.kind == "text":
        return media.value.encode()
    return base64.b64decode(media.value) if media.kind == "base64" else media.value


def _json(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _names(schema: Any) -> list[str]:
    """The names of all properties, sorted."""
    found: list[str] = []
    stack = [json.loads(bytes(schema))] if schema is not None else []
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            properties = one.get("properties")
            found += properties if isinstance(properties, dict) else []
            stack += one.values()
        elif isinstance(one, list):
            stack += one
    return sorted(found)


def said(reply: ChatReply) -> dict[str, Any]:
    """By aspect, of the first choice: text, thinking, calls, ending, and the counts of tokens."""
    choice = reply.choices[0] if reply.choices else None
    parts = choice.parts if choice is not None else []
    found: dict[str, Any] = {
        "text": "".join(p.text for p in parts if isinstance(p, Text | Refusal)),
        "thinking": "".join(p.text for p in parts if isinstance(p, Thinking)),
        "calls": [(p.name, _json(p.arguments)) for p in parts if isinstance(p, ToolUse)],
        "media": [_value(p) for p in parts if isinstance(p, Image | File | Audio)],
        "own": sorted(p.kind for p in parts if isinstance(p, Opaque)),
        "ending": _ending(choice.finish if choice is not None else ""),
    }
    if reply.usage is not None:  # where none was told, none is compared
        usage = reply.usage
        found["tokens"] = (usage.input, usage.output)
        found["cached"] = (usage.cache_read, usage.cache_write)
        found["reasoning tokens"] = usage.reasoning
    return found


def _ending(reason: str) -> str:
    """Dialects differ in how finely they tell an end of the model's own choice, and a refusal from a filter."""
    return {"stop_sequence": "stop", "pause": "stop", "refusal": "content_filter", "unknown": "stop"}.get(reason, reason)
