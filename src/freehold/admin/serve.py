"""The admin application on a socket that listens already: Granian inside the control plane's process."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.embed import Server

from freehold.admin.outer import App

DRAIN_S = 4.0  # for requests under way when the process is told to stop
_BACKLOG = 128
_HEADER_READ_MS = 10_000
_HELD_BYTES = 64 * 1024  # of a request or an answer, in Granian


class _Embedded(Server):
    """On the socket that is there: whoever started us has bound it, so that a port in use is an error of the start."""

    def __init__(self, app: App, listener: socket.socket, tls: tuple[Path, Path] | None) -> None:
        super().__init__(
            app,
            address="127.0.0.1",
            port=0,
            interface=Interfaces.ASGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_READ_MS, max_buffer_size=_HELD_BYTES),
            log_enabled=False,
            ssl_cert=tls[0] if tls else None,
            ssl_key=tls[1] if tls else None,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._ssp = None
        # What it hands to a worker process of its own: a descriptor, which it closes, whether it is a Unix socket's, the backlog.
        self._shd = SocketHolder(self._listener.dup().detach(), False, _BACKLOG)  # type: ignore[assignment, call-arg]


async def serve(app: App, listener: socket.socket, stop: asyncio.Event, tls: tuple[Path, Path] | None = None) -> None:
    """Until `stop`, and then until the requests under way have their answers, for DRAIN_S at most."""
    server = _Embedded(app, listener, tls)
    serving = asyncio.ensure_future(server.serve())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    server.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait((serving,), timeout=DRAIN_S)
    if serving.done():
        serving.result()
