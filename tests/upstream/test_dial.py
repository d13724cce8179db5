"""Names, addresses and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trustme

from freehold.base.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from freehold.upstream import dial
from freehold.upstream.pool import Pool
from freehold.upstream.transport import Origin, Timeouts

from .conftest import Peer, Script, Upstream, ask, fetch, read_all

Start = Callable[[Script], Awaitable[Upstream]]
LISTENING = (socket.AF_INET, socket.SOCK_STREAM, 6, "")


async def polite(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.answer(b"secure")


class Secure:
    def __init__(self, ca_file: str, start: Callable[[Script, str], Awaitable[Origin]]) -> None:
        self.ca_file = ca_file
        self.start = start
        self.seen: list[ssl.SSLObject] = []


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[Secure]:
    """An upstream with a certificate from its own authority. `start(script, name)` gives an origin at localhost."""
    ca = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    servers: list[asyncio.AbstractServer] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(script: Script, name: str = "localhost") -> Origin:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(name).configure_cert(context)
        context.set_alpn_protocols(["h2", "http/1.1"])

        async def play(peer: Peer) -> None:
            try:
                await script(peer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                peer.writer.close()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            state.seen.append(writer.get_extra_info("ssl_object"))
            tasks.add(asyncio.get_running_loop().create_task(play(Peer(reader, writer, len(state.seen) - 1))))

        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        servers.append(server)
        return Origin("https", "localhost", server.sockets[0].getsockname()[1], str(ca_file))

    state = Secure(str(ca_file), start)
    yield state
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for server in servers:
        server.close()


async def test_tls_with_a_private_authority_keeps_connections_and_asks_for_http_1_1(secure: Secure, pool: Pool) -> None:
    origin = await secure.start(polite, "localhost")
    for _ in range(3):
        assert await fetch(pool, origin, b"x" * 100_000) == b"secure"
    assert [seen.selected_alpn_protocol() for seen in secure.seen] == ["http/1.1"]


async def test_an_untrusted_certificate_is_unreachable_and_says_what_to_do(secure: Secure, pool: Pool) -> None:
    origin = await secure.start(polite, "localhost")
    with pytest.raises(UpstreamUnreachable, match=r"certificate of https://localhost:\d+ was refused.*ca_file"):
        await ask(pool, Origin("https", "localhost", origin.port))


async def test_a_certificate_for_another_host_is_unreachable(secure: Secure, pool: Pool) -> None:
    origin = await secure.start(polite, "other.example")
    with pytest.raises(UpstreamUnreachable, match=r"certificate of .*localhost"):
        await ask(pool, origin)


async def test_tls_to_a_plain_server_is_unreachable(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await upstream(script)
    with pytest.raises(UpstreamUnreachable, match="TLS handshake"):
        await ask(pool, Origin("https", "localhost", server.origin.port))


async def test_a_server_that_hangs_up_in_the_handshake_is_unreachable(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)

    server = await upstream(script)
    with pytest.raises(UpstreamUnreachable, match="TLS handshake"):
        await ask(pool, Origin("https", "localhost", server.origin.port))


async def test_plain_http_to_a_tls_server_is_broken(secure: Secure, pool: Pool) -> None:
    origin = await secure.start(polite, "localhost")
    with pytest.raises(UpstreamBroken):
        await ask(pool, Origin("http", "localhost", origin.port))


async def test_a_handshake_that_stalls_is_a_timeout(upstream: Start, pool: Pool) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.gone()
        left.set()

    server = await upstream(script)
    with pytest.raises(UpstreamTimeout, match=r"connected to within 0\.2 s"):
        await ask(pool, Origin("https", "localhost", server.origin.port), timeouts=Timeouts(0.2, 5, 5))
    await asyncio.wait_for(left.wait(), 5)


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_a_ca_file_that_cannot_be_used_is_named(pool: Pool, tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "missing.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(UpstreamUnreachable, match=r"missing\.pem"):
        await ask(pool, Origin("https", "localhost", 1, str(ca_file)))


async def test_a_stream_over_tls_arrives_piece_by_piece_and_its_pause_holds(secure: Secure, pool: Pool) -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\n")
        for _ in range(600):
            peer.write(b"x" * 100_000)
            await peer.writer.drain()
            sent += 100_000

    origin = await secure.start(script, "localhost")
    reply = await ask(pool, origin)
    await asyncio.sleep(0.3)
    stuck = sent
    await asyncio.sleep(0.2)
    assert sent == stuck < 60_000_000
    assert len(await read_all(reply)) == 60_000_000


async def test_a_cut_within_a_body_over_tls_is_broken(secure: Secure, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await asyncio.sleep(0.02)

    origin = await secure.start(script, "localhost")
    with pytest.raises(UpstreamBroken, match="middle of its reply"):
        await fetch(pool, origin)


async def test_a_cancelled_call_over_tls_is_seen_by_the_upstream(secure: Secure, pool: Pool) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()
        left.set()

    origin = await secure.start(script, "localhost")
    task = asyncio.create_task(ask(pool, origin))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait_for(left.wait(), 5)


# --- names and addresses ---


async def test_an_unknown_host_is_unreachable_and_named(pool: Pool) -> None:
    with pytest.raises(UpstreamUnreachable, match=r"host name 'no-such-host\.invalid'"):
        await ask(pool, Origin("http", "no-such-host.invalid", 80))


async def test_a_dead_first_address_does_not_matter(upstream: Start, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await upstream(polite)
    port = server.origin.port

    async def two(host: str, at: int) -> list[dial.Address]:
        return [(socket.AF_INET, ("127.0.0.2", at + 1)), (socket.AF_INET, ("127.0.0.1", at))]

    monkeypatch.setattr(dial, "look_up", two)
    assert await fetch(pool, Origin("http", "two.example", port)) == b"secure"


async def test_a_silent_first_address_costs_one_stagger(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    cancelled = asyncio.Event()
    real = dial.open_socket

    async def silent(family: int, address: tuple[object, ...]) -> socket.socket:
        if address[0] == "192.0.2.1":
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()
        return await real(family, address)

    monkeypatch.setattr(dial, "open_socket", silent)
    began = time.monotonic()
    sock = await dial.race([(socket.AF_INET, ("192.0.2.1", 9)), (socket.AF_INET, listener.getsockname())])
    assert dial.STAGGER_S <= time.monotonic() - began < 30
    await asyncio.wait_for(cancelled.wait(), 5)
    sock.close()
    listener.close()


async def test_a_name_is_looked_up_once_for_all_who_wait_and_kept(upstream: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await upstream(polite)
    pool = Pool(sweep_s=0.05)
    looked_up = 0

    async def count(host: str, port: int) -> list[dial.Address]:
        nonlocal looked_up
        looked_up += 1
        await asyncio.sleep(0.02)
        return [(socket.AF_INET, ("127.0.0.1", port))]

    monkeypatch.setattr(dial, "look_up", count)
    origin = Origin("http", "named.example", server.origin.port)
    first = asyncio.create_task(fetch(pool, origin))
    others = [asyncio.create_task(fetch(pool, origin)) for _ in range(5)]
    await asyncio.sleep(0.005)
    first.cancel()  # whoever asked first does not take the answer along
    assert await asyncio.gather(*others) == [b"secure"] * 5
    assert looked_up == 1
    await pool.close()


async def test_families_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    v6 = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (f"::{i}", 1, 0, 0)) for i in (1, 2, 3)]
    v4 = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]

    async def found(*args: object, **kwargs: object) -> list[object]:
        return [*v6, *v4]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(dial.asyncio, "get_running_loop", lambda: type("Loop", (), {"getaddrinfo": found}))
    result = await dial.look_up("x", 1)
    monkeypatch.undo()
    assert loop is asyncio.get_running_loop()
    assert [address[0] for _, address in result] == ["::1", "127.0.0.1", "::2", "::3"]


async def test_a_tenants_provider_is_not_connected_to_inside_whatever_its_name_resolves_to(
    upstream: Start, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may have been public when it was entered."""
    port = (await upstream(polite)).origin.port

    async def rebound(host: str, at: int) -> list[dial.Address]:
        return [(socket.AF_INET, ("127.0.0.1", at)), (socket.AF_INET6, ("::ffff:127.0.0.1", at, 0, 0))]

    monkeypatch.setattr(dial, "look_up", rebound)
    for host in ("rebind.example.com", "127.0.0.1"):
        with pytest.raises(UpstreamUnreachable, match="public internet"):
            await ask(pool, Origin("http", host, port, public_only=True))
    assert await fetch(pool, Origin("http", "rebind.example.com", port)) == b"secure", "whoever runs the gateway may"
