"""Thinking parts in the two signed spellings of OpenAI-compatible chat: OpenRouter's `reasoning_details` and LiteLLM's
`thinking_blocks`.

Signatures must survive a turn through a client that only speaks chat completions: we write `reasoning_details` to it and
read either spelling back. A signature or encrypted text in another maker's format than Anthropic's is never presented as
one of Anthropic's: it stays in the part's spelling, and others see unsigned thinking.

Gemini signs tool calls: on them the signature stands where Google's own compatible API has it, `extra_content`.
"""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import AnyPart, Extras, Thinking
from freehold.wire.dialects.openai_chat.words import ANTHROPIC_FORMAT, GOOGLE_FORMAT, IN, decode_any, raw, text_of

_ANTHROPICS = (ANTHROPIC_FORMAT, None)  # older clients leave the format out
_KINDS = ("reasoning.text", "reasoning.summary", "reasoning.encrypted")


_TEXT_IN = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}
_ITEM = "item"  # in a part's spelling: the item's members that have no word, as JSON text


def detail_in(item: Any) -> Thinking | None:
    """One item of `reasoning_details`; None where it isn't one."""
    if not isinstance(item, dict) or item.get("type") not in _KINDS or not isinstance(item.get("signature"), str | None):
        return None
    taken = _TEXT_IN[item["type"]]
    text, signature = item.get(taken, ""), item.get("signature")
    if not isinstance(text, str):
        return None
    own = item.get("format") in _ANTHROPICS
    part = Thinking(spelling={IN: "reasoning_details"})
    if taken != "data":
        part.text = text
        part.signature = (signature or "") if own else ""
    elif own:
        part.redacted = text
    # What we have no word for, and what is present but empty; detail_out puts the words over it.
    worded = {taken} if part.text or part.redacted else set()
    if part.signature:
        worded.add("signature")
    part.spelling[_ITEM] = text_of({key: value for key, value in item.items() if key not in worded})
    return part


def detail_members(part: Thinking) -> dict[str, Any]:
    """The members of a `reasoning_details` item besides its words."""
    members: dict[str, Any] = decode_any(part.spelling[_ITEM])
    return members


def detail_out(part: Thinking) -> dict[str, Any]:
    """One item of `reasoning_details` as it came, with the part's words as they are now."""
    return _worded(detail_members(part), part)


def new_detail(part: Thinking, index: int, dialect: str) -> dict[str, Any]:
    """One item of `reasoning_details` for thinking of another dialect, or of ours in another spelling."""
    kind = "reasoning.encrypted" if part.redacted else "reasoning.text"
    maker = GOOGLE_FORMAT if dialect == "gemini" else ANTHROPIC_FORMAT
    return _worded({"type": kind, "format": maker, "index": index}, part)


def _worded(item: dict[str, Any], part: Thinking) -> dict[str, Any]:
    text = part.redacted or part.text
    if text:
        item[_TEXT_IN[item["type"]]] = text
    if part.signature:
        item["signature"] = part.signature
    return item


def take_call_signature(extras: Extras) -> str:
    """A tool call's `extra_content.google.thought_signature`, taken out of its extras; what else is there stays."""
    held = extras.get("extra_content")
    value: Any = decode_any(held) if held is not None else None
    google: Any = value.get("google") if isinstance(value, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    if not isinstance(signature, str) or not signature:
        return ""
    del google["thought_signature"], extras["extra_content"]
    if not google:
        del value["google"]
    if value:
        extras["extra_content"] = raw(value)
    return signature


def sign_call(call: dict[str, Any], signature: str) -> dict[str, Any]:
    """The tool call with its signature, if it has one, put back."""
    if not signature:
        return call
    held = decode_any(call["extra_content"]) if "extra_content" in call else {}
    google = {**held.get("google", {}), "thought_signature": signature}
    return {**call, "extra_content": {**held, "google": google}}


def thinking_text(parts: list[AnyPart]) -> str:
    """What the bare spellings would say."""
    return "".join(part.text for part in parts if isinstance(part, Thinking))


def thinking_details_in(value: Any) -> list[AnyPart]:
    """`reasoning_details` as parts; empty where any item isn't of the known shape (then it travels raw)."""
    if not isinstance(value, list):
        return []
    parts: list[AnyPart] = [part for item in value if (part := detail_in(item)) is not None]
    return parts if len(parts) == len(value) else []


def thinking_blocks_in(value: Any) -> list[AnyPart]:
    """LiteLLM's `thinking_blocks`: Anthropic's own blocks. Empty where any has another shape."""
    if not isinstance(value, list):
        return []
    parts: list[AnyPart] = []
    for item in value:
        part = _block_in(item) if isinstance(item, dict) else None
        if part is None:
            return []
        part.spelling[IN] = "thinking_blocks"
        parts.append(part)
    return parts


def _block_in(item: dict[str, Any]) -> Thinking | None:
    if item.get("type") == "redacted_thinking" and item.keys() == {"type", "data"} and _filled(item["data"]):
        return Thinking(redacted=item["data"])
    if item.get("type") != "thinking" or not item.keys() <= {"type", "thinking", "signature"}:
        return None
    text, signature = item.get("thinking"), item.get("signature", "")
    if not isinstance(text, str) or not isinstance(signature, str) or ("signature" in item and not signature):
        return None
    return Thinking(text=text, signature=signature)


def _filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def block_out(part: Thinking) -> dict[str, Any]:
    """One of LiteLLM's `thinking_blocks`."""
    if part.redacted:
        return {"type": "redacted_thinking", "data": part.redacted}
    block: dict[str, Any] = {"type": "thinking", "thinking": part.text}
    if part.signature:
        block["signature"] = part.signature
    return block
