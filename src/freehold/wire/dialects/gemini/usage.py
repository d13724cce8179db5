"""Gemini's usageMetadata <-> canonical Usage.

`promptTokenCount` holds cached tokens but not `toolUsePromptTokenCount` (what server-side tools added to the prompt);
`candidatesTokenCount` leaves out `thoughtsTokenCount`. Canonical `input` and `output` count all of them. A stream reports
totals so far with every chunk, and some chunks only a part of the fields: a later value replaces an earlier one.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from freehold.wire.chat import Usage
from freehold.wire.dialects.gemini.words import Fields, encode

_COUNTS = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount", "totalTokenCount")
_DETAILS = ("promptTokensDetails", "toolUsePromptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails")
_AUDIO = ("AUDIO", 4)
_IMAGE = ("IMAGE", 2)


def has_counts(wire: dict[str, Any]) -> bool:
    return any(_count(wire.get(name)) for name in _COUNTS)


def canonical(wire: dict[str, Any], raw: Fields | None = None) -> Usage:
    """`wire` decoded. `raw` is the same object's members: all of them go back to the same dialect as they are."""
    prompt = _count(wire.get("promptTokenCount")) + _count(wire.get("toolUsePromptTokenCount"))
    thoughts = _count(wire.get("thoughtsTokenCount"))
    output = _count(wire.get("candidatesTokenCount")) + thoughts
    if not prompt:
        # Some streams tell no prompt count in the end, but a total.
        prompt = max(_count(wire.get("totalTokenCount")) - output, 0)
    tier = wire.get("serviceTier")
    given, added, cached, made = (wire.get(name) for name in _DETAILS)
    return Usage(
        input=prompt,
        output=output,
        cache_read=min(_count(wire.get("cachedContentTokenCount")), prompt),
        reasoning=thoughts,
        audio_in=min(_of(_AUDIO, given) + _of(_AUDIO, added), prompt),
        audio_out=min(_of(_AUDIO, made), output),
        audio_cached=_of(_AUDIO, cached),
        image_in=min(_of(_IMAGE, given) + _of(_IMAGE, added), prompt),
        image_out=min(_of(_IMAGE, made), output),
        image_cached=_of(_IMAGE, cached),
        service_tier=tier if isinstance(tier, str) else "",
        extras={} if raw is None else dict(raw),
    )


def wire_usage(usage: Usage, own: bool) -> dict[str, Any]:
    """A usageMetadata object for a client. `own`: `usage.extras` is this dialect's whole object."""
    if own and usage.extras:
        return dict(usage.extras)
    out: dict[str, Any] = {"promptTokenCount": usage.input, "candidatesTokenCount": usage.output - usage.reasoning}
    if usage.reasoning:
        out["thoughtsTokenCount"] = usage.reasoning
    if usage.cache_read:
        out["cachedContentTokenCount"] = usage.cache_read
    out["totalTokenCount"] = usage.input + usage.output
    for name, audio, total in (
        ("promptTokensDetails", usage.audio_in, usage.input),
        ("candidatesTokensDetails", usage.audio_out, usage.output - usage.reasoning),
    ):
        if audio:
            counts = (("TEXT", total - audio), ("AUDIO", audio))
            out[name] = [{"modality": kind, "tokenCount": count} for kind, count in counts if count > 0]
    return out


def _of(modality: tuple[str, int], details: Any) -> int:
    if not isinstance(details, list):
        return 0
    return sum(_count(item.get("tokenCount")) for item in details if isinstance(item, dict) and item.get("modality") in modality)


def _count(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


# --- logprobs -----------------------------------------------------------------


def logprobs_in(result: Any) -> Raw | None:
    """Gemini's logprobsResult -> the canonical {"content": [...]}; None where it tells nothing."""
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(chosen, list) or not chosen:
        return None
    tops = result.get("topCandidates")
    content = []
    for number, item in enumerate(chosen):
        step = tops[number] if isinstance(tops, list) and number < len(tops) else None
        candidates = step.get("candidates") if isinstance(step, dict) else None
        top = [_token(one) for one in candidates if isinstance(one, dict)] if isinstance(candidates, list) else []
        content.append({**_token(item if isinstance(item, dict) else {}), "top_logprobs": top})
    return Raw(encode({"content": content}))


def _token(item: dict[str, Any]) -> dict[str, Any]:
    text = item.get("token")
    text = text if isinstance(text, str) else ""
    return {"token": text, "logprob": item.get("logProbability", 0.0), "bytes": list(text.encode("utf-8", "replace"))}


def logprobs_out(logprobs: Any) -> dict[str, Any] | None:
    """The canonical {"content": [...]}, decoded, as a logprobsResult."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content:
        return None
    steps = [item for item in content if isinstance(item, dict)]
    tops = [[_scored(one) for one in item.get("top_logprobs") or () if isinstance(one, dict)] for item in steps]
    out: dict[str, Any] = {"chosenCandidates": [_scored(item) for item in steps]}
    if any(tops):
        out["topCandidates"] = [{"candidates": top} for top in tops]
    return out


def _scored(item: dict[str, Any]) -> dict[str, Any]:
    return {"token": item.get("token", ""), "logProbability": item.get("logprob", 0.0)}
