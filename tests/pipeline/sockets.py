"""Both far ends of a realtime session, by wsproto: a provider that does what a script says, and a client."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import json
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, TextMessage

from tests.pipeline.conftest import KEY, RunningGateway

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class End:
    """One end of an open WebSocket. Messages are put together again."""

    def __init__(self, kind: ConnectionType, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.frames = Connection(kind)
        self.reader, self.writer = reader, writer
        self._events: list[Event] = []
        self.replies_to_close = True

    async def send(self, data: str | bytes | Event) -> None:
        made = {str: TextMessage, bytes: BytesMessage}.get(type(data))
        self.writer.write(self.frames.send(made(data=data) if made else data))
        await self.writer.drain()

    async def read(self) -> Any:
        """The next whole message, or (code, reason) of a close; None where the connection ended without one."""
        pieces: list[Any] = []
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, Ping):
                    await self.send(event.response())
                elif isinstance(event, CloseConnection):
                    if self.replies_to_close and self.frames.state.name == "REMOTE_CLOSING":
                        await self.send(event.response())
                    return event.code, event.reason
                elif isinstance(event, Message):
                    pieces.append(event.data)
                    if event.message_finished:
                        return ("" if isinstance(event.data, str) else b"").join(pieces)
                else:
                    return event
            data = await asyncio.wait_for(self.reader.read(65536), 10)
            if not data:
                return None
            self.frames.receive_data(data)
            self._events += list(self.frames.events())


class Provider:
    """`play` is run with each session; `refuse` are raw bytes in place of one. `seen` are the heads that came."""

    def __init__(self, play: Callable[[End], Awaitable[None]] | None = None, refuse: bytes = b"") -> None:
        self.play, self.refuse = play, refuse
        self.seen: list[str] = []
        self.over = asyncio.Event()

    async def start(self, gateway: RunningGateway, name: str = "lab", **more: Any) -> None:
        from freehold.config.schema import ProviderConfig

        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/v1"
        gateway.config.providers[name] = ProviderConfig(dialect="openai_chat", base_url=url, api_key="sk-upstream-secret", **more)
        gateway.reload()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.seen.append(head)
        if self.refuse:
            writer.write(self.refuse)
            writer.close()
            return
        key = next(line[18:].strip() for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest())
        writer.write(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n" % accept)
        try:
            assert self.play is not None
            await self.play(End(ConnectionType.SERVER, reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.over.set()
            writer.close()


async def connect(
    gateway: RunningGateway, path: str = "/v1/realtime?model=lab/rt", headers: dict[str, str] | None = None
) -> tuple[bytes, End]:
    """The head of the reply, and the client's end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    lines = {
        "host": "gateway",
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": base64.b64encode(b"0123456789abcdef").decode(),
        "authorization": f"Bearer {KEY}",
        **(headers or {}),
    }
    head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items() if v) + "\r\n"
    writer.write(head.encode())
    got = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    return got, End(ConnectionType.CLIENT, reader, writer)


def response_done(**usage: Any) -> str:
    return json.encode({"type": "response.done", "response": {"id": "r", "status": "completed", "usage": usage}}).decode()
