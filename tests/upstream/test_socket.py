from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from freehold.base.errors import UpstreamBroken
from freehold.upstream.socket import HELD_BYTES, Socket


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent, self.paused, self.closed = b"", False, False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.sent += data

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def close(self) -> None:
        self.closed = True


def opened() -> tuple[Socket, Transport]:
    socket, transport = Socket(asyncio.get_running_loop()), Transport()
    socket.connection_made(transport)
    return socket, transport


def acceptance(socket: Socket) -> bytes:
    key = socket.lines.split(b"sec-websocket-key: ")[1].strip()
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return b"HTTP/1.1 101 X\r\nsec-websocket-accept: %b\r\n\r\n" % accept


@pytest.mark.parametrize("cut", [1, 8, 40, 80])
async def test_an_acceptance_is_read_in_any_pieces_and_nothing_after_it_is_lost(cut: int) -> None:
    socket, transport = opened()
    waiting = asyncio.ensure_future(socket.open(b"head"))
    await asyncio.sleep(0)
    data = acceptance(socket) + b"frames"
    socket.data_received(data[:cut])
    socket.data_received(data[cut:])
    assert (await waiting).status == 101 and transport.sent == b"head"
    got: list[bytes] = []
    socket.start(got.append)
    socket.data_received(b"more")
    assert got == [b"frames", b"more"]


async def test_frames_that_nobody_takes_yet_are_bounded_and_go_on_after() -> None:
    socket, transport = opened()
    socket.data_received(acceptance(socket))
    socket.data_received(b"x" * (HELD_BYTES + 1))
    assert transport.paused
    socket.start(lambda data: None)
    assert not transport.paused


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 X\r\nsec-websocket-accept: other\r\n\r\n",
        b"HTTP/1.1 101 X\r\n\r\n",
        b"SMTP 220\r\n\r\n",
        b"HTTP/1.1 1o1 X\r\n\r\n",
        b"x" * 20_000,
    ],
)
async def test_any_other_answer_is_refused(answer: bytes) -> None:
    socket, _ = opened()
    socket.data_received(answer)
    with pytest.raises(UpstreamBroken):
        await socket.open(b"")


async def test_an_extension_that_was_not_asked_for_is_refused() -> None:
    socket, _ = opened()
    socket.data_received(acceptance(socket).replace(b"\r\n\r\n", b"\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"))
    with pytest.raises(UpstreamBroken):
        await socket.open(b"")


async def test_a_refusals_body_is_read() -> None:
    socket, _ = opened()
    socket.data_received(b"HTTP/1.1 404 X\r\ncontent-length: 4\r\n\r\nab")
    socket.data_received(b"cd")
    answered = await socket.open(b"")
    assert (answered.status, answered.body) == (404, b"abcd")


@pytest.mark.parametrize(("data", "body"), [(b"HTTP/1.1 500 X\r\n\r\nhalf", b"half"), (b"", None)])
async def test_a_connection_that_ends_early(data: bytes, body: bytes | None) -> None:
    socket, _ = opened()
    socket.data_received(data)
    socket.connection_lost(None)
    if body is None:
        with pytest.raises(UpstreamBroken):
            await socket.open(b"")
    else:
        assert (await socket.open(b"")).body == body
