"""The official SDK reads what our writers write, and sends what our readers read. Skips where the SDK is not installed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from freehold.wire.chat import ChatReply, Choice, Text, Thinking, ToolUse, Usage
from freehold.wire.dialect import Asked
from freehold.wire.embed import EmbedReply
from freehold.wire.embedform import vector_of
from freehold.wire.fold import unfold
from freehold.wire.rank import Ranked, RerankReply

from .samples import DIALECT, STREAM, dump, encoded, read, write

cohere: Any = pytest.importorskip("cohere")

Answer = Callable[[str, bytes], tuple[int, str, bytes]]  # path, body -> status, content type, body


class Server:
    """Answers each call by `answer`; `bodies` are the requests it saw."""

    def __init__(self) -> None:
        self.answer: Answer = lambda path, body: (404, "application/json", b"{}")
        self.bodies: list[bytes] = []
        held = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                held.bodies.append(body)
                status, kind, answer = held.answer(self.path, body)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.http.serve_forever, daemon=True).start()

    def chat(self, events: list[Any], stream: bool = False) -> None:
        kind = "text/event-stream" if stream else "application/json"
        self.answer = lambda path, body: (200 if path == "/v2/chat" else 404, kind, write(events, stream))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


FOREIGN = unfold(
    ChatReply(
        dialect="elsewhere",
        choices=[
            Choice(
                parts=[
                    Thinking(text="hm"),
                    Text(text="Grüße"),
                    ToolUse(id="a", name="f", arguments='{"x": 1}'),
                    ToolUse(id="b", name="g"),
                ],
                finish="tool_use",
            )
        ],
        usage=Usage(input=5, output=3),
    )
)
MESSAGES = [{"role": "user", "content": "hi"}]


def test_a_whole_chat(server: Server) -> None:
    server.chat(FOREIGN)
    client = cohere.ClientV2(api_key="k", base_url=server.url)
    reply = client.chat(model="m", messages=MESSAGES, thinking={"type": "enabled", "token_budget": 9}, k=5)
    assert [(block.type, getattr(block, block.type)) for block in reply.message.content] == [
        ("thinking", "hm"),
        ("text", "Grüße"),
    ]
    assert [(call.id, call.function.name, call.function.arguments) for call in reply.message.tool_calls] == [
        ("a", "f", '{"x": 1}'),
        ("b", "g", "{}"),
    ]
    assert (reply.id, reply.finish_reason) == ("call1", "TOOL_CALL")
    assert (reply.usage.billed_units.input_tokens, reply.usage.tokens.output_tokens) == (5, 3)
    request = DIALECT.decode_request(DIALECT.peek(server.bodies[0], "chat"))
    assert request.reasoning is not None and request.reasoning.budget_tokens == 9 and request.top_k == 5
    assert encoded(request)[0] == json.loads(server.bodies[0])


@pytest.mark.parametrize("events", [FOREIGN, read(STREAM)])
def test_a_streamed_chat(server: Server, events: list[Any]) -> None:
    server.chat(events, stream=True)
    client = cohere.ClientV2(api_key="k", base_url=server.url)
    text, thinking, plan, calls, citations, end = "", "", "", {}, [], None
    for event in client.chat_stream(model="m", messages=MESSAGES):
        message = getattr(event.delta, "message", None) if getattr(event, "delta", None) else None
        if event.type == "content-delta":
            text += message.content.text or ""
            thinking += message.content.thinking or ""
        elif event.type == "tool-plan-delta":
            plan += message.tool_plan
        elif event.type == "tool-call-start":
            calls[event.index] = [message.tool_calls.id, message.tool_calls.function.name, message.tool_calls.function.arguments]
        elif event.type == "tool-call-delta":
            calls[event.index][2] += message.tool_calls.function.arguments
        elif event.type == "citation-start":
            citations.append(message.citations.text)
        elif event.type == "message-end":
            end = event
    if events is FOREIGN:
        assert (text, thinking, plan, citations) == ("Grüße", "hm", "", [])
        assert calls == {0: ["a", "f", '{"x": 1}'], 1: ["b", "g", "{}"]}
    else:
        assert (text, thinking, plan, citations) == ('Hé "message-end"', "hm", "I will look.", ["Hé"])
        assert calls == {0: ["c1", "f", '{"a": 1}']}
    assert end is not None and end.delta.finish_reason == "TOOL_CALL" and end.delta.usage.billed_units.output_tokens in (3, 7)


def test_a_stream_that_breaks(server: Server) -> None:
    from freehold.wire.chat import Failure

    broken = STREAM[: STREAM.index(b"event: message-end")] + DIALECT.encode_stream_error(Failure(message="broke"), "call1")
    server.answer = lambda path, body: (200, "text/event-stream", broken)
    last = list(cohere.ClientV2(api_key="k", base_url=server.url).chat_stream(model="m", messages=MESSAGES))[-1]
    assert (last.type, last.delta.finish_reason, last.delta.error) == ("message-end", "ERROR", "broke")


@pytest.mark.parametrize("kind", ["float", "base64"])
def test_embeddings(server: Server, kind: str) -> None:
    vectors = [vector_of([0.1, -2.5]), vector_of([1e-7, 3.0])]

    def answer(path: str, body: bytes) -> tuple[int, str, bytes]:
        codec = DIALECT.embeddings
        assert codec is not None and path == "/v2/embed"
        request = codec.decode_request(DIALECT.peek(body, "embeddings"))
        assert (request.texts, request.purpose, request.base64) == (["a", "b"], "query", kind == "base64")
        return 200, "application/json", codec.encode_reply(EmbedReply(id="e", vectors=vectors, usage=Usage(input=4)), request)

    server.answer = answer
    client = cohere.ClientV2(api_key="k", base_url=server.url)
    reply = client.embed(model="m", texts=["a", "b"], input_type="search_query", embedding_types=[kind])
    assert (reply.id, reply.texts, reply.meta.billed_units.input_tokens) == ("e", ["a", "b"], 4)
    if kind == "float":
        assert reply.embeddings.float_ == [[0.1, -2.5], [1e-7, 3.0]]
    else:
        assert vector_of(reply.embeddings.base64[0])[1] == -2.5


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_rerank(server: Server, version: str) -> None:
    def answer(path: str, body: bytes) -> tuple[int, str, bytes]:
        codec = DIALECT.rerank
        assert codec is not None and path == f"/{version}/rerank"
        request = codec.decode_request(DIALECT.peek(body, "rerank", Asked(path=path)))
        results = [Ranked(index=1, score=0.75), Ranked(index=0, score=0.1)]
        return (
            200,
            "application/json",
            codec.encode_reply(RerankReply(id="r", results=results, usage=Usage(rerank_searches=1)), request),
        )

    server.answer = answer
    fields: dict[str, Any] = {"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 1}
    if version == "v1":
        reply = cohere.Client(api_key="k", base_url=server.url).rerank(**fields, return_documents=True)
        assert reply.results[0].document.text == "b"
    else:
        reply = cohere.ClientV2(api_key="k", base_url=server.url).rerank(**fields)
    assert [(item.index, item.relevance_score) for item in reply.results] == [(1, 0.75)]
    assert (reply.id, reply.meta.billed_units.search_units) == ("r", 1)


def test_errors(server: Server) -> None:
    from freehold.base.errors import InvalidRequest

    server.answer = lambda path, body: (
        400,
        "application/json",
        DIALECT.encode_error(InvalidRequest("k: must be a number"), "call1"),
    )
    with pytest.raises(cohere.BadRequestError) as caught:
        cohere.ClientV2(api_key="k", base_url=server.url).chat(model="m", messages=MESSAGES)
    assert caught.value.body == {"id": "call1", "message": "k: must be a number"}
    assert dump(caught.value.body)
