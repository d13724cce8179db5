"""Bodies that are read as they are sent: framing, pace, and what ends them early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from freehold.base.errors import GatewayError, RequestTimeout, UpstreamBroken, UpstreamTimeout
from freehold.upstream.head import chunked_head, complete_head, request_head
from freehold.upstream.pool import Pool
from freehold.upstream.reply import Reply
from freehold.upstream.transport import SANDBOX, Origin, Streamed, Timeouts

from .conftest import PATIENT, Peer, Script, Upstream, fetch

Start = Callable[[Script], Awaitable[Upstream]]
PIECE = b"0123456789abcdef" * 4096


def body_of(*pieces: bytes, size: int | None = None, then: GatewayError | None = None) -> Streamed:
    left = list(pieces)

    async def read() -> bytes:
        await asyncio.sleep(0)
        if not left and then is not None:
            raise then
        return left.pop(0) if left else b""

    return Streamed(size, read)


async def send(pool: Pool, origin: Origin, body: Streamed, timeouts: Timeouts = PATIENT) -> Reply:
    head = request_head(origin, "", "/up", b"")
    whole = chunked_head(head) if body.size is None else complete_head(head, body.size)
    return await pool.send(origin, whole, body, timeouts)


async def test_a_known_length_is_sent_as_it_is(upstream: Start, pool: Pool) -> None:
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        got.append(await peer.request())
        peer.answer()
        got.append(await peer.request())
        peer.answer()

    server = await upstream(script)
    reply = await send(pool, server.origin, body_of(PIECE, b"end", size=len(PIECE) + 3))
    assert await reply.read() == b"ok"
    assert got[0].endswith(b"\r\n\r\n" + PIECE + b"end")
    assert await fetch(pool, server.origin) == b"ok"
    assert server.accepted == 1, "the connection serves on"


async def test_an_unknown_length_is_sent_in_chunks(upstream: Start, pool: Pool) -> None:
    got: list[bytes] = []

    async def script(peer: Peer) -> None:
        got.append(await peer.reader.readuntil(b"0\r\n\r\n"))
        peer.answer()

    server = await upstream(script)
    assert await (await send(pool, server.origin, body_of(b"hello", b"!"))).read() == b"ok"
    head, _, sent = got[0].partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head and sent == b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"


async def test_an_upload_gets_a_new_connection_while_there_can_be_one(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.answer(b"%d" % peer.number)

    server = await upstream(script)
    assert await fetch(pool, server.origin) == b"0"
    assert await (await send(pool, server.origin, body_of(b"x", size=1))).read() == b"1"
    narrow = Origin("http", "127.0.0.1", server.origin.port, max_connections=1)
    assert await fetch(pool, narrow) == b"2"
    assert await (await send(pool, narrow, body_of(b"x", size=1))).read() == b"2"


async def test_an_upstream_that_takes_nothing_is_not_overrun_and_times_out(upstream: Start, pool: Pool) -> None:
    read = 0

    async def endless() -> bytes:
        nonlocal read
        read += len(PIECE)
        return PIECE

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()
        await asyncio.sleep(60)

    server = await upstream(script)
    with pytest.raises(UpstreamTimeout):
        await send(pool, server.origin, Streamed(None, endless), Timeouts(connect_s=5, first_byte_s=0.5, idle_s=5))
    assert read < 64 * 1024 * 1024


async def test_a_client_that_is_slow_does_not_use_up_the_upstreams_time(upstream: Start, pool: Pool) -> None:
    pieces = [b"a", b"b", b""]

    async def slow() -> bytes:
        await asyncio.sleep(1.0)
        return pieces.pop(0)

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"0\r\n\r\n")
        peer.answer()

    server = await upstream(script)
    reply = await send(pool, server.origin, Streamed(None, slow), Timeouts(connect_s=5, first_byte_s=2, idle_s=5))
    assert await reply.read() == b"ok"


async def test_what_keeps_the_body_from_coming_is_what_the_caller_gets(upstream: Start, pool: Pool) -> None:
    ended = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.gone()
        ended.set()

    server = await upstream(script)
    with pytest.raises(RequestTimeout):
        await send(pool, server.origin, body_of(PIECE, then=RequestTimeout("it stopped")))
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_mistake_in_reading_ends_the_call(upstream: Start, pool: Pool) -> None:
    async def broken() -> bytes:
        raise KeyError("a mistake")

    async def script(peer: Peer) -> None:
        await peer.gone()

    server = await upstream(script)
    with pytest.raises(GatewayError, match="failed inside the gateway"):
        await send(pool, server.origin, Streamed(None, broken))


async def test_an_answer_before_the_end_stops_the_body_and_the_connection_is_not_used_again(upstream: Start, pool: Pool) -> None:
    reading = 0

    async def endless() -> bytes:
        nonlocal reading
        reading += 1
        await asyncio.sleep(0.01)
        return PIECE

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno")
        await peer.gone()

    server = await upstream(script)
    reply = await send(pool, server.origin, Streamed(None, endless))
    assert (reply.status, await reply.read()) == (413, b"no")
    await asyncio.sleep(0.05)
    stopped = reading
    await asyncio.sleep(0.1)
    assert reading == stopped
    assert pool._bucket(server.origin).idle == []


async def test_closing_the_reply_stops_the_body(upstream: Start, pool: Pool) -> None:
    ended = asyncio.Event()

    async def never() -> bytes:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()
        return b""

    async def script(peer: Peer) -> None:
        await peer.gone()

    server = await upstream(script)
    task = asyncio.create_task(send(pool, server.origin, Streamed(None, never)))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.wait_for(ended.wait(), 10)


async def test_an_upload_that_is_cut_is_not_sent_again(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.reset()

    server = await upstream(script)
    with pytest.raises(UpstreamBroken):
        await send(pool, server.origin, body_of(*[PIECE] * 100))
    assert server.accepted == 1


async def test_the_sandbox_takes_a_body_and_has_nothing_to_say_to_it(pool: Pool) -> None:
    assert (await send(pool, SANDBOX, body_of(PIECE, PIECE))).status in (400, 404)
