"""Listening, counting, draining, TLS, and what happens when there are too many clients."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trustme

from freehold.config.schema import ServerConfig
from freehold.gateway.request import Request
from freehold.gateway.server import Server, listen
from freehold.pipeline.output import Output

from .serving import TEXT, App, echo, eventually, get, post, serving


async def test_counts_connections_and_calls() -> None:
    go = asyncio.Event()

    async def waits(request: Request, out: Output) -> None:
        await go.wait()
        out.whole(200, TEXT, b"x")

    async with serving(waits) as served:
        clients = [await served.connect() for _ in range(3)]
        for client in clients[:2]:
            client.send(get())
        await eventually(lambda: (served.server.open_connections, served.server.active_calls) == (3, 2))
        go.set()
        for client in clients[:2]:
            await client.answer()
        for client in clients:
            client.close()
        await eventually(lambda: (served.server.open_connections, served.server.active_calls) == (0, 0))


async def test_small_writes_are_not_delayed() -> None:
    async with serving(echo) as served:
        await (await served.connect()).ask(get())
        (connection,) = served.server._connections
        raw = connection.transport.get_extra_info("socket")
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_listens_on_every_address_of_a_host_with_one_port() -> None:
    sockets = listen("localhost", 0)
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
    finally:
        for sock in sockets:
            sock.close()


def test_a_port_in_use_is_an_error() -> None:
    (taken,) = listen("127.0.0.1", 0)
    with taken, pytest.raises(OSError):
        listen("127.0.0.1", taken.getsockname()[1])


# Draining


async def test_draining_finishes_calls_closes_idle_connections_and_accepts_no_more() -> None:
    go = asyncio.Event()

    async def waits(request: Request, out: Output) -> None:
        out.start(200, TEXT) if request.path == "/streaming" else None
        if request.path != "/":
            await go.wait()
        if request.path == "/streaming":
            out.end(b"streamed")
        else:
            out.whole(200, TEXT, b"whole")

    async with serving(waits) as served:
        idle, fresh, busy, streaming, partial = [await served.connect() for _ in range(5)]
        await idle.ask(get())
        busy.send(get("/busy") + get("/pipelined"))
        streaming.send(get("/streaming"))
        partial.send(get("/partial")[:-2])
        await eventually(lambda: served.server.active_calls == 2)
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(served.server.drain(30))
        assert await idle.everything() == b""
        assert await fresh.everything() == b""
        with pytest.raises(OSError):
            await served.connect()
        partial.send(b"\r\n")
        await eventually(lambda: served.server.active_calls == 3)
        assert not draining.done()
        go.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers[b"connection"]) == (b"whole", b"close")
        assert (await partial.answer()).body == b"whole"
        assert (await streaming.answer()).body == b"streamed"
        for client in (busy, partial, streaming):
            assert await client.everything() == b""
        await asyncio.wait_for(draining, 10)
        assert (served.server.open_connections, served.server.active_calls) == (0, 0)


async def test_draining_ends_what_does_not_finish_in_time() -> None:
    ended: list[str] = []

    async def forever(request: Request, out: Output) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.05)
            ended.append(request.path)

    async with serving(forever) as served:
        client = await served.connect()
        client.send(get("/slow"))
        await eventually(lambda: served.server.active_calls == 1)
        await asyncio.wait_for(served.server.drain(0.2), 10)
        assert ended == ["/slow"]
        assert (served.server.open_connections, served.server.active_calls) == (0, 0)
        await client.closed()


async def test_a_paused_server_lets_clients_wait_and_serves_them_later() -> None:
    async with serving(echo) as served:
        before = await served.connect()
        served.server.pause()
        await asyncio.sleep(0.05)
        waiting = await served.connect()  # the kernel takes it
        waiting.send(get("/waited"))
        assert (await before.ask(get("/open"))).status == 200
        assert served.server.open_connections == 1
        await served.server.resume()
        assert (await waiting.answer()).body == b"GET /waited "


# Too many clients


async def test_over_the_cap_a_client_is_told_so_and_let_go() -> None:
    async with serving(echo, max_connections=3) as served:
        inside = [await served.connect() for _ in range(3)]
        for client in inside:
            await client.ask(get())
        turned_away = await served.connect()
        answer = await turned_away.ask(post(b"x" * 1000))
        assert answer.status == 503
        assert b"max_connections" in answer.body
        assert await turned_away.everything() == b""
        for client in inside:
            assert (await client.ask(get())).status == 200
        turned_away.close()
        inside[0].close()
        await eventually(lambda: served.server.open_connections == 2)
        assert (await (await served.connect()).ask(get())).status == 200


async def test_a_flood_over_the_cap_holds_few_descriptors() -> None:
    async with serving(echo, max_connections=3) as served:
        inside = await served.connect()
        await inside.ask(get())
        for _ in range(150):
            await served.connect()
        assert served.server.open_connections <= 3 + 64
        assert (await inside.ask(get())).status == 200


async def test_who_is_turned_away_and_stays_is_dropped() -> None:
    async with serving(echo, max_connections=1) as served:
        await (await served.connect()).ask(get())
        lingers = await served.connect()
        assert (await lingers.answer()).status == 503
        await eventually(lambda: served.server.open_connections == 1)


FEW_DESCRIPTORS = """
    import asyncio, resource, sys
    import uvloop
    from freehold.config.schema import ServerConfig
    from freehold.gateway.server import Server, listen

    class App:
        async def __call__(self, request, out):
            out.whole(200, b"", b"fine")
        def admit_head(self, request):
            return None
        def refusal(self, request, error):
            return error.status, b"", str(error).encode()

    async def main():
        server = Server(App(), ServerConfig())
        await server.start(listen("127.0.0.1", 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        print(server.addresses[0][1], flush=True)
        await asyncio.sleep(3600)

    uvloop.run(main())
"""


def test_running_out_of_descriptors_does_not_end_the_server() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(FEW_DESCRIPTORS)], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert process.stdout is not None
    clients: list[socket.socket] = []
    try:
        port = int(process.stdout.readline())
        for _ in range(80):
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            clients.append(client)
        first = clients[0]
        first.sendall(get())
        assert first.recv(1000).endswith(b"fine")
        for client in clients:
            client.close()
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.settimeout(0.2)
                client.sendall(get())
                try:
                    answer = client.recv(1000)
                except OSError:
                    continue
                if answer.endswith(b"fine"):
                    break
        else:
            pytest.fail("the server accepts no more connections")
    finally:
        for client in clients:
            client.close()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


# TLS


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.minimum_version = ssl.TLSVersion.TLSv1_2
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    theirs = ssl.create_default_context()
    authority.configure_trust(theirs)
    return ours, theirs


async def test_serves_over_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with serving(echo, tls=contexts, max_body_mib=1) as served:
        client = await served.connect()
        body = b"x" * 300_000
        assert (await client.ask(post(body))).body == b"POST / " + body
        assert (await client.ask(get())).status == 200
        refused = await client.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000)
        assert refused.status == 413
        client.close()
        await eventually(lambda: served.server.open_connections == 0)


async def test_a_call_over_tls_is_cancelled_when_its_client_goes(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    cancelled = asyncio.Event()

    async def forever(request: Request, out: Output) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()

    async with serving(forever, tls=contexts) as served:
        client = await served.connect()
        client.send(get())
        await eventually(lambda: served.server.active_calls == 1)
        client.close()
        await asyncio.wait_for(cancelled.wait(), 10)


async def test_plain_http_on_a_tls_port_does_no_harm(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async with serving(echo, tls=contexts) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(get())
        try:
            await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            pass
        writer.close()
        assert (await (await served.connect()).ask(get())).status == 200


# The clock


async def test_the_date_moves() -> None:
    server = Server(App(echo), ServerConfig())
    await server.start([])
    first = server.date_line
    try:
        await eventually(lambda: server.date_line != first)
    finally:
        await server.drain(1)
