"""What one HTTP/1.1 exchange means, against upstreams that do everything wrong. Most run on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from freehold.base.errors import UpstreamBroken, UpstreamTimeout
from freehold.upstream.connection import JOIN_BYTES, MAX_HEAD_BYTES
from freehold.upstream.pool import Pool
from freehold.upstream.transport import Timeouts

from .conftest import PATIENT, Peer, Script, Upstream, ask, fetch, read_all

Start = Callable[[Script], Awaitable[Upstream]]


def once(data: bytes, *, then_close: bool = False) -> Script:
    """Answer each request with these bytes; then close, or wait for the client to."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.write(data)
            if then_close:
                return

    return script


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


# --- replies that are fine ---


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (CHUNKED + b"2\r\nok\r\n3\r\n, y\r\n0\r\n\r\n", b"ok, y"),
        (CHUNKED + b"2;ext=1\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            b"ok",
        ),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ],
)
@pytest.mark.parametrize("cut", [0, 1, 7])
async def test_a_proper_reply_is_whole_and_its_connection_serves_again(
    upstream: Start, pool: Pool, reply: bytes, body: bytes, cut: int
) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            for i in range(0, len(reply), cut or len(reply)):
                peer.write(reply[i : i + (cut or len(reply))])
                await asyncio.sleep(0.0005 if cut else 0)

    server = await upstream(script)
    for _ in range(2):
        assert await fetch(pool, server.origin) == body
    assert server.accepted == 1


async def test_a_small_reply_is_complete_when_send_returns(upstream: Start, pool: Pool) -> None:
    server = await upstream(once(b"HTTP/1.1 418 Teapot\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok"))
    reply = await ask(pool, server.origin)
    assert (reply.status, reply.complete, reply.take()) == (418, True, b"ok")
    assert reply.headers == {b"x-a": b"1", b"content-length": b"2"}


