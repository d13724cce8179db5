"""Where a reply goes: the port between the request function and whatever server carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Output(Protocol):
    """One reply to one request. Call `whole` once, or `start`, `write`..., `end`. All but `drained` are synchronous.

    `headers` are complete header lines in wire form, each ended by CRLF, without content-length, transfer-encoding,
    connection and date, which the server adds. Names are lower case.
    """

    started: bool  # headers have left: too late for another status
    paused: bool  # the client reads slower than we write; hold back, memory is bounded only if you do

    def whole(self, status: int, headers: bytes, body: bytes) -> None: ...

    def start(self, status: int, headers: bytes) -> None:
        """The head of a reply whose length is unknown (chunked; on HTTP/1.0 delimited by closing)."""
        ...

    def write(self, data: bytes) -> None: ...

    def end(self, data: bytes = b"") -> None: ...

    def abort(self) -> None:
        """Close the connection without a proper end, so that the client sees the reply is not whole."""
        ...

    def when_writable(self, pause: Callable[[], None] | None, resume: Callable[[], None] | None) -> None:
        """Call these as the client stops and starts reading (or None: no longer). Couples flow control to the upstream."""
        ...

    def switch(self, headers: bytes, receive: Callable[[bytes], None]) -> None:
        """Leave HTTP (101): `receive` gets what the client sends from now on, `write` sends bytes as they are, `end` closes.

        `receive` must not raise. `headers` hold upgrade and connection.
        """
        ...

    def hold(self, held: bool) -> None:
        """After `switch`: stop reading from the client, or go on."""
        ...

    async def drained(self) -> None:
        """Returns when not paused. Raises ConnectionResetError when the client has gone."""
        ...
