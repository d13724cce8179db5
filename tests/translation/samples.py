"""Requests and replies of every chat dialect: all of the cases, and a spread of the recorded exchanges."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from freehold.wire.dialect import Asked
from tests.conformance.native import native_of, native_scope, streams
from tests.conformance.stage import in_scope
from tests.endtoend.framing import aws
from tests.traffic import Recorded, cases

CHAT = (
    "openai_chat",
    "openai_responses",
    "openai_completions",
    "anthropic",
    "gemini",
    "bedrock",
    "bedrock_invoke",
    "cohere",
    "ollama",
)
# A model of each dialect's maker that can do the most: encoders look at the name.
MODELS = {
    "openai_chat": "gpt-5.1",
    "openai_responses": "gpt-5.1",
    "openai_completions": "gpt-3.5-turbo-instruct",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-flash-preview",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "bedrock_invoke": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-reasoning-08-2025",
    "ollama": "qwen3:8b",
}
_CASES = {
    "chat-completions": "openai_chat",
    "responses": "openai_responses",
    "anthropic": "anthropic",
    "google": "gemini",
    "bedrock": "bedrock",
    "bedrock-anthropic": "bedrock_invoke",
}
SPREAD = 24  # recorded requests of each dialect; as many replies in each form


class Request(NamedTuple):
    dialect: str
    id: str
    body: dict[str, Any]
    asked: Asked


class Reply(NamedTuple):
    dialect: str
    id: str
    data: bytes
    stream: bool


@lru_cache(maxsize=1)
def requests() -> dict[str, list[Request]]:
    found: dict[str, list[Request]] = {dialect: [] for dialect in CHAT}
    for case in cases():
        for name, dialect in _CASES.items():
            for turn in ("", "followup-"):
                body = case.of(name, turn).get("request")
                if body is not None:
                    found[dialect].append(
                        Request(dialect, f"{case.name}.{turn}{name}", _bare(dialect, body), _asked(dialect, False, body))
                    )
    for dialect, members in _recorded().items():
        found[dialect] += [Request(dialect, x.id, _body(x), _asked(dialect, streamed(x), x.request)) for x in _spread(members)]
    return found


@lru_cache(maxsize=1)
def replies() -> dict[str, list[Reply]]:
    found: dict[str, list[Reply]] = {dialect: [] for dialect in CHAT}
    for reply, _ in case_replies():
        found[reply.dialect].append(reply)
    for dialect, members in _recorded().items():
        for stream in (False, True):
            chosen = _spread([x for x in members if streamed(x) == stream])
            found[dialect] += [Reply(dialect, x.id, x.response, stream) for x in chosen]
    return found


def case_replies() -> list[tuple[Reply, dict[str, Any]]]:
    """Every reply of the cases with the request that it answers; streams are written out as the provider sends them."""
    found: list[tuple[Reply, dict[str, Any]]] = []
    for case in cases():
        for name, dialect in _CASES.items():
            for turn in ("", "followup-"):
                held = case.of(name, turn)
                key, request = f"{case.name}.{turn}{name}", _bare(dialect, held.get("request", {}))
                if "response" in held:
                    body = {k: v for k, v in held["response"].items() if k not in ("$metadata", "sdkHttpResponse")}
                    found.append((Reply(dialect, f"{key}.whole", json.dumps(body).encode(), False), request))
                if held.get("response-streaming"):
                    data = b"".join(_streamed(dialect, held["response-streaming"]))
                    found.append((Reply(dialect, f"{key}.stream", data, True), request))
    return found


def streamed(x: Recorded) -> bool:
    return streams(x) if native_of(x) is not None else x.is_sse


@lru_cache(maxsize=1)
def _recorded() -> dict[str, list[Recorded]]:
    """Answered chat calls by dialect. InvokeModel's bodies are each model's own: only Claude's are translated."""
    found: dict[str, list[Recorded]] = {dialect: [] for dialect in CHAT}
    for x in (*in_scope(), *native_scope()):
        native = native_of(x)
        dialect = native.dialect if native is not None else "anthropic" if x.endpoint == "messages" else "openai_chat"
        name = native.endpoint if native is not None else x.endpoint
        if x.status != 200 or dialect not in CHAT or name not in _CHATS:
            continue
        if dialect == "bedrock_invoke" and not ("anthropic_version" in x.request and "messages" in x.request):
            continue
        if x.id not in _ODD:
            found[dialect].append(x)
    return found


_CHATS = (
    *("chat/completions", "messages", "responses", "completions", "generateContent", "streamGenerateContent", "converse"),
    *("converse-stream", "invoke", "invoke-with-response-stream", "chat", "api/chat", "api/generate"),
)
# Writer's own form of a stream; an error object with status 200 (docs/conformance.md says more).
_ODD = frozenset(("20c918e219f7", "fadfe285509d"))


def _spread(members: list[Recorded]) -> list[Recorded]:
    """Those that differ most first: one of each set of tags and provider, then evenly through the rest."""
    first = list({(x.provider, x.tags): x for x in reversed(members)}.values())
    rest = [x for x in members if x not in first]
    chosen = first[:: max(1, len(first) // SPREAD)][:SPREAD]
    step = max(1, len(rest) // max(1, SPREAD - len(chosen)))
    return chosen + rest[::step][: SPREAD - len(chosen)]


def _body(x: Recorded) -> dict[str, Any]:
    return _bare("", x.request)


def _bare(dialect: str, body: dict[str, Any]) -> dict[str, Any]:
    """Where the path names the model, cases hold it (as an SDK is given it) in the body."""
    out = {name: value for name, value in body.items() if name != "modelId"}
    if dialect == "gemini":
        out.pop("model", None)
    return out


def _asked(dialect: str, stream: bool, body: dict[str, Any]) -> Asked:
    if dialect in ("gemini", "bedrock", "bedrock_invoke"):
        return Asked(model="m", stream=stream, query={"alt": "sse"})
    return Asked(path="/api/generate" if dialect == "ollama" and "prompt" in body else "")


def _streamed(dialect: str, events: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Parsed events of a case as the provider sends them."""
    for event in events:
        if dialect == "bedrock":
            for kind, payload in event.items():
                yield aws((kind, payload))
        elif dialect == "bedrock_invoke":
            yield from _invoke_frame(event)
        elif dialect in ("anthropic", "openai_responses"):
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        else:
            yield f"data: {json.dumps(event)}\n\n".encode()
    if dialect == "openai_chat":
        yield b"data: [DONE]\n\n"


def _invoke_frame(event: dict[str, Any]) -> Iterator[bytes]:
    """An event of Claude's as InvokeModel sends it: in base64, in a chunk."""
    inner = event.get("chunk", event)
    held = inner.get("bytes") if isinstance(inner, dict) else None
    yield aws(("chunk", {"bytes": held if isinstance(held, str) else base64.b64encode(json.dumps(inner).encode()).decode()}))
