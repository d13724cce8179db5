"""What a call costs in this process alone, without sockets and kernel: PASS, and TRANSLATE from each client dialect.

    python bench/inprocess.py [--calls 5000] [--rounds 5] [--only DIALECT]

Between the server's connection and the pool's stand no sockets: bytes are handed over by the event loop. What is printed is the
least of the rounds, in microseconds of CPU, and its ratio to PASS in the same run. Finer than `make bench` where a change is
small; blind to what the kernel does, which costs both the same: over sockets the ratios are lower.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import uvloop

from bench.calls import Call
from bench.candidates import FREEHOLD_KEY, FREEHOLD_YAML
from freehold.config.load import load
from freehold.gateway.connection import Connection
from freehold.gateway.endpoints import Gateway
from freehold.gateway.server import Server
from freehold.observe.metrics import Metrics
from freehold.pipeline.objects import compile_snapshot
from freehold.pipeline.runtime import Runtime
from freehold.store.spool import Spool
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.connection import Connection as Upstream
from freehold.upstream.pool import Pool
from freehold.upstream.transport import Origin
from freehold.wire.dialect import Quirks
from freehold.wire.registry import DIALECTS

MODELS = {"bedrock_invoke": "anthropic.claude"}  # the others write any name
_AT_ONCE = 16
_TEXT = b"hello there, " * 55
_BODY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1764000000,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"%b","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":'
    b'{"prompt_tokens":200,"completion_tokens":120,"total_tokens":320,"prompt_tokens_details":{"cached_tokens":0},'
    b'"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default"}' % _TEXT
)
_REPLY = (
    b"HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"x-request-id: req_0123456789abcdef\r\nopenai-version: 2020-10-01\r\nServer: lab\r\nConnection: keep-alive\r\n\r\n%b"
) % (len(_BODY), _BODY)


class Wire:
    """A transport that hands what is written to `write`."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self.write = write

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


def request_of(dialect: str) -> bytes:
    """The 1 KB call as a client of `dialect` writes it, made by that dialect's own codec."""
    openai = DIALECTS["openai_chat"]
    wire = Call().wire("fast-model", FREEHOLD_KEY)
    head, _, body = wire.partition(b"\r\n\r\n")
    path = next(p for p in DIALECTS[dialect].client_paths if p.kind == "chat" and not p.stream)
    if dialect != "openai_chat":
        chat = openai.decode_request(openai.peek(body, "chat"))
        chat.stream = False
        if dialect == "openai_completions":  # takes one text
            del chat.messages[:-1]
        body, _ = DIALECTS[dialect].encode_request(chat, MODELS.get(dialect, "fast-model"), Quirks())
        if dialect == "ollama":
            body = body.replace(b'"stream":true', b'"stream":false')
    lines = head.split(b"\r\n")
    lines[0] = b"POST %b HTTP/1.1" % path.path.replace("{model}", "fast-model").encode()
    kept = [line for line in lines if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join([*kept, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


async def measure(dialects: list[str], calls: int, rounds: int, folder: Path) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    config_file = folder / "freehold.yaml"
    config_file.write_text(FREEHOLD_YAML.format(upstream=9, key=FREEHOLD_KEY))
    config = load(config_file, {}, PROVIDERS)
    pool = Pool()
    snapshot = compile_snapshot(config, PROVIDERS)
    server = Server(Gateway(Runtime(snapshot, pool, Spool(folder), Metrics(), len)), config.server)
    await server.start([])
    bucket = pool._bucket(Origin("http", "127.0.0.1", 9))
    for _ in range(_AT_ONCE * (rounds * len(dialects) + 1)):  # a round leaves its last calls under way
        upstream = Upstream(bucket, loop)
        upstream.connection_made(Wire(lambda _, upstream=upstream: loop.call_soon(_feed, upstream)))  # type: ignore[arg-type, misc]
        bucket.idle.append(upstream)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    least: dict[str, float] = {}
    for _ in range(rounds):
        for dialect in dialects:
            took = await _round(loop, server, request_of(dialect), calls)
            least[dialect] = min(took, least.get(dialect, took))
    return least


def _feed(upstream: Upstream) -> None:
    """The reply, the way in which an event loop gives it."""
    at = 0
    while at < len(_REPLY):
        room = memoryview(upstream.get_buffer(-1))
        size = min(len(room), len(_REPLY) - at)
        room[:size] = _REPLY[at : at + size]
        upstream.buffer_updated(size)
        at += size


async def _round(loop: asyncio.AbstractEventLoop, server: Server, request: bytes, calls: int) -> float:
    """CPU microseconds a call."""
    finished = loop.create_future()
    left = calls

    def connect() -> Connection:
        def answered(data: bytes) -> None:
            nonlocal left
            if not data.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"not a good answer: {data[:600]!r}")
            left -= 1
            if left > 0:
                loop.call_soon(connection.data_received, request)
            elif not finished.done():
                finished.set_result(None)

        connection = Connection(server)
        connection.connection_made(Wire(answered))  # type: ignore[arg-type]
        return connection

    connections = [connect() for _ in range(_AT_ONCE)]
    began = time.process_time()
    for connection in connections:
        connection.data_received(request)
    await finished
    took = time.process_time() - began
    await asyncio.sleep(0)
    return took / calls * 1e6


def main() -> int:
    chats = [d.name for d in DIALECTS.values() if any(p.kind == "chat" for p in d.client_paths)]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=chats, default=None)
    options = parser.parse_args()
    dialects = [name for name in chats if options.only in (None, name) or name == "openai_chat"]
    with tempfile.TemporaryDirectory(prefix="freehold-inprocess-") as folder:
        least = uvloop.run(measure(dialects, options.calls, options.rounds, Path(folder)))
    base = least["openai_chat"]
    for name, us in least.items():
        print(f"{name:20}{us:8.1f} us  {'PASS' if name == 'openai_chat' else f'{us / base:.2f} x PASS'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
