"""Pages for people without a console: the one that an invitation's link opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

_FOLDER = Path(__file__).parent
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_PAGES = {"/join": "join.html", "/join.css": "join.css", "/join.js": "join.js"}


def router() -> APIRouter:
    out = APIRouter(include_in_schema=False)
    for path, name in _PAGES.items():
        file = _FOLDER / name
        out.add_api_route(path, _page(file.read_bytes(), _TYPES[file.suffix]), methods=["GET"])
    return out


def _page(content: bytes, media_type: str) -> Callable[[], Response]:
    def page() -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    return page
