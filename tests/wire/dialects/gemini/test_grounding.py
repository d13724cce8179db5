"""Google's web searches in the usage, read the same by the tap and by the reader."""

from __future__ import annotations

import pytest
from msgspec import json

from freehold.wire.chat import UsageReport
from freehold.wire.dialect import Asked, Quirks
from freehold.wire.registry import DIALECTS

GEMINI = DIALECTS["gemini"]


def chunk(*queries: object, model: str = "gemini-3-pro", finish: bool = False) -> bytes:
    candidate: dict[str, object] = {"content": {"role": "model", "parts": [{"text": "x"}]}, "index": 0}
    if queries:
        candidate["groundingMetadata"] = {"webSearchQueries": list(queries), "groundingChunks": []}
    if finish:
        candidate["finishReason"] = "STOP"
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    return json.encode({"candidates": [candidate], "modelVersion": model, "usageMetadata": usage})


def told(chunks: list[bytes], stream: bool) -> tuple[int, int]:
    """Searches as the tap has them, and as the reader has."""
    data = b"".join(b"data: " + one + b"\n\n" for one in chunks) if stream else chunks[0]
    peek = GEMINI.peek(b'{"contents":[{"parts":[{"text":"x"}]}]}', "chat", Asked(model="m"))
    tap = GEMINI.tap(peek, Quirks(), stream, len)
    tap.feed(data)
    tap.close()
    reader = GEMINI.reader(stream)
    reports = [event.usage for event in [*reader.feed(data), *reader.close()] if isinstance(event, UsageReport)]
    assert tap.usage is not None and tap.usage.input == reports[-1].input == 5
    return tap.usage.web_searches, reports[-1].web_searches


@pytest.mark.parametrize(
    ("model", "queries", "billed"),
    [
        ("gemini-3-pro", ("a", "b", "a", ""), 2),
        ("gemini-2.5-flash", ("a", "b"), 1),
        ("publishers/google/models/gemini-2.0-flash", ("a", "b"), 1),
        ("another", ("a", "b"), 2),
        ("gemini-3-pro", (), 0),
        ("gemini-3-pro", ("",), 0),
        ("gemini-3-pro", (5, None), 0),
    ],
)
def test_searches_are_counted_as_google_bills_them(model: str, queries: tuple[object, ...], billed: int) -> None:
    assert told([chunk(*queries, model=model, finish=True)], False) == (billed, billed)


def test_a_stream_may_tell_them_in_several_chunks() -> None:
    assert told([chunk("a"), chunk("a", "b"), chunk(), chunk("c", finish=True)], True) == (3, 3)


def test_what_is_of_another_type_counts_as_nothing() -> None:
    odd = chunk("a", finish=True).replace(b'["a"]', b'"a"')
    assert told([odd], False) == (0, 0)
