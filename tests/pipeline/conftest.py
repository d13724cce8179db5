"""A whole gateway in this process over scripted upstreams: what the pipeline's tests talk to, by real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from freehold.config.schema import Config, KeyConfig, ProviderConfig, RouteConfig, TargetConfig
from freehold.gateway.endpoints import Gateway
from freehold.gateway.server import Server
from freehold.observe.metrics import Metrics
from freehold.pipeline.compile import compile_snapshot
from freehold.pipeline.runtime import Runtime
from freehold.policy import tokens
from freehold.store.spool import LedgerLine, Spool, read_lines
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.pool import Pool
from tests.pipeline.upstream import ScriptedUpstream

KEY = "fh_test_key_0123456789abcdef"


class Answered:
    """A reply as the client saw it. `whole`: the body ended as HTTP says it should."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes, whole: bool) -> None:
        self.status, self.headers, self.body, self.whole = status, headers, body, whole

    @property
    def json(self) -> Any:
        return json.decode(self.body)

    @property
    def events(self) -> list[bytes]:
        return [e.split(b"data: ", 1)[1] for e in self.body.split(b"\n\n") if b"data: " in e]


class RunningGateway:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.upstreams: dict[str, ScriptedUpstream] = {}
        self.config = Config(keys=[KeyConfig(name="dev", key=KEY)])
        self.port = 0

    async def start(self) -> None:
        self.pool = Pool()
        self.spool = Spool(self.data)
        self.metrics = Metrics()
        self.gateway = Gateway(self._runtime())
        self.server = Server(self.gateway, self.config.server)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        await self.server.start([listener])

    def _runtime(self) -> Runtime:
        return Runtime(compile_snapshot(self.config, PROVIDERS, []), self.pool, self.spool, self.metrics, tokens.count)

    async def upstream(self, name: str, dialect: str = "openai_chat", **settings: Any) -> ScriptedUpstream:
        """A provider of this name, served by a script; takes effect at once."""
        upstream = ScriptedUpstream()
        await upstream.start()
        self.upstreams[name] = upstream
        base = upstream.url if dialect == "anthropic" else f"{upstream.url}/v1"
        self.config.providers[name] = ProviderConfig(dialect=dialect, base_url=base, api_key="sk-upstream-secret", **settings)
        self.reload()
        return upstream

    def route(self, name: str, *targets: str, retries: int = 0) -> None:
        listed = [TargetConfig(provider=t.partition("/")[0], model=t.partition("/")[2]) for t in targets]
        self.config.routes[name] = RouteConfig(targets=listed, retries=retries)
        self.reload()

    def reload(self) -> None:
        self.gateway.runtime = self._runtime()

    async def call(
        self, path: str, body: Any = None, *, key: str | None = KEY, method: str = "POST", headers: dict[str, str] | None = None
    ) -> Answered:
        reader, writer = await self.open(path, body, key=key, method=method, headers=headers)
        try:
            return await asyncio.wait_for(_read(reader), 20)
        finally:
            writer.close()

    async def open(
        self, path: str, body: Any = None, *, key: str | None = KEY, method: str = "POST", headers: dict[str, str] | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request and leave the reply unread."""
        data = body if isinstance(body, bytes) else (json.encode(body) if body is not None else b"")
        lines = {"host": "gateway", "content-length": str(len(data)), "connection": "close", **(headers or {})}
        if key is not None:
            lines.setdefault("authorization", f"Bearer {key}")
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head.encode() + data)
        return reader, writer

    @property
    def ledger(self) -> list[LedgerLine]:
        return list(read_lines(self.data))

    async def line(self) -> LedgerLine:
        """The only call's ledger line, waited for."""
        for _ in range(400):
            lines = self.ledger
            if lines:
                assert len(lines) == 1, lines
                return lines[0]
            await asyncio.sleep(0.01)
        raise AssertionError("the call was not recorded")

    async def stop(self) -> None:
        await self.server.drain(1)
        await self.pool.close()
        for upstream in self.upstreams.values():
            await upstream.stop()


async def _read(reader: asyncio.StreamReader) -> Answered:
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
    body = bytearray()
    whole = True
    try:
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
        else:
            body += await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionResetError):
        whole = False
    return Answered(int(status_line.split()[1]), headers, bytes(body), whole)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    running = RunningGateway(tmp_path)
    await running.start()
    yield running
    await running.stop()
