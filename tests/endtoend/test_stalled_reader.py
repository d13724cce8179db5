"""A client that asks for a 200 MB stream and then reads nothing costs the gateway no memory, and in the end gets every byte.

Measured is the resident memory of the whole process, after a call that stalled has once made the allocator as large as such a
call needs. On top of BUFFERS, what a stalled call may hold, there is an allowance: the ledger lines of the calls that others
make meanwhile are in mapped pages, and the allocator's pages vary a little.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Iterator

import pytest

from tests import client
from tests.endtoend.conftest import CHAT, KEY, MESSAGES, Freehold, ask, eventually
from tests.pipeline.upstream import Act, ScriptedUpstream, Seen, chunk, stream, usage_chunk

TOTAL_BYTES = 200 * 1024 * 1024
TEXT_CHARS = 16 * 1024
BUFFERS = 256 * 1024
NOISE = 256 * 1024
LINE = 1024
CALLS = 32


class Large:
    """The upstream's reply in numbered pieces, with its digest as far as it was sent."""

    def __init__(self, total_bytes: int) -> None:
        self.digest = hashlib.sha256()
        self.text_chars = 0
        self._total_bytes = total_bytes

    def pieces(self) -> Iterator[bytes]:
        sent = 0
        number = 0
        while sent < self._total_bytes:
            yield self._piece(chunk(delta={"content": f"{number:08d} " + "x" * TEXT_CHARS}, finish_reason=None))
            self.text_chars += 9 + TEXT_CHARS
            sent += TEXT_CHARS
            number += 1
        yield self._piece(chunk(delta={}, finish_reason="stop"))
        yield self._piece(usage_chunk())
        yield self._piece(b"data: [DONE]\n\n")

    def _piece(self, data: bytes) -> bytes:
        self.digest.update(data)
        return data


def large_or_small(large: Large) -> object:
    def choose(seen: Seen) -> Act:
        if seen.json["model"] == "large":
            return Act(pieces=large.pieces(), content_type="text/event-stream")
        return stream("quick")

    return choose


async def connect_small(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose kernel buffer takes little, so that what is held back is held back by the gateway."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    return await asyncio.open_connection(sock=sock, limit=64 * 1024)


async def at_rest(lab: ScriptedUpstream) -> int:
    """The bytes that upstream has sent, once it sends no more."""
    before = -1
    while before != lab.sent:
        before = lab.sent
        await asyncio.sleep(0.5)
    return before


async def read_all(reader: asyncio.StreamReader) -> tuple[str, int]:
    """The body's digest, and how often it holds the letter that the text is made of."""
    digest, letters = hashlib.sha256(), 0
    while size := int(await reader.readuntil(b"\r\n"), 16):
        data = (await reader.readexactly(size + 2))[:-2]
        digest.update(data)
        letters += data.count(b"x")
    return digest.hexdigest(), letters


class Stalled:
    """A call for the large reply by a client that does not read yet."""

    def __init__(self, freehold: Freehold, lab: ScriptedUpstream, path: str) -> None:
        self._freehold, self._lab, self._path = freehold, lab, path

    async def begin(self, total_bytes: int, *, wait: bool = True) -> int:
        """Returns the bytes that upstream has sent when it sends no more (at once without `wait`)."""
        self.large = Large(total_bytes)
        self._lab.choose = large_or_small(self.large)
        self._lab.sent = 0
        self.reader, self.writer = await connect_small(self._freehold.up.port)
        self.reader._transport.pause_reading()
        body = ask("lab/large", stream=True)
        if self._path == CHAT:
            body["stream_options"] = {"include_usage": True}  # then not one byte of the reply is left out
        self.writer.write(client.request(self._path, body, key=KEY, headers={"connection": "close"}))
        await eventually(lambda: self._lab.sent > 0, "the large reply begins")
        return await at_rest(self._lab) if wait else self._lab.sent

    async def read_on(self) -> None:
        """Read to the end and compare."""
        self.reader._transport.resume_reading()
        head = await self.reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head[:16]
        async with asyncio.timeout(180):
            digest, letters = await read_all(self.reader)
        self.writer.close()
        assert letters >= self.large.text_chars - 9 * (self.large.text_chars // TEXT_CHARS)
        if self._path == CHAT:
            assert digest == self.large.digest.hexdigest(), "not the bytes that upstream sent"
        line = await self._freehold.line(head.partition(b"x-freehold-call-id: ")[2].partition(b"\r\n")[0].decode())
        assert (line.outcome, line.output, line.estimated) == ("ok", 2, False)


async def stall(freehold: Freehold, path: str, stall_s: float) -> None:
    lab = await freehold.upstream("lab")
    up = freehold.start()
    call = Stalled(freehold, lab, path)
    await call.begin(24 * 1024 * 1024)
    await call.read_on()

    before = up.resident_bytes()
    sent = await call.begin(TOTAL_BYTES)
    assert sent < 16 * 1024 * 1024, "upstream was not held back"
    most, served = up.resident_bytes(), 0
    loop = asyncio.get_running_loop()
    end = loop.time() + stall_s
    while loop.time() < end:
        got = await freehold.call(path, ask("lab/small", stream=True))
        assert got.status == 200 and got.whole and b"quick" in got.body
        served += 1
        most = max(most, up.resident_bytes())
        await asyncio.sleep(0.1)
    assert lab.sent - sent < 2_000 * served, "upstream went on sending"  # the others' replies are shorter
    print(f"\n{stall_s} s: resident +{most - before} B of {before}, {sent} B sent upstream, {served} others served")
    assert most - before <= BUFFERS + NOISE + LINE * served

    await call.read_on()
    print(f"after {TOTAL_BYTES} B: resident +{up.resident_bytes() - before} B")
    assert up.resident_bytes() - before <= BUFFERS + NOISE + LINE * served


@pytest.mark.parametrize("path", [CHAT, MESSAGES], ids=["passed on", "translated"])
async def test_a_reader_that_stops_costs_no_memory_and_misses_no_byte(freehold: Freehold, path: str) -> None:
    await stall(freehold, path, 3)


@pytest.mark.slow
@pytest.mark.parametrize("path", [CHAT, MESSAGES], ids=["passed on", "translated"])
async def test_a_reader_that_stops_for_a_minute_costs_no_memory_and_misses_no_byte(freehold: Freehold, path: str) -> None:
    await stall(freehold, path, 60)


@pytest.mark.parametrize("path", [CHAT, MESSAGES], ids=["passed on", "translated"])
async def test_every_reader_that_stops_costs_little(freehold: Freehold, path: str) -> None:
    lab = await freehold.upstream("lab")
    up = freehold.start()
    first = Stalled(freehold, lab, path)
    await first.begin(24 * 1024 * 1024)
    await first.read_on()
    before = up.resident_bytes()
    calls = [Stalled(freehold, lab, path) for _ in range(CALLS)]
    for call in calls:
        await call.begin(TOTAL_BYTES, wait=False)
    await at_rest(lab)
    each = (up.resident_bytes() - before) // CALLS
    print(f"\n{CALLS} stalled calls: resident +{each} B each")
    assert each <= BUFFERS + NOISE // 8
    for call in calls:
        call.writer.close()
    assert (await freehold.call(path, ask("lab/small", stream=True))).status == 200
