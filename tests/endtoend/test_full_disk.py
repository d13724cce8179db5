"""A disk that fills up: calls go on for as long as their records have a place, then 503, and nothing is lost in the end."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.store.spool import MAX_HELD, SEGMENT_BYTES
from tests import client
from tests.endtoend.conftest import CHAT, KEY, Freehold, ask, eventually

DISK_BYTES = 2 * SEGMENT_BYTES + 512 * 1024  # the segment being written, the next one, and a little
_CALL_ID = re.compile(rb"\r\nx-freehold-call-id: (\w+)\r\n")
_STATUS = re.compile(rb"HTTP/1\.1 (\d+) ")


@pytest.fixture
def small_disk(freehold: Freehold) -> Iterator[Path]:
    """The data directory on a file system of its own."""
    freehold.data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "freehold-test", str(freehold.data)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system needs root")
    try:
        yield freehold.data
    finally:
        if freehold.up.process.poll() is None:
            freehold.up.kill()
        subprocess.run(["umount", str(freehold.data)], check=True)


class Calls:
    """Refused calls in bulk, which are recorded like any other and cost little: a model that the key may not use."""

    BATCH = 200

    def __init__(self, freehold: Freehold) -> None:
        self.freehold = freehold
        self.statuses: Counter[int] = Counter()
        self.ids: list[str] = []
        # Long names make long lines, so that fewer calls fill the disk.
        headers = {"x-request-id": "r" * 128}
        self._batch = client.request(CHAT, ask("lab/" + "m" * 250), key=KEY, headers=headers) * self.BATCH

    async def some(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.freehold.up.port, limit=1 << 22)
        writer.write(self._batch)
        for _ in range(self.BATCH):
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
            await reader.readexactly(size)
            status = int(_STATUS.match(head)[1])  # type: ignore[index]
            self.statuses[status] += 1
            if status != 503:
                self.ids.append(_CALL_ID.search(head)[1].decode())  # type: ignore[index]
        writer.close()

    async def until(self, wanted: int) -> None:
        while not self.statuses[wanted]:
            await self.some()


async def gauge(freehold: Freehold, name: str) -> float:
    text = (await freehold.call("/metrics", method="GET")).body.decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]


async def test_calls_go_on_until_the_bound_then_stop_and_nothing_is_lost(freehold: Freehold, small_disk: Path) -> None:
    await freehold.upstream()
    freehold.config["keys"][0]["models"] = ["lab/good"]
    # Nobody makes room: with a database that is down, every record has to wait in the spool.
    freehold.env["FREEHOLD_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
    freehold.start()
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - 4096))  # no room for a next segment
    calls = Calls(freehold)

    await calls.until(503)
    # What fits into the segment goes there, the next MAX_HELD lines into memory.
    held = await gauge(freehold, "freehold_spool_held")
    assert held == MAX_HELD
    for _ in range(5):
        await calls.some()
    assert await gauge(freehold, "freehold_spool_held") == held, "what is refused now must not pile up in memory"
    recorded = len(freehold.ledger)
    assert recorded > 1000 and len(calls.ids) == recorded + MAX_HELD
    got = await freehold.call(CHAT, ask("lab/good"))
    assert (got.status, got.headers["retry-after"]) == (503, "5") and "disk full" in got.json["error"]["message"]
    assert (await freehold.call("/readyz", method="GET")).status == 503
    assert (await freehold.call("/healthz", method="GET")).status == 200
    assert not freehold.upstreams[0].seen

    ballast.unlink()
    await eventually(lambda: len(freehold.ledger) >= recorded + MAX_HELD, "what was held is written")
    assert (await freehold.call("/readyz", method="GET")).status == 200
    good = await freehold.call(CHAT, ask("lab/good"))
    assert good.status == 200
    written = Counter(line.call_id for line in freehold.ledger)
    expected = {*calls.ids, good.headers["x-freehold-call-id"]}
    assert not expected - written.keys() and max(written.values()) == 1
    assert await gauge(freehold, "freehold_spool_held") == 0
    print(
        f"\n{recorded} calls in the segment, {MAX_HELD} held, then {calls.statuses[503]} answered 503; {len(written)} in the end"
    )


async def test_a_full_disk_is_told_at_the_start(freehold: Freehold, small_disk: Path) -> None:
    await freehold.upstream()
    (small_disk / "ballast").write_bytes(b"x" * (DISK_BYTES - SEGMENT_BYTES // 2))
    with pytest.raises(AssertionError, match="No space left on device"):
        freehold.start()
    (small_disk / "ballast").unlink()
    freehold.start()
    assert (await freehold.call(CHAT, ask())).status == 200
