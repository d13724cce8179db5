"""Log probabilities: four parallel lists here, one list of tokens in the canonical form.

A token's `text_offset` travels with it, so that this dialect's own replies go back as they came.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, json

_content = json.Decoder(dict[str, Any]).decode


def to_canonical(value: Any) -> dict[str, Any] | None:
    """{"tokens", "token_logprobs", "top_logprobs", "text_offset"} -> {"content", "refusal"}; None where it is neither."""
    if not isinstance(value, dict):
        return None
    tokens = value.get("tokens")
    if not isinstance(tokens, list):
        return value if isinstance(value.get("content"), list) else None
    content = []
    for place, token in enumerate(tokens):
        others = _at(value.get("top_logprobs"), place)
        item: dict[str, Any] = {
            "token": token,
            "logprob": _at(value.get("token_logprobs"), place),
            "bytes": None,
            "top_logprobs": [
                {"token": other, "logprob": logprob, "bytes": None}
                for other, logprob in (others.items() if isinstance(others, dict) else ())
            ],
        }
        offset = _at(value.get("text_offset"), place)
        if offset is not None:
            item["text_offset"] = offset
        content.append(item)
    return {"content": content, "refusal": None}


def _at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def to_lists(logprobs: Raw, start: int) -> dict[str, Any] | None:
    """The canonical form -> four lists. `start`: characters of the reply before these tokens, where no offset was told."""
    try:
        content = _content(logprobs).get("content")
    except (ValueError, RecursionError):
        return None
    items = [item for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    tops = [
        {top["token"]: top.get("logprob") for top in item.get("top_logprobs") or () if isinstance(top, dict) and "token" in top}
        for item in items
    ]
    offsets: list[Any] = []
    for item in items:
        offsets.append(item.get("text_offset", start))
        start += len(str(item.get("token", "")))
    return {
        "tokens": [item.get("token") for item in items],
        "token_logprobs": [item.get("logprob") for item in items],
        "top_logprobs": [top or None for top in tops] if any(tops) else None,
        "text_offset": offsets,
    }
