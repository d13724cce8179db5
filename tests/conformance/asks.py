"""What a chat request asks, whichever dialect words it: for comparing a request with its translation.

Reads request bodies as JSON. Documented normalisation:
- The conversation is a flat list of parts by side (system, user, assistant): it doesn't count how they are grouped into
  messages. Neighbouring texts of one side are one text; empty texts don't count; line breaks between texts don't count.
- System texts are compared in their order, apart from the rest.
- Tool-call ids are numbered in the order of their calls: providers differ in which characters they allow.
- Images and files inside a tool's result follow it as parts of the user's side (OpenAI has no other place for them).
- A document of plain text is its text.
Imports nothing of the product.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

Part = tuple[Any, ...]

# The words that introduce what a tool attached to its result, where it had to move to a message of its own.
_CARRIES = re.compile(r"Attachments from tool call \S+:")


@dataclass
class Ask:
    """`knobs` hold what is set beside the conversation, under canonical names and only where set."""

    system: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    tools: list[Part] = field(default_factory=list)
    knobs: dict[str, Any] = field(default_factory=dict)
    _ids: dict[Any, int] = field(default_factory=dict, compare=False)
    _attached: list[Part] = field(default_factory=list)  # media of the tool results just said

    def say(self, side: str, kind: str, *value: Any) -> None:
        if kind == "text":
            text = value[0].replace("\n", "")
            if not text or _CARRIES.fullmatch(text):
                return
            value = (text,)
        if side == "system" and kind == "text":
            self.system.append(value[0])
            return
        if kind != "result":
            self.done()
        if kind == "text" and self.parts and self.parts[-1][:2] == (side, "text"):
            value = (self.parts.pop()[2] + value[0],)
        self.parts.append((side, kind, *value))

    def call(self, side: str, call_id: Any, name: Any, arguments: Any) -> None:
        self.say(side, "call", self._ids.setdefault(call_id, len(self._ids)), name, arguments)

    def result(self, call_id: Any, content: Any) -> None:
        """A tool's result: its text, then (after the last result of a row) what was attached to it."""
        blocks = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
        texts = [block.get("text") or "" for block in blocks if block.get("type", "text") == "text"]
        self.say("user", "result", self._ids.setdefault(call_id, len(self._ids)), "".join(texts).replace("\n", ""))
        self._attached += [("user", *_media(block)) for block in blocks if block.get("type", "text") != "text"]

    def done(self) -> None:
        attached, self._attached = self._attached, []
        self.parts += attached

    def knob(self, name: str, value: Any) -> None:
        if value is not None and value != []:
            self.knobs[name] = value


def ask(endpoint: str, body: dict[str, Any]) -> Ask:
    """Of a chat request in the endpoint's dialect."""
    out = Ask()
    if endpoint == "messages":
        _anthropic(body, out)
    else:
        _openai(body, out)
    out.done()
    for name in ("temperature", "top_p", "stream"):
        out.knob(name, body.get(name))
    return out


# --- OpenAI ------------------------------------------------------------------------------


def _openai(body: dict[str, Any], out: Ask) -> None:
    for message in body.get("messages") or []:
        _openai_message(message, out)
    for tool in body.get("tools") or []:
        _openai_tool(tool.get("function") if tool.get("type", "function") == "function" else tool, out)
    for function in body.get("functions") or []:
        _openai_tool(function, out)
    out.knob("max_tokens", body.get("max_completion_tokens") or body.get("max_tokens"))
    stop = body.get("stop")
    out.knob("stop", [stop] if isinstance(stop, str) else stop)
    out.knob("tool_choice", _openai_choice(body.get("tool_choice", body.get("function_call"))))
    if body.get("parallel_tool_calls") is False:
        out.knob("one_tool_at_a_time", True)
    shape = body.get("response_format") or {}
    if shape.get("type") == "json_schema":
        out.knob("schema", (shape.get("json_schema") or {}).get("schema"))
    elif shape.get("type") == "json_object":
        out.knob("json", True)
    if body.get("reasoning_effort", "none") not in (None, "none") or body.get("reasoning"):
        out.knob("reasoning", True)


def _openai_message(message: dict[str, Any], out: Ask) -> None:
    role = message.get("role")
    if role in ("tool", "function"):
        out.result(message.get("tool_call_id") or message.get("name"), message.get("content"))
        return
    side = {"system": "system", "developer": "system", "assistant": "assistant"}.get(str(role), "user")
    out.thinking += [t for t in (message.get("reasoning_content") or message.get("reasoning"),) if t]
    content = message.get("content")
    for part in content if isinstance(content, list) else [{"type": "text", "text": content or ""}]:
        _openai_part(side, part, out)
    if message.get("refusal"):
        out.say(side, "text", message["refusal"])
    for call in message.get("tool_calls") or []:
        function = call.get("function") or {}
        out.call(side, call.get("id"), function.get("name"), _arguments(function.get("arguments")))
    if message.get("function_call"):
        call = message["function_call"]
        out.call(side, call.get("name"), call.get("name"), _arguments(call.get("arguments")))


