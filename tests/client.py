"""A plain HTTP client for tests: one request a connection, the reply left unread or read strictly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import json

PATIENCE_S = 20.0


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


async def call(port: int, path: str, body: Any = None, **request: Any) -> Answered:
    """Send a request (as `send` takes it) and read the whole reply."""
    reader, writer = await send(port, path, body, **request)
    try:
        return await asyncio.wait_for(read(reader), PATIENCE_S)
    finally:
        writer.close()


async def send(
    port: int,
    path: str,
    body: Any = None,
    *,
    key: str | None = None,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    limit: int = 65536,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request and leave the reply unread. `body`: bytes as they are, anything else as JSON."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    writer.write(request(path, body, key=key, method=method, headers={"connection": "close", **(headers or {})}))
    return reader, writer


def request(
    path: str, body: Any = None, *, key: str | None = None, method: str = "POST", headers: Mapping[str, str] | None = None
) -> bytes:
    data = body if isinstance(body, bytes) else (json.encode(body) if body is not None else b"")
    lines = {"host": "gateway", "content-length": str(len(data)), **(headers or {})}
    if key is not None:
        lines.setdefault("authorization", f"Bearer {key}")
    return (f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n").encode() + data


async def read(reader: asyncio.StreamReader) -> Answered:
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
    body = bytearray()
    whole = True
    try:
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            body += await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionResetError):
        whole = False
    return Answered(int(status_line.split()[1]), headers, bytes(body), whole)
