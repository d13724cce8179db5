"""How each dialect writes the benchmark's call, and where its whole reply says what: one `Shape` a dialect.

Written by hand after each API's documentation and without Freehold's own codecs, which are what is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Dialect = Literal["openai", "anthropic", "responses", "gemini", "bedrock", "cohere", "ollama", "completions"]
Object = dict[str, Any]
Turns = Sequence[tuple[str, str]]  # ("user" or "assistant", text), the last one the user's
MAX_TOKENS, TEMPERATURE = 512, 0.2


@dataclass(frozen=True)
class Shape:
    """
    path     where calls go; `{model}` stands for the model where the URL names it
    request  model, system prompt, turns, stream -> the body
    reply    a decoded whole reply -> text, why it ended in the dialect's own word, (prompt tokens, completion tokens)
    key      the key -> the headers that carry it
    agent    the user agent of the dialect's SDK
    """

    path: str
    request: Callable[[str, str, Turns, bool], Object]
    reply: Callable[[Object], tuple[str, str, tuple[int, int]]]
    key: Callable[[str], dict[str, str]]
    agent: str


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _role_and_content(turns: Turns) -> list[Object]:
    return [{"role": role, "content": text} for role, text in turns]


def _openai(model: str, system: str, turns: Turns, stream: bool) -> Object:
    request = {"model": model, "max_tokens": MAX_TOKENS, "temperature": TEMPERATURE, **({"stream": True} if stream else {})}
    return request | {"messages": _role_and_content([("system", system), *turns])}


def _openai_reply(reply: Object) -> tuple[str, str, tuple[int, int]]:
    choice, usage = reply["choices"][0], reply["usage"]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    return text, choice["finish_reason"], (usage["prompt_tokens"], usage["completion_tokens"])


def _anthropic(model: str, system: str, turns: Turns, stream: bool) -> Object:
    request = {"model": model, "max_tokens": MAX_TOKENS, "temperature": TEMPERATURE, **({"stream": True} if stream else {})}
    return request | {"system": system, "messages": _role_and_content(turns)}


def _anthropic_reply(reply: Object) -> tuple[str, str, tuple[int, int]]:
    text = "".join(part["text"] for part in reply["content"])
    return text, reply["stop_reason"], (reply["usage"]["input_tokens"], reply["usage"]["output_tokens"])


def _responses(model: str, system: str, turns: Turns, stream: bool) -> Object:
    kinds = {"user": "input_text", "assistant": "output_text"}
    items = [{"type": "message", "role": role, "content": [{"type": kinds[role], "text": text}]} for role, text in turns]
    request: Object = {"model": model, "instructions": system, "input": items, "max_output_tokens": MAX_TOKENS}
    return request | {"temperature": TEMPERATURE, "store": False, "stream": stream}


def _responses_reply(reply: Object) -> tuple[str, str, tuple[int, int]]:
    text = "".join(part["text"] for item in reply["output"] for part in item["content"])
    return text, reply["status"], (reply["usage"]["input_tokens"], reply["usage"]["output_tokens"])


def _gemini(_model: str, system: str, turns: Turns, _stream: bool) -> Object:
    roles = {"user": "user", "assistant": "model"}
    return {
        "systemInstruction": {"parts": [{"text": system}]},
        "contents": [{"role": roles[role], "parts": [{"text": text}]} for role, text in turns],
        "generationConfig": {"temperature": TEMPERATURE, "maxOutputTokens": MAX_TOKENS},
    }


def _gemini_reply(reply: Object) -> tuple[str, str, tuple[int, int]]:
    candidate, usage = reply["candidates"][0], reply["usageMetadata"]
    text = "".join(part["text"] for part in candidate["content"]["parts"])
    return text, candidate["finishReason"], (usage["promptTokenCount"], usage["candidatesTokenCount"])


def _bedrock(_model: str, system: str, turns: Turns, _stream: bool) -> Object:
    return {
        "system": [{"text": system}],
        "messages": [{"role": role, "content": [{"text": text}]} for role, text in turns],
        "inferenceConfig": {"maxTokens": MAX_TOKENS, "temperature": TEMPERATURE},
    }


def _bedrock_reply(reply: Object) -> tuple[str, str, tuple[int, int]]:
    text = "".join(part["text"] for part in reply["output"]["message"]["content"])
    return text, reply["stopReason"], (reply["usage"]["inputTokens"], reply["usage"]["outputTokens"])


def _cohere(model: str, system: str, turns: Turns, stream: bool) -> Object:
    request: Object = {"model": model, "messages": _role_and_content([("system", system), *turns])}
    return request | {"max_tokens": MAX_TOKENS, "temperature": TEMPERATURE, "stream": stream}


def _cohere_reply(reply: Object) -> tuple[str, str, tuple[int, int]]:
    text, tokens = "".join(part["text"] for part in reply["message"]["content"]), reply["usage"]["tokens"]
    return text, reply["finish_reason"], (tokens["input_tokens"], tokens["output_tokens"])


def _ollama(model: str, system: str, turns: Turns, stream: bool) -> Object:
    request: Object = {"model": model, "stream": stream, "options": {"num_predict": MAX_TOKENS, "temperature": TEMPERATURE}}
    return request | {"messages": _role_and_content([("system", system), *turns])}


def _ollama_reply(reply: Object) -> tuple[str, str, tuple[int, int]]:
    return reply["message"]["content"], reply["done_reason"], (reply["prompt_eval_count"], reply["eval_count"])


def _completions(model: str, system: str, turns: Turns, stream: bool) -> Object:
    request: Object = {"model": model, "max_tokens": MAX_TOKENS, "temperature": TEMPERATURE, "stream": stream}
    return request | {"prompt": "\n\n".join([system, *(text for _, text in turns)])}


SHAPES: dict[Dialect, Shape] = {
    "openai": Shape("/v1/chat/completions", _openai, _openai_reply, _bearer, "OpenAI/Python 2.8.1"),
    "anthropic": Shape(
        "/v1/messages",
        _anthropic,
        _anthropic_reply,
        lambda key: {"anthropic-version": "2023-06-01", "X-Api-Key": key},
        "Anthropic/Python 0.75.0",
    ),
    "responses": Shape("/v1/responses", _responses, _responses_reply, _bearer, "OpenAI/Python 2.8.1"),
    "gemini": Shape(
        "/v1beta/models/{model}:generateContent",
        _gemini,
        _gemini_reply,
        lambda key: {"x-goog-api-key": key},
        "google-genai-sdk/1.52.0 gl-python/3.11.7",
    ),
    "bedrock": Shape("/model/{model}/converse", _bedrock, _bedrock_reply, _bearer, "Boto3/1.41.0 md/Botocore#1.41.0"),
    "cohere": Shape("/v2/chat", _cohere, _cohere_reply, _bearer, "cohere/5.20.0"),
    "ollama": Shape("/api/chat", _ollama, _ollama_reply, _bearer, "ollama-python/0.6.1 (x86_64 linux) Python/3.11.7"),
    "completions": Shape("/v1/completions", _completions, _openai_reply, _bearer, "OpenAI/Python 2.8.1"),
}
# "The model had said all", in each dialect's word, as the word that `Answer.ended` has for it.
STOPPED = dict.fromkeys(("stop", "end_turn", "completed", "STOP", "COMPLETE"), "stop")
