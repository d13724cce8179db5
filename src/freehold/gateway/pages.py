"""What the gateway answers itself: model lists, health, metrics."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import json

from freehold import __version__
from freehold.base.errors import MethodNotAllowed
from freehold.gateway import models
from freehold.gateway.request import Request
from freehold.pipeline.runtime import Runtime

_JSON = b"application/json"


class Page(NamedTuple):
    status: int
    body: bytes
    content_type: bytes = _JSON


def find(request: Request, rt: Runtime, draining: bool) -> Page | None:
    """The page for this path, or None. Raises Unauthenticated, ModelNotFound, MethodNotAllowed."""
    path = request.path
    page = _plain(path, rt, draining)
    prefix = models.list_prefix(path)
    ollama = models.ollama_page(path)
    if page is None and prefix is None and ollama is None:
        return None
    allowed = ("POST",) if ollama == "/api/show" else ("GET", "HEAD")
    if request.method not in allowed:
        raise MethodNotAllowed(f"{request.method} is not possible on {path[:200]}; use {allowed[0]}.")
    if prefix is not None:
        return Page(200, models.models(request, prefix, rt))
    return page if ollama is None else Page(200, models.answer_ollama(request, ollama, rt))


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
