"""One small request for each thing that a chat request can hold, in a dialect that has a word for it; sent to every other.

The first source that has the feature asks; a second one asks where the target is the first's own dialect.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from freehold.wire.dialect import Asked
from tests.translation.crossing import request_to
from tests.translation.samples import CHAT, Request

_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(24)).decode()
_PDF = base64.b64encode(b"%PDF-1.4 made up").decode()
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
_TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": _SCHEMA}}
_OTHER = {"type": "function", "function": {"name": "wait", "parameters": {"type": "object", "properties": {}}}}
_CLAUDE_TOOL = {"name": "look", "description": "Looks.", "input_schema": _SCHEMA}
_ASK = {"role": "user", "content": "Hello"}


def _chat(*messages: dict[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return "openai_chat", {"model": "m", "messages": list(messages) or [_ASK], **fields}


def _claude(*messages: dict[str, Any], **fields: Any) -> tuple[str, dict[str, Any]]:
    return "anthropic", {"model": "m", "max_tokens": 99, "messages": list(messages) or [_ASK], **fields}


def _gemini(**config: Any) -> tuple[str, dict[str, Any]]:
    return "gemini", {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}], "generationConfig": config}


def _user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


_CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"city": "Oslo"}'}}
_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Oslo"}}
_CLAUDE_PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PNG}}
_CLAUDE_PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": _PDF}}
_LOOP = ({"role": "assistant", "tool_calls": [_CALL]}, {"role": "tool", "tool_call_id": "call_1", "content": "rain"})
_CLAUDE_LOOP = (
    {"role": "assistant", "content": [_USE]},
    _user({"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}),
)
_THOUGHT = {"type": "thinking", "thinking": "So.", "signature": "sig=="}
_THINKS = {"type": "enabled", "budget_tokens": 2048}
_FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": _SCHEMA, "strict": True}}
_CACHED = {"type": "ephemeral"}


class Feature(NamedTuple):
    name: str
    asks: tuple[tuple[str, dict[str, Any]], ...]


FEATURES = (
    Feature("text", (_chat(), _claude())),
    Feature("system prompt", (_chat({"role": "system", "content": "Be brief."}, _ASK), _claude(system="Be brief."))),
    Feature(
        "image, inline",
        (
            _chat(_user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PNG}"}})),
            _claude(_user(_CLAUDE_PNG)),
        ),
    ),
    Feature(
        "image, by URL",
        (
            _chat(_user({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})),
            _claude(_user({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}})),
        ),
    ),
    Feature(
        "PDF, inline",
        (
            _chat(_user({"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{_PDF}"}})),
            _claude(_user(_CLAUDE_PDF)),
        ),
    ),
    Feature("audio", (_chat(_user({"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}})),)),
    Feature("tools", (_chat(tools=[_TOOL, _OTHER]), _claude(tools=[_CLAUDE_TOOL]))),
    Feature("tool call and its result", (_chat(_ASK, *_LOOP, tools=[_TOOL]), _claude(_ASK, *_CLAUDE_LOOP, tools=[_CLAUDE_TOOL]))),
    Feature(
        "image in a tool's result",
        (
            _claude(
                _ASK,
                {"role": "assistant", "content": [_USE]},
                _user({"type": "tool_result", "tool_use_id": "toolu_1", "content": [_CLAUDE_PNG]}),
                tools=[_CLAUDE_TOOL],
            ),
        ),
    ),
    Feature(
        "tool choice: some tool",
        (_chat(tools=[_TOOL], tool_choice="required"), _claude(tools=[_CLAUDE_TOOL], tool_choice={"type": "any"})),
    ),
    Feature(
        "tool choice: this tool",
        (
            _chat(tools=[_TOOL, _OTHER], tool_choice={"type": "function", "function": {"name": "look"}}),
            _claude(tools=[_CLAUDE_TOOL], tool_choice={"type": "tool", "name": "look"}),
        ),
    ),
    Feature(
        "tool choice: none",
        (_chat(tools=[_TOOL], tool_choice="none"), _claude(tools=[_CLAUDE_TOOL], tool_choice={"type": "none"})),
    ),
    Feature(
        "one tool call at a time",
        (
            _chat(tools=[_TOOL], parallel_tool_calls=False),
            _claude(tools=[_CLAUDE_TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True}),
        ),
    ),
    Feature(
        "JSON that fits a schema",
        (_chat(response_format=_FORMAT), _claude(output_config={"format": {"type": "json_schema", "schema": _SCHEMA}})),
    ),
    Feature(
        "any JSON",
        (
            _chat(response_format={"type": "json_object"}),
            ("openai_responses", {"model": "m", "input": "Hello", "text": {"format": {"type": "json_object"}}}),
        ),
    ),
    Feature(
        "reasoning effort",
        (_chat(reasoning_effort="high"), _claude(thinking={"type": "adaptive"}, output_config={"effort": "high"})),
    ),
    Feature("reasoning budget", (_claude(thinking=_THINKS, max_tokens=9000), _gemini(thinkingConfig={"thinkingBudget": 2048}))),
    Feature(
        "reasoning of an earlier turn, readable",
        (
            _chat(_ASK, {**_LOOP[0], "reasoning_content": "So."}, _LOOP[1], tools=[_TOOL]),
            ("ollama", {"model": "m", "messages": [_ASK, {"role": "assistant", "thinking": "So.", "content": "Hi"}, _ASK]}),
        ),
    ),
    Feature(
        "reasoning of an earlier turn, signed by Claude",
        (
            _claude(
                _ASK,
                {"role": "assistant", "content": [_THOUGHT, _USE]},
                _CLAUDE_LOOP[1],
                tools=[_CLAUDE_TOOL],
                thinking=_THINKS,
                max_tokens=9000,
            ),
        ),
    ),
    Feature("cache marks", (_claude(system=[{"type": "text", "text": "Long.", "cache_control": _CACHED}]),)),
    Feature("temperature", (_chat(temperature=0.3), _claude(temperature=0.3))),
    Feature("top_p", (_chat(top_p=0.9), _claude(top_p=0.9))),
    Feature("top_k", (_claude(top_k=5), _gemini(topK=5))),
    Feature("stop sequences", (_chat(stop=["END"]), _claude(stop_sequences=["END"]))),
    Feature("seed", (_chat(seed=7), ("ollama", {"model": "m", "messages": [_ASK], "options": {"seed": 7}}))),
    Feature(
        "penalties",
        (
            _chat(frequency_penalty=0.5, presence_penalty=0.5),
            ("cohere", {"model": "m", "messages": [_ASK], "frequency_penalty": 0.5, "presence_penalty": 0.5}),
        ),
    ),
    Feature("log probabilities", (_chat(logprobs=True, top_logprobs=2), _gemini(responseLogprobs=True))),
    Feature("several choices", (_chat(n=2), _gemini(candidateCount=2))),
    Feature(
        "built-in tool of the maker's",
        (
            _claude(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
            ("openai_responses", {"model": "m", "input": "Hello", "tools": [{"type": "web_search"}]}),
        ),
    ),
)


def cell(feature: Feature, target: str) -> str:
    """yes: equal there. named: left out, and the client told so. refused: with a reason. own: only its own client can ask."""
    ask = next((ask for ask in feature.asks if ask[0] != target), None)
    if ask is None:
        return "own"
    source, body = ask
    asked = Asked(model="m", stream=False) if source in ("gemini", "bedrock") else Asked()
    crossed = request_to(Request(source, feature.name, body, asked), target)
    if crossed.faults:
        raise AssertionError(f"{feature.name} from {source} to {target}: {crossed.faults}")
    return "refused" if crossed.refused else "named" if crossed.dropped else "yes"


def table() -> dict[str, list[str]]:
    """Feature -> a cell for each of CHAT."""
    return {feature.name: [cell(feature, target) for target in CHAT] for feature in FEATURES}
