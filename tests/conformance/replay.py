"""A stand-in for every provider: serves recorded replies, byte for byte, picked by the model name that it is asked for.

A model named `gpt-4o~1a2b`, in the body or the path, means reply `1a2b`. Streams leave in odd-sized chunks, so that no
reader may rely on where a network packet ends. It remembers the requests it received. It checks nothing and has no
faults: those have their own tests.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

# Sizes that cut lines, JSON escapes and multi-byte characters alike, then large ones so that long streams stay cheap.
PIECES = (1, 7, 61, 3, 509, 2, 1021, 4099)
_MARK = re.compile(r"~([\w.-]+)")


@dataclass(frozen=True)
class Reply:
    """What to answer. `sse`: send chunked and in pieces; otherwise whole with a content-length."""

    status: int
    content_type: str
    body: bytes
    sse: bool


@dataclass
class Received:
    """One request as the provider would have seen it. Header names are lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed

    @property
    def key(self) -> str:
        """The mark behind the model's name: of the path where the API names the model there, else of the body."""
        in_path = _MARK.search(self.path)
        return in_path[1] if in_path else str(self.json.get("model", "")).rpartition("~")[2]


@dataclass
class Replay:
    """The server, on a thread of its own. Use as a context manager; `url` is http://127.0.0.1:PORT."""

    replies: dict[str, Reply] = field(default_factory=dict)
    received: dict[str, list[Received]] = field(default_factory=dict)
    url: str = ""

    def __enter__(self) -> Replay:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True, name="replay")
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the replay server did not start within 10 s")
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def last(self, key: str) -> Received:
        return self.received[key][-1]

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                received = await read_request(reader)
                await self._answer(received, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is done with this connection, or the server stops
        finally:
            writer.close()

    async def _answer(self, received: Received, writer: asyncio.StreamWriter) -> None:
        key = received.key
        self.received.setdefault(key, []).append(received)
        reply = self.replies.get(key) or Reply(404, "text/plain", f"nothing is recorded as {key!r}".encode(), sse=False)
        head = f"HTTP/1.1 {reply.status} Recorded\r\ncontent-type: {reply.content_type}\r\nx-request-id: up-{key}\r\n"
        if not reply.sse:
            writer.write(f"{head}content-length: {len(reply.body)}\r\n\r\n".encode() + reply.body)
            await writer.drain()
            return
        writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        for piece in odd_pieces(reply.body):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0)  # let the peer see each piece by itself more often than not
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def read_request(reader: asyncio.StreamReader) -> Received:
    """Raises IncompleteReadError when the client closes between requests."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:]) if name}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(lines[0].split(" ")[1], headers, body)


def odd_pieces(body: bytes) -> Iterator[bytes]:
    start = 0
    for size in cycle(PIECES):
        if start >= len(body):
            return
        yield body[start : start + size]
        start += size
