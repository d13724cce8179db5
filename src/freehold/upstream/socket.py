"""An upstream connection that has left HTTP: a WebSocket's opening handshake, then bytes in both directions.

It is nobody else's: never pooled, never reused. Frames are its user's matter.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable
from typing import cast

from freehold.base.errors import UpstreamBroken
from freehold.upstream.reply import parse_headers

MAX_HEAD_BYTES = 16 * 1024
HELD_BYTES = 64 * 1024  # of frames that come before anyone takes them
_ERROR_BYTES = 64 * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Answered:
    """What the server said to the opening. `body` is what came with a refusal, as far as it was read."""

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Socket(asyncio.Protocol):
    """`receive` gets what the server sends once it is set; `lost` is called when the connection ends.

    `hold` and `go_on` are called as the server stops and starts to take what is written.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.receive: Callable[[bytes], None] | None = None
        self.lost: Callable[[], None] | None = None
        self.hold: Callable[[], None] | None = None
        self.go_on: Callable[[], None] | None = None
        self._answer: asyncio.Future[Answered] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._held = b""
        self._answered: Answered | None = None
        self._key = base64.b64encode(os.urandom(16))

    @property
    def lines(self) -> bytes:
        """The header lines that ask for a WebSocket."""
        return b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: %b\r\n" % self._key

    async def open(self, head: bytes) -> Answered:
        """Send the whole request head; returns what is answered. Raises UpstreamBroken."""
        self.write(head)
        return await self._answer

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def start(self, receive: Callable[[bytes], None]) -> None:
        """From now on `receive` gets everything, what has come already first."""
        self.receive = receive
        held, self._held = self._held, b""
        self.resume()
        if held:
            receive(held)

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what is written, then close."""
        self.lost = None
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.receive is not None:
            self.receive(data)
            return
        self._held += data
        if not self._answer.done():
            self._read_answer()
        elif len(self._held) > HELD_BYTES:
            self.pause()  # until `start`

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            answered = self._answered
            if answered is not None:
                answered.body = self._held[:_ERROR_BYTES]
                self._answer.set_result(answered)
            else:
                self._answer.set_exception(UpstreamBroken("the provider closed the connection before it answered"))
        if self.lost is not None:
            self.lost()

    def pause_writing(self) -> None:
        if self.hold is not None:
            self.hold()

    def resume_writing(self) -> None:
        if self.go_on is not None:
            self.go_on()

    # --- inside ---

    def _read_answer(self) -> None:
        if self._answered is None:
            end = self._held.find(b"\r\n\r\n")
            if end < 0:
                if len(self._held) > MAX_HEAD_BYTES:
                    self._answer.set_exception(UpstreamBroken("the provider's answer has too large a head"))
                return
            head, self._held = self._held[:end], self._held[end + 4 :]
            words = head.split(b"\r\n", 1)[0].split(b" ")
            if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not (len(words[1]) == 3 and words[1].isdigit()):
                self._answer.set_exception(UpstreamBroken("the provider's answer is not HTTP/1.1"))
                return
            self._answered = Answered(int(words[1]), parse_headers(head), b"")
        answered = self._answered
        if answered.status == 101:
            wanted = base64.b64encode(hashlib.sha1(self._key + _GUID).digest())
            if answered.headers.get(b"sec-websocket-accept") != wanted or b"sec-websocket-extensions" in answered.headers:
                self._answer.set_exception(UpstreamBroken("the provider accepted the WebSocket in a way that was not asked for"))
            else:
                self._answer.set_result(answered)
            return
        length = answered.headers.get(b"content-length", b"")
        wanted_bytes = int(length) if length.isdigit() and len(length) < 10 else _ERROR_BYTES
        chunked_end = b"transfer-encoding" in answered.headers and self._held.endswith(b"0\r\n\r\n")
        if len(self._held) >= min(wanted_bytes, _ERROR_BYTES) or chunked_end:
            answered.body = self._held[:_ERROR_BYTES]
            self._answer.set_result(answered)
