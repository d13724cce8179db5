"""Who gets which connection, how many there are, and what is tried again."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from freehold.base.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from freehold.upstream import connection as connection_module
from freehold.upstream.connection import Connection
from freehold.upstream.pool import Pool, advertised_s
from freehold.upstream.reply import Reply
from freehold.upstream.transport import Origin, Timeouts

from .conftest import SWEEP_S, Peer, Script, Upstream, ask, fetch

Start = Callable[[Script], Awaitable[Upstream]]
QUICK = Timeouts(connect_s=0.2, first_byte_s=5, idle_s=5)


async def polite(peer: Peer) -> None:
    while True:
        await peer.request()
        peer.answer(b"%d" % peer.number)


async def test_the_connection_used_last_is_used_first(upstream: Start, pool: Pool) -> None:
    release = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await release.wait()
        peer.answer(b"%d" % peer.number)
        await polite(peer)

    server = await upstream(script)
    first = asyncio.create_task(fetch(pool, server.origin))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(fetch(pool, server.origin))
    await asyncio.sleep(0.05)
    release.set()
    await asyncio.gather(first, second)
    last = await fetch(pool, server.origin)
    assert [await fetch(pool, server.origin) for _ in range(5)] == [last] * 5
    assert server.accepted == 2


async def test_a_connection_is_given_back_when_the_last_byte_arrived_even_if_unread(upstream: Start, pool: Pool) -> None:
    server = await upstream(polite)
    first = await ask(pool, server.origin)
    second = await ask(pool, server.origin)
    assert (first.take(), second.take(), server.accepted) == (b"0", b"0", 1)


async def test_closing_a_whole_reply_late_does_not_touch_the_call_that_has_its_connection_now(
    upstream: Start, pool: Pool
) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer()
        await peer.request()
        await asyncio.sleep(0.05)
        peer.answer(b"second")
        await peer.gone()

    server = await upstream(script)
    first = await ask(pool, server.origin)
    second = asyncio.create_task(fetch(pool, server.origin))
    await asyncio.sleep(0.01)
    first.pause()
    first.close()
    assert await second == b"second"
    assert server.accepted == 1


async def test_a_reader_that_paused_hands_on_a_connection_that_reads(upstream: Start, pool: Pool) -> None:
    server = await upstream(polite)
    for _ in range(3):
        reply = await ask(pool, server.origin)
        pumping = asyncio.create_task(reply.pump(lambda data: None))
        reply.pause()
        await pumping
    assert await fetch(pool, server.origin) == b"0"


# --- limits ---


@pytest.mark.parametrize("limit", [1, 3])
async def test_calls_over_the_limit_wait_and_share_the_connections(upstream: Start, limit: int) -> None:
    open_now = most = 0

    async def script(peer: Peer) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        try:
            while True:
                request = await peer.request()
                await asyncio.sleep(0.002)
                peer.answer(request[-2:])
        finally:
            open_now -= 1

    server = await upstream(script)
    pool = Pool(max_connections=limit, sweep_s=SWEEP_S)
    order: list[bytes] = []

    async def call(i: int) -> None:
        order.append(await fetch(pool, server.origin, b"%02d" % i))

    await asyncio.gather(*(call(i) for i in range(30)))
    assert sorted(order) == [b"%02d" % i for i in range(30)]
    if limit == 1:
        assert order == sorted(order)  # first come, first served
    assert (most, server.accepted) == (limit, limit)
    await pool.close()


async def test_a_call_that_waits_longer_than_connect_s_is_refused_and_leaves_the_line(upstream: Start) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.5)
        peer.answer(b"slow")
        await polite(peer)

    server = await upstream(script)
    pool = Pool(max_connections=1, sweep_s=SWEEP_S)
    busy = asyncio.create_task(fetch(pool, server.origin))
    await asyncio.sleep(0.05)
    with pytest.raises(UpstreamTimeout, match="all 1 connections"):
        await ask(pool, server.origin, timeouts=QUICK)
    assert await busy == b"slow"
    assert await fetch(pool, server.origin) == b"0"
    await pool.close()


async def test_a_place_is_passed_on_when_its_connection_dies(upstream: Start) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.02)
        if peer.number == 0:
            peer.reset()
        else:
            peer.answer(b"alive")
            await peer.gone()

    server = await upstream(script)
    pool = Pool(max_connections=1, sweep_s=SWEEP_S)
    results = await asyncio.gather(*(fetch(pool, server.origin) for _ in range(3)), return_exceptions=True)
    assert isinstance(results[0], UpstreamBroken)
    assert results[1] == b"alive"
    await pool.close()


async def test_places_survive_cancelled_waiters_and_failed_dials(upstream: Start) -> None:
    pool = Pool(max_connections=2, sweep_s=SWEEP_S)
    server = await upstream(polite)
    dead = Origin("http", "127.0.0.1", 1)
    for _ in range(5):
        with pytest.raises(UpstreamUnreachable):
            await ask(pool, dead)
    for round_ in range(20):
        tasks = [asyncio.create_task(fetch(pool, server.origin)) for _ in range(8)]
        await asyncio.sleep(0.001 * (round_ % 5))
        for task in tasks[:: 1 + round_ % 3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert await asyncio.wait_for(asyncio.gather(*(fetch(pool, server.origin) for _ in range(6))), 5)
    await asyncio.sleep(0.1)
    bucket = pool._buckets[server.origin]
    assert bucket.open == len(bucket.connections) <= 2
    assert not bucket.waiters
    await pool.close()


# --- what is tried again ---


async def test_an_idle_connection_that_the_server_closed_is_not_used(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer(b"%d" % peer.number)

    server = await upstream(script)
    for i in range(3):
        assert await fetch(pool, server.origin) == b"%d" % i
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_reused_connection_closed_as_we_send_is_replaced_once(upstream: Start, pool: Pool, how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer(b"%d" % peer.number)
        await peer.request()
        if peer.number == 0:
            if how == "reset":
                peer.reset()
            return
        peer.answer(b"again %d" % peer.number)

    server = await upstream(script)
    assert await fetch(pool, server.origin) == b"0"
    assert await fetch(pool, server.origin) == b"1"
    assert server.accepted == 2


async def test_the_second_try_is_the_last(upstream: Start, pool: Pool) -> None:
    seen = 0

    async def script(peer: Peer) -> None:
        nonlocal seen
        if peer.number == 0:
            await peer.request()
            peer.answer()
        await peer.request()
        seen += 1

    server = await upstream(script)
    await fetch(pool, server.origin)
    with pytest.raises(UpstreamBroken, match="before it answered"):
        await fetch(pool, server.origin)
    assert seen == 2


@pytest.mark.parametrize("sent", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", b"garbage"])
async def test_a_call_is_not_repeated_once_a_byte_was_answered(upstream: Start, pool: Pool, sent: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer()
        await peer.request()
        peer.write(sent)
        await asyncio.sleep(0.02)

    server = await upstream(script)
    await fetch(pool, server.origin)
    with pytest.raises(UpstreamBroken):
        await fetch(pool, server.origin)
    assert server.accepted == 1


async def test_a_call_is_not_repeated_when_the_server_may_have_worked_on_it(
    upstream: Start, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "STALE_WINDOW_S", 0.05)

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer()
        await peer.request()
        await asyncio.sleep(0.2)

    server = await upstream(script)
    await fetch(pool, server.origin)
    with pytest.raises(UpstreamBroken):
        await fetch(pool, server.origin)
    assert server.accepted == 1


async def test_a_timeout_is_not_a_stale_connection(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer()
        await peer.request()
        await peer.gone()

    server = await upstream(script)
    await fetch(pool, server.origin)
    with pytest.raises(UpstreamTimeout):
        await ask(pool, server.origin, timeouts=Timeouts(5, 0.1, 5))
    assert server.accepted == 1


async def test_no_call_is_lost_against_a_server_that_closes_after_each_few(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        for _ in range(1 + peer.number % 4):
            await peer.request()
            peer.answer()

    server = await upstream(script)
    results = [await fetch(pool, server.origin) for _ in range(150)]
    assert results == [b"ok"] * 150
    assert server.accepted >= 40


async def test_bytes_that_nobody_asked_for_close_an_idle_connection(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer(b"%d" % peer.number)
        await asyncio.sleep(0.03)
        peer.answer(b"poison")
        await peer.gone()

    server = await upstream(script)
    assert await fetch(pool, server.origin) == b"0"
    await asyncio.sleep(0.1)
    assert await fetch(pool, server.origin) == b"1"


# --- age ---


async def test_an_idle_connection_is_closed_at_its_age(upstream: Start) -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer()
        await peer.gone()
        closed.set()

    server = await upstream(script)
    pool = Pool(max_idle_s=0.1, sweep_s=0.02)
    await fetch(pool, server.origin)
    await asyncio.wait_for(closed.wait(), 5)
    await asyncio.sleep(0.05)
    assert pool._buckets[server.origin].open == 0
    assert pool._timer is None  # nothing to watch: the sweep rests
    await pool.close()


async def test_the_servers_keep_alive_timeout_is_obeyed(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.answer(b"%d" % peer.number, head=b"Keep-Alive: timeout=1, max=100\r\n")
        await peer.gone()

    server = await upstream(script)
    assert await fetch(pool, server.origin) == b"0"
    await asyncio.sleep(SWEEP_S * 3)
    assert await fetch(pool, server.origin) == b"1"


@pytest.mark.parametrize(
    ("header", "seconds"), [(b"timeout=5", 4), (b"max=3, Timeout=60", 59), (b"max=3", float("inf")), (b"timeout=x", float("inf"))]
)
def test_the_advertised_age_leaves_a_second_to_close_first(header: bytes, seconds: float) -> None:
    assert advertised_s(header) == seconds


# --- reaching ---


async def test_a_refused_connection_is_unreachable_and_names_the_origin(pool: Pool) -> None:
    with pytest.raises(UpstreamUnreachable, match=r"http://127\.0\.0\.1:1: .*refused"):
        await ask(pool, Origin("http", "127.0.0.1", 1))


async def test_a_server_that_hangs_up_at_once_is_broken_or_stale_but_never_hangs(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        peer.reset()

    server = await upstream(script)
    for _ in range(20):
        with pytest.raises(UpstreamBroken):
            await asyncio.wait_for(ask(pool, server.origin), 2)
    await asyncio.sleep(0.05)
    assert pool._buckets[server.origin].open == 0


async def test_a_closed_pool_refuses_calls_and_ends_those_under_way(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.gone()

    server = await upstream(script)
    calling = asyncio.create_task(ask(pool, server.origin))
    await asyncio.sleep(0.05)
    await pool.close()
    with pytest.raises(UpstreamBroken, match="shutting down"):
        await calling
    with pytest.raises(UpstreamTimeout, match="shutting down"):
        await ask(pool, server.origin)


async def test_finished_calls_leave_nothing_behind(upstream: Start, pool: Pool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    server = await upstream(script)
    gc.collect()
    gc.disable()
    try:
        await fetch(pool, server.origin)
        await asyncio.sleep(0.1)
        # Freed by counting alone: no cycle is left for the collector.
        assert [thing for thing in gc.get_objects() if isinstance(thing, Connection | Reply)] == []
    finally:
        gc.enable()
