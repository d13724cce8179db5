"""AWS's own SDK as the judge: it calls a tiny server that answers with what our codecs write. Skips where boto3 is absent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

from freehold.base.errors import LimitExceeded
from freehold.wire.chat import (
    Delta,
    End,
    Event,
    Finish,
    PartEnd,
    PartStart,
    Start,
    Text,
    Thinking,
    ToolUse,
    Usage,
    UsageReport,
)
from freehold.wire.dialect import Asked, Dialect, Peek, Quirks, WriterOptions
from freehold.wire.registry import DIALECTS
from tests.wire.dialects.bedrock.samples import MODEL, STREAM, STREAM_EVENTS

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")

FOREIGN: list[Event] = [
    Start(id="x", model="gpt-x", dialect="openai_chat"),
    PartStart(part=0, body=Thinking()),
    Delta(part=0, text="hm", signature="sig"),
    PartEnd(part=0),
    PartStart(part=1, body=Text(text="")),
    Delta(part=1, text="Grüße "),
    Delta(part=1, text="\U0001f600"),
    PartEnd(part=1),
    PartStart(part=2, body=ToolUse(id="c1", name="f")),
    Delta(part=2, text='{"a":'),
    Delta(part=2, text=" 1}"),
    PartStart(part=3, body=ToolUse(id="c2", name="g")),
    Finish(reason="tool_use"),
    UsageReport(usage=Usage(input=20, output=8, cache_read=5)),
    End(),
]


class Server(HTTPServer):
    """Answers every call of a Bedrock dialect with `events`; with `break_after`, a stream breaks there."""

    events: list[Event] = FOREIGN
    data: bytes | None = None
    refuse = False
    break_after: int | None = None
    seen: tuple[str, Peek] | None = None


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        model, operation = self.path.removeprefix("/model/").rsplit("/", 1)
        dialect, stream = _endpoint(operation)
        peek = dialect.peek(body, "chat", Asked(model=unquote(model), stream=stream))
        self.server.seen = (self.path, peek)
        if self.server.refuse:
            error = LimitExceeded("Too many requests. Wait.")
            self._send(error.status, "application/json", dialect.encode_error(error, "c1"))
            return
        writer = dialect.writer(WriterOptions(stream=stream, model=peek.model, call_id="c1", created_s=7))
        out = self.server.data or writer.write(self.server.events[: self.server.break_after])
        if self.server.break_after is not None:
            out += dialect.encode_stream_error(LimitExceeded("Too many requests. Wait."), "c1")
        elif self.server.data is None:
            out += writer.close()
        self._send(200, dialect.stream_content_type.decode() if stream else "application/json", out)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def _endpoint(operation: str) -> tuple[Dialect, bool]:
    for name in ("bedrock", "bedrock_invoke"):
        for path in DIALECTS[name].client_paths:
            if path.path == f"/model/{{model}}/{operation}":
                return DIALECTS[name], bool(path.stream)
    raise AssertionError(operation)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture
def client(server: Server) -> Any:
    from botocore.config import Config

    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
        config=Config(retries={"max_attempts": 0}),
    )


ASK: dict[str, Any] = {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": "hello"}]}]}


def test_converse_reads_a_whole_reply(server: Server, client: Any) -> None:
    reply = client.converse(**ASK)
    assert reply["output"]["message"]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
        {"text": "Grüße \U0001f600"},
        {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
        {"toolUse": {"toolUseId": "c2", "name": "g", "input": {}}},
    ]
    assert reply["stopReason"] == "tool_use"
    usage = {"inputTokens": 15, "outputTokens": 8, "totalTokens": 28, "cacheReadInputTokens": 5, "cacheWriteInputTokens": 0}
    assert reply["usage"] == usage


def test_converse_stream_reads_every_event(server: Server, client: Any) -> None:
    events = list(client.converse_stream(**ASK)["stream"])
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == "Grüße \U0001f600"
    inputs = "".join(delta.get("toolUse", {}).get("input", "") for delta in deltas)
    assert inputs == '{"a": 1}{}'
    starts = [event["contentBlockStart"]["start"]["toolUse"]["name"] for event in events if "contentBlockStart" in event]
    assert starts == ["f", "g"]
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 28


def test_our_samples_are_what_the_sdk_reads(server: Server, client: Any) -> None:
    server.data = STREAM
    assert len(list(client.converse_stream(**ASK)["stream"])) == len(STREAM_EVENTS)


@pytest.mark.parametrize("model", [MODEL, "arn:aws:bedrock:us-east-1:012345678901:inference-profile/us.x~y-1:0"])
def test_our_paths_are_quoted_as_the_sdk_quotes_them(server: Server, client: Any, model: str) -> None:
    server.data = STREAM
    client.converse_stream(**ASK | {"modelId": model})
    assert server.seen is not None
    path, peek = server.seen
    assert peek.model == model and DIALECTS["bedrock"].path("chat", peek, model) == path


def test_what_the_sdk_sends_comes_back_equal(server: Server, client: Any) -> None:
    client.converse(
        **ASK
        | {
            "system": [{"text": "S"}, {"cachePoint": {"type": "default"}}],
            "messages": [
                {"role": "user", "content": [{"text": "u"}, {"image": {"format": "png", "source": {"bytes": b"A"}}}]},
                {"role": "assistant", "content": [{"reasoningContent": {"redactedContent": b"opaque"}}]},
            ],
            "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
            "additionalModelRequestFields": {"top_k": 5},
        }
    )
    assert server.seen is not None
    peek = server.seen[1]
    dialect = DIALECTS["bedrock"]
    body, dropped = dialect.encode_request(dialect.decode_request(peek), MODEL, Quirks())
    assert json.loads(body) == {name: json.loads(bytes(raw)) for name, raw in peek.fields.items()} and dropped == ()


def test_an_error_has_its_type(server: Server, client: Any) -> None:
    server.refuse = True
    for call in (client.converse, client.converse_stream):
        with pytest.raises(client.exceptions.ThrottlingException) as caught:
            call(**ASK)
        assert caught.value.response["Error"]["Message"] == "Too many requests. Wait."


def test_an_error_in_a_stream_has_its_type(server: Server, client: Any) -> None:
    from botocore.exceptions import EventStreamError

    server.break_after = 6
    with pytest.raises(EventStreamError, match=r"throttlingException.*Too many requests. Wait\."):
        list(client.converse_stream(**ASK)["stream"])


def test_invoke_reads_claudes_reply_whole_and_streamed(server: Server, client: Any) -> None:
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []})
    reply = json.loads(client.invoke_model(modelId=MODEL, body=body)["body"].read())
    assert reply["content"][1] == {"type": "text", "text": "Grüße \U0001f600"}
    stream = client.invoke_model_with_response_stream(modelId=MODEL, body=body)["body"]
    events = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert events[0]["type"] == "message_start"
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 8
    server.refuse = True
    with pytest.raises(client.exceptions.ThrottlingException):
        client.invoke_model(modelId=MODEL, body=body)
