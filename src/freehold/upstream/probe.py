"""Finding model servers on this machine (Ollama, vLLM, LM Studio...): does something answer at the address it is known by?

Called once, before serving. Only addresses of the catalogue that lie on this machine are tried, all at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import urlsplit

import httptools
import msgspec

_LOCAL = ("127.0.0.1", "::1", "localhost")
_MAX_BYTES = 4 * 1024 * 1024


class Row(Protocol):
    """What is read of a provider's row. `probe`: URL of its model list ("" if it can't be found so)."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def probe(self) -> str: ...


class _Models(msgspec.Struct):
    data: list[msgspec.Raw] | None  # null: a server without a model yet


class _Answer:
    """Collects one reply; httptools calls the methods."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.done = False

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.done = True


def probe_local(rows: Iterable[Row], timeout_s: float = 0.3, skip_ports: Iterable[int] = ()) -> dict[str, str]:
    """Provider name -> base URL, for every row whose probe answers with an OpenAI-style list of models within `timeout_s`.

    `skip_ports`: our own. Where two kinds of server are known by one address, the first row gets it. Never raises.
    """
    ours = set(skip_ports)
    first: dict[str, Row] = {}
    for row in rows:
        if row.probe and _port(row.probe) not in (None, *ours):
            first.setdefault(row.probe, row)
    answered = asyncio.run(_probe_all(list(first), timeout_s)) if first else []
    return {row.name: row.base_url for row, yes in zip(first.values(), answered, strict=True) if yes}


async def _probe_all(urls: list[str], timeout_s: float) -> list[bool]:
    return await asyncio.gather(*(_lists_models(url, timeout_s) for url in urls))


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    return (parts.port or 80) if parts.scheme == "http" and parts.hostname in _LOCAL else None


async def _lists_models(url: str, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):  # over the whole exchange: a server that drips must not hold up the start
            status, body = await _get(url)
        msgspec.json.decode(body, type=_Models)
    except (OSError, ValueError, TimeoutError, httptools.HttpParserError, msgspec.MsgspecError):
        return False  # nobody there, or somebody else
    return status == 200


async def _get(url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        head = f"GET {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\naccept: application/json\r\nconnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        while not answer.done and len(answer.body) < _MAX_BYTES and (piece := await reader.read(65536)):
            parser.feed_data(piece)
        return parser.get_status_code(), bytes(answer.body)
    finally:
        writer.close()
