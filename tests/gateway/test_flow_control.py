"""A client that stops reading stops whoever writes to it; memory per call stays bounded meanwhile."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from freehold.gateway.request import Request
from freehold.pipeline.output import Output

from .serving import PATIENCE_S, TEXT, Served, eventually, get, serving

PIECE = b"x" * 16 * 1024
PIECES = 200 * 64  # 200 MiB
BOUND_BYTES = 256 * 1024


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Source:
    """Yields pieces, as an upstream would; counts what it has given away. The last is shorter, to be recognised."""

    def __init__(self) -> None:
        self.given = 0

    async def by_waiting(self, request: Request, out: Output) -> None:
        out.start(200, TEXT)
        for _ in range(PIECES):
            await out.drained()
            self.given += 1
            out.write(PIECE)
        out.end(b"end")

    async def by_callbacks(self, request: Request, out: Output) -> None:
        """Produces whenever it is not told to hold back, as a transport with pause_reading does."""
        running = asyncio.Event()
        running.set()
        out.start(200, TEXT)
        out.when_writable(running.clear, running.set)
        if out.paused:
            running.clear()
        for n in range(PIECES):
            await running.wait()
            if n % 16 == 0:
                await asyncio.sleep(0)
            self.given += 1
            out.write(PIECE)
        out.when_writable(None, None)
        out.end(b"end")


async def stopped(source: Source) -> None:
    """Returns once the source has given nothing for a while."""
    async with asyncio.timeout(PATIENCE_S):
        before = -1
        while before != source.given:
            before = source.given
            await asyncio.sleep(0.3)


async def stall_then_read_all(served: Served, source: Source, stall_s: float) -> None:
    client = await served.connect(limit=4096)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    client.send(get("/", "Connection: close"))
    await stopped(source)
    given, resident = source.given, resident_bytes()
    assert 0 < given < PIECES // 4  # what the kernel's buffers hold, and a little
    (connection,) = served.server._connections
    assert connection.transport.get_write_buffer_size() < BOUND_BYTES
    await asyncio.sleep(stall_s)
    assert source.given == given
    assert resident_bytes() - resident < 4 * BOUND_BYTES
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    total, tail = 0, b""
    while data := await asyncio.wait_for(client.reader.read(1 << 20), PATIENCE_S):
        total += len(data)
        tail = (tail + data)[-100:]
    assert total > PIECES * len(PIECE)
    assert tail.endswith(b"\r\n3\r\nend\r\n0\r\n\r\n")
    assert source.given == PIECES


@pytest.mark.parametrize("way", ["by_waiting", "by_callbacks"])
async def test_a_reader_that_stops_on_a_large_reply_costs_no_memory(way: str) -> None:
    source = Source()
    async with serving(getattr(source, way)) as served:
        await stall_then_read_all(served, source, 2)


@pytest.mark.slow
@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("way", ["by_waiting", "by_callbacks"])
async def test_a_reader_that_stops_for_a_minute_costs_no_memory(way: str) -> None:
    source = Source()
    async with serving(getattr(source, way)) as served:
        await stall_then_read_all(served, source, 60)


async def test_one_stalled_reader_does_not_hold_up_another() -> None:
    source = Source()

    async def either(request: Request, out: Output) -> None:
        if request.path == "/large":
            await source.by_waiting(request, out)
        else:
            out.whole(200, TEXT, b"quick")

    async with serving(either) as served:
        stalled = await served.connect(limit=4096)
        stalled.writer.transport.pause_reading()  # type: ignore[attr-defined]
        stalled.send(get("/large"))
        await stopped(source)
        other = await served.connect()
        assert (await other.ask(get())).body == b"quick"


async def test_a_client_that_goes_wakes_whoever_waits_for_it() -> None:
    said: list[str] = []
    source = Source()

    async def stubborn(request: Request, out: Output) -> None:
        try:
            await source.by_waiting(request, out)
        except asyncio.CancelledError:
            try:
                await out.drained()
            except ConnectionResetError as error:
                said.append(str(error))
            raise

    async with serving(stubborn) as served:
        client = await served.connect(limit=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(get())
        await stopped(source)
        client.reset()
        await eventually(lambda: said == ["the client has gone"])
        await eventually(lambda: served.server.active_calls == served.server.open_connections == 0)


async def test_a_client_that_takes_nothing_for_too_long_is_dropped() -> None:
    source = Source()
    async with serving(source.by_waiting, send_timeout=0.5) as served:
        client = await served.connect(limit=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(get())
        await eventually(lambda: served.server.active_calls == 1)
        await eventually(lambda: served.server.active_calls == served.server.open_connections == 0)
        assert 0 < source.given < PIECES


async def test_a_client_that_reads_slowly_but_steadily_is_kept() -> None:
    body = b"x" * 4_000_000

    async def large(request: Request, out: Output) -> None:
        out.whole(200, TEXT, body)

    async with serving(large, send_timeout=0.5, idle_timeout=0.5) as served:
        client = await served.connect(limit=4096)
        client.send(get("/", "Connection: close"))
        total = 0
        while data := await asyncio.wait_for(client.reader.read(100_000), PATIENCE_S):
            total += len(data)
            await asyncio.sleep(0.03)
        assert total > len(body)


async def test_a_finished_reply_that_nobody_takes_is_given_up() -> None:
    async def large(request: Request, out: Output) -> None:
        out.whole(200, TEXT, b"x" * 20_000_000)

    async with serving(large, send_timeout=0.4, idle_timeout=0.4) as served:
        for line in ("Connection: close", "Connection: keep-alive"):
            client = await served.connect(limit=4096)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            client.send(get("/", line))
            await eventually(lambda: served.server.open_connections == 1)
            await eventually(lambda: served.server.open_connections == 0)


async def test_a_reply_to_a_pipelined_request_starts_paused_behind_an_unread_one() -> None:
    paused: list[bool] = []

    async def note(request: Request, out: Output) -> None:
        paused.append(out.paused)
        out.whole(200, TEXT, b"x" * 20_000_000)

    async with serving(note) as served:
        client = await served.connect(limit=4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(get() + get())
        await eventually(lambda: paused == [False, True])
