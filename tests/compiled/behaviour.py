"""A program that takes calls through every way to fail and prints, as JSON, what came of each.

Run once with the plain sources and once with compiled ones, it must print the same. No sockets: bytes are handed to the
protocols by hand, so that a client can leave after any given turn of the event loop.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from freehold.base import build
from freehold.base.aio import Call
from freehold.base.errors import UpstreamBroken
from freehold.config.load import parse
from freehold.gateway.connection import Connection
from freehold.gateway.endpoints import Gateway
from freehold.gateway.server import Server
from freehold.observe import log
from freehold.observe.metrics import Metrics
from freehold.pipeline import attempt
from freehold.pipeline.objects import compile_snapshot
from freehold.pipeline.runtime import Runtime
from freehold.store.spool import Spool, read_lines
from freehold.upstream import connection as upstream
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.pool import Pool
from freehold.upstream.reply import Reply
from freehold.upstream.transport import Origin
from freehold.wire.registry import DIALECTS

TURNS = 14
CONFIG = """
discover: false
providers: {lab: {dialect: openai_chat, base_url: "http://lab/v1", price: {input: 1, output: 2}}}
routes:
  fast: {retries: 2, targets: [{provider: lab, model: small}]}
  fine: {retries: 0, targets: [{provider: lab, model: big}, {provider: lab, model: small}]}
keys: [{name: dev, key: "kkkkkkkkkkkkkkkk", models: [fast, fine]}]
"""


class Transport:
    """Keeps what is written. `paused` makes the next write of a client's transport call `pause_writing`."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.written = b""
        self.closed = ""
        self.slow = False

    def write(self, data: bytes) -> None:
        self.written += data
        if self.slow:
            self.slow = False
            self.protocol.pause_writing()

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.write(b"".join(pieces))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, *_: int) -> None: ...

    def is_closing(self) -> bool:
        return bool(self.closed)

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.end("closed")

    def abort(self) -> None:
        self.end("aborted")

    def end(self, how: str) -> None:
        if not self.closed:
            self.closed = how
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class Stage:
    """One gateway with two idle upstream connections, and what the upstream says: a piece a turn once it was asked."""

    def __init__(self, folder: Path, pieces: list[bytes | str]) -> None:
        loop = asyncio.get_running_loop()
        config, problems = parse(CONFIG, {}, PROVIDERS)
        assert not problems, problems
        self.folder = folder
        self.spool = Spool(folder, segment_bytes=256 * 1024)
        self.pool = Pool()
        self.gateway = Gateway(Runtime(compile_snapshot(config, PROVIDERS), self.pool, self.spool, Metrics(), len))
        self.server = Server(self.gateway, config.server)
        self.pieces = pieces
        self.upstreams: list[Transport] = []
        self.bucket = self.pool._bucket(Origin("http", "lab", 80))
        for _ in range(2):
            transport = Transport()
            connection = upstream.Connection(self.bucket, loop)
            transport.protocol = connection
            connection.connection_made(transport)  # type: ignore[arg-type]
            self.bucket.keep(connection)
            self.bucket.connections.add(connection)
            self.bucket.open += 1
            self.upstreams.append(transport)

    def feed(self) -> None:
        """Each connection that was asked gets the next piece; "eof" and "reset" end it."""
        for transport in self.upstreams:
            if transport.protocol.phase in (upstream.IDLE, upstream.CLOSED) or not transport.written or not self.pieces:
                continue
            piece = self.pieces.pop(0)
            if piece == "eof":
                transport.protocol.eof_received()
            elif piece == "reset":
                transport.end("reset")
            elif piece:
                assert isinstance(piece, bytes)
                transport.protocol.data_received(piece)

    async def call(self, request: bytes, leaves_at: int, slow: bool = False) -> dict[str, Any]:
        """One client: it sends `request`, and is gone after `leaves_at` turns."""
        await self.server.start([])
        client = Transport()
        connection = Connection(self.server)
        client.protocol = connection
        client.slow = slow
        connection.connection_made(client)  # type: ignore[arg-type]
        connection.data_received(request)
        for turn in range(TURNS):
            if turn == leaves_at:
                client.end("gone")
            await _turn()
            self.feed()
            if slow and turn == TURNS // 2 and turn < leaves_at:
                connection.resume_writing()
        for _ in range(TURNS):
            await _turn()
        found = {
            "status": client.written[9:12].decode(),
            "end": client.written[-12:].decode("ascii", "replace"),
            "client": client.closed,
        }
        await self.server.drain(0)
        found["active"] = self.server.active_calls
        found["upstreams"] = [transport.closed or transport.protocol.phase for transport in self.upstreams]
        await self.pool.close()
        self.spool.close()
        lines = list(read_lines(self.folder))
        found["ledger"] = [(x.outcome, x.status, x.error, [a.reason for a in x.attempts], x.output) for x in lines]
        return found


