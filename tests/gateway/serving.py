"""A server in this process on a free port, and a client that sends raw bytes and reads replies with h11 as the judge."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11

from freehold.base.errors import GatewayError
from freehold.config.schema import ServerConfig
from freehold.gateway.request import Request
from freehold.gateway.server import Server, listen
from freehold.pipeline.output import Output

PATIENCE_S = 20.0
TEXT = b"content-type: text/plain\r\n"

Call = Callable[[Request, Output], Awaitable[None]]


@dataclass
class App:
    """A handler made of functions. Errors look like `kind: message`."""

    call: Call
    admit: Callable[[Request], GatewayError | None] = lambda request: None
    asked: list[Request] = field(default_factory=list)  # those whose head was shown before their body

    async def __call__(self, request: Request, out: Output) -> None:
        await self.call(request, out)

    def admit_head(self, request: Request) -> GatewayError | None:
        self.asked.append(request)
        return self.admit(request)

    def refusal(self, request: Request | None, error: GatewayError) -> tuple[int, bytes, bytes]:
        return error.status, TEXT, f"{error.kind}: {error}".encode()


@dataclass
class Answer:
    status: int
    headers: dict[bytes, bytes]
    body: bytes
    interim: list[int]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, method: str = "GET") -> Answer:
        """The next reply. Raises h11.RemoteProtocolError if it is malformed or cut short."""
        judge = h11.Connection(h11.CLIENT)
        judge.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        judge.send(h11.EndOfMessage())
        if self._rest:
            judge.receive_data(self._rest)
        answer = Answer(0, {}, b"", [])
        body = []
        while True:
            event = judge.next_event()
            if event is h11.NEED_DATA:
                judge.receive_data(await asyncio.wait_for(self.reader.read(65536), PATIENCE_S))
            elif isinstance(event, h11.InformationalResponse):
                answer.interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                answer.status, answer.headers = event.status_code, dict(event.headers)
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            else:
                assert isinstance(event, h11.EndOfMessage), event
                answer.body = b"".join(body)
                self._rest = judge.trailing_data[0]
                return answer

    async def ask(self, data: bytes) -> Answer:
        self.send(data)
        return await self.answer("HEAD" if data.startswith(b"HEAD ") else "GET")

    async def everything(self) -> bytes:
        """What arrives until the server closes."""
        return self._rest + await asyncio.wait_for(self.reader.read(), PATIENCE_S)

    async def closed(self) -> None:
        """Returns when the server has closed, whatever way."""
        try:
            while await asyncio.wait_for(self.reader.read(65536), PATIENCE_S):
                pass
        except ConnectionResetError:
            pass

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


class Served:
    def __init__(self, server: Server, app: App, tls: ssl.SSLContext | None) -> None:
        self.server = server
        self.app = app
        self.port = server.addresses[0][1]
        self._tls = tls
        self._clients: list[Client] = []

    async def connect(self, limit: int = 65536) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=limit, ssl=self._tls))
        self._clients.append(client)
        return client

    def hang_up(self) -> None:
        for client in self._clients:
            client.reset()


@asynccontextmanager
async def serving(
    call: Call,
    *,
    admit: Callable[[Request], GatewayError | None] = lambda request: None,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    **settings: float,
) -> AsyncIterator[Served]:
    """`tls` is the server's context and the client's; `settings` are ServerConfig's."""
    app = App(call, admit)
    server = Server(app, ServerConfig(**settings), ssl_context=tls[0] if tls else None)  # type: ignore[arg-type]
    await server.start(listen("127.0.0.1", 0))
    served = Served(server, app, tls[1] if tls else None)
    try:
        yield served
    finally:
        served.hang_up()
        await server.drain(0.5)


async def eventually(condition: Callable[[], bool]) -> None:
    """Returns once the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def echo(request: Request, out: Output) -> None:
    """Say back what arrived."""
    out.whole(200, TEXT, b"%b %b %b" % (request.method.encode(), request.path.encode(), request.body))


def get(path: str = "/", *headers: str, version: str = "1.1") -> bytes:
    return "\r\n".join((f"GET {path} HTTP/{version}", "Host: x", *headers, "", "")).encode()


def post(body: bytes, path: str = "/", *headers: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(lines).encode() + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + end
