"""What a recorded reply of the other dialects says it used, by rules of our own: the oracle for the ledger.

Nothing here imports the product. AWS's event streams are opened by their own framing rules. Token names are expected.TOKENS.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

from tests.conformance import expected

Items = list[dict[str, Any]]


def items(body: bytes) -> Items:
    """Every JSON object that a reply holds: one, a list, server-sent events, lines, or AWS events (payloads opened)."""
    if body[:2] == b"\x00\x00" or (len(body) > 12 and struct.unpack(">I", body[:4])[0] <= len(body) and body[0] == 0):
        return list(_aws(body))
    text = body.decode()
    if text.lstrip().startswith(("data:", "event:", ":")):
        return expected.items(body)
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = [json.loads(line) for line in text.splitlines() if line.strip()]
    return [item for item in (parsed if isinstance(parsed, list) else [parsed]) if isinstance(item, dict)]


def _aws(body: bytes) -> Iterator[dict[str, Any]]:
    at = 0
    while at < len(body):
        total, heads = struct.unpack(">II", body[at : at + 8])
        payload = body[at + 12 + heads : at + total - 4]
        at += total
        parsed = json.loads(payload or b"{}")
        yield json.loads(base64.b64decode(parsed["bytes"])) if isinstance(parsed.get("bytes"), str) else parsed


def usage(dialect: str, endpoint: str, body: bytes) -> dict[str, int] | None:
    """None where the reply reports none."""
    found = items(body)
    rule = {
        "openai_responses": _responses,
        "openai_completions": _openai,
        "gemini": _gemini,
        "bedrock": _converse,
        "bedrock_invoke": _invoke,
        "cohere": _cohere if endpoint == "chat" else _billed,
        "ollama": _ollama,
        "voyage": _openai,
    }[dialect]
    return rule(found)


def _tokens(**told: int) -> dict[str, int]:
    return {name: told.get(name, 0) for name in expected.TOKENS}


def _openai(found: Items) -> dict[str, int] | None:
    return expected.usage_of("chat/completions", found)


def _responses(found: Items) -> dict[str, int] | None:
    last = None
    for item in found:
        reply = item.get("response") if isinstance(item.get("response"), dict) else item
        last = (reply, reply.get("usage")) if reply and isinstance(reply.get("usage"), dict) else last
    if last is None:
        return None
    reply, told = last
    inner, outer = told.get("input_tokens_details") or {}, told.get("output_tokens_details") or {}
    searches = ((reply.get("tool_usage") or {}).get("web_search") or {}).get("num_requests") or 0
    return _tokens(
        input=told["input_tokens"],
        output=told["output_tokens"],
        cache_read=inner.get("cached_tokens") or 0,
        cache_write=inner.get("cache_write_tokens") or 0,
        reasoning=outer.get("reasoning_tokens") or 0,
        web_searches=searches,
    )


def _gemini(found: Items) -> dict[str, int] | None:
    told: dict[str, Any] = {}
    for item in found:
        told |= item.get("usageMetadata") or {}
    if not told:
        return None
    thoughts, said = told.get("thoughtsTokenCount", 0), told.get("candidatesTokenCount", 0)
    prompt = told.get("promptTokenCount", 0) + told.get("toolUsePromptTokenCount", 0)
    if not prompt:
        prompt = max(told.get("totalTokenCount", 0) - said - thoughts, 0)

    def audio(*names: str) -> int:
        details = [d for name in names for d in told.get(name) or ()]
        return sum(d.get("tokenCount", 0) for d in details if d.get("modality") == "AUDIO")

    return _tokens(
        input=prompt,
        output=said + thoughts,
        cache_read=told.get("cachedContentTokenCount", 0),
        reasoning=thoughts,
        audio_in=audio("promptTokensDetails", "toolUsePromptTokensDetails"),
        audio_out=audio("candidatesTokensDetails"),
        web_searches=_grounded(found),
    )


def _grounded(found: Items) -> int:
    """Google bills each query from Gemini 3 on, before that the prompt that led to any."""
    candidates = [candidate for item in found for candidate in item.get("candidates") or ()]
    told = [(candidate.get("groundingMetadata") or {}).get("webSearchQueries") or () for candidate in candidates]
    queries = {query for some in told for query in some if query}
    model = next((item["modelVersion"] for item in found if item.get("modelVersion")), "")
    older = any(f"gemini-{number}" in model for number in ("1.", "2.", "1-", "2-"))
    return min(len(queries), 1) if older else len(queries)


def _converse(found: Items) -> dict[str, int] | None:
    told = next((item["usage"] for item in reversed(found) if isinstance(item.get("usage"), dict)), None)
    if told is None:
        return None
    read, write = told.get("cacheReadInputTokens") or 0, told.get("cacheWriteInputTokens") or 0
    hour = sum(d.get("inputTokens", 0) for d in told.get("cacheDetails") or () if d.get("ttl") == "1h")
    return _tokens(
        input=told["inputTokens"] + read + write,
        output=told.get("outputTokens") or 0,
        cache_read=read,
        cache_write=write,
        cache_write_1h=hour,
    )


def _invoke(found: Items) -> dict[str, int] | None:
    """Each model family in its own words; where the reply has none, Bedrock's own metrics at a stream's end."""
    flat = [
        item.get("metadata") if isinstance(item.get("metadata"), dict) and "usage" in item["metadata"] else item for item in found
    ]
    claude = [
        i
        for i in flat
        if "input_tokens" in ((i.get("message") or {}).get("usage") or i.get("usage") or {})
        or "output_tokens" in (i.get("usage") or {})
    ]
    if claude:
        return expected.usage_of("messages", claude)
    if any("inputTokens" in (i.get("usage") or {}) for i in flat):
        return _converse(flat)
    if any("prompt_tokens" in (i.get("usage") or {}) for i in flat):
        return _openai(flat)
    given = sum(i.get("prompt_token_count") or 0 for i in flat) + sum(i.get("inputTextTokenCount") or 0 for i in flat[:1])
    made = sum(i.get("generation_token_count") or 0 for i in flat[-1:]) + sum(
        i.get("totalOutputTextTokenCount") or 0 for i in flat
    )
    made += sum(r.get("tokenCount") or 0 for i in flat for r in i.get("results") or ())
    metrics = next((i["amazon-bedrock-invocationMetrics"] for i in flat if "amazon-bedrock-invocationMetrics" in i), None)
    if metrics is not None:
        return _tokens(input=metrics["inputTokenCount"], output=metrics["outputTokenCount"])
    return _tokens(input=int(given), output=int(made)) if given or made else None


def _cohere(found: Items) -> dict[str, int] | None:
    """Billed units; the tokens beside them hold Cohere's own preamble."""
    for item in reversed(found):
        told = item.get("usage") or (item.get("delta") or {}).get("usage")
        if isinstance(told, dict):
            tokens = told.get("tokens") or {}
            billed = told.get("billed_units") or tokens
            output = int(billed.get("output_tokens") or 0)
            reasoning = min(int(tokens.get("reasoning_tokens") or 0), output)
            return _tokens(input=int(billed.get("input_tokens") or 0), output=output, reasoning=reasoning)
    return None


def _billed(found: Items) -> dict[str, int] | None:
    billed = (found[0].get("meta") or {}).get("billed_units")
    if billed is None:
        return _openai(found)  # Cohere's form at another vendor
    return _tokens(input=int(billed.get("input_tokens") or 0)) | {"rerank_searches": int(billed.get("search_units") or 0)}


def _ollama(found: Items) -> dict[str, int] | None:
    last = found[-1]
    if "prompt_eval_count" not in last and "eval_count" not in last:
        return None
    return _tokens(input=last.get("prompt_eval_count", 0), output=last.get("eval_count", 0))
