"""Thinking parts in the two signed spellings of OpenAI-compatible chat: OpenRouter's `reasoning_details` and LiteLLM's
`thinking_blocks`.

Signatures must survive a turn through a client that only speaks chat completions: we write `reasoning_details` to it and
read either spelling back. A signature or encrypted text in another maker's format than Anthropic's is never presented as
one of Anthropic's: it stays in the part's spelling, and others see unsigned thinking. What a client of ours was given in
another maker's name is sealed (seal.py), and is that maker's again when it comes back.

Gemini signs tool calls: on them the signature stands where Google's own compatible API has it, `extra_content`.
"""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import AnyPart, Extras, Thinking
from freehold.wire.dialects.openai_chat.words import ANTHROPIC_FORMAT, GOOGLE_FORMAT, IN, decode_any, raw, text_of
from freehold.wire.seal import seal, unseal

_ANTHROPICS = (ANTHROPIC_FORMAT, None)  # older clients leave the format out
_KINDS = ("reasoning.text", "reasoning.summary", "reasoning.encrypted")


_TEXT_IN = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}
_ITEM = "item"  # in a part's spelling: the item's members that have no word, as JSON text
_PIECES = "pieces"  # in a part's spelling: the items that were joined to it, as they came


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
    sealed = unseal(text if taken == "data" else signature or "")
    if own:
        part.signed_by = "anthropic"
    if sealed is not None:
        own, part.signed_by = True, sealed.maker
        text, signature = (sealed.value, signature) if taken == "data" else (text, sealed.value)
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


def details_out(part: Thinking) -> list[dict[str, Any]]:
    """The items that a part was read from: as they came, or as one where its text has changed since."""
    pieces: list[dict[str, Any]] = decode_any(part.spelling.get(_PIECES, "[]"))
    unchanged = pieces and "".join(piece.get(_TEXT_IN[piece["type"]]) or "" for piece in pieces) == part.text
    return pieces if unchanged else [detail_out(part)]


def new_detail(part: Thinking, index: int, dialect: str, piece: bool = False) -> dict[str, Any]:
    """One item of `reasoning_details` for thinking of another dialect, or of ours in another spelling.

    `piece`: more of it is to come, and it can't be told yet whether a signature follows.
    """
    kind = "reasoning.encrypted" if part.redacted else "reasoning.text"
    return _worded({"type": kind, "format": _format_of(part, dialect, piece), "index": index}, part)


def _format_of(part: Thinking, dialect: str, piece: bool) -> str:
    """What nobody signed or sealed, or another maker did, is not passed off as Anthropic's."""
    if dialect == "gemini":
        return GOOGLE_FORMAT
    signed = piece or part.signature or part.redacted
    return ANTHROPIC_FORMAT if signed and may_be_anthropics(part) else "unknown"


def may_be_anthropics(part: Thinking) -> bool:
    return part.signed_by in ("", "anthropic")


def _worded(item: dict[str, Any], part: Thinking) -> dict[str, Any]:
    redacted, signature = part.redacted, part.signature
    if not may_be_anthropics(part):
        redacted = redacted and seal(part.signed_by, "redacted", redacted)
        signature = signature and seal(part.signed_by, "signature", signature)
    text = redacted or part.text
    if text:
        item[_TEXT_IN[item["type"]]] = text
    if signature:
        item["signature"] = signature
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
    blocks: list[list[tuple[dict[str, Any], Thinking]]] = []  # the items of each, with what they say
    for item in value:
        part = detail_in(item)
        if part is None:
            return []
        if blocks and _goes_on(blocks[-1][-1][0], item):
            blocks[-1].append((item, part))
        else:
            blocks.append([(item, part)])
    return [_joined(block) for block in blocks]


def _goes_on(before: dict[str, Any], item: dict[str, Any]) -> bool:
    """A client that lists the pieces of a stream sends one block of thinking as many items; its signature ends it."""
    same = all(before.get(name) == item.get(name) for name in ("type", "index", "format"))
    return same and item["type"] != "reasoning.encrypted" and type(item.get("index")) is int and not before.get("signature")


def _joined(block: list[tuple[dict[str, Any], Thinking]]) -> Thinking:
    """The items of one block of thinking as one part."""
    first, last = block[0][1], block[-1][1]
    if len(block) > 1:
        members = {**detail_members(first), **detail_members(last)}
        for empty in ("text", "summary"):
            members.pop(empty, None)
        first.text = "".join(part.text for _, part in block)
        first.signature = last.signature
        first.spelling.update({_ITEM: text_of(members), _PIECES: text_of([item for item, _ in block])})
    return first


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