def _openai_part(side: str, part: dict[str, Any], out: Ask) -> None:
    kind = part.get("type", "text")
    if kind == "text":
        out.say(side, "text", part.get("text") or "")
    elif kind == "refusal":
        out.say(side, "text", part.get("refusal") or "")
    elif kind == "thinking":  # Mistral's
        out.thinking.append(json.dumps(part.get("thinking")))
    else:
        out.say(side, *_media(part))


def _openai_tool(function: dict[str, Any] | None, out: Ask) -> None:
    function = function or {}
    out.tools.append((function.get("name"), function.get("description") or "", _schema(function.get("parameters"))))


def _openai_choice(choice: Any) -> Any:
    if isinstance(choice, dict):
        return ("tool", (choice.get("function") or choice).get("name"))
    return None if choice in (None, "auto") else ("required" if choice == "any" else choice,)  # "any" is Mistral's word


# --- Anthropic ---------------------------------------------------------------------------


def _anthropic(body: dict[str, Any], out: Ask) -> None:
    system = body.get("system")
    for block in system if isinstance(system, list) else [{"text": system or ""}]:
        out.say("system", "text", block.get("text") or "")
    for message in body.get("messages") or []:
        content = message.get("content")
        for block in content if isinstance(content, list) else [{"type": "text", "text": content or ""}]:
            _anthropic_block(message.get("role"), block, out)
    for tool in body.get("tools") or []:
        out.tools.append((tool.get("name"), tool.get("description") or "", _schema(tool.get("input_schema"))))
    out.knob("max_tokens", body.get("max_tokens"))
    out.knob("stop", body.get("stop_sequences"))
    choice = body.get("tool_choice") or {}
    mode = {"any": "required", "auto": None}.get(str(choice.get("type")), choice.get("type"))
    out.knob("tool_choice", (mode, choice["name"]) if mode == "tool" else (mode,) if mode else None)
    if choice.get("disable_parallel_tool_use"):
        out.knob("one_tool_at_a_time", True)
    shape = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    out.knob("schema", shape.get("schema"))
    thinking = (body.get("thinking") or {}).get("type")
    if thinking in ("enabled", "adaptive") or (body.get("output_config") or {}).get("effort"):
        out.knob("reasoning", True)


def _anthropic_block(role: Any, block: dict[str, Any], out: Ask) -> None:
    kind = block.get("type")
    side = "assistant" if role == "assistant" else "system" if role == "system" else "user"
    if kind == "text":
        out.say(side, "text", block.get("text") or "")
    elif kind == "tool_use":
        out.call(side, block.get("id"), block.get("name"), block.get("input"))
    elif kind == "tool_result":
        out.result(block.get("tool_use_id"), block.get("content"))
    elif kind == "thinking":
        out.thinking.append(block.get("thinking") or "")
    elif kind == "document" and block["source"].get("type") == "text":
        out.say(side, "text", "".join((block.get("title") or "", block["source"].get("data") or "")))
    elif kind != "redacted_thinking":
        out.say(side, *_media(block))


# --- both --------------------------------------------------------------------------------


def _media(part: dict[str, Any]) -> Part:
    """(kind, where its bytes are) of a part of either dialect; of an unknown one (its type, the whole of it)."""
    kind = part.get("type")
    if kind == "image_url":
        image = part["image_url"]
        return "image", image if isinstance(image, str) else image.get("url")
    if kind == "file":
        return "file", part["file"].get("file_data") or part["file"].get("file_id")
    if kind == "input_audio":
        return "audio", part["input_audio"].get("data")
    if kind in ("image", "document"):
        source = part["source"]
        inline = f"data:{source.get('media_type')};base64,{source.get('data')}"
        where = inline if source.get("type") == "base64" else source.get("url") or source.get("file_id")
        return "image" if kind == "image" else "file", where
    return str(kind), json.dumps(part, sort_keys=True)


def _arguments(text: Any) -> Any:
    if not isinstance(text, str):
        return text or {}
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def _schema(schema: Any) -> Any:
    """No schema and an object without properties ask the same."""
    return schema if schema and schema != {"type": "object"} else {"type": "object", "properties": {}}
