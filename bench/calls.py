"""The calls that are measured, as the bytes a client sends, and what a good answer to one says.

Bodies are plain English chat turns of a set size with the headers that the official SDKs send.
"""

from __future__ import annotations

import http.client
import json
import random
import re
from dataclasses import dataclass
from typing import Any

from bench.shapes import SHAPES, STOPPED, Dialect

_TEXT = (
    "the order was shipped on Monday and our customer asks why it has not arrived yet; please check the carrier's page, "
    'tell them what you find in "plain words", and offer a refund of 12.50 where that is fair.\nThank you!'
)
_MARK = re.compile(r"@@\d{16}")


def _compact(request: dict[str, Any]) -> bytes:
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Call:
    """One chat call, its body exactly `body_bytes` long. `upstream` is the dialect that the target speaks."""

    client: Dialect = "openai"
    upstream: Dialect = "openai"
    body_bytes: int = 1000
    stream: bool = False

    def body(self, model: str) -> bytes:
        text = random.Random(7)  # the same bytes on every run
        count = max(1, self.body_bytes // 1300 * 2 - 1)  # odd: the last turn is the user's
        turns = [(("user", "assistant")[turn % 2], " ".join(text.choices(_TEXT.split(" "), k=110))) for turn in range(count)]
        system = "You are the support desk of a small shop. Be brief and kind."

        def written(turns: list[tuple[str, str]]) -> bytes:
            return _compact(SHAPES[self.client].request(model, system, turns, self.stream))

        short_by = self.body_bytes - len(written(turns))
        if short_by < 0:
            raise ValueError(f"no call fits in {self.body_bytes} bytes: {-short_by} too many")
        role, last = turns[-1]
        return written([*turns[:-1], (role, last + (" Thank you very much indeed." * (short_by // 28 + 1))[:short_by])])

    def headers(self, key: str) -> dict[str, str]:
        """The headers of the official Python SDKs: those that OpenAI's and Anthropic's send, with the others' own names."""
        shape = SHAPES[self.client]
        return {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Content-Type": "application/json",
            "User-Agent": shape.agent,
            "X-Stainless-Lang": "python",
            "X-Stainless-Package-Version": "2.8.1",
            "X-Stainless-OS": "Linux",
            "X-Stainless-Arch": "x64",
            "X-Stainless-Runtime": "CPython",
            "X-Stainless-Runtime-Version": "3.11.7",
            "X-Stainless-Async": "false",
            "X-Stainless-Retry-Count": "0",
            "X-Stainless-Read-Timeout": "600",
            **shape.key(key),
        }

    def path(self, model: str) -> str:
        return SHAPES[self.client].path.replace("{model}", model)

    def wire(self, model: str, key: str) -> bytes:
        """The whole HTTP/1.1 request."""
        body = self.body(model)
        headers = {"Host": "127.0.0.1", "Connection": "keep-alive", **self.headers(key), "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST {self.path(model)} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def ask(self, port: int, model: str, key: str, timeout_s: float = 10.0) -> Answer:
        """Ask once over a fresh connection. Raises OSError or http.client.HTTPException where no reply comes."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        try:
            connection.request("POST", self.path(model), self.body(model), self.headers(key))
            response = connection.getresponse()
            return read_answer(response.status, response.read(), self.client, self.stream)
        finally:
            connection.close()


@dataclass(frozen=True)
class Answer:
    """What a reply says, in words common to all dialects, so that a relayed one can be compared with a direct one."""

    status: int
    text: str = ""
    pieces: int = 0
    ended: str = ""  # "stop" in every dialect
    tokens: tuple[int, int] | None = None  # prompt, completion, where told
    problem: str = ""


def read_answer(status: int, body: bytes, dialect: Dialect, stream: bool) -> Answer:
    try:
        if status != 200:
            raise ValueError("an error status")
        if not stream:
            return _whole(json.loads(body), dialect)
        return _streamed(body.decode(), dialect)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return Answer(status, problem=f"{error!r}; the body begins {body[:300]!r}")


def _whole(reply: dict[str, Any], dialect: Dialect) -> Answer:
    text, ended, tokens = SHAPES[dialect].reply(reply)
    return Answer(200, text, 1, _ended(ended), tokens)


def _streamed(body: str, dialect: Dialect) -> Answer:
    """Marks (times of sending) are made equal, so that two streams compare. OpenAI's and Anthropic's only."""
    events = [line[6:] for line in body.splitlines() if line.startswith("data: ")]
    whole = events[-1] == "[DONE]" if dialect == "openai" else json.loads(events[-1])["type"] == "message_stop"
    if not whole:
        raise ValueError("the stream has no end of its own")
    texts: list[str] = []
    ended = ""
    for event in map(json.loads, events[:-1]):
        if dialect == "openai":
            for choice in event["choices"]:
                texts.append(choice["delta"].get("content") or "")
                ended = choice.get("finish_reason") or ended  # some leave it out until the last one
        else:
            texts.append(event.get("delta", {}).get("text", ""))
            ended = _ended(event.get("delta", {}).get("stop_reason")) or ended
    text = "".join(texts)
    return Answer(200, _MARK.sub("@@", text), len(_MARK.findall(text)), ended)


def _ended(stop_reason: str | None) -> str:
    return STOPPED.get(stop_reason, stop_reason) if stop_reason else ""
