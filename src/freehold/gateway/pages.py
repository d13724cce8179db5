"""What the gateway answers itself: model lists, health, metrics."""

from __future__ import annotations

from time import time
from typing import NamedTuple
from urllib.parse import unquote

from msgspec import json

from freehold import __version__
from freehold.base.errors import MethodNotAllowed, ModelNotFound
from freehold.gateway.request import Request
from freehold.pipeline import admit, cards
from freehold.pipeline.runtime import Runtime

_JSON = b"application/json"
_PREFIXES = ("/v1/models", "/openai/v1/models", "/openai/models", "/anthropic/v1/models")


class Page(NamedTuple):
    status: int
    body: bytes
    content_type: bytes = _JSON


def find(request: Request, rt: Runtime, draining: bool) -> Page | None:
    """The page for this path, or None. Raises Unauthenticated, ModelNotFound, MethodNotAllowed."""
    path = request.path
    page = _plain(path, rt, draining)
    prefix = next((p for p in _PREFIXES if path == p or path.startswith(p + "/")), None)
    if page is None and prefix is None:
        return None
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(f"{request.method} is not possible on {path[:200]}; use GET.")
    return page if prefix is None else _models(request, path[len(prefix) + 1 :], rt)


def _plain(path: str, rt: Runtime, draining: bool) -> Page | None:
    if path == "/healthz":
        return Page(200, b'{"status":"ok"}')
    if path == "/readyz":
        if draining or rt.spool.full:
            return Page(503, json.encode({"status": "draining" if draining else "the record of calls can't be written"}))
        return Page(200, b'{"status":"ready"}')
    if path == "/metrics":
        return Page(200, rt.metrics.render(), b"text/plain; version=0.0.4; charset=utf-8")
    if path == "/":
        return Page(200, json.encode({"service": "freehold", "version": __version__}))
    return None


def _models(request: Request, wanted: str, rt: Runtime) -> Page:
    """The models that the caller's key may use, in the form of the API that it speaks."""
    access = admit.principal_of(request.headers, rt.snapshot).access
    anthropic = request.path.startswith("/anthropic") or b"anthropic-version" in request.headers
    if wanted:
        name = unquote(wanted)
        route = rt.snapshot.route(name)
        if not access.allows(route.name):
            raise ModelNotFound(f"The model {name[:100]!r} does not exist here or this key may not use it.", param="model")
        return Page(200, json.encode(_anthropic_model(route.name) if anthropic else cards.card(rt.snapshot, route, time())))
    if not anthropic:
        shown = [card for name, card in cards.all_cards(rt.snapshot, time()).items() if access.allows(name)]
        return Page(200, json.encode({"object": "list", "data": shown}))
    rows = [_anthropic_model(name) for name in rt.snapshot.model_names() if access.allows(name)]
    ends = {"first_id": rows[0]["id"] if rows else None, "last_id": rows[-1]["id"] if rows else None}
    return Page(200, json.encode({"data": rows, "has_more": False, **ends}))


def _anthropic_model(name: str) -> dict[str, object]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
