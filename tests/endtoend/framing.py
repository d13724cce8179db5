"""How streams are framed on the wire: server-sent events, AWS event streams, lines of JSON. Written and read strictly.

By the formats' published rules; nothing here imports the product.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

Body = dict[str, Any]


def sse(*events: Body, named: bool = False, done: bool = False) -> bytes:
    lines = [(f"event: {event['type']}\n" if named else "") + f"data: {json.dumps(event)}\n\n" for event in events]
    return ("".join(lines) + ("data: [DONE]\n\n" if done else "")).encode()


def aws(*events: tuple[str, Body]) -> bytes:
    return b"".join(_frame({":event-type": kind, ":message-type": "event"}, json.dumps(body).encode()) for kind, body in events)


def _frame(heads: dict[str, str], payload: bytes) -> bytes:
    lines = b"".join(bytes([len(k)]) + k.encode() + b"\x07" + struct.pack(">H", len(v)) + v.encode() for k, v in heads.items())
    prelude = struct.pack(">II", len(lines) + len(payload) + 16, len(lines))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + lines + payload
    return message + struct.pack(">I", zlib.crc32(message))


def frames(data: bytes) -> list[tuple[dict[str, str], Any]]:
    """AWS messages as (headers, parsed payload). Raises AssertionError where a checksum is wrong or bytes are left over."""
    found = []
    while data:
        total, heads = struct.unpack(">II", data[:8])
        message, data = data[:total], data[total:]
        assert len(message) == total and zlib.crc32(message[:-4]) == struct.unpack(">I", message[-4:])[0]
        at, named = 12, {}
        while at < 12 + heads:
            name = message[at + 1 : at + 1 + message[at]].decode()
            at += 2 + message[at]
            size = struct.unpack(">H", message[at : at + 2])[0]
            named[name] = message[at + 2 : at + 2 + size].decode()
            at += 2 + size
        found.append((named, json.loads(message[12 + heads : -4] or b"{}")))
    return found


def events(data: bytes) -> list[Body]:
    """The data objects of server-sent events. Raises AssertionError where a block is no event."""
    text = data.decode().replace("\r\n", "\n")  # Google ends lines so
    assert text.endswith("\n\n")
    found = []
    for block in text.split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith(("event: ", ":"))]
        assert len(lines) <= 1 and all(line.startswith("data: ") for line in lines), block
        found += [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]
    return found


def lines(data: bytes) -> list[Body]:
    assert data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]
