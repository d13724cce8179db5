"""What a recorded reply says it used, read from its bytes by rules of our own: the oracle for the ledger.

Nothing here imports the product. Tokens follow the ledger's meaning: `input` is the whole prompt with its cached parts,
`output` everything produced with its reasoning.
"""

from __future__ import annotations

import json
from typing import Any

TOKENS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_in", "audio_out", "web_searches")


def usage(endpoint: str, body: bytes) -> dict[str, int] | None:
    """The tokens by TOKENS' names, or None where the reply reports none. `body` is a whole reply or an event stream."""
    return usage_of(endpoint, items(body))


def usage_of(endpoint: str, parsed: list[dict[str, Any]]) -> dict[str, int] | None:
    """The same from parsed objects: a whole reply as a list of one, or a stream's."""
    reports = [report for item in parsed for report in _reports(item)]
    if not reports:
        return None
    if endpoint.startswith("messages"):
        merged: dict[str, Any] = {}
        for report in reports:  # a later report replaces the fields that it names
            merged |= {name: value for name, value in report.items() if value is not None}
        return _anthropic(merged)
    return _openai(reports[-1])


def items(body: bytes) -> list[dict[str, Any]]:
    """A whole reply as a list of one, a stream as its data objects."""
    text = body.decode()
    if not text.lstrip().startswith(("data:", "event:", ":")):
        parsed = json.loads(text)
        return [parsed] if isinstance(parsed, dict) else []
    datas = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(data) for data in datas if data and data != "[DONE]"]


def _reports(item: dict[str, Any]) -> list[dict[str, Any]]:
    places = (item.get("usage"), (item.get("message") or {}).get("usage"), (item.get("x_groq") or {}).get("usage"))
    return [place for place in places if isinstance(place, dict)]


def _anthropic(report: dict[str, Any]) -> dict[str, int]:
    read, write = report.get("cache_read_input_tokens", 0), report.get("cache_creation_input_tokens", 0)
    return {
        "input": report.get("input_tokens", 0) + read + write,
        "output": report.get("output_tokens", 0),
        "cache_read": read,
        "cache_write": write,
        "cache_write_1h": _part(report, "cache_creation", "ephemeral_1h_input_tokens"),
        "reasoning": _part(report, "output_tokens_details", "thinking_tokens"),
        "audio_in": 0,
        "audio_out": 0,
        "web_searches": _part(report, "server_tool_use", "web_search_requests"),
    }


def _openai(report: dict[str, Any]) -> dict[str, int]:
    prompt, completion = report.get("prompt_tokens") or 0, report.get("completion_tokens") or 0
    total = report.get("total_tokens") or prompt + completion
    reasoning = _part(report, "completion_tokens_details", "reasoning_tokens")
    audio_in = _part(report, "prompt_tokens_details", "audio_tokens")
    beyond = total - prompt - completion
    # xAI counts reasoning beside the completion and says so in the total; a router in front of Gemini does and does not.
    if reasoning and (beyond == reasoning or reasoning > completion):
        completion += reasoning
    elif beyond and beyond in (audio_in, total):  # Mistral counts audio beside the prompt; Voyage reports only the total
        prompt += beyond
    read = _part(report, "prompt_tokens_details", "cached_tokens") or report.get("prompt_cache_hit_tokens") or 0
    write = _part(report, "prompt_tokens_details", "cache_write_tokens") or report.get("cache_creation_input_tokens") or 0
    return {
        "input": prompt,
        "output": completion,
        "cache_read": min(read, prompt),  # Grok on Azure reports more cached tokens than the prompt has
        "cache_write": write,
        "cache_write_1h": 0,
        "reasoning": reasoning,
        "audio_in": audio_in,
        "audio_out": _part(report, "completion_tokens_details", "audio_tokens"),
        "web_searches": _part(report, "server_tool_use_details", "web_search_requests"),
    }


def _part(report: dict[str, Any], group: str, name: str) -> int:
    return (report.get(group) or {}).get(name) or 0
