"""2,000 slow streams at once on one worker, with default settings and under the descriptor limit that shells set."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator

import pytest

from tests import client
from tests.endtoend.conftest import CHAT, Freehold, ask, eventually
from tests.pipeline.upstream import stream

STREAMS = 2_000
EACH_BYTES = 96 * 1024  # of resident memory, both connections and their call included


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """What a login shell gives its programs; `allow_many` is for the test's own sockets."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 3 * STREAMS:
        pytest.skip(f"needs a hard limit of {3 * STREAMS} open files; it is {before[1]}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def allow_many() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def test_two_thousand_open_streams_are_served_by_one_worker(freehold: Freehold, few_descriptors: None) -> None:
    lab = await freehold.upstream()
    up = freehold.start()
    allow_many()
    assert (await freehold.call(CHAT, ask())).status == 200
    release = asyncio.Event()
    lab.acts(stream("one ", "two", held=release))
    before = up.resident_bytes()

    async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await freehold.send(CHAT, ask(stream=True))
        assert b" 200 " in (await reader.readuntil(b"\r\n\r\n"))[:16]
        await reader.readuntil(b"\n\n")
        return reader, writer

    opened = []
    async with asyncio.timeout(60):
        for _ in range(STREAMS // 100):
            opened += await asyncio.gather(*(open_one() for _ in range(100)))
    assert lab.open >= STREAMS
    each = (up.resident_bytes() - before) // STREAMS
    print(f"\n{STREAMS} open streams: resident +{each} B each")
    assert each < EACH_BYTES

    metrics = (await freehold.call("/metrics", method="GET")).body  # one more client is served meanwhile
    assert b"freehold_active_calls %d.0" % (STREAMS + 1) in metrics
    release.set()
    for reader, writer in opened:
        assert b"[DONE]" in await asyncio.wait_for(reader.read(), 60)
        writer.close()
    await eventually(lambda: sum(line.outcome == "ok" for line in freehold.ledger) == STREAMS + 1, "every call is recorded")


async def test_a_providers_own_bound_holds_and_says_so(freehold: Freehold) -> None:
    lab = await freehold.upstream(max_connections=2, timeouts={"connect": 0.3})
    freehold.route("r", "lab/m")
    freehold.start()
    release = asyncio.Event()
    lab.acts(stream("one ", held=release))
    opened = [await freehold.send(CHAT, ask("r", stream=True)) for _ in range(2)]
    for reader, _ in opened:
        await reader.readuntil(b"\n\n")
    got = await freehold.call(CHAT, ask("r"))
    assert got.status == 504 and "max_connections" in got.json["error"]["message"]
    assert len(lab.seen) == 2
    # A reload with another bound counts for new calls at once.
    freehold.config["providers"]["lab"]["max_connections"] = 3
    freehold.write()
    await eventually(lambda: any(e["event"] == "reloaded" for e in freehold.events), "the new bound is read")
    release.set()
    assert (await client.call(freehold.up.port, CHAT, ask("r", stream=True), key=freehold.config["keys"][0]["key"])).whole
    for _, writer in opened:
        writer.close()
