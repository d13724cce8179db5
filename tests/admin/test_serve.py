"""The server of the admin API on a socket that was bound by someone else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme

from freehold.admin.outer import Receive, Scope, Send
from freehold.admin.serve import serve
from tests import client


@asynccontextmanager
async def serving(app: Callable[..., Any], tls: tuple[Path, Path] | None = None) -> AsyncIterator[tuple[int, asyncio.Event]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = asyncio.Event()
        task = asyncio.create_task(serve(app, listener, stop, tls))
        try:
            yield listener.getsockname()[1], stop
        finally:
            stop.set()
            await asyncio.wait_for(task, 30)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})


async def test_it_answers_and_ends_when_told() -> None:
    async with serving(hello) as (port, _):
        got = await client.call(port, "/", method="GET")
        assert (got.status, got.body) == (200, b"hello")


async def test_a_request_under_way_gets_its_answer_before_the_end() -> None:
    arrived, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            arrived.set()
            await may_answer.wait()
            await hello(scope, receive, send)

    async with serving(slow) as (port, stop):
        asking = asyncio.create_task(client.call(port, "/", method="GET"))
        await asyncio.wait_for(arrived.wait(), 20)
        stop.set()
        await asyncio.sleep(0.1)
        may_answer.set()
        assert (await asking).body == b"hello"


async def test_it_speaks_tls_with_the_gateways_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made.cert_chain_pems[0].write_to_path(str(cert))
    made.private_key_pem.write_to_path(str(key))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with serving(hello, (cert, key)) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="127.0.0.1")
        writer.write(client.request("/", method="GET", headers={"connection": "close"}))
        assert (await asyncio.wait_for(client.read(reader), 20)).body == b"hello"
        writer.close()
