"""Opens connections: names to addresses (cached), a staggered race over the addresses, TLS.

Plain sockets are raced first and only the winner does a TLS handshake. TLS sessions are not resumed: the pool keeps
connections warm, and a resumed TLS 1.3 handshake saves CPU but no round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from freehold.base.errors import UpstreamUnreachable
from freehold.policy.egress import is_public
from freehold.upstream.transport import Origin

NAME_TTL_S = 30.0
STAGGER_S = 0.25  # RFC 8305's delay before the next address is tried beside the last one

Address = tuple[int, tuple[object, ...]]  # family, sockaddr
P = TypeVar("P", bound=asyncio.BaseProtocol)


class Dialer:
    """Keeps the name cache and one TLS context for each CA file. One per pool."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, int], tuple[float, asyncio.Task[list[Address]]]] = {}
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    async def connect(self, origin: Origin, factory: Callable[[], P]) -> P:
        """A connected protocol. Raises UpstreamUnreachable; the caller sets the deadline."""
        context = self._context(origin)
        addresses = await self._resolve(origin)
        if origin.public_only:
            addresses = [address for address in addresses if is_public(str(address[1][0]))]
            if not addresses:
                raise UpstreamUnreachable(
                    f"the host name {origin.host!r} leads to no address of the public internet, and this provider's calls may "
                    "go nowhere else; whoever looks after the installation can allow it (admin.private_networks)"
                )
        try:
            sock = await race(addresses)
        except OSError as error:
            self._names.pop((origin.host, origin.port), None)  # the host may have moved
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UpstreamUnreachable(
                f"could not connect to {origin}: {reason}; check the base_url, the network and that the server is up"
            ) from None
        loop = asyncio.get_running_loop()
        try:
            server_hostname = origin.host if context is not None else None
            _, protocol = await loop.create_connection(factory, sock=sock, ssl=context, server_hostname=server_hostname)
        except ssl.SSLCertVerificationError as error:
            raise UpstreamUnreachable(
                f"the TLS certificate of {origin} was refused: {error.verify_message}; "
                "check the host name in base_url, or set ca_file if a private authority signed it"
            ) from None
        except (OSError, EOFError) as error:  # SSLError is an OSError
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "the server closed the connection"
            raise UpstreamUnreachable(f"the TLS handshake with {origin} failed: {reason}; check that it speaks TLS") from None
        except BaseException:
            # A TLS transport cancelled in its handshake lingers for a minute. It owns the socket, but this ends it now.
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            raise
        return protocol

    async def _resolve(self, origin: Origin) -> list[Address]:
        loop = asyncio.get_running_loop()
        name = (origin.host, origin.port)
        known = self._names.get(name)
        if known is None or known[0] < loop.time() or known[1].cancelled():
            if len(self._names) > 1000:
                self._names.clear()
            known = (loop.time() + NAME_TTL_S, loop.create_task(look_up(origin.host, origin.port)))
            self._names[name] = known
        try:
            # Shared by everyone who waits for this name; one caller's cancellation must not end it for the others.
            return await asyncio.shield(known[1])
        except OSError as error:
            self._names.pop(name, None)
            reason = error.strerror or str(error)
            raise UpstreamUnreachable(f"could not resolve the host name {origin.host!r}: {reason}; check the base_url") from None

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        context = self._contexts.get(origin.ca_file)
        if context is None:
            try:
                context = ssl.create_default_context(cafile=origin.ca_file)
            except OSError as error:
                reason = error.strerror or "not a PEM file of certificates"
                raise UpstreamUnreachable(f"could not load ca_file {origin.ca_file!r}: {reason}") from None
            context.set_alpn_protocols(["http/1.1"])
            self._contexts[origin.ca_file] = context
        return context


async def look_up(host: str, port: int) -> list[Address]:
    """The host's addresses, families alternating so that one broken family costs one stagger, not the deadline."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    first = [entry for entry in found if entry[0] == found[0][0]]
    other = [entry for entry in found if entry[0] != found[0][0]]
    mixed = []
    for i in range(max(len(first), len(other))):
        mixed += first[i : i + 1] + other[i : i + 1]
    return [(entry[0], entry[4]) for entry in mixed]


async def race(addresses: list[Address]) -> socket.socket:
    """The first socket to connect; another address joins every STAGGER_S or at once on a failure. Raises the last OSError."""
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    failure: OSError = OSError("the name has no address")
    try:
        while waiting or running:
            if waiting:
                family, address = waiting.pop(0)
                running.add(asyncio.create_task(open_socket(family, address)))
            stagger_s = STAGGER_S if waiting else None
            done, running = await asyncio.wait(running, timeout=stagger_s, return_when=asyncio.FIRST_COMPLETED)
            winner: socket.socket | None = None
            for task in done:
                error = task.exception()
                if error is None:
                    if winner is not None:
                        winner.close()
                    winner = task.result()
                elif isinstance(error, OSError):
                    failure = error
                else:
                    raise error
            if winner is not None:
                return winner
        raise failure
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(discard)


def discard(task: asyncio.Task[socket.socket]) -> None:
    """Close a loser's socket if it connected before its cancellation reached it."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def open_socket(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a model may think for minutes: notice a dead path
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
