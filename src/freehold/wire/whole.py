"""TRANSLATE for what is not chat: a whole embeddings or rerank reply from its dialect into the client's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from freehold.wire.chat import Failure, Usage

MAX_BYTES = 64 * 1024 * 1024  # 2,048 vectors of 3,072 numbers in JSON have some 60 MB


class _Reply(Protocol):
    model: str
    usage: Usage | None


R = TypeVar("R", bound=_Reply)


class WholeTranslation(Generic[R]):
    """A Relay: holds the upstream's bytes until they are complete, at most MAX_BYTES, and writes them anew at `close`."""

    def __init__(self, decode: Callable[[bytes], R], encode: Callable[[R], bytes]) -> None:
        self._decode = decode
        self._encode = encode
        self._pieces: list[bytes] = []
        self._bytes = 0
        self.usage: Usage | None = None
        self.done = False
        self.failure: Failure | None = None
        self.model = ""
        self.finish = ""

    def feed(self, chunk: bytes) -> bytes:
        self._bytes += len(chunk)
        if self._bytes > MAX_BYTES:
            self._pieces.clear()
            self._fail(f"it has more than {MAX_BYTES} bytes, the most that is translated")
        else:
            self._pieces.append(chunk)
        return b""

    def close(self) -> bytes:
        if self.failure is not None:
            return b""
        body = b"".join(self._pieces)
        self._pieces.clear()
        try:
            reply = self._decode(body)
        except ValueError:
            self._fail("it is not a reply of this kind")
            return b""
        self.usage = reply.usage
        self.model = reply.model
        self.done = True
        return self._encode(reply)

    def produced(self) -> int:
        return 0  # neither kind has output tokens

    def _fail(self, message: str) -> None:
        self.failure = Failure(kind="upstream_broken", message=message)
