"""Request heads: everything that stays the same for a target is built once; a call adds its length and little else.

Values that could break out of their line are refused here, so no caller needs to think of header injection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from freehold import __version__
from freehold.upstream.transport import Origin

Auth = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "xi-api-key", "token", "plain", "none"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")  # RFC 9110 token
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?\Z|\Z")
_KEY = re.compile(r"[\x21-\x7e]+\Z")
_TARGET = re.compile(r"/[\x21\x22\x24-\x7e]*\Z")  # no "#", no space
# The transport's own: a second copy would let a value disagree with how the message is really framed.
_OURS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade", "te", "trailer"}
)


USER_AGENT = f"freehold/{__version__}"


def header_line(name: str, value: str) -> bytes:
    """One header in wire form, ended by CRLF. Raises ValueError (naming the header, not its value) on unsafe characters."""
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a header name")
    if not _VALUE.match(value):
        raise ValueError(f"the value of header {name!r} may hold printable ASCII only: no line breaks, no outer spaces")
    return f"{name.lower()}: {value}\r\n".encode("ascii")


def auth_headers(auth: Auth, api_key: str | None) -> bytes:
    """The header line that carries the upstream key; b"" where no key is set.

    "token" and "plain" stand in the authorization header too, after the word Token and alone.
    "none" says that a server needs no key; where one is set nevertheless (vLLM --api-key) it goes as a bearer token.
    Raises ValueError, without the key in it, where the key could not be sent as it is.
    """
    if not api_key:
        return b""
    if not _KEY.match(api_key):
        raise ValueError("the api_key holds spaces, line breaks or non-ASCII characters; check how it was pasted")
    if auth in ("bearer", "none"):
        return b"authorization: Bearer " + api_key.encode("ascii") + b"\r\n"
    if auth in ("token", "plain"):
        return b"authorization: " + (b"Token " if auth == "token" else b"") + api_key.encode("ascii") + b"\r\n"
    return auth.encode("ascii") + b": " + api_key.encode("ascii") + b"\r\n"


def request_head(
    origin: Origin,
    prefix: str,
    path: str,
    auth: bytes = b"",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    method: Method = "POST",
    content_type: str = "application/json",
) -> bytes:
    """The constant part of a request's head: request line and headers, without content-length and the last blank line.

    `auth` is from `auth_headers`; `headers` are the provider's static extras, which may replace user-agent and
    content-type but not the framing. `content_type` "": there is no body. Raises ValueError on what is not safe on the wire.
    """
    target = prefix + path
    if not _TARGET.match(target):
        raise ValueError(f"request path {target!r} must start with / and hold printable ASCII only")
    lines = {
        "host": header_line("host", origin.authority),
        "user-agent": header_line("user-agent", USER_AGENT),
        # Plain bytes only: usage is read from the reply as it passes, and decompressing would cost more than the call.
        "accept-encoding": b"accept-encoding: identity\r\n",
    }
    if content_type:
        lines["content-type"] = header_line("content-type", content_type)
    for name, value in headers.items() if isinstance(headers, Mapping) else headers:
        if name.lower() in _OURS:
            raise ValueError(f"header {name!r} is set by the transport and cannot be configured")
        lines[name.lower()] = header_line(name, value)
    return f"{method} {target} HTTP/1.1\r\n".encode("ascii") + b"".join(lines.values()) + auth


def bodyless_head(constant: bytes, forwarded: bytes = b"") -> bytes:
    """The whole head of a request that has no body and, by its method, need not say so."""
    return b"%b%b\r\n" % (constant, forwarded)


def chunked_head(constant: bytes, forwarded: bytes = b"") -> bytes:
    """The whole head of a request whose body's length is not known."""
    return b"%btransfer-encoding: chunked\r\n%b\r\n" % (constant, forwarded)


def complete_head(constant: bytes, body_bytes: int, forwarded: bytes = b"") -> bytes:
    """The whole head for `Pool.send`. `forwarded` are header lines ended by CRLF that were checked when they were read."""
    return b"%bcontent-length: %d\r\n%b\r\n" % (constant, body_bytes, forwarded)
