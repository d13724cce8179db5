"""Tuning knobs of a foreign request in Gemini's terms. What it has no word for is named in `dropped`.

Reasoning, by what the model takes (models.py):

    asked                      budget (tokens)              level
    effort none / disabled     0, or the least it takes     the lowest
    effort minimal             1,024                        minimal, or low
    effort low                 1,024                        low
    effort medium              8,192                        medium, or high
    effort high                24,576                       high
    effort xhigh, max          as many as it takes          high
    a budget of N tokens       N, within its bounds         low <= 4,096 < medium <= 12,288 < high
    on, adaptive               -1 (the model decides)       unset

Thoughts are asked for too, so that the client sees the reasoning that it turned on.
"""

from __future__ import annotations

from typing import Any

from freehold.wire.chat import ChatRequest, OutputFormat, Reasoning, ToolChoice
from freehold.wire.dialects.gemini.models import Traits
from freehold.wire.dialects.gemini.schema import output_schema
from freehold.wire.dropped import Dropped

_BUDGETS = {"minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
_TIERS = {"auto": None, "default": "standard", "standard_only": "standard", "flex": "flex", "priority": "priority"}
_INT32 = 2**31 - 1


def adapt_knobs(request: ChatRequest, adapted: ChatRequest, dropped: Dropped) -> None:
    for name in ("min_p", "metadata", "logit_bias", "user"):
        if getattr(request, name) is not None:
            dropped[name] = None
    if request.parallel_tools is False and request.tools:
        dropped["parallel_tool_calls"] = None
    for name in ("max_tokens", "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "logprobs", "n"):
        setattr(adapted, name, getattr(request, name))
    adapted.stop = [stop for stop in request.stop if stop]
    if request.top_logprobs:  # 0 asks for none beside the chosen one
        adapted.top_logprobs = request.top_logprobs
    if request.seed is not None:
        if -_INT32 <= request.seed <= _INT32:
            adapted.seed = request.seed
        else:
            dropped["seed"] = None
    if request.service_tier is not None:
        adapted.service_tier = _TIERS.get(request.service_tier)
        if request.service_tier not in _TIERS:
            dropped["service_tier"] = None
    if request.output is not None and request.output.kind != "text":
        adapted.output = OutputFormat(kind=request.output.kind, schema=request.output.schema)
    if request.reasoning is not None:
        asked = request.reasoning
        adapted.reasoning = Reasoning(
            enabled=asked.enabled, effort=asked.effort, budget_tokens=asked.budget_tokens, adaptive=asked.adaptive
        )


def choice_out(choice: ToolChoice) -> dict[str, Any]:
    config: dict[str, Any] = {"mode": {"auto": "AUTO", "none": "NONE"}.get(choice.mode, "ANY")}
    if choice.mode == "tool":
        config["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": config}


def format_out(output: OutputFormat, known: Traits, dropped: Dropped) -> dict[str, Any]:
    if output.kind == "text":
        return {}
    out: dict[str, Any] = {"responseMimeType": "application/json"}
    if output.kind == "schema" and output.schema is not None:
        out |= output_schema(output.schema, "response_format.json_schema.schema", known.schema_output, dropped)
    return out


def thinking_out(asked: Reasoning, known: Traits, dropped: Dropped) -> dict[str, Any] | None:
    off = asked.enabled is False or asked.effort == "none"
    if not (off or asked.enabled or asked.effort or asked.budget_tokens or asked.adaptive):
        return None
    if known.thinking == "none":
        if not off:
            dropped["reasoning_effort"] = None
        return None
    if off:
        return _off(known, dropped)
    if known.thinking == "level":
        level = _level(asked, known, dropped)
        return {"includeThoughts": True} | ({"thinkingLevel": level} if level else {})
    return {"includeThoughts": True, "thinkingBudget": _budget(asked, known, dropped)}


def _off(known: Traits, dropped: Dropped) -> dict[str, Any]:
    if known.thinking == "level":
        lowest = known.levels[0]
        dropped[f"reasoning_effort (sent as {lowest})"] = None
        return {"thinkingLevel": lowest}
    if known.can_stop_thinking:
        return {"thinkingBudget": 0}
    dropped[f"reasoning_effort (sent as a budget of {known.budget[0]})"] = None
    return {"thinkingBudget": known.budget[0]}


def _level(asked: Reasoning, known: Traits, dropped: Dropped) -> str:
    wanted = asked.effort
    if not wanted and asked.budget_tokens:
        wanted = "low" if asked.budget_tokens <= 4_096 else "medium" if asked.budget_tokens <= 12_288 else "high"
    if not wanted or wanted in known.levels:
        return wanted
    sent = "low" if wanted == "minimal" else "high"
    dropped[f"reasoning_effort (sent as {sent})"] = None
    return sent


def _budget(asked: Reasoning, known: Traits, dropped: Dropped) -> int:
    least, most = known.budget
    wanted = asked.budget_tokens
    if wanted is None and asked.effort:
        wanted = _BUDGETS.get(asked.effort, most)
    if wanted is None:
        return -1
    if asked.budget_tokens is not None and not least <= wanted <= most:
        dropped[f"reasoning budget (sent as {min(max(wanted, least), most)})"] = None
    return min(max(wanted, least), most)
