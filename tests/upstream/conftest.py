"""Upstreams that misbehave on purpose, on real sockets, under both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from freehold.upstream.head import complete_head, request_head
from freehold.upstream.pool import Pool
from freehold.upstream.reply import Reply
from freehold.upstream.transport import Origin, Timeouts

PATIENT = Timeouts(connect_s=5, first_byte_s=5, idle_s=5)
SWEEP_S = 0.05


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


class Peer:
    """One connection as the scripted upstream sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number  # 0 is the first connection to this upstream

    async def request(self) -> bytes:
        """The next request, head and body. Raises IncompleteReadError where the client has gone."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
        return head + await self.reader.readexactly(length)

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def answer(self, body: bytes = b"ok", head: bytes = b"") -> None:
        self.write(b"HTTP/1.1 200 OK\r\n%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    def reset(self) -> None:
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Returns once the client has closed its side."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


Script = Callable[[Peer], Awaitable[None]]


class Upstream:
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.accepted = 0
        self.requests: list[bytes] = []


@pytest.fixture
async def upstream() -> AsyncIterator[Callable[[Script], Awaitable[Upstream]]]:
    """Start an upstream that plays a script on each connection; it closes the connection when the script returns."""
    servers: list[asyncio.AbstractServer] = []
    tasks: set[asyncio.Task[None]] = set()

    async def start(script: Script) -> Upstream:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = Peer(reader, writer, state.accepted)
            state.accepted += 1
            tasks.add(asyncio.get_running_loop().create_task(play(peer)))

        async def play(peer: Peer) -> None:
            try:
                await script(peer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                peer.writer.close()

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        servers.append(server)
        state = Upstream(Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1]))
        return state

    yield start
    for task in tasks:
        task.cancel()
    failures = [r for r in await asyncio.gather(*tasks, return_exceptions=True) if isinstance(r, Exception)]
    for server in servers:
        server.close()
    assert failures == [], "a scripted upstream failed"


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(sweep_s=SWEEP_S)
    yield pool
    await pool.close()


async def ask(pool: Pool, origin: Origin, body: bytes = b"{}", timeouts: Timeouts = PATIENT, method: str = "POST") -> Reply:
    head = request_head(origin, "", "/v1/chat/completions").replace(b"POST", method.encode(), 1)
    return await pool.send(origin, complete_head(head, len(body)), body, timeouts)


async def fetch(pool: Pool, origin: Origin, body: bytes = b"{}", timeouts: Timeouts = PATIENT, method: str = "POST") -> bytes:
    """Ask and read to the end."""
    reply = await ask(pool, origin, body, timeouts, method)
    try:
        return await read_all(reply)
    finally:
        reply.close()


async def read_all(reply: Reply) -> bytes:
    pieces = []
    while piece := await reply.read():
        pieces.append(piece)
    return b"".join(pieces)