async def test_headers_are_those_of_the_final_reply_without_trailers(upstream: Start, pool: Pool) -> None:
    server = await upstream(
        once(
            b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\n"
            b"1\r\nx\r\n0\r\nEvil: 1\r\n\r\n"
        )
    )
    reply = await ask(pool, server.origin)
    assert await read_all(reply) == b"x"
    assert reply.headers == {b"transfer-encoding": b"chunked", b"set-cookie": b"a, b"}


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Other: 1\r\nContent-Length: 3\r\n\r\nbad",
        CHUNKED + b"2\r\nok\r\n0\r\n\r\nH",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_says_it_ends_or_sends_too_much_is_not_used_again(
    upstream: Start, pool: Pool, reply: bytes
) -> None:
    server = await upstream(once(reply))
    for _ in range(2):
        answer = await ask(pool, server.origin)
        assert (await read_all(answer), answer.complete) == (b"ok", True)
        assert b"x-other" not in answer.headers
    assert server.accepted == 2


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_body_without_a_length_ends_where_the_connection_does(upstream: Start, pool: Pool, version: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(b"HTTP/%b 200 OK\r\n\r\nfirst " % version)
        await asyncio.sleep(0.01)
        peer.write(b"last")

    server = await upstream(script)
    reply = await ask(pool, server.origin)
    assert not reply.complete
    assert await read_all(reply) == b"first last"
    assert reply.complete


async def test_a_reply_to_head_has_no_body_whatever_its_length_says(upstream: Start, pool: Pool) -> None:
    server = await upstream(once(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"))
    reply = await ask(pool, server.origin, b"", method="HEAD")
    assert (reply.complete, reply.take(), reply.headers[b"content-length"]) == (True, b"", b"500")


@pytest.mark.parametrize("size", [0, 1000, JOIN_BYTES - 1, JOIN_BYTES, 3_000_000])
async def test_a_body_of_any_size_arrives_unchanged(upstream: Start, pool: Pool, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    async def script(peer: Peer) -> None:
        while True:
            request = await peer.request()
            peer.answer(b"same" if request.partition(b"\r\n\r\n")[2] == body else b"different")

    server = await upstream(script)
    for _ in range(2):
        assert await fetch(pool, server.origin, body) == b"same"
    assert server.accepted == 1


async def test_an_answer_that_comes_before_the_body_was_sent_is_taken_and_the_connection_dropped(
    upstream: Start, pool: Pool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await peer.writer.drain()
        await asyncio.wait_for(peer.gone(), 5)

    server = await upstream(script)
    reply = await ask(pool, server.origin, b"x" * 30_000_000)
    assert (reply.status, await read_all(reply)) == (413, b"big")
    assert await fetch_status(pool, server) == 413
    assert server.accepted == 2


async def fetch_status(pool: Pool, server: Upstream) -> int:
    reply = await ask(pool, server.origin, b"x" * 30_000_000)
    reply.close()
    return reply.status


# --- replies that are not ---


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/3.7 200 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"<html>proxy error</html>",
    ],
)
async def test_bytes_that_are_not_an_http_reply_are_a_broken_upstream(upstream: Start, pool: Pool, garbage: bytes) -> None:
    server = await upstream(once(garbage))
    with pytest.raises(UpstreamBroken, match=r"not a valid HTTP/1\.1 reply") as caught:
        await asyncio.wait_for(fetch(pool, server.origin), 2)
    assert "proxy error" not in caught.value.message
    assert server.accepted == 1


@pytest.mark.parametrize("bad", [b"zz\r\nok\r\n", b"-1\r\n", b"2\r\nokay\r\n", b"fffffffffffffffff\r\n", b"2\nok\n0\n\n"])
async def test_bad_chunks_break_the_reply_after_what_was_good(upstream: Start, pool: Pool, bad: bytes) -> None:
    server = await upstream(once(CHUNKED + b"4\r\ngood\r\n" + bad))
    reply = await ask(pool, server.origin)
    assert (await reply.read()).startswith(b"good")
    with pytest.raises(UpstreamBroken, match="not a valid"):
        await read_all(reply)
    assert not reply.complete


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"a\r\nhello",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_reply_that_ends_early_is_broken_and_never_complete(upstream: Start, pool: Pool, cut: bytes, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(cut)
        await asyncio.sleep(0.02)
        if how == "reset":
            peer.reset()

    server = await upstream(script)
    reply = await ask(pool, server.origin)
    assert await reply.read() == b"hello"
    with pytest.raises(UpstreamBroken, match="middle of its reply"):
        await reply.read()
    assert not reply.complete
    assert server.accepted == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_fresh_connection_that_dies_before_the_head_is_broken_and_not_retried(
    upstream: Start, pool: Pool, sent: bytes, how: str
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(sent)
        await asyncio.sleep(0.01)
        if how == "reset":
            peer.reset()

    server = await upstream(script)
    with pytest.raises(UpstreamBroken, match="before it answered"):
        await ask(pool, server.origin)
    assert server.accepted == 1


async def test_a_body_delimited_by_closing_is_broken_where_the_connection_was_reset(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")  # the body stays unread: closing resets
        peer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.02)
        linger_reset(peer)

    server = await upstream(script)
    reply = await ask(pool, server.origin)
    assert await reply.read() == b"half"
    with pytest.raises(UpstreamBroken):
        await reply.read()


def linger_reset(peer: Peer) -> None:
    """Make the close that follows send RST."""
    import socket
    import struct

    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.reset()


@pytest.mark.parametrize(
    "flood",
    [
        b"X-Long: " + b"a" * 400_000,
        b"X-Many: 1\r\n" * 40_000,
        b"\r\nHTTP/1.1 100 Continue\r\n" * 20_000,
    ],
)
async def test_a_head_over_the_bound_is_broken(upstream: Start, pool: Pool, flood: bytes) -> None:
    first = b"HTTP/1.1 103 Hints\r\n" if flood.startswith(b"\r\n") else b"HTTP/1.1 200 OK\r\n"

    async def script(peer: Peer) -> None:
        await peer.request()
        for i in range(0, len(flood), 8192):
            peer.write((first if i == 0 else b"") + flood[i : i + 8192])
            await peer.writer.drain()
        await peer.gone()

    server = await upstream(script)
    with pytest.raises(UpstreamBroken, match=f"more than {MAX_HEAD_BYTES} bytes of headers"):
        await asyncio.wait_for(fetch(pool, server.origin), 5)


async def test_trailers_over_the_bound_are_broken(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED + b"2\r\nok\r\n0\r\n")
        for _ in range(100):
            peer.write(b"X-Trailer: " + b"a" * 8000 + b"\r\n")
            await peer.writer.drain()
        await peer.gone()

    server = await upstream(script)
    with pytest.raises(UpstreamBroken, match="bytes of headers"):
        await asyncio.wait_for(fetch(pool, server.origin), 5)


# --- silence ---


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_no_head_within_first_byte_is_a_timeout(upstream: Start, pool: Pool, sent: bytes) -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(sent)
        await peer.gone()
        closed.set()

    server = await upstream(script)
    with pytest.raises(UpstreamTimeout, match=r"did not answer within 0\.1 s"):
        await ask(pool, server.origin, timeouts=Timeouts(5, 0.1, 5))
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_head_that_drips_does_not_move_the_deadline(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1000:
            peer.write(bytes([byte]))
            await asyncio.sleep(0.02)

    server = await upstream(script)
    with pytest.raises(UpstreamTimeout, match="did not answer"):
        await asyncio.wait_for(ask(pool, server.origin, timeouts=Timeouts(5, 0.2, 5)), 3)


async def test_silence_within_a_body_is_a_timeout_and_closes_the_connection(upstream: Start, pool: Pool) -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED + b"5\r\nhello\r\n")
        await peer.gone()
        closed.set()

    server = await upstream(script)
    reply = await ask(pool, server.origin, timeouts=Timeouts(5, 5, 0.1))
    got: list[bytes] = []
    with pytest.raises(UpstreamTimeout, match=r"fell silent for 0\.1 s"):
        await reply.pump(got.append)
    assert got == [b"hello"]
    await asyncio.wait_for(closed.wait(), 5)


async def test_a_slow_drip_is_not_silence(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED)
        for _ in range(30):
            await asyncio.sleep(0.05)
            peer.write(b"1\r\nx\r\n")
        peer.write(b"0\r\n\r\n")

    server = await upstream(script)
    assert await fetch(pool, server.origin, timeouts=Timeouts(5, 5, 1)) == b"x" * 30


async def test_time_that_the_reader_paused_is_not_the_upstreams_silence(upstream: Start, pool: Pool) -> None:
    server = await upstream(once(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000))
    reply = await ask(pool, server.origin, timeouts=Timeouts(5, 5, 0.1))
    reply.pause()
    await asyncio.sleep(0.4)
    reply.resume()
    assert len(await read_all(reply)) == 300_000


# --- leaving ---


@pytest.mark.parametrize("stage", ["before the head", "reading", "pumping"])
async def test_the_upstream_sees_a_cancelled_call_go_at_once(upstream: Start, pool: Pool, stage: str) -> None:
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if stage != "before the head":
            peer.write(CHUNKED + b"2\r\nok\r\n")
        await peer.gone()
        left.set()

    async def call() -> None:
        reply = await ask(pool, server.origin)
        try:
            if stage == "pumping":
                await reply.pump(lambda data: None)
            await read_all(reply)
        finally:
            reply.close()

    server = await upstream(script)
    task = asyncio.create_task(call())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(left.wait(), 5)  # in fact at once; the room is for a busy machine


async def test_a_large_reply_that_nobody_reads_stays_at_the_upstream(upstream: Start, pool: Pool) -> None:
    total = 200_000_000
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        block = b"x" * 100_000
        while sent < total:
            peer.write(block)
            await peer.writer.drain()
            sent += len(block)

    server = await upstream(script)
    reply = await ask(pool, server.origin)
    await asyncio.sleep(0.5)
    stuck = sent
    await asyncio.sleep(0.2)
    assert sent == stuck < total / 4  # what the kernel's socket buffers hold
    assert len(reply.take()) <= 64 * 1024 + 256 * 1024  # the bound and one read over it
    received = 0

    def count(data: bytes) -> None:
        nonlocal received
        received += len(data)

    await reply.pump(count)
    assert reply.complete
    assert total - 64 * 1024 - 256 * 1024 <= received < total


async def test_a_paused_pump_stops_the_upstream(upstream: Start, pool: Pool) -> None:
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.write(CHUNKED)
        while True:
            peer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await peer.writer.drain()
            sent += 65536

    server = await upstream(script)
    reply = await ask(pool, server.origin)
    after_pause = 0

    def sink(data: bytes) -> None:
        nonlocal after_pause
        reply.pause()
        after_pause += len(data)

    task = asyncio.create_task(reply.pump(sink))
    await asyncio.sleep(0.3)
    stuck = sent
    await asyncio.sleep(0.2)
    assert sent == stuck
    assert after_pause <= 512 * 1024
    task.cancel()
    reply.close()


async def test_a_sink_may_send_again_from_the_last_piece(upstream: Start, pool: Pool) -> None:
    server = await upstream(once(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    for _ in range(20):
        assert await fetch(pool, server.origin, timeouts=PATIENT) == b"ok"
    assert server.accepted == 1
