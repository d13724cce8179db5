"""HTTP to the places that give out credentials, through the worker's own pool. No redirects, small replies, short waits."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol
from urllib.parse import quote, urlencode

from freehold.base.errors import UpstreamBroken
from freehold.upstream.head import Method, complete_head, request_head
from freehold.upstream.pool import Pool
from freehold.upstream.transport import Timeouts, parse_base_url

_MAX_BYTES = 256 * 1024
FAR = Timeouts(connect_s=5, first_byte_s=15, idle_s=5)
NEAR = Timeouts(connect_s=1.5, first_byte_s=5, idle_s=2)  # a metadata service is on this machine or its host
FORM = {"content-type": "application/x-www-form-urlencoded"}


class NoCredential(Exception):
    """Why there is none, and what to do. Safe to show: holds no secret and nothing that a server sent but its error code."""


class Ask(Protocol):
    def __call__(
        self, method: Method, url: str, headers: Mapping[str, str] = ..., body: bytes = ..., timeouts: Timeouts = ...
    ) -> Awaitable[tuple[int, bytes]]:
        """The reply's status and body. Raises UpstreamError."""
        ...


def asker(pool: Pool) -> Ask:
    async def ask(
        method: Method, url: str, headers: Mapping[str, str] | None = None, body: bytes = b"", timeouts: Timeouts = FAR
    ) -> tuple[int, bytes]:
        base, mark, query = url.partition("?")
        origin, path = parse_base_url(base)
        slash = "/" if base.endswith("/") else ""  # which parse_base_url takes off
        head = request_head(origin, "", f"{path}{slash}{mark}{query}", b"", headers or {}, method)
        reply = await pool.send(origin, complete_head(head, len(body)), body, timeouts)
        try:
            data = bytearray()
            while piece := await reply.read():
                data += piece
                if len(data) > _MAX_BYTES:
                    raise UpstreamBroken(f"{origin} sent more than {_MAX_BYTES:,} bytes where a credential was expected")
            return reply.status, bytes(data)
        finally:
            reply.close()

    return ask


def form(**fields: str) -> bytes:
    return urlencode(fields, quote_via=quote).encode("ascii")


def read_secret_file(path: str, what: str) -> str:
    """The stripped content of a file that a platform mounts. Raises NoCredential."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(_MAX_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise NoCredential(f"{what} {path!r} can't be read: {reason}") from None
