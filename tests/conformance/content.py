"""What a reply says, whichever dialect carries it: text, thinking, tool calls, how it ended. For comparing across dialects.

Reads parsed objects as the SDKs dump them (a list of one for a whole reply, the chunks of a stream). Only the first choice
counts: an Anthropic reply has no place for others. Imports nothing of the product.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

# Each dialect's words for how a reply ended -> one of stop, length, tools, filter.
ENDINGS = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "eos": "stop",  # Together
    "length": "length",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "model_length": "length",  # Mistral
    "tool_calls": "tools",
    "tool_use": "tools",
    "function_call": "tools",
    "content_filter": "filter",
    "refusal": "filter",
}


@dataclass
class Call:
    """A tool call. `arguments` parsed where they are JSON, so that spacing does not count."""

    id: str
    name: str
    arguments: Any


@dataclass
class Content:
    """`text` holds a refusal's words too: Anthropic has no other place for them."""

    text: str = ""
    thinking: str = ""
    calls: list[Call] = field(default_factory=list)
    ending: str = ""
    refused: bool = False  # OpenAI's `refusal` was used; Anthropic says the same by how the reply ended
    opaque: list[str] = field(default_factory=list)  # kinds of content that only their own dialect has

    def differences(self, other: Content) -> list[str]:
        """Names of what differs in `other`, the translation. A call without an id (OpenAI's old functions) may be given one."""
        found = [name for name in ("text", "thinking") if getattr(self, name) != getattr(other, name)]
        if [(c.name, c.arguments) for c in self.calls] != [(c.name, c.arguments) for c in other.calls]:
            found.append("calls")
        elif any(a.id and a.id != b.id for a, b in zip(self.calls, other.calls, strict=True)):
            found.append("call ids")
        # Some servers end a reply that holds tool calls with "stop"; saying that tools were called is as right.
        also = {"tools"} if self.calls and self.ending == "stop" else {"filter"} if self.refused else set()
        if other.ending not in {self.ending, *also}:
            found.append(f"ending {self.ending}/{other.ending}")
        return found


def content(endpoint: str, stream: bool, items: list[dict[str, Any]]) -> Content:
    """Of a chat reply in the endpoint's dialect."""
    if endpoint == "messages":
        return _anthropic(_whole_anthropic(items) if stream else items[0])
    return _openai_stream(items) if stream else _openai(items[0])


def _openai(reply: dict[str, Any]) -> Content:
    choices = reply.get("choices") or []
    if not choices:
        return Content()
    choice = min(choices, key=lambda c: c.get("index") or 0)
    message = choice.get("message") or {}
    out = Content(ending=_ending(choice.get("finish_reason")), refused=bool(message.get("refusal")))
    _openai_text(message, out)
    for call in message.get("tool_calls") or []:
        out.calls.append(_call(call.get("id"), call.get("function") or {}))
    if message.get("function_call"):
        out.calls.append(_call("", message["function_call"]))
    return out


def _openai_stream(chunks: list[dict[str, Any]]) -> Content:
    out, calls = Content(), _StreamedCalls()
    for chunk in chunks:
        for choice in chunk.get("choices") or []:
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            _openai_text(delta, out)
            out.refused = out.refused or bool(delta.get("refusal"))
            for call in delta.get("tool_calls") or []:
                calls.add(call.get("index"), call.get("id"), call.get("function") or {})
            if delta.get("function_call"):
                calls.add(0, "", delta["function_call"])
            out.ending = _ending(choice.get("finish_reason")) or out.ending
    out.calls = calls.done()
    return out


def _openai_text(message: dict[str, Any], out: Content) -> None:
    """Content is a string, or (Mistral's reasoning models) a list of text and thinking parts, or (Cloudflare) JSON itself."""
    said = message.get("content")
    if isinstance(said, dict):
        said = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    for part in said if isinstance(said, list) else [{"type": "text", "text": said or ""}]:
        if part.get("type") == "thinking":
            inner = part.get("thinking") or ""
            out.thinking += inner if isinstance(inner, str) else "".join(p.get("text") or "" for p in inner)
        elif part.get("type") == "text":
            out.text += part.get("text") or ""
        else:
            out.opaque.append(str(part.get("type")))
    out.text += message.get("refusal") or ""
    # One of the three places, never added up: routers send the same words in each.
    out.thinking += message.get("reasoning_content") or message.get("reasoning") or _details(message.get("reasoning_details"))


def _details(details: Any) -> str:
    """OpenRouter's itemised reasoning; encrypted items have no words."""
    return "".join(str(d.get("text") or d.get("summary") or "") for d in details or [])


class _StreamedCalls:
    """Tool calls of a chunked reply. A new id under a known index begins another call: some servers number all with 0."""

    def __init__(self) -> None:
        self._calls: list[dict[str, Any]] = []

    def add(self, index: int | None, call_id: str | None, function: dict[str, Any]) -> None:
        known = next((c for c in reversed(self._calls) if c["index"] == index), None)
        if known is None or (call_id and known["id"] and call_id != known["id"]):
            known = {"index": index, "id": "", "name": "", "arguments": ""}
            self._calls.append(known)
        known["id"] = known["id"] or call_id or ""
        known["name"] = known["name"] or function.get("name") or ""
        known["arguments"] += function.get("arguments") or ""

    def done(self) -> list[Call]:
        return [_call(c["id"], c) for c in self._calls]


def _whole_anthropic(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Folds a stream's events into the message that they build."""
    blocks: dict[int, dict[str, Any]] = {}
    stop: dict[str, Any] = {}
    for event in events:
        kind, index = event["type"], event.get("index") or 0
        if kind == "content_block_start":
            blocks[index] = dict(event["content_block"], partial="")
        elif kind == "content_block_delta":
            delta, block = event["delta"], blocks[index]
            for name in ("text", "thinking"):
                if delta["type"] == f"{name}_delta":
                    block[name] = block.get(name, "") + delta[name]
            block["partial"] += delta.get("partial_json") or ""
        elif kind == "message_delta":
            stop = event["delta"]
    for block in blocks.values():
        if block["partial"]:
            block["input"] = _json(block["partial"])
    return {"content": [blocks[index] for index in sorted(blocks)], **stop}


def _anthropic(reply: dict[str, Any]) -> Content:
    out = Content(ending=_ending(reply.get("stop_reason")))
    for block in reply["content"]:
        kind = block["type"]
        if kind == "text":
            out.text += block["text"]
        elif kind == "thinking":
            out.thinking += block["thinking"]
        elif kind == "tool_use":
            out.calls.append(Call(block["id"], block["name"], block.get("input")))
        elif kind != "redacted_thinking":
            out.opaque.append(kind)
    return out


def _call(call_id: str | None, function: dict[str, Any]) -> Call:
    return Call(call_id or "", function.get("name") or "", _json(function.get("arguments") or "{}"))


def _json(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _ending(word: str | None) -> str:
    return "" if word is None else ENDINGS.get(word, word)
