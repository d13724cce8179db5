"""The endpoints of every other dialect, called by plain HTTP: which recorded exchanges there are, and how each is called.

`direct` calls the replay server, `through` the gateway, with the same path and body. A client sees what the bytes say: where
status, content type and body are equal, so is what any SDK makes of them (test_native_sdks.py asks the official ones).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import quote, unquote

import httpx2

from tests.traffic import Recorded, exchanges

TIMEOUT_S = 60.0
Place = Literal["body", "path"]


@dataclass(frozen=True)
class Native:
    """One endpoint. `path` is the client's, with {model} where it is named there; `stream` what the path says of the reply."""

    endpoint: str  # as in the recordings
    dialect: str
    path: str
    stream: bool | None = False  # None: the body's `stream` says it
    auth: str = "authorization"

    @property
    def place(self) -> Place:
        return "path" if "{model}" in self.path else "body"


NATIVE = (
    Native("responses", "openai_responses", "/v1/responses", None),
    Native("responses/input_tokens", "openai_responses", "/v1/responses/input_tokens"),
    Native("completions", "openai_completions", "/v1/completions", None),
    Native("generateContent", "gemini", "/v1beta/models/{model}:generateContent", auth="x-goog-api-key"),
    Native("streamGenerateContent", "gemini", "/v1beta/models/{model}:streamGenerateContent", True, "x-goog-api-key"),
    Native("countTokens", "gemini", "/v1beta/models/{model}:countTokens", auth="x-goog-api-key"),
    Native("batchEmbed", "gemini", "/v1beta/models/{model}:batchEmbedContents", auth="x-goog-api-key"),
    Native("converse", "bedrock", "/model/{model}/converse"),
    Native("converse-stream", "bedrock", "/model/{model}/converse-stream", True),
    Native("invoke", "bedrock_invoke", "/model/{model}/invoke"),
    Native("invoke-with-response-stream", "bedrock_invoke", "/model/{model}/invoke-with-response-stream", True),
    Native("chat", "cohere", "/v2/chat", None),
    Native("embed", "cohere", "/v2/embed"),
    Native("rerank", "cohere", "/v2/rerank"),
    Native("rerank-v1", "cohere", "/v1/rerank"),
    Native("api/chat", "ollama", "/api/chat", None),
    Native("api/generate", "ollama", "/api/generate", None),
    Native("api/embeddings", "ollama", "/api/embeddings"),
    Native("voyage-embeddings", "voyage", "/voyage/v1/embeddings"),
    Native("voyage-rerank", "voyage", "/voyage/v1/rerank"),
)
_BY_NAME = {native.endpoint: native for native in NATIVE}
_OTHER = frozenset(("embeddings", "rerank", "/chat", "other", "models", "/api/chat", "/api/generate"))


def native_of(x: Recorded) -> Native | None:
    """How a recorded exchange is called, or None where none of these dialects speaks it (Cohere's v1 chat, Writer's...)."""
    where = x.url.partition("?")[0]
    if x.endpoint == "responses":
        return _BY_NAME["responses/input_tokens" if where.endswith("/input_tokens") else "responses"]
    if x.endpoint in _BY_NAME and x.endpoint not in _OTHER:
        return _BY_NAME[x.endpoint]
    for ending, name in _ENDINGS:
        if ending in where:
            return _BY_NAME[name]
    return None


_ENDINGS = (
    ("cohere.com/v2/chat", "chat"),
    ("cohere.com/v2/embed", "embed"),
    ("cohere.com/v2/rerank", "rerank"),
    ("openrouter.ai/api/v1/rerank", "rerank-v1"),  # Cohere's form at another vendor
    ("cohere.com/v1/rerank", "rerank-v1"),
    ("/api/chat", "api/chat"),
    ("/api/generate", "api/generate"),
    (":11434/api/embeddings", "api/embeddings"),
    ("voyageai.com/v1/embeddings", "voyage-embeddings"),
    ("voyageai.com/v1/rerank", "voyage-rerank"),
    ("amazon.nova-2-multimodal-embeddings-v1:0/invoke", "invoke"),
)


@lru_cache(maxsize=1)
def native_scope() -> tuple[Recorded, ...]:
    return tuple(x for x in exchanges() if native_of(x) is not None)


def streams(x: Recorded) -> bool:
    """The recorded reply is a stream, by its form: server-sent events, AWS events, lines or an array of chunks."""
    native = _native(x)
    if x.status != 200:
        return False
    if native.stream is None:
        if native.dialect == "ollama":
            return x.request.get("stream") is not False
        return bool(x.request.get("stream"))
    return native.stream


def served_type(x: Recorded) -> str:
    """The recorded content type, or what the provider sends where none was recorded."""
    if x.content_type or not streams(x):
        return x.served_type
    return {"bedrock": "application/vnd.amazon.eventstream", "ollama": "application/x-ndjson"}.get(
        _native(x).dialect.removesuffix("_invoke"), "text/event-stream"
    )


def provider_of(x: Recorded) -> str:
    """The gateway's provider of one dialect and nothing else: what a provider's row adds has its own tests."""
    return f"plain-{_native(x).dialect.replace('_', '-')}"


def model_of(x: Recorded) -> str:
    """The model's name with the mark that picks the reply."""
    if _native(x).place == "body":
        name = str(x.request.get("model") or "")
    else:
        found = re.search(r"/models?/([^/?]+?)(?::\w+|/[\w-]+)(?:\?.*)?$", x.url)
        name = unquote(found[1]) if found else "m"
    return f"{name}~{x.id}"


@dataclass(frozen=True)
class Got:
    """A reply as the client has it, to the byte."""

    status: int
    content_type: str
    body: bytes
    headers: dict[str, str]

    @property
    def call_id(self) -> str:
        return self.headers.get("x-freehold-call-id", "")


class Http:
    """Calls one place. `base` is http://HOST:PORT."""

    def __init__(self, base: str, key: str) -> None:
        limits = httpx2.Limits(max_connections=32, max_keepalive_connections=32)
        self._client = httpx2.AsyncClient(base_url=base, limits=limits, timeout=TIMEOUT_S)
        self._key = key

    async def close(self) -> None:
        await self._client.aclose()

    async def call(self, x: Recorded, prefix: str) -> Got:
        """Send the recorded request. `prefix` stands before the model's name ("" or "PROVIDER/")."""
        native, model = _native(x), prefix + model_of(x)
        body = x.request if native.place == "path" else {**x.request, "model": model}
        path = native.path.replace("{model}", quote(model, safe="~:@" if native.dialect == "gemini" else "~"))
        if native.dialect == "gemini" and native.stream and "alt=sse" in x.url:
            path += "?alt=sse"
        return await self.send(path, json.dumps(body).encode(), native.auth)

    async def send(self, path: str, body: bytes, auth: str = "authorization") -> Got:
        key = f"Bearer {self._key}" if auth == "authorization" else self._key
        reply = await self._client.post(path, content=body, headers={auth: key, "content-type": "application/json"})
        return Got(reply.status_code, reply.headers.get("content-type", ""), reply.content, dict(reply.headers))


def _native(x: Recorded) -> Native:
    found = native_of(x)
    if found is None:
        raise ValueError(f"{x.id}: {x.url} is not spoken by any dialect here")
    return found
