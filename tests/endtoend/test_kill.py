"""`kill -9` under load: every call whose end a client has seen is in the spool, and no call is there twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from tests import client
from tests.endtoend.conftest import CHAT, KEY, MESSAGES, Freehold, ask
from tests.pipeline.upstream import Act, Seen, reply, stream

ROUNDS = 20
CLIENTS = 8  # on keep-alive connections: every second one asks for streams, every fourth in the other dialect
LOAD_S = (0.05, 0.6)

WHOLE = reply("hello")
STREAM = stream("one ", "two ", "three", gap_s=0.002)


def answer(seen: Seen) -> Act:
    return STREAM if seen.json.get("stream") else WHOLE


class Load:
    """Calls without a pause until the gateway is gone. `seen` holds the ids of the calls whose end has come."""

    def __init__(self, port: int) -> None:
        self.seen: list[str] = []
        self._port = port

    async def one_client(self, number: int) -> None:
        body = ask(stream=bool(number % 2))
        data = client.request(MESSAGES if number % 4 > 1 else CHAT, body, key=KEY)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while True:
                writer.write(data)
                await (self._stream(reader) if body["stream"] else self._whole(reader))
        except (OSError, asyncio.IncompleteReadError):
            return  # killed

    async def _whole(self, reader: asyncio.StreamReader) -> None:
        got = await client.read(reader)
        if got.whole:
            assert got.status == 200
            self.seen.append(got.headers["x-freehold-call-id"])

    async def _stream(self, reader: asyncio.StreamReader) -> None:
        """Seen is a stream with its last event, before the HTTP message around it has ended."""
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head[:16]
        call_id = head.partition(b"x-freehold-call-id: ")[2].partition(b"\r\n")[0].decode()
        events = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            events = events[-100:] + (await reader.readexactly(size + 2))[:-2]
            if b"[DONE]" in events or b"message_stop" in events:
                self.seen.append(call_id)
                events = b""
        await reader.readexactly(2)


async def test_no_finished_call_is_lost_or_written_twice(freehold: Freehold) -> None:
    lab = await freehold.upstream("lab")
    lab.choose = answer
    dice = random.Random(20)
    seen: list[str] = []
    for number in range(ROUNDS):
        up = freehold.start("--workers", "2" if number % 4 == 3 else "1")
        load = Load(up.port)
        async with asyncio.TaskGroup() as clients:
            for n in range(CLIENTS):
                clients.create_task(load.one_client(n))
            while len(load.seen) < CLIENTS:
                await asyncio.sleep(0.01)
            await asyncio.sleep(dice.uniform(*LOAD_S))
            up.kill()
        seen += load.seen
        recorded = Counter(line.call_id for line in freehold.ledger)
        lost = [call_id for call_id in seen if call_id not in recorded]
        assert not lost, f"round {number}: {len(lost)} of {len(seen)} calls are not in the spool, first {lost[0]}"
        assert max(recorded.values()) == 1, f"round {number}: {recorded.most_common(1)}"
    assert len(set(seen)) == len(seen) > ROUNDS * CLIENTS
    print(f"\n{ROUNDS} rounds, {len(seen)} calls seen to end, {recorded.total()} recorded")
