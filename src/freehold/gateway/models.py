"""Model lists, in the form of the API that the caller speaks: OpenAI's, Anthropic's, Gemini's or Ollama's."""

from __future__ import annotations

from time import time
from typing import Any
from urllib.parse import unquote

from msgspec import json

from freehold.base.errors import ModelNotFound
from freehold.gateway.request import Request
from freehold.pipeline import admit, cards
from freehold.pipeline.runtime import Principal, Route, Runtime
from freehold.wire.dialects.ollama import pages as ollama

_LISTS = ("/v1/models", "/openai/v1/models", "/openai/models", "/anthropic/v1/models", "/v1beta/models", "/gemini/v1beta/models")
_OLLAMA = ("/api/tags", "/api/ps", "/api/show", "/api/version")
_SINCE_S = 0  # when models were made is not known here


def list_prefix(path: str) -> str | None:
    """The list that a path asks for, or for one model of it."""
    return next((prefix for prefix in _LISTS if path == prefix or path.startswith(prefix + "/")), None)


def ollama_page(path: str) -> str | None:
    """The page of Ollama's API that a path asks for."""
    name = path.removeprefix("/ollama")
    return name if name in _OLLAMA else None


def models(request: Request, prefix: str, rt: Runtime) -> bytes:
    """All that the caller's key may use, or the one named after `prefix`. Raises Unauthenticated, ModelNotFound."""
    caller = admit.principal_of(request.headers, rt.snapshot, request.client_ip)
    wanted = unquote(request.path[len(prefix) + 1 :])
    route = _route(wanted, caller) if wanted else None
    if "/v1beta/" in prefix:
        return _gemini(route, caller)
    if prefix.startswith("/anthropic") or b"anthropic-version" in request.headers:
        return _anthropic(route, caller)
    if route is not None:
        return json.encode(cards.card(caller.space, route, time()))
    shown = [card for name, card in cards.all_cards(caller.space, time()).items() if caller.access.allows(name)]
    return json.encode({"object": "list", "data": shown})


def answer_ollama(request: Request, name: str, rt: Runtime) -> bytes:
    """Raises Unauthenticated, ModelNotFound, InvalidRequest."""
    if name == "/api/version":
        return ollama.version()
    caller = admit.principal_of(request.headers, rt.snapshot, request.client_ip)
    if name == "/api/show":
        route = _route(ollama.shown(request.body), caller, home="ollama")
        return ollama.show(ollama.Model(route.name, cards.card(caller.space, route, time()).context_window), _SINCE_S)
    if name == "/api/ps":
        return ollama.ps([], _SINCE_S)
    return ollama.tags([ollama.Model(name) for name in _names(caller)], _SINCE_S)


def _route(wanted: str, caller: Principal, home: str = "") -> Route:
    route = caller.space.route(wanted, home)
    if not caller.access.allows(route.name):
        raise ModelNotFound(f"The model {wanted[:100]!r} does not exist here or this key may not use it.", param="model")
    return route


def _names(caller: Principal) -> list[str]:
    return [name for name in caller.space.model_names() if caller.access.allows(name)]


def _anthropic(route: Route | None, caller: Principal) -> bytes:
    def model(name: str) -> dict[str, object]:
        return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}

    if route is not None:
        return json.encode(model(route.name))
    rows = [model(name) for name in _names(caller)]
    ends = {"first_id": rows[0]["id"] if rows else None, "last_id": rows[-1]["id"] if rows else None}
    return json.encode({"data": rows, "has_more": False, **ends})


def _gemini(route: Route | None, caller: Principal) -> bytes:
    def model(name: str, window: int | None = None) -> dict[str, Any]:
        limit = {} if window is None else {"inputTokenLimit": window}
        methods = ["generateContent", "countTokens", "embedContent"]
        return {"name": f"models/{name}", "displayName": name, **limit, "supportedGenerationMethods": methods}

    if route is not None:
        return json.encode(model(route.name, cards.card(caller.space, route, time()).context_window))
    return json.encode({"models": [model(name) for name in _names(caller)]})
