"""What stands around the whole admin application: health pages, bounds on what is sent and how long it takes, and the headers
that tell a browser what these pages may do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.responses import JSONResponse, Response

from freehold.admin.problems import problem

MAX_BODY_BYTES = 1024 * 1024
ANSWER_S = 30.0  # until an answer begins
RECEIVE_S = 30.0  # between two pieces of a request's body

# Nothing is loaded from elsewhere, nothing runs that is written into a page, and no other page may hold ours.
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_NOT_KEPT = (b"cache-control", b"no-store")  # what the API says is for whoever asked, now
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _TooLarge(Exception):
    pass


class _TooSlow(Exception):
    pass


class Outer:
    """`ready`: why this process is not ready to work, "" if it is. Asked on the event loop: it must not wait."""

    def __init__(self, app: App, ready: Callable[[], str], *, tls: bool = False) -> None:
        self._app = app
        self._ready = ready
        self._headers = (*HEADERS, _HTTPS_ONLY) if tls else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reply = _Reply(send, self._headers, kept=not scope["path"].startswith("/api/"))
        page = self._page(scope)
        if page is not None:
            await page(scope, receive, reply.send)
            return
        try:
            await self._answer(scope, await _body(scope, receive), reply)
        except _TooLarge:
            await self._refuse(
                scope, receive, reply, 413, "Too large", f"A request's body may have up to {MAX_BODY_BYTES:,} bytes."
            )
        except _TooSlow:
            await self._refuse(scope, receive, reply, 408, "Too slow", "The request's body did not arrive in time.")
        except TimeoutError:
            await self._refuse(scope, receive, reply, 503, "Took too long", f"There was no answer within {ANSWER_S:.0f} s.")

    async def _answer(self, scope: Scope, receive: Receive, reply: _Reply) -> None:
        """The bound is for the answer's beginning: a long export may take its time."""
        task = asyncio.ensure_future(self._app(scope, receive, reply.send))
        began = asyncio.ensure_future(reply.began.wait())
        try:
            await asyncio.wait((task, began), timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and not reply.began.is_set():
                raise TimeoutError
            await task
        finally:
            began.cancel()
            task.cancel()

    async def _refuse(self, scope: Scope, receive: Receive, reply: _Reply, status: int, title: str, detail: str) -> None:
        if not reply.began.is_set():
            await problem(status, title, detail, headers={"connection": "close"})(scope, receive, reply.send)

    def _page(self, scope: Scope) -> Response | None:
        if scope["method"] not in ("GET", "HEAD"):
            return None
        if scope["path"] == "/healthz":
            return JSONResponse({"status": "ok"})
        if scope["path"] == "/readyz":
            why = self._ready()
            return JSONResponse({"status": why or "ready"}, 503 if why else 200)
        return None


class _Reply:
    """Adds the headers that an answer lacks, and knows when it begins."""

    def __init__(self, send: Send, headers: tuple[tuple[bytes, bytes], ...], *, kept: bool) -> None:
        self._send = send
        self._headers = headers if kept else (*headers, _NOT_KEPT)
        self.began = asyncio.Event()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began.set()
            given = list(message.get("headers", ()))
            names = {name.lower() for name, _ in given}
            message["headers"] = [*given, *(pair for pair in self._headers if pair[0] not in names)]
        await self._send(message)


async def _body(scope: Scope, receive: Receive) -> Receive:
    """What gives the body, once it has arrived. Raises _TooLarge, _TooSlow.

    The application would take an error in the middle of a body for one of its own.
    """
    headers = dict(scope["headers"])
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise _TooLarge
    if not announced and b"transfer-encoding" not in headers:
        return receive
    held, more = bytearray(), True
    while more:
        try:
            async with asyncio.timeout(RECEIVE_S):
                message = await receive()
        except TimeoutError:
            raise _TooSlow from None
        if message["type"] != "http.request":  # the client has gone
            break
        held += message.get("body", b"")
        more = message.get("more_body", False)
        if len(held) > MAX_BODY_BYTES:
            raise _TooLarge
    given = False

    async def give() -> Message:
        nonlocal given
        if given or more:
            return {"type": "http.disconnect"} if more else await receive()
        given = True
        return {"type": "http.request", "body": bytes(held), "more_body": False}

    return give