_sleep = asyncio.sleep


async def _turn() -> None:
    await _sleep(0)


async def _short_sleep(_: float, result: Any = None) -> Any:
    """Three turns instead of a pause between two tries."""
    for _i in range(3):
        waiter = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda w=waiter: w.done() or w.set_result(None))
        await waiter
    return result


def _request(body: bytes, path: bytes = b"/v1/chat/completions") -> bytes:
    head = b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer kkkkkkkkkkkkkkkk\r\ncontent-length: %d\r\n\r\n"
    return head % (path, len(body)) + body


def _asks(model: str, stream: bool = False) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **({"stream": True} if stream else {})}
    return _request(json.dumps(body).encode())


def _whole(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


GOOD = json.dumps(
    {
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
).encode()
_EVENT = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"yes "}}]}\n\n'
_STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_PIECES = [_STREAM, _chunk(_EVENT), _chunk(_EVENT), _chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"]
SCENES: dict[str, tuple[bytes, list[bytes | str]]] = {
    "whole": (_asks("fast"), [_whole(200, GOOD)]),
    "whole in pieces": (_asks("fast"), [_whole(200, GOOD)[:40], _whole(200, GOOD)[40:90], _whole(200, GOOD)[90:]]),
    "stream": (_asks("fast", True), [*_PIECES]),
    "stream with an error inside": (_asks("fast", True), [*_PIECES[:2], _chunk(b'data: {"error":{"message":"no"}}\n\n')]),
    "stream cut": (_asks("fast", True), [*_PIECES[:3], "eof"]),
    "stream reset": (_asks("fast", True), [*_PIECES[:2], "reset"]),
    "garbage in a stream": (_asks("fast", True), [*_PIECES[:2], _chunk(b"data: {{{\n\n")]),
    "retry": (_asks("fast"), [_whole(500, b"{}"), _whole(200, GOOD)]),
    "fallback": (_asks("fine"), [_whole(503, b"{}"), _whole(200, GOOD)]),
    "refused": (_asks("fast"), [_whole(400, b'{"error":{"message":"bad"}}')]),
    "refused slowly": (_asks("fast"), [_whole(500, b"x" * 90)[:100], b"x", "reset", _whole(200, GOOD)]),
    "garbage": (_asks("fine"), [b"SSH-2.0\r\n\r\n", b"SSH-2.0\r\n\r\n"]),
    "silent": (_asks("fine"), []),
    "no such model": (_asks("none"), []),
    "no JSON": (_request(b"{"), []),
    "no such path": (_request(b"{}", b"/v1/none"), []),
}


async def failures() -> dict[str, Any]:
    """Every scene, with a client that stays and with one that leaves after each turn."""
    asyncio.sleep = _short_sleep  # type: ignore[assignment]
    found: dict[str, Any] = {}
    for name, (request, pieces) in SCENES.items():
        for leaves_at in range(TURNS + 1):
            for slow in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    random.seed(1)
                    stage = Stage(Path(folder), list(pieces))
                    title = f"{name}, {'a slow client' if slow else 'a client'} that leaves at {leaves_at}"
                    found[title] = await stage.call(request, leaves_at, slow)
    return found


async def bug_inside() -> dict[str, Any]:
    """An exception that nobody expects becomes a 500, a ledger line and a log line that says where."""
    said: list[Any] = []
    log.event = lambda level, name, **fields: said.append((level, name, fields["error"], fields["where"]))  # type: ignore[assignment]

    def broken(*_: object) -> Any:
        raise ZeroDivisionError("a secret that must not be told")

    dialect: Any = DIALECTS["openai_chat"]
    dialect.patch = broken
    with tempfile.TemporaryDirectory() as folder:
        found = await Stage(Path(folder), []).call(_asks("fast"), TURNS)
    del dialect.patch
    assert len(said) == 1, said
    level, name, error, where = said[0]
    return {**found, "log": (level, name, error), "where": [place.rpartition(":")[2].split(" ")[1] for place in where]}


class _Source:
    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def abort(self) -> None: ...


def coroutines() -> dict[str, Any]:
    """The coroutine protocol by hand: what each does when it is closed, cancelled or given a foreign exception where it waits."""
    loop = asyncio.get_event_loop()

    async def read(reply: Reply) -> object:
        return await reply.read()

    makers: dict[str, Callable[[Reply], Coroutine[Any, Any, Any]]] = {
        "Reply.read": lambda reply: reply.read(),
        "Reply.arrival": lambda reply: reply.arrival(),
        "Reply.pump": lambda reply: reply.pump(lambda data: None),
        "a coroutine around Reply.read": read,
        "attempt._refusal": lambda reply: attempt._refusal(reply, _FakeTarget(), _FakeSide()),  # type: ignore[arg-type]
    }
    found: dict[str, Any] = {}
    for name, make in makers.items():
        for how in ("close", "close before the start", "CancelledError", "KeyError", "UpstreamBroken"):
            reply = Reply(_Source(), loop)
            reply.status = 500
            coroutine = make(reply)
            if how != "close before the start":
                coroutine.send(None)._asyncio_future_blocking = False
            found[f"{name}: {how}"] = _end(coroutine, how), reply._waiter is None, reply._sink is None
    found["Call cancelled before its start"] = _call(loop, before=True)
    found["Call cancelled where it waits"] = _call(loop, before=False)
    return found


class _FakeTarget:
    label = "lab/small"

    class provider:
        name = "lab"


class _FakeSide:
    dialect = DIALECTS["openai_chat"]


def _end(coroutine: Coroutine[Any, Any, Any], how: str) -> list[str]:
    """The exception that comes out, and the functions it came through (compiled ones are named going in and coming out)."""
    errors = {"CancelledError": asyncio.CancelledError(), "KeyError": KeyError("k"), "UpstreamBroken": UpstreamBroken("b")}
    try:
        if how.startswith("close"):
            coroutine.close()
            return ["closed"]
        coroutine.throw(errors[how])
    except StopIteration as stop:
        return ["returned", type(stop.value).__name__]
    except BaseException as error:
        names = [frame.name for frame in traceback.extract_tb(error.__traceback__)[1:]]
        return [type(error).__name__, *dict.fromkeys(names)]
    return ["waits again"]


def _call(loop: asyncio.AbstractEventLoop, before: bool) -> list[str]:
    seen: list[str] = []

    async def work() -> None:
        try:
            seen.append("began")
            await Reply(_Source(), loop).arrival()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("cleaned up")

    async def run() -> None:
        call = Call(work())
        if before:
            call.cancel()
        call.start()
        call.cancel()
        for _ in range(3):
            await _turn()
        seen.append(f"done {call.done}")

    loop.run_until_complete(run())
    return seen


def main() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    problems: list[str] = []
    loop.set_exception_handler(lambda _, context: problems.append(str(context.get("message"))))
    found = {
        "coroutines": coroutines(),
        "bug inside": loop.run_until_complete(bug_inside()),
        "failures": loop.run_until_complete(failures()),
        "problems": problems,
    }
    print(json.dumps({"build": build.description(), "found": found}))


if __name__ == "__main__":
    sys.exit(main())
