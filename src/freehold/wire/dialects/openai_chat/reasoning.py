"""Thinking parts in the two signed spellings of OpenAI-compatible chat: OpenRouter's `reasoning_details` and LiteLLM's
`thinking_blocks`.

Signatures must survive a turn through a client that only speaks chat completions: we write `reasoning_details` to it and
read either spelling back. A signature or encrypted text in another maker's format than Anthropic's is never presented as
one of Anthropic's: it stays this dialect's own (Opaque, or raw in the part's extras).
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.wire.chat import AnyPart, Thinking
from freehold.wire.dialects.openai_chat.words import ANTHROPIC_FORMAT, IN, decode_any, has_hint, hint, hint_of, opaque, raw

_ANTHROPICS = (ANTHROPIC_FORMAT, None)  # older clients leave the format out


def detail_in(item: Any) -> AnyPart | None:
    """One item of `reasoning_details`; None where it isn't one."""
    if not isinstance(item, dict) or has_hint(item) or not isinstance(item.get("type"), str):
        return None
    kind = item["type"]
    own = item.get("format") in _ANTHROPICS
    taken = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}.get(kind)
    text = item.get(taken, "") if taken else None
    if not isinstance(text, str) or not isinstance(item.get("signature", ""), str | None):
        return opaque(kind, item, "reasoning_details")
    if kind == "reasoning.encrypted" and not (own and text):
        return opaque(kind, item, "reasoning_details")
    part = Thinking(extras={IN: hint("reasoning_details")})
    if kind == "reasoning.encrypted":
        part.redacted = text
    else:
        part.text = text
    signature = item.get("signature")
    if own and signature and not part.redacted:
        part.signature = signature
    # What we have no word for, and what is present but empty; detail_out puts the words over it.
    for key, value in item.items():
        if (key == taken and text) or (key == "signature" and part.signature):
            continue
        part.extras[key] = raw(value)
    return part


def detail_out(part: Thinking, index: int) -> dict[str, Any]:
    """One item of `reasoning_details`. Items read from this dialect come back as they were; `index` is for the others."""
    if hint_of(part.extras, IN) == "reasoning_details":
        item: dict[str, Any] = {key: value for key, value in part.extras.items() if not key.startswith("~")}
    else:
        item = {"type": "reasoning.encrypted" if part.redacted else "reasoning.text", "format": ANTHROPIC_FORMAT, "index": index}
    kind = item["type"]
    if isinstance(kind, Raw):
        kind = decode_any(kind)
    if part.redacted:
        item["data"] = part.redacted
    elif part.text:
        item["summary" if kind == "reasoning.summary" else "text"] = part.text
    if part.signature:
        item["signature"] = part.signature
    return item


def thinking_details_in(value: Any) -> list[AnyPart]:
    """`reasoning_details` as parts; empty where any item isn't of the known shape (then it travels raw)."""
    if not isinstance(value, list):
        return []
    parts = [part for item in value if (part := detail_in(item)) is not None]
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
        part.extras[IN] = hint("thinking_blocks")
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
