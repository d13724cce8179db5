"""The built-in upstream, asked through the pool like any other."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import openai.types
import openai.types.chat
import pytest

from freehold.upstream import sandbox
from freehold.upstream.head import complete_head, request_head
from freehold.upstream.pool import Pool
from freehold.upstream.reply import Reply
from freehold.upstream.sandbox import vector
from freehold.upstream.transport import SANDBOX, Timeouts

from .conftest import read_all


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "WORD_DELAY_S", 0.001)


async def post(pool: Pool, path: str, body: bytes) -> Reply:
    return await pool.send(SANDBOX, complete_head(request_head(SANDBOX, "/v1", path), len(body)), body, Timeouts())


async def call(pool: Pool, path: str, **fields: Any) -> tuple[int, Any]:
    reply = await post(pool, path, msgspec.json.encode({"model": "echo", **fields}))
    return reply.status, msgspec.json.decode(await read_all(reply))


def user(text: object) -> list[dict[str, object]]:
    return [{"role": "system", "content": "Be kind."}, {"role": "user", "content": text}]


async def test_it_echoes_the_last_user_text_under_its_label_and_counts_words(pool: Pool) -> None:
    status, body = await call(pool, "/chat/completions", messages=user("hello there"))
    completion = openai.types.chat.ChatCompletion.model_validate(body, strict=True)
    assert (status, completion.choices[0].message.content) == (200, "[sandbox] You said: hello there")
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (4, 5, 9)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "b"}], "a b"),
        ("", ""),
        (None, ""),
        (5, ""),
        ([None, {"type": "text", "text": 5}], ""),
        ("line one\nline  two", "line one\nline  two"),
    ],
)
async def test_any_content_is_echoed_as_its_text(pool: Pool, content: object, said: str) -> None:
    _, body = await call(pool, "/chat/completions", messages=user(content))
    assert body["choices"][0]["message"]["content"] == f"[sandbox] You said: {said}"


def events(data: bytes) -> list[Any]:
    blocks = data.split(b"\n\n")
    assert blocks[-2:] == [b"data: [DONE]", b""]
    return [msgspec.json.decode(block.removeprefix(b"data: ")) for block in blocks[:-2]]


@pytest.mark.parametrize("include_usage", [True, False])
async def test_a_stream_comes_word_by_word_with_usage_only_when_asked(pool: Pool, include_usage: bool) -> None:
    body: dict[str, Any] = {"model": "echo", "messages": user("one two"), "stream": True}
    if include_usage:
        body["stream_options"] = {"include_usage": True}
    reply = await post(pool, "/chat/completions", msgspec.json.encode(body))
    assert reply.headers[b"content-type"] == b"text/event-stream"
    assert not reply.complete
    pieces: list[bytes] = []
    await reply.pump(pieces.append)
    assert len(pieces) > 5
    raw = events(b"".join(pieces))
    chunks = [openai.types.chat.ChatCompletionChunk.model_validate(event, strict=True) for event in raw]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "[sandbox] You said: one two"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert [c.usage.total_tokens for c in chunks if c.usage] == ([9] if include_usage else [])
    assert all(("usage" in event) == include_usage for event in raw)


async def test_a_stream_is_paused_and_dropped_like_any_other(pool: Pool) -> None:
    body = msgspec.json.encode({"model": "echo", "messages": user("w " * 200), "stream": True})
    reply = await post(pool, "/chat/completions", body)
    reply.pause()
    reply.take()
    await asyncio.sleep(0.02)
    assert reply.take() == b""
    reply.resume()
    assert await reply.read()
    reply.close()
    await asyncio.sleep(0.02)
    assert (reply.take(), reply.complete) == (b"", False)


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_the_output_limit_is_kept(pool: Pool, field: str) -> None:
    _, body = await call(pool, "/chat/completions", messages=user("hello"), **{field: 2})
    assert body["choices"][0]["message"]["content"] == "[sandbox] You"
    assert (body["choices"][0]["finish_reason"], body["usage"]["completion_tokens"]) == ("length", 2)


async def test_embeddings_are_stable_unit_vectors_in_both_encodings(pool: Pool) -> None:
    status, body = await call(pool, "/embeddings", input=["a", "b", "a"])
    openai.types.CreateEmbeddingResponse.model_validate(body, strict=True)
    a, b, again = (entry["embedding"] for entry in body["data"])
    assert status == 200
    assert a == again != b
    assert math.isclose(sum(x * x for x in a), 1, rel_tol=1e-9)
    assert body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    _, packed = await call(pool, "/embeddings", input="a", encoding_format="base64")
    import base64
    import struct

    assert struct.unpack("<8f", base64.b64decode(packed["data"][0]["embedding"])) == pytest.approx(a)


def test_no_text_has_a_zero_vector() -> None:
    assert all(math.isfinite(x) for x in vector(""))


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/chat/completions", b"{", 400, None),
        ("/chat/completions", b"[]", 400, None),
        ("/chat/completions", b"\xff", 400, None),
        ("/chat/completions", b'{"model":"echo"}', 400, "messages"),
        ("/chat/completions", b'{"model":"echo","messages":[]}', 400, "messages"),
        ("/chat/completions", b'{"model":"gpt-9","messages":[{}]}', 404, "model"),
        ("/chat/completions", b'{"model":7,"messages":[{}]}', 404, "model"),
        ("/embeddings", b'{"model":"echo"}', 400, "input"),
        ("/embeddings", b'{"model":"echo","input":[1,2]}', 400, "input"),
        ("/embeddings", b'{"model":"echo","input":"a","encoding_format":"int8"}', 400, "encoding_format"),
        ("/audio/speech", b"{}", 404, None),
    ],
)
async def test_what_it_cannot_do_is_refused_in_openais_form(pool: Pool, path: str, body: bytes, status: int, param: str) -> None:
    reply = await post(pool, path, body)
    error = msgspec.json.decode(await read_all(reply))["error"]
    assert (reply.status, reply.complete, error["param"]) == (status, True, param)
    assert error["message"]


async def test_it_lists_its_one_model(pool: Pool) -> None:
    head = complete_head(request_head(SANDBOX, "/v1", "/models", method="GET"), 0)
    reply = await pool.send(SANDBOX, head, b"", Timeouts())
    assert [model["id"] for model in msgspec.json.decode(await read_all(reply))["data"]] == ["echo"]
