"""What a reply of any model family says about itself: usage, finish reason, model. One chunk of a stream, or a whole reply.

    Claude         {"usage": {"input_tokens", "output_tokens", ...}, "stop_reason"}; in streams message_start, message_delta
    Nova           {"usage": {"inputTokens", ...}, "stopReason"}; in streams {"metadata": {"usage"}}, {"messageStop"}
    Llama          {"generation", "prompt_token_count", "generation_token_count", "stop_reason"}
    Titan          {"inputTextTokenCount", "results": [{"tokenCount", "completionReason"}]};
                   in streams {"outputText", "totalOutputTextTokenCount", "completionReason"}
    OpenAI's form  {"usage": {"prompt_tokens", ...}, "choices": [{"finish_reason"}]}
    Mistral        {"outputs": [{"text", "stop_reason"}]}
    Cohere         {"text" or "generations": [{"text"}], "finish_reason"}, {"meta": {"billed_units"}}
    AI21           {"completions": [{"finishReason": {"reason"}}]}

Mistral, Cohere and AI21 tell no usage in a whole reply (Bedrock does, in headers). The last chunk of every stream has
`amazon-bedrock-invocationMetrics`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, ValidationError, convert, field, json

from freehold.wire.chat import Usage
from freehold.wire.dialects.anthropic.usage import WireUsage as AnthropicUsage
from freehold.wire.dialects.anthropic.usage import at_start
from freehold.wire.dialects.anthropic.usage import canonical as anthropic_usage
from freehold.wire.dialects.bedrock.usage import WireUsage as ConverseUsage
from freehold.wire.dialects.bedrock.usage import canonical as converse_usage
from freehold.wire.dialects.openai_chat.usage import read_usage as openai_usage


class Told(Struct):
    """The members that say something, of any family. Servers may write what they like: every type is looked at later."""

    type: Any = None
    model: Any = None
    usage: Any = None
    message: Any = None
    delta: Any = None
    error: Any = None
    metadata: Any = None
    messageStop: Any = None
    stop_reason: Any = None
    stopReason: Any = None
    finish_reason: Any = None
    completionReason: Any = None
    prompt_token_count: Any = None
    generation_token_count: Any = None
    inputTextTokenCount: Any = None
    totalOutputTextTokenCount: Any = None
    results: Any = None
    outputs: Any = None
    generations: Any = None
    completions: Any = None
    choices: Any = None
    meta: Any = None
    metrics: Any = field(default=None, name="amazon-bedrock-invocationMetrics")
    trace: Any = field(default=None, name="amazon-bedrock-trace")


decode_told = json.Decoder(Told).decode
WANTED = frozenset(json_name for json_name in Told.__struct_encode_fields__ if json_name not in ("message", "delta"))


def usage_of(told: Told) -> Usage | None:
    """None where nothing is said. What is said may be a part of it: the input first, the output later."""
    for usage in (told.usage, _member(told.metadata, "usage")):
        if isinstance(usage, dict) and (found := _by_words(usage)) is not None:
            return found
    started = _member(told.message, "usage")
    if isinstance(started, dict):
        return at_start(convert(started, AnthropicUsage))
    results = told.results if isinstance(told.results, list) else []
    given = _count(told.prompt_token_count) + _count(told.inputTextTokenCount)
    made = _count(told.generation_token_count) + _count(told.totalOutputTextTokenCount)
    made += sum(_count(_member(item, "tokenCount")) for item in results)
    if given or made:
        return Usage(input=given, output=made)
    billed = _member(told.meta, "billed_units")
    if isinstance(billed, dict):
        return Usage(input=_count(billed.get("input_tokens")), output=_count(billed.get("output_tokens")))
    return None


def _by_words(usage: dict[str, Any]) -> Usage | None:
    try:
        if "input_tokens" in usage or "output_tokens" in usage:
            return anthropic_usage(convert(usage, AnthropicUsage))
        if "inputTokens" in usage or "outputTokens" in usage:
            return converse_usage(convert(usage, ConverseUsage))
    except ValidationError:
        return None
    return openai_usage(usage)


def metrics_of(told: Told) -> Usage | None:
    """Bedrock's own count at the end of a stream; its input leaves out what was cached."""
    metrics = told.metrics
    if not isinstance(metrics, dict):
        return None
    read = _count(metrics.get("cacheReadInputTokenCount"))
    write = _count(metrics.get("cacheWriteInputTokenCount"))
    return Usage(
        input=_count(metrics.get("inputTokenCount")) + read + write,
        output=_count(metrics.get("outputTokenCount")),
        cache_read=read,
        cache_write=write,
    )


def finish_of(told: Told) -> str:
    """The finish reason in the model's own word; "" where none is told."""
    candidates = (
        told.stop_reason,
        _member(told.delta, "stop_reason"),
        told.stopReason,
        _member(told.messageStop, "stopReason"),
        told.completionReason,
        told.finish_reason,
        _member(_first(told.results), "completionReason"),
        _member(_first(told.outputs), "stop_reason"),
        _member(_first(told.generations), "finish_reason"),
        _member(_first(told.choices), "finish_reason"),
        _member(_member(_first(told.completions), "finishReason"), "reason"),
    )
    return next((word for word in candidates if isinstance(word, str) and word), "")


def model_of(told: Told) -> str:
    name = told.model or _member(told.message, "model")
    return name if isinstance(name, str) else ""


def _member(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, dict) else None


def _first(items: Any) -> Any:
    return items[0] if isinstance(items, list) and items else None


def _count(value: Any) -> int:
    """Titan writes its counts as 28.0."""
    return int(value) if type(value) in (int, float) and 0 < value < 1e12 else 0
