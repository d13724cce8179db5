"""Tuning knobs of a foreign request in Cohere's terms. What this API has no word for is left out and named in `dropped`;
a number beyond its range is sent at the range's end and named so.

Thinking is on by default where a model can, and takes a budget in tokens or none: effort minimal, low and medium become
1,024, 2,048 and 8,192 tokens, high and above no bound; a fifth of `max_tokens` is left for the answer.
"""

from __future__ import annotations

from freehold.wire.chat import ChatRequest, OutputFormat, Reasoning
from freehold.wire.dialect import Quirks
from freehold.wire.dropped import Dropped

_BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192}
_NO_THINKING = ("command-r", "command-a-03", "command-a-vision", "command-a-translate", "command-light", "c4ai-", "aya-")
_MAX_STOPS = 5
_RANGES: dict[str, tuple[str, float, float]] = {
    "temperature": ("temperature", 0.0, 1.0),
    "top_p": ("top_p", 0.01, 0.99),
    "top_k": ("top_k", 0, 500),
    "frequency_penalty": ("frequency_penalty", 0.0, 1.0),
    "presence_penalty": ("presence_penalty", 0.0, 1.0),
}


def adapt_knobs(request: ChatRequest, adapted: ChatRequest, model: str, quirks: Quirks, dropped: Dropped) -> None:
    """Fill the knobs of `adapted`, whose messages and tools are already set, from the foreign `request`."""
    for name in ("min_p", "logit_bias", "top_logprobs", "user", "metadata", "service_tier"):
        if getattr(request, name) is not None:
            dropped[name] = None
    if request.logprobs:  # what Cohere gives has another shape
        dropped["logprobs"] = None
    for name, (said, low, high) in _RANGES.items():
        value = getattr(request, name)
        if value is not None:
            sent = min(max(value, low), high)
            if sent != value:
                dropped[f"{said} (sent as {sent:g})"] = None
            setattr(adapted, name, type(value)(sent))
    adapted.max_tokens, adapted.seed, adapted.stream = request.max_tokens, request.seed, request.stream
    adapted.stop = request.stop[:_MAX_STOPS]
    if len(request.stop) > _MAX_STOPS:
        dropped[f"stop (the first {_MAX_STOPS} are sent)"] = None
    if request.output is not None and request.output.kind != "text":
        adapted.output = OutputFormat(kind=request.output.kind, schema=request.output.schema)
    adapted.reasoning = _reasoning(request, model, quirks, dropped)


def _reasoning(request: ChatRequest, model: str, quirks: Quirks, dropped: Dropped) -> Reasoning | None:
    asked = request.reasoning
    if asked is None:
        return None
    off = asked.enabled is False or asked.effort == "none"
    if not (off or asked.enabled or asked.effort or asked.budget_tokens):
        return None
    if quirks.reasoning == "none" or model.rpartition("/")[2].lower().startswith(_NO_THINKING):
        if not off:
            dropped["reasoning_effort"] = None
        return None
    if off:
        return Reasoning(enabled=False)
    budget = asked.budget_tokens or _BUDGETS.get(asked.effort)
    if budget is not None and request.max_tokens is not None:
        budget = max(1, min(budget, request.max_tokens * 4 // 5))
    return Reasoning(enabled=True, budget_tokens=budget)
