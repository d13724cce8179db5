"""Where an upstream is and how long we wait for it: the values that every part of the transport shares.

`pool.Pool.send` is the way in, `reply.Reply` the way out; connection.py speaks HTTP/1.1 and dial.py opens sockets.
Base URLs come from administrators, never from a client, and nothing here follows a redirect: a caller cannot make the gateway
fetch an address of its choosing. Administrators of one tenant among several can't either (`Origin.public_only`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

Scheme = Literal["http", "https", "sandbox"]
DEFAULT_PORTS = {"http": 80, "https": 443}
SANDBOX_URL = "sandbox://sandbox"  # the built-in upstream, see sandbox.py


class Timeouts(Struct, frozen=True):
    """Seconds. `first_byte_s` is the wait for the reply's whole head; `idle_s` bounds each silence after it."""

    connect_s: float = 5.0
    first_byte_s: float = 300.0
    idle_s: float = 120.0


class Origin(Struct, frozen=True, cache_hash=True):
    """One place connections can be shared for. `ca_file` (PEM) replaces the system's trusted authorities.

    `max_connections`: how many there may be, 0 for as many as the pool allows. `public_only`: connections are opened to addresses
    of the public internet only, whatever the name resolves to: a tenant wrote it (policy/egress.py).
    """

    scheme: Scheme
    host: str
    port: int
    ca_file: str | None = None
    max_connections: int = 0
    public_only: bool = False

    @property
    def authority(self) -> str:
        """The Host header's value: the port only where it is not the scheme's own, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS.get(self.scheme) == self.port else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


SANDBOX = Origin("sandbox", "sandbox", 0)


class Pieces:
    """A request body that is written piece by piece, so that a large one is not copied to be changed."""

    __slots__ = ("pieces", "size")

    def __init__(self, pieces: tuple[bytes | memoryview, ...]) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))

    def __len__(self) -> int:
        return self.size

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces)


class Streamed:
    """A request body that is read as it is sent: a connection of its own carries it, and nobody repeats it.

    `size` in bytes, None where nobody knows it (it then goes in chunks). `read` gives the next bytes, b"" at the end; it
    raises GatewayError where they don't come.
    """

    __slots__ = ("read", "size")

    def __init__(self, size: int | None, read: Callable[[], Awaitable[bytes]]) -> None:
        self.size = size
        self.read = read


Body = bytes | Pieces | Streamed


def parse_base_url(
    url: str, ca_file: str | None = None, max_connections: int = 0, *, public_only: bool = False
) -> tuple[Origin, str]:
    """Split a provider's base URL into its origin and its path prefix ("" or "/v1", never ending in "/").

    SANDBOX_URL is the one base that is not http(s). Raises ValueError (safe to show; it never repeats a password)
    where the URL is not a plain base.
    """
    if url == SANDBOX_URL:
        return SANDBOX, ""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("a base URL holds printable ASCII only, no spaces or backslashes; percent-encode the rest")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"not a valid base URL: {error}; write it like https://api.example.com/v1") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("a base URL may not carry a user name or password; put the key into api_key")
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"base URL {url!r} must start with http:// or https://")
    if not parts.hostname:
        raise ValueError(f"base URL {url!r} names no host; write it like https://api.example.com/v1")
    if "?" in url or "#" in url:
        raise ValueError(f"base URL {url!r} may not have a query or fragment; give scheme, host and path only")
    if port == 0:
        raise ValueError(f"base URL {url!r} has port 0; use 1 to 65535")
    scheme: Scheme = "https" if parts.scheme == "https" else "http"
    origin = Origin(scheme, parts.hostname, port or DEFAULT_PORTS[scheme], ca_file, max_connections, public_only)
    return origin, parts.path.rstrip("/")
