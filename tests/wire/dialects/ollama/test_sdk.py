"""The official Python SDK as the judge of what our writers write. Skips where the `ollama` package is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from freehold.base.errors import ModelNotFound
from freehold.wire.chat import Usage
from freehold.wire.dialects.ollama import pages
from freehold.wire.embed import EmbedReply, EmbedRequest
from tests.wire.dialects.ollama.samples import DIALECT, EMBEDDINGS, GENERATED, STREAM, dump, lines, prompted, read, said, write
from tests.wire.dialects.ollama.test_writer import EVENTS

ollama = pytest.importorskip("ollama", reason="the official SDK is not here: pip install ollama")


@contextmanager
def serving(body: bytes, kind: str = "application/json", status: int = 200) -> Iterator[tuple[Any, list[bytes]]]:
    """A client whose server answers everything with `body`, and the bodies it was sent."""
    seen: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            seen.append(self.rfile.read(int(self.headers.get("content-length", 0))))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield ollama.Client(host=f"http://127.0.0.1:{server.server_port}"), seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize("events", [EVENTS, read(STREAM)])
def test_a_chat_stream(events: list[Any]) -> None:
    with serving(write(events), "application/x-ndjson") as (client, seen):
        chunks = list(client.chat(**ASK, stream=True))
    assert DIALECT.peek(seen[0], "chat").stream
    content = "".join(chunk.message.content or "" for chunk in chunks)
    thinking = "".join(chunk.message.thinking or "" for chunk in chunks)
    calls = [call.function for chunk in chunks for call in chunk.message.tool_calls or ()]
    last = chunks[-1]
    assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    if events is EVENTS:
        assert (content, thinking, last.prompt_eval_count, last.eval_count) == ("Hi there", "hm", 20, 8)
        assert [(call.name, dict(call.arguments)) for call in calls] == [("f", {"x": 1.0}), ("g", {})]
    else:
        assert thinking.startswith("Let me see") and (last.prompt_eval_count, last.eval_duration) == (12, 77)
        assert [(call.name, dict(call.arguments)) for call in calls] == [("add", {"b": 1, "a": 2.5}), ("now", {})]


def test_a_whole_chat() -> None:
    with serving(write(EVENTS, stream=False)) as (client, seen):
        reply = client.chat(**ASK)
    assert not DIALECT.peek(seen[0], "chat").stream
    assert (reply.message.content, reply.message.thinking, reply.done, reply.done_reason) == ("Hi there", "hm", True, "stop")
    assert [dict(call.function.arguments) for call in reply.message.tool_calls or ()] == [{"x": 1.0}, {}]


def test_generate_in_both_forms() -> None:
    with serving(write(EVENTS, True, prompted()), "application/x-ndjson") as (client, _):
        chunks = list(client.generate(model="m", prompt="hi", stream=True))
    assert "".join(chunk.response or "" for chunk in chunks) == "Hi there"
    with serving(write(read(GENERATED), False, prompted())) as (client, _):
        reply = client.generate(model="m", prompt="hi")
    assert (reply.response, reply.thinking, reply.context, reply.done_reason) == ("one two", "hm", [1, 2, 3], "length")


def test_a_turn_of_a_tool_loop_as_the_sdk_writes_it() -> None:
    with serving(write(EVENTS, stream=False)) as (client, seen):
        reply = client.chat(**ASK)
        results = [{"role": "tool", "tool_name": name, "content": name} for name in ("g", "f")]
        client.chat(model="m", messages=[*ASK["messages"], reply.message, *results], think="low", format={"type": "object"})
    request = DIALECT.decode_request(DIALECT.peek(seen[1], "chat"))
    called = [part.id for part in request.messages[1].parts if hasattr(part, "arguments")]
    answered = [part.call_id for message in request.messages[2:] for part in message.parts if hasattr(part, "call_id")]
    assert answered == called[::-1]


def test_errors_are_raised() -> None:
    body = DIALECT.encode_error(ModelNotFound("no such model"), "c1")
    with serving(body, status=404) as (client, _), pytest.raises(ollama.ResponseError, match="no such model") as caught:
        client.chat(**ASK)
    assert caught.value.status_code == 404
    broken = lines(said("a")) + DIALECT.encode_stream_error(ModelNotFound("gone"), "c1")
    with serving(broken, "application/x-ndjson") as (client, _), pytest.raises(ollama.ResponseError, match="gone"):
        list(client.chat(**ASK, stream=True))


def test_embeddings() -> None:
    codec = DIALECT.embeddings
    assert codec is not None
    from array import array

    reply = EmbedReply(model="e", vectors=[array("d", [0.5, -1.0])], usage=Usage(input=3))
    with serving(codec.encode_reply(reply, EmbedRequest(dialect="ollama", model="e", texts=["a"]))) as (client, _):
        found = client.embed(model="e", input="a")
    assert ([list(vector) for vector in found.embeddings], found.prompt_eval_count) == ([[0.5, -1.0]], 3)
    old = codec.decode_request(DIALECT.peek(dump({"model": "e", "prompt": "a"}), "embeddings", EMBEDDINGS))
    with serving(codec.encode_reply(reply, old)) as (client, _):
        assert list(client.embeddings(model="e", prompt="a").embedding) == [0.5, -1.0]


def test_pages() -> None:
    models = [pages.Model("smart", 1000, ("completion", "tools"))]
    with serving(pages.tags(models, 7)) as (client, _):
        assert [model.model for model in client.list().models] == ["smart"]
    with serving(pages.ps(models, 7)) as (client, _):
        assert [model.context_length for model in client.ps().models] == [1000]
    with serving(pages.show(models[0], 7)) as (client, seen):
        shown = client.show("smart")
    assert pages.shown(seen[0]) == "smart"
    assert shown.capabilities == ["completion", "tools"] and shown.modelinfo["freehold.context_length"] == 1000
