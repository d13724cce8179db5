"""Recorded provider traffic, for tests that replay it: found by FREEHOLD_TRAFFIC or beside the checkout, else the test skips.

The recordings are read where they lie and never copied. `exchanges` yields single calls, `cases` the same conversation in
several dialects.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SSE_STARTS = ("data:", "event:", ":")


def traffic_dir() -> Path | None:
    """The folder that holds recorded/ and cases/, or None where there is none."""
    named = os.environ.get("FREEHOLD_TRAFFIC")
    for folder in [Path(named)] if named else [ROOT.parent / "shared" / "traffic"]:
        if (folder / "recorded").is_dir():
            return folder
    return None


needs_traffic = pytest.mark.skipif(
    traffic_dir() is None,
    reason="recorded traffic is not here: set FREEHOLD_TRAFFIC to the folder that holds recorded/ and cases/",
)


@dataclass(frozen=True)
class Recorded:
    """One recorded exchange. `request` is the JSON body that was sent, `response` the bytes that came back."""

    id: str
    source: str
    provider: str
    endpoint: str
    url: str
    request: dict[str, Any]
    status: int
    content_type: str
    tags: tuple[str, ...]
    response: bytes

    @property
    def stream(self) -> bool:
        return bool(self.request.get("stream"))

    @property
    def is_sse(self) -> bool:
        """The reply is a stream of server-sent events (an error reply to a streamed request is not)."""
        return self.response.lstrip()[:6].decode("latin-1").startswith(SSE_STARTS)

    @property
    def served_type(self) -> str:
        """The recorded content type; by the look of the bytes where none was recorded."""
        return self.content_type or ("text/event-stream; charset=utf-8" if self.is_sse else "application/json")


@dataclass(frozen=True)
class Case:
    """One conversation in several dialects. `files` maps "anthropic/request.json" and the like to parsed JSON."""

    name: str
    files: dict[str, Any]

    def of(self, dialect: str, turn: str = "") -> dict[str, Any]:
        """What `dialect` has of a turn ("" or "followup-"): any of request, response, response-streaming, error."""
        names = ("request", "response", "response-streaming", "error")
        found = {name: self.files.get(f"{dialect}/{turn}{name}.json") for name in names}
        return {name: value for name, value in found.items() if value is not None}


def exchanges(
    endpoint: str | Iterable[str] | None = None, provider: str | Iterable[str] | None = None, *, ids: Iterable[str] | None = None
) -> list[Recorded]:
    """Every recorded exchange of these endpoints and providers, in file order. Skips the test where no traffic is."""
    endpoints, providers, wanted = _names(endpoint), _names(provider), _names(ids)
    return [
        one
        for one in _all(_folder())
        if (endpoints is None or one.endpoint in endpoints)
        and (providers is None or one.provider in providers)
        and (wanted is None or one.id in wanted)
    ]


def cases() -> list[Case]:
    """Every translation case, in file order. Skips the test where no traffic is."""
    return [Case(line["case"], line["files"]) for line in _lines(_folder() / "cases" / "cases.jsonl.gz")]


def _folder() -> Path:
    folder = traffic_dir()
    if folder is None:
        pytest.skip("recorded traffic is not here: set FREEHOLD_TRAFFIC to the folder that holds recorded/ and cases/")
    return folder


@lru_cache(maxsize=1)
def _all(folder: Path) -> tuple[Recorded, ...]:
    return tuple(_exchange(line) for path in sorted((folder / "recorded").glob("*.jsonl.gz")) for line in _lines(path))


def _exchange(line: dict[str, Any]) -> Recorded:
    body = line["response"] or ""
    return Recorded(
        id=line["id"],
        source=line["source"],
        provider=line["provider"],
        endpoint=line["endpoint"],
        url=line["url"],
        request=line["request"] if isinstance(line["request"], dict) else {},
        status=line["status"],
        content_type=line["content_type"] or "",
        tags=tuple(line["tags"]),
        response=base64.b64decode(body) if line["encoding"] == "base64" else body.encode(),
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _names(value: str | Iterable[str] | None) -> set[str] | None:
    if value is None:
        return None
    return {value} if isinstance(value, str) else set(value)
