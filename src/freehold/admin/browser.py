"""What is particular to browsers: the session's cookie, and that a request comes from our own pages.

A cookie comes along with whatever any page makes a browser send. So a request that changes something must name the origin that is
ours, and bring the session's token in a header, which no other page can read or set.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from fastapi import Request, Response

from freehold.control.plane import Plane
from freehold.control.refusal import Forbidden
from freehold.policy.address import client_of, networks

CSRF_HEADER = "x-csrf-token"
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_PLAIN, _SECURE = "freehold_session", "__Host-freehold"
_MAX_URL = 500


def origin(request: Request) -> str:
    """Ours, as browsers name it: what is configured, or what the request was sent to."""
    plane: Plane = request.app.state.plane
    url = plane.owned.config().sign_in.url
    parts = urlsplit(url) if url else None
    if parts is not None:
        return f"{parts.scheme}://{parts.netloc}".lower()
    return f"{request.url.scheme}://{request.headers.get('host', '')}".lower()


def is_secure(request: Request) -> bool:
    return origin(request).startswith("https:")


def require_origin(request: Request, *, given: bool = True) -> None:
    """Raises Forbidden for a request from another page; without `given` one that names no origin passes: it has no cookie."""
    named = request.headers.get("origin", "").lower()
    if named != origin(request) and (named or given):
        raise Forbidden("This request comes from another site, or does not say from which (Origin). Is sign_in.url right?")


def require_own(request: Request, csrf: str) -> None:
    """Of a request with a session's cookie. Raises Forbidden unless it is our own page's."""
    if request.method in SAFE:
        return
    require_origin(request)
    if not hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), csrf.encode()):
        raise Forbidden(f"Send the session's token in {CSRF_HEADER}: GET /api/v1/me shows it.")


def cookie(request: Request) -> str:
    """The session's secret; "" for none. Over https only the cookie that no other host can have set."""
    return request.cookies.get(_SECURE if is_secure(request) else _PLAIN, "")


def set_cookie(request: Request, response: Response, secret: str, seconds: int) -> None:
    name, secure = (_SECURE, True) if is_secure(request) else (_PLAIN, False)
    response.set_cookie(name, secret, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")


def drop_cookie(request: Request, response: Response) -> None:
    name, secure = (_SECURE, True) if is_secure(request) else (_PLAIN, False)
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="strict")


def address(request: Request) -> str:
    """Where the request comes from, as trusted proxies say."""
    plane: Plane = request.app.state.plane
    proxies = networks(plane.owned.config().server.trusted_proxies)
    peer = request.client.host if request.client else ""
    found = client_of(peer, ",".join(request.headers.getlist("x-forwarded-for")), proxies)
    return found[:100] if found.isprintable() else peer


def local_path(text: str) -> str:
    """Where to go after signing in: a path of ours, or "/". Nobody must be led elsewhere by a link that begins here."""
    plain = text.isascii() and text.isprintable() and not set(text) & set("\\ \"'<>") and len(text) <= _MAX_URL
    if not plain or not text.startswith("/") or text.startswith("//"):
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc else "/"
