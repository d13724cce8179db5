"""Fetch a reply with the official SDKs and keep everything that they made of it, in a form that can be compared.

An Outcome holds the parsed objects with exactly the fields that arrived (unset ones left out), chunk by chunk for streams,
or the exception's class and status. The request body is sent as recorded, through the SDK's own `create`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx2
import openai

TIMEOUT_S = 60.0
_OPENAI = ("chat/completions", "embeddings")


@dataclass
class Outcome:
    """`kind`: reply, stream, error (the API refused; `error` is the exception class) or unparsed (the SDK gave up)."""

    kind: str
    status: int = 0
    items: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    detail: dict[str, Any] = field(default_factory=dict)  # of an error: what users branch on
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""  # of a whole reply

    @property
    def call_id(self) -> str:
        return self.headers.get("x-freehold-call-id", "")

    @property
    def dropped(self) -> list[str]:
        """What the gateway says it left out of the request."""
        return [name.strip() for name in self.headers.get("x-freehold-dropped", "").split(",") if name.strip()]

    def __str__(self) -> str:
        return " ".join(filter(None, (self.kind, str(self.status), self.error, self.message)))


class Clients:
    """Both SDKs against one place. `openai_base` ends in /v1, `anthropic_base` does not: each SDK's own habit."""

    def __init__(self, openai_base: str, anthropic_base: str, key: str) -> None:
        limits = httpx2.Limits(max_connections=32, max_keepalive_connections=32)
        self.openai = openai.AsyncOpenAI(
            base_url=openai_base, api_key=key, max_retries=0, http_client=httpx2.AsyncClient(limits=limits, timeout=TIMEOUT_S)
        )
        self.anthropic = anthropic.AsyncAnthropic(
            base_url=anthropic_base, api_key=key, max_retries=0, http_client=httpx2.AsyncClient(limits=limits, timeout=TIMEOUT_S)
        )

    async def close(self) -> None:
        await self.openai.close()
        await self.anthropic.close()

    async def fetch(self, endpoint: str, body: dict[str, Any]) -> Outcome:
        """One call with `body` as it is. Never raises for what the API or the SDK's parser does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SDKs warn of retired models
            try:
                raw = await (self._openai(endpoint, body) if endpoint in _OPENAI else self._anthropic(endpoint, body))
            except (openai.APIStatusError, anthropic.APIStatusError) as error:
                return _refused(error)
            except (openai.APIConnectionError, anthropic.APIConnectionError) as error:
                return Outcome("error", 0, error=type(error).__name__, message=repr(error.__cause__))
            return await _parsed(raw, bool(body.get("stream")))

    async def _openai(self, endpoint: str, body: dict[str, Any]) -> Any:
        if endpoint == "embeddings":
            return await self.openai.embeddings.with_raw_response.create(
                model=body.get("model", ""), input=body.get("input", ""), extra_body=body
            )
        return await self.openai.chat.completions.with_raw_response.create(
            model=body.get("model", ""), messages=body.get("messages", []), stream=bool(body.get("stream")), extra_body=body
        )

    async def _anthropic(self, endpoint: str, body: dict[str, Any]) -> Any:
        known: dict[str, Any] = {"model": body.get("model", ""), "messages": body.get("messages", []), "extra_body": body}
        if endpoint == "messages/count_tokens":
            return await self.anthropic.messages.with_raw_response.count_tokens(**known)
        return await self.anthropic.messages.with_raw_response.create(
            max_tokens=body.get("max_tokens", 1), stream=bool(body.get("stream")), timeout=TIMEOUT_S, **known
        )


async def _parsed(raw: Any, stream: bool) -> Outcome:
    outcome = Outcome("stream" if stream else "reply", raw.status_code, headers=dict(raw.headers))
    try:
        parsed = raw.parse()
        if hasattr(parsed, "__await__"):
            parsed = await parsed
        if stream:
            async for item in parsed:
                outcome.items.append(_dump(item))
        else:
            outcome.items.append(_dump(parsed))
            outcome.body = raw.http_response.content
    except (openai.APIError, anthropic.APIError) as error:
        outcome.error, outcome.message = type(error).__name__, str(error)
        outcome.detail = _detail(error)
    except (httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
        outcome.kind, outcome.error, outcome.message = "unparsed", type(error).__name__, str(error)[:300]
    return outcome


def _dump(item: Any) -> dict[str, Any]:
    dumped: dict[str, Any] = item.model_dump(exclude_unset=True, warnings=False)
    return dumped


def _refused(error: openai.APIStatusError | anthropic.APIStatusError) -> Outcome:
    return Outcome(
        "error",
        error.status_code,
        error=type(error).__name__,
        detail=_detail(error),
        message=error.message,
        headers=dict(error.response.headers),
    )


def _detail(error: Any) -> dict[str, Any]:
    return {name: getattr(error, name, None) for name in ("code", "type", "param")}
