"""An upstream that takes a request body when the test lets it, and clients that send one piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Iterable

from freehold.config.schema import ProviderConfig
from tests import client
from tests.client import Answered
from tests.pipeline.conftest import KEY, RunningGateway

PIECE = 64 * 1024
TYPE = "multipart/form-data; boundary=XX"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n" + b'{"text":"heard"}'


class Taker:
    """`go`: read bodies. `early`: sent as soon as the head is there; then the connection is closed, or reset (`then`)."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.early = b""
        self.then = "linger"  # linger | close | reset: after `early`
        self.reply = OK
        self.heads: list[dict[str, str]] = []
        self.taken = 0  # bytes of the last body
        self.digest = hashlib.sha256()
        self.gone = asyncio.Event()
        self.whole = asyncio.Event()

    async def start(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.bind(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._serve, sock=sock, limit=64 * 1024)
        self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._one(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = head.decode().split("\r\n")[1:]
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        self.heads.append(headers)
        self.taken, self.digest = 0, hashlib.sha256()
        if self.early:
            writer.write(self.early)
            await writer.drain()
            if self.then == "reset":
                writer.transport.abort()
            if self.then != "linger":
                raise ConnectionError
        await self.go.wait()
        if "content-length" in headers:
            left = int(headers["content-length"])
            while left:
                left -= self._take(await reader.read(min(left, PIECE)))
        else:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                while size:
                    size -= self._take(await reader.read(min(size, PIECE)))
                    await self.go.wait()
                await reader.readexactly(2)
            await reader.readexactly(2)
        self.whole.set()
        if not self.early:
            writer.write(self.reply)
            await writer.drain()

    def _take(self, data: bytes) -> int:
        if not data:
            raise ConnectionError
        self.taken += len(data)
        self.digest.update(data)
        return len(data)


async def taking(gateway: RunningGateway, name: str = "lab") -> Taker:
    """A provider of this name that takes uploads."""
    taker = Taker()
    await taker.start()
    gateway.config.providers[name] = ProviderConfig(dialect="openai_chat", base_url=f"{taker.url}/v1", api_key="sk-upstream")
    gateway.upstreams[name] = taker  # type: ignore[assignment]  # to be stopped
    gateway.reload()
    return taker


def field(name: str, value: str) -> bytes:
    return f'--XX\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


FILE = b'--XX\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
END = b"--XX--\r\n"


def sound(size: int) -> list[bytes]:
    """A file's content, in pieces that differ."""
    return [(b"%08d" % at) * (PIECE // 8) for at in range(size // PIECE)]


class Sender:
    """A client with one request whose body it sends bit by bit. `sent` counts the body's bytes that the kernel took."""

    def __init__(self, port: int, path: str, length: int | None, content_type: str = TYPE, key: str = KEY) -> None:
        self.sent = 0
        self.digest = hashlib.sha256()
        self._chunked = length is None
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        self._head = f"POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: {content_type}\r\n"
        self._head += f"{framing}\r\nauthorization: Bearer {key}\r\n\r\n"
        self._port = port

    async def open(self) -> Sender:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._port))
        self.reader, self.writer = await asyncio.open_connection(sock=sock)
        self.writer.write(self._head.encode())
        return self

    async def send(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.digest.update(piece)
            self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if self._chunked else piece)
            await self.writer.drain()
            self.sent += len(piece)

    def end(self) -> None:
        if self._chunked:
            self.writer.write(b"0\r\n\r\n")

    async def answer(self) -> Answered:
        return await asyncio.wait_for(client.read(self.reader), client.PATIENCE_S)


async def eventually(holds: object) -> None:
    """Returns once `holds()` is true. Raises TimeoutError."""
    async with asyncio.timeout(client.PATIENCE_S):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.01)
