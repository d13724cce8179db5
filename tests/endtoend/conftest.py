"""A real `freehold up` process over scripted upstreams: what has to hold whatever happens around it."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert, json

from freehold.config.schema import PriceConfig, ProviderConfig
from freehold.store.address import database
from freehold.store.engine import open_engine, reading
from freehold.store.migrate import revision
from freehold.store.schema import calls
from freehold.store.spool import LedgerLine, read_lines
from tests import client
from tests.client import Answered
from tests.openbao import bao
from tests.pipeline.conftest import RunningGateway, gateway
from tests.pipeline.upstream import ScriptedUpstream
from tests.running import Up

__all__ = ["add_upstream", "bao", "gateway"]

KEY = "fh_test_key_0123456789abcdef"
NARROW_KEY = "fh_narrow_key_0123456789abcdef"  # may use `fast` alone
UPSTREAM_KEY = "sk-upstream-secret"
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
PATHS = pytest.mark.parametrize("path", [CHAT, MESSAGES], ids=["openai", "anthropic"])


class Freehold:
    """`config` is freehold.yaml as written by `write`; `start` runs it. Data in `folder`/data."""

    up: Up

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.upstreams: list[ScriptedUpstream] = []
        self.env: dict[str, str] = {}
        self.config: dict[str, Any] = {
            "discover": False,
            "providers": {},
            "routes": {},
            "keys": [{"name": "dev", "key": KEY}],
            "server": {"drain_timeout": 10},
        }

    async def upstream(self, name: str = "lab", dialect: str = "openai_chat", **settings: Any) -> ScriptedUpstream:
        """A provider of this name, served by a script, with a price."""
        upstream = ScriptedUpstream()
        await upstream.start()
        self.upstreams.append(upstream)
        base = upstream.url if dialect == "anthropic" else f"{upstream.url}/v1"
        given = {"dialect": dialect, "base_url": base, "api_key": UPSTREAM_KEY, "price": {"input": 1, "output": 2}}
        self.config["providers"][name] = given | settings
        return upstream

    def route(self, name: str, *targets: str, retries: int = 0) -> None:
        listed = [dict(zip(("provider", "model"), target.split("/", 1), strict=True)) for target in targets]
        self.config["routes"][name] = {"targets": listed, "retries": retries}

    def write(self, text: bytes | None = None) -> None:
        """Replace freehold.yaml in one step, by `text` if given."""
        new = self.folder / "new.yaml"
        new.write_bytes(json.encode(self.config) if text is None else text)  # JSON is YAML
        os.rename(new, self.folder / "freehold.yaml")

    def start(self, *arguments: str) -> Up:
        self.write()
        self.up = Up(self.folder, "--data", str(self.data), *arguments, env=self.env)
        return self.up

    async def call(self, path: str, body: Any = None, *, key: str | None = KEY, **request: Any) -> Answered:
        return await client.call(self.up.port, path, body, key=key, **request)

    async def send(
        self, path: str, body: Any = None, *, key: str | None = KEY, **request: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a request and leave the reply unread."""
        return await client.send(self.up.port, path, body, key=key, **request)

    async def raw(self, data: bytes) -> Answered:
        """Send these bytes on a connection of their own and read one reply."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.up.port)
        try:
            writer.write(data)
            return await asyncio.wait_for(client.read(reader), client.PATIENCE_S)
        finally:
            writer.close()

    @property
    def ledger(self) -> list[LedgerLine]:
        """What waits in the spool, and after that what has been shipped."""
        waiting = list(read_lines(self.data))
        seen = {line.call_id for line in waiting}
        return waiting + [line for line in shipped(self.data) if line.call_id not in seen]

    async def line(self, call_id: str | None = None) -> LedgerLine:
        """The ledger line of this call, or of the only one; waited for, since a client may be gone before its call ends."""
        found: list[LedgerLine] = []

        def there() -> bool:
            found[:] = [line for line in self.ledger if call_id in (None, line.call_id)]
            return bool(found)

        await eventually(there, "the call is recorded")
        assert len(found) == 1, found
        return found[0]

    @property
    def log(self) -> str:
        return self.up.log.read_text(errors="replace")

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the process logged after it began to serve."""
        return [json.decode(line) for line in re.findall(r"^\{.*\}$", self.log, re.MULTILINE)]

    async def stop(self) -> None:
        if hasattr(self, "up") and self.up.process.poll() is None:
            self.up.kill()
        for upstream in self.upstreams:
            await upstream.stop()


def shipped(data: Path) -> list[LedgerLine]:
    """The ledger of a SQLite file in this directory."""
    address = database(data, {})
    if address.file is None or not address.file.exists():
        return []
    engine = open_engine(address)
    try:
        if not revision(engine):
            return []
        with reading(engine) as connection:
            fields = LedgerLine.__struct_fields__  # the columns, in their order
            return [convert(dict(zip(fields, row, strict=True)), LedgerLine) for row in connection.execute(calls.select())]
    finally:
        engine.dispose()


async def eventually(holds: Any, what: str, within_s: float = 20.0) -> float:
    """Returns the seconds that it took until `holds()`."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not holds():
        assert loop.time() - began < within_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.01)
    return loop.time() - began


def ask(model: str = "lab/m", **more: Any) -> dict[str, Any]:
    """A good body for either dialect."""
    return {"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "hello there"}], **more}


def error_of(path: str, got: Answered) -> dict[str, Any]:
    """The error of a reply, whose form must be the dialect's."""
    body = got.json
    if path == MESSAGES:
        assert body["type"] == "error" and set(body) == {"type", "error", "request_id"}
        assert body["request_id"] == got.headers["x-freehold-call-id"]
        assert set(body["error"]) == {"type", "message"}
    else:
        assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    assert error["message"] and "Traceback" not in error["message"]
    return error


@pytest.fixture
async def freehold(tmp_path: Path) -> AsyncIterator[Freehold]:
    running = Freehold(tmp_path)
    yield running
    await running.stop()


# What stands between an upstream's host and the paths of its dialect.
BASES = {"openai_chat": "/v1", "openai_responses": "/v1", "openai_completions": "/v1", "gemini": "/v1beta"}


async def add_upstream(gateway: RunningGateway, dialect: str, name: str = "up", model: str = "claude-x") -> ScriptedUpstream:
    """A provider `name` that speaks `dialect`; the route "m" leads to its model."""
    upstream = ScriptedUpstream()
    await upstream.start()
    gateway.upstreams[name] = upstream
    gateway.config.providers[name] = ProviderConfig(
        dialect=dialect,
        base_url=upstream.url + BASES.get(dialect, ""),
        api_key="sk-upstream-secret",
        price=PriceConfig(input=1.0, output=2.0),
    )
    gateway.reload()
    gateway.route("m", f"{name}/{model}")
    return upstream
