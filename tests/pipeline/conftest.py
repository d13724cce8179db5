"""A whole gateway in this process over scripted upstreams: what the pipeline's tests talk to, by real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from freehold.config.schema import Config, KeyConfig, ProviderConfig, RouteConfig, TargetConfig
from freehold.gateway.endpoints import Gateway
from freehold.gateway.server import Server
from freehold.observe.metrics import Metrics
from freehold.pipeline.objects import Objects
from freehold.pipeline.runtime import Runtime
from freehold.policy import tokens
from freehold.store.spool import LedgerLine, Spool, read_lines
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.pool import Pool
from tests import client
from tests.client import Answered
from tests.pipeline.upstream import ScriptedUpstream

KEY = "fh_test_key_0123456789abcdef"


class RunningGateway:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.upstreams: dict[str, ScriptedUpstream] = {}
        self.objects = Objects(PROVIDERS)
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
        return Runtime(self.objects.use(self.config), self.pool, self.spool, self.metrics, tokens.count)

    async def upstream(self, name: str, dialect: str = "openai_chat", **settings: Any) -> ScriptedUpstream:
        """A provider of this name, served by a script; takes effect at once."""
        upstream = ScriptedUpstream()
        await upstream.start()
        self.upstreams[name] = upstream
        base = upstream.url if dialect == "anthropic" else f"{upstream.url}/v1"
        self.config.providers[name] = ProviderConfig(dialect=dialect, base_url=base, api_key="sk-upstream-secret", **settings)
        self.reload()
        return upstream

    def route(self, name: str, *targets: str, retries: int = 0, weights: Sequence[float] = (), **more: Any) -> None:
        listed = [TargetConfig(provider=t.partition("/")[0], model=t.partition("/")[2]) for t in targets]
        for target, weight in zip(listed, weights, strict=False):
            target.weight = weight
        self.config.routes[name] = RouteConfig(targets=listed, retries=retries, **more)
        self.reload()

    def reload(self) -> None:
        self.gateway.runtime = replace(self.gateway.runtime, snapshot=self.objects.use(self.config))

    async def call(self, path: str, body: Any = None, *, key: str | None = KEY, **request: Any) -> Answered:
        return await client.call(self.port, path, body, key=key, **request)

    async def open(
        self, path: str, body: Any = None, *, key: str | None = KEY, **request: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request and leave the reply unread."""
        return await client.send(self.port, path, body, key=key, **request)

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


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    running = RunningGateway(tmp_path)
    await running.start()
    yield running
    await running.stop()
