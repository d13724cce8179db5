"""An upstream that does what a script says: answer, refuse, stall, cut, or send nonsense."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from msgspec import json


@dataclass
class Act:
    """One reply. `pieces` are sent with `gap_s` between them; `then`: end well, cut the connection, or hang."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Iterable[bytes] = ()
    content_type: str = "application/json"
    gap_s: float = 0.0
    held: asyncio.Event | None = None  # waited for after each piece
    then: str = "end"  # end | cut | hang
    before: str = ""  # "" | reset | hang | garbage: instead of a reply


@dataclass
class Seen:
    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"

    @property
    def json(self) -> Any:
        return json.decode(self.body)


def reply(text: str = "hi", **usage: Any) -> Act:
    """A whole OpenAI chat completion."""
    message = {"role": "assistant", "content": text, "refusal": None}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": usage or {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }
    return Act(pieces=[json.encode(body)])


def chunk(**choice: Any) -> bytes:
    data = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026", "choices": [{"index": 0, **choice}]}
    return b"data: " + json.encode(data) + b"\n\n"


def usage_chunk(prompt: int = 10, completion: int = 2) -> bytes:
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    data = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026", "choices": [], "usage": usage}
    return b"data: " + json.encode(data) + b"\n\n"


def stream(*words: str, **act: Any) -> Act:
    """A streamed OpenAI chat completion, usage and [DONE] included."""
    pieces = [chunk(delta={"role": "assistant", "content": ""}, finish_reason=None)]
    pieces += [chunk(delta={"content": word}, finish_reason=None) for word in words]
    pieces += [chunk(delta={}, finish_reason="stop"), usage_chunk(), b"data: [DONE]\n\n"]
    return Act(pieces=pieces, content_type="text/event-stream", **act)


class ScriptedUpstream:
    """`script` acts are used up in turn, the last one again and again; `choose`, where set, decides by the request instead.

    `seen` are the requests that came, `sent` the bytes of pieces that were given to the socket.
    """

    def __init__(self) -> None:
        self.script: deque[Act] = deque([reply()])
        self.choose: Callable[[Seen], Act] | None = None
        self.seen: list[Seen] = []
        self.sent = 0
        self.open = 0
        self.gone = asyncio.Event()  # a client connection ended while a reply was under way

    def acts(self, *acts: Act) -> None:
        self.script = deque(acts)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self.open -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        first, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.seen.append(Seen(first.split()[1], headers, body, first.split()[0]))
        if self.choose is not None:
            act = self.choose(self.seen[-1])
        else:
            act = self.script.popleft() if len(self.script) > 1 else self.script[0]
        return await self._play(act, reader, writer)

    async def _play(self, act: Act, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if act.before == "reset":
            writer.transport.abort()
            return False
        if act.before == "garbage":
            writer.write(b"\x00\x01 not http at all\r\n\r\n")
            return False
        if act.before == "hang":
            await self._until_gone(reader)
            return False
        lines = {"content-type": act.content_type, "transfer-encoding": "chunked", **act.headers}
        writer.write(
            f"HTTP/1.1 {act.status} X\r\n".encode() + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n"
        )
        for piece in act.pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.sent += len(piece)
            await writer.drain()
            if act.held is not None:
                await act.held.wait()
            if act.gap_s:
                await asyncio.sleep(act.gap_s)
        if act.then == "cut":
            writer.close()
            return False
        if act.then == "hang":
            await self._until_gone(reader)
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _until_gone(self, reader: asyncio.StreamReader) -> None:
        await reader.read()
        self.gone.set()
