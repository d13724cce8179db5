"""The opening of a WebSocket by a client (RFC 6455, 4.2): is it one that we can accept, and the header lines that accept it.

The frames are pipeline/realtime.py's. No extension is accepted: compressed frames would have no bound on what they hold.
"""

from __future__ import annotations

import base64
import hashlib
import re

from freehold.base.errors import InvalidRequest
from freehold.gateway.request import Request

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_SUBPROTOCOL = b"realtime"


_KEY_PREFIX = b"openai-insecure-api-key."
_BETA = b"openai-beta.realtime-v1"


def unpack(headers: dict[bytes, bytes]) -> None:
    """Put into headers what browsers, which can't set any, write into the subprotocols instead, as OpenAI's API has it.

    The key is taken out of there: nothing that names or passes on a subprotocol must see it.
    """
    offered = headers.get(b"sec-websocket-protocol")
    if offered is None:
        return
    protocols = [part.strip(b" \t") for part in offered.split(b",")]
    keys = [part[len(_KEY_PREFIX) :] for part in protocols if part.startswith(_KEY_PREFIX)]
    headers[b"sec-websocket-protocol"] = b", ".join(part for part in protocols if not part.startswith(_KEY_PREFIX))
    if keys and b"authorization" not in headers:
        headers[b"authorization"] = b"Bearer " + keys[0]
    if _BETA in protocols:
        headers.setdefault(b"openai-beta", b"realtime=v1")


def acceptance(request: Request) -> bytes:
    """Header lines for the 101 reply. Raises InvalidRequest (426 where the request is no WebSocket's at all)."""
    headers = request.headers
    if not request.http11 or not _has(headers, b"upgrade", b"websocket") or not _has(headers, b"connection", b"upgrade"):
        error = InvalidRequest("this path is a WebSocket: ask for it with 'connection: upgrade' and 'upgrade: websocket'")
        error.status = 426
        raise error
    if headers.get(b"sec-websocket-version") != b"13":
        raise InvalidRequest("the header sec-websocket-version must be 13")
    key = headers.get(b"sec-websocket-key", b"")
    if not _KEY.fullmatch(key):
        raise InvalidRequest("the header sec-websocket-key must be 16 bytes in base64")
    lines = b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: %b\r\n" % accept_key(key)
    if _has(headers, b"sec-websocket-protocol", _SUBPROTOCOL):
        lines += b"sec-websocket-protocol: %b\r\n" % _SUBPROTOCOL
    return lines


def accept_key(key: bytes) -> bytes:
    return base64.b64encode(hashlib.sha1(key + _GUID).digest())


def _has(headers: dict[bytes, bytes], name: bytes, token: bytes) -> bool:
    return token in (part.strip(b" \t").lower() for part in headers.get(name, b"").split(b","))
