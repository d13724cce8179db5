"""The other dialects' official SDKs as clients: what each makes of a recorded reply, or the class and status of its error.

What is asked is short and made up: the replay server picks the reply by the model's name, and the recorded requests have
their own checks. A fetch is (endpoint, model) -> Seen; it runs in a thread, since these SDKs block.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Fetch = Callable[[str, str, bool], "Seen"]
MESSAGES = [{"role": "user", "content": "Hello"}]
CONTENT = [{"role": "user", "content": [{"text": "Hello"}]}]


@dataclass
class Seen:
    """`items` are the parsed reply, or a stream's chunks, as JSON text; `error` is the exception's class with its status."""

    items: list[str] = field(default_factory=list)
    error: str = ""


def _seen(ask: Callable[[], Iterable[Any]], *errors: type[BaseException]) -> Seen:
    seen = Seen()
    try:
        for item in ask():
            seen.items.append(json.dumps(item, default=_plain, sort_keys=True))
    except errors as error:
        seen.error = _named(error)
    return seen


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude={"sdk_http_response"}) if hasattr(value, "model_dump") else repr(value)


def _named(error: Any) -> str:
    if isinstance(getattr(error, "response", None), dict):
        # AWS names the class in a header that was not recorded: the direct reply can only be known by its status.
        return f"ClientError {error.response['ResponseMetadata'].get('HTTPStatusCode')}"
    return f"{type(error).__name__} {getattr(error, 'status_code', None) or getattr(error, 'code', None)}"


def openai(base: str, key: str) -> Fetch:
    import openai

    client = openai.OpenAI(base_url=f"{base}/v1", api_key=key, max_retries=0)

    def fetch(endpoint: str, model: str, stream: bool) -> Seen:
        def ask() -> Iterable[Any]:
            if endpoint == "responses":
                reply: Any = client.responses.create(model=model, input="Hello", stream=stream)
            elif endpoint == "responses/input_tokens":
                reply = client.responses.input_tokens.count(model=model, input="Hello")
            else:
                extra = {"stream_options": {"include_usage": True}} if stream else {}
                reply = client.completions.create(model=model, prompt="Hello", stream=stream, extra_body=extra)
            return reply if stream else [reply]

        return _seen(ask, openai.APIError)

    return fetch


def google(base: str, key: str) -> Fetch:
    from google import genai

    client = genai.Client(api_key=key, vertexai=False, http_options={"base_url": base, "api_version": "v1beta"})

    def fetch(endpoint: str, model: str, stream: bool) -> Seen:
        def ask() -> Iterable[Any]:
            models: Any = client.models
            if endpoint == "countTokens":
                return [models.count_tokens(model=model, contents="Hello")]
            if endpoint == "batchEmbed":
                return [models.embed_content(model=model, contents=["Hello", "World"])]
            if stream:
                return list(models.generate_content_stream(model=model, contents="Hello"))
            return [models.generate_content(model=model, contents="Hello")]

        return _seen(ask, genai.errors.APIError)

    return fetch


def aws(base: str, key: str) -> Fetch:
    """boto3 takes a key (AWS_BEARER_TOKEN_BEDROCK) over TLS only: test_keys.py does so. Here the header is set for it."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import ClientError, EventStreamError

    config = Config(retries={"max_attempts": 0}, signature_version=UNSIGNED)
    client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=base, config=config)

    def set_key(request: Any, **_: Any) -> None:
        request.headers["Authorization"] = f"Bearer {key}"

    client.meta.events.register("before-send.bedrock-runtime.*", set_key)

    def fetch(endpoint: str, model: str, stream: bool) -> Seen:
        def ask() -> Iterable[Any]:
            if endpoint == "converse":
                reply = client.converse(modelId=model, messages=CONTENT)
                reply.pop("ResponseMetadata")
                return [reply]
            if endpoint == "converse-stream":
                return list(client.converse_stream(modelId=model, messages=CONTENT)["stream"])
            if endpoint == "invoke":
                reply = client.invoke_model(modelId=model, body=b'{"prompt":"Hello"}')
                return [reply["body"].read()]
            return list(client.invoke_model_with_response_stream(modelId=model, body=b'{"prompt":"Hello"}')["body"])

        return _seen(ask, ClientError, EventStreamError)

    return fetch


def cohere(base: str, key: str) -> Fetch:
    import cohere
    from cohere.core.api_error import ApiError

    client: Any = cohere.ClientV2(api_key=key, base_url=base)
    old: Any = cohere.Client(api_key=key, base_url=base)

    def fetch(endpoint: str, model: str, stream: bool) -> Seen:
        def ask() -> Iterable[Any]:
            if endpoint == "chat":
                if stream:
                    return list(client.chat_stream(model=model, messages=MESSAGES))
                return [client.chat(model=model, messages=MESSAGES)]
            if endpoint == "embed":
                return [client.embed(model=model, texts=["Hello"], input_type="search_query", embedding_types=["float"])]
            ranker = client if endpoint == "rerank" else old
            return [ranker.rerank(model=model, query="Hello", documents=["a", "b"])]

        return _seen(ask, ApiError)

    return fetch


def ollama(base: str, key: str) -> Fetch:
    import ollama

    client = ollama.Client(host=base, headers={"Authorization": f"Bearer {key}"})

    def fetch(endpoint: str, model: str, stream: bool) -> Seen:
        def ask() -> Iterable[Any]:
            if endpoint == "api/chat":
                reply: Any = client.chat(model=model, messages=MESSAGES, stream=stream)
            elif endpoint == "api/generate":
                reply = client.generate(model=model, prompt="Hello", stream=stream)
            else:
                reply = client.embeddings(model=model, prompt="Hello")
            return reply if stream else [reply]

        return _seen(ask, ollama.ResponseError)

    return fetch


# The SDK's package -> how to make a client of it, and the dialects that it speaks.
SDKS: dict[str, tuple[Callable[[str, str], Fetch], tuple[str, ...]]] = {
    "openai": (openai, ("openai_responses", "openai_completions")),
    "google.genai": (google, ("gemini",)),
    "boto3": (aws, ("bedrock", "bedrock_invoke")),
    "cohere": (cohere, ("cohere",)),
    "ollama": (ollama, ("ollama",)),
}
