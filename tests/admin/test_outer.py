"""What stands around the admin application: health, bounds, headers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from freehold.admin import outer
from freehold.admin.outer import MAX_BODY_BYTES, Message, Outer, Receive, Scope, Send

App = Callable[[Scope, Receive, Send], Any]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the size of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"SAMEORIGIN")]})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def asked(
    app: App, path: str = "/", pieces: list[bytes] | None = None, length: int | None = None, ready: str = "", hold: bool = False
) -> tuple[int, dict[bytes, bytes], bytes]:
    """`hold`: the last piece never comes."""
    given = list(pieces or [])
    headers = [] if pieces is None else [(b"transfer-encoding", b"chunked")]
    if length is not None:
        headers = [(b"content-length", str(length).encode())]
    sent: list[Message] = []

    async def receive() -> Message:
        if given:
            return {"type": "http.request", "body": given.pop(0), "more_body": bool(given) or hold}
        if hold or pieces is not None:
            await asyncio.sleep(3600)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "POST" if pieces is not None else "GET", "path": path, "headers": headers}
    await Outer(app, lambda: ready)(scope, receive, send)
    start, body = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
    return start["status"], dict(start["headers"]), body


async def test_every_answer_tells_a_browser_what_the_pages_may_do() -> None:
    status, headers, _ = await asked(echo, "/console")
    assert status == 200 and b"default-src 'self'" in headers[b"content-security-policy"]
    assert headers[b"x-content-type-options"] == b"nosniff" and headers[b"referrer-policy"] == b"no-referrer"
    assert headers[b"x-frame-options"] == b"SAMEORIGIN", "the application's own word comes first"
    assert b"cache-control" not in headers and b"strict-transport-security" not in headers
    assert (await asked(echo, "/api/v1/teams"))[1][b"cache-control"] == b"no-store"


async def test_health_is_told_without_the_application() -> None:
    def broken(*_: object) -> None:
        raise AssertionError

    assert (await asked(broken, "/healthz"))[0] == 200
    assert (await asked(broken, "/readyz"))[0] == 200
    status, headers, body = await asked(broken, "/readyz", ready="the database can't be reached")
    assert status == 503 and b"database" in body and b"content-security-policy" in headers


@pytest.mark.parametrize("size", [0, 1, MAX_BODY_BYTES])
async def test_a_body_up_to_the_bound_is_passed_on(size: int) -> None:
    for pieces, length in (([b"x" * size], None), ([b"x" * (size // 2), b"x" * (size - size // 2)], size)):
        assert (await asked(echo, pieces=pieces, length=length))[2] == str(size).encode()


async def test_a_larger_one_is_refused_announced_or_not() -> None:
    status, _, body = await asked(echo, pieces=[], length=MAX_BODY_BYTES + 1, hold=True)
    assert status == 413 and b"1,048,576" in body
    status, headers, _ = await asked(echo, pieces=[b"x" * 700_000] * 2)
    assert status == 413 and headers[b"content-type"] == b"application/problem+json"


async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outer, "RECEIVE_S", 0.01)
    assert (await asked(echo, pieces=[b"x"], hold=True))[0] == 408


async def test_an_answer_that_does_not_begin_is_given_up_and_a_long_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outer, "ANSWER_S", 0.05)
    ended = asyncio.Event()

    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.2)
        await send({"type": "http.response.body", "body": b"the end"})

    assert (await asked(never))[0] == 503
    await asyncio.wait_for(ended.wait(), 10)
    assert (await asked(long))[2] == b"the end"


async def test_who_leaves_in_the_middle_of_a_body_is_told_to_the_application() -> None:
    heard: list[str] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: Scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-length", b"5")]}
    await Outer(listening, lambda: "")(scope, receive, send)
    assert heard == ["http.disconnect"]


async def test_what_is_no_request_is_passed_on() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: object) -> Any:
        return {}

    await Outer(app, lambda: "")({"type": "lifespan"}, nothing, nothing)
    assert seen == ["lifespan"]
