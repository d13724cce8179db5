"""The whole arrangement: recorded providers, a gateway in front of them, and the official SDKs against both.

SDK -> replay server is "direct", SDK -> gateway -> replay server is "through". One Stage serves a whole test session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from tests.conformance.gateway import KEY, Gateway, provider_name
from tests.conformance.native import Http, native_of, native_scope, served_type, streams
from tests.conformance.replay import Received, Replay, Reply
from tests.conformance.sdk import Clients, Outcome
from tests.traffic import Recorded, exchanges

AT_ONCE = 8
ENDPOINTS = ("chat/completions", "embeddings", "messages", "messages/count_tokens")

_T = TypeVar("_T")
_R = TypeVar("_R")


def in_scope() -> list[Recorded]:
    """Every recorded exchange of OpenAI's chat and embeddings and of Anthropic's API; native_scope() has the others.

    OpenAI's "messages" are its Assistants API: not ours.
    """
    found = [x for x in exchanges(ENDPOINTS) if not (x.endpoint.startswith("messages") and x.provider != "anthropic")]
    return [x for x in found if x.provider == "voyage" or native_of(x) is None]


class Stage:
    """Use as a context manager. `direct` and `through` are the SDKs against the replay server and the gateway."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._direct: dict[str, tuple[Outcome, Received]] = {}

    def __enter__(self) -> Stage:
        everything = in_scope()
        natives = {x.id: Reply(x.status, served_type(x), x.response, streams(x)) for x in native_scope()}
        self.replay = Replay({**natives, **{x.id: reply_of(x) for x in everything}})
        self.replay.__enter__()
        try:
            providers = dict.fromkeys(x.provider for x in everything)
            self.gateway = Gateway(self._folder, self.replay.url, providers).__enter__()
        except BaseException:
            self.replay.__exit__()
            raise
        self._runner = asyncio.Runner()
        self._runner.__enter__()
        self.direct = Clients(f"{self.replay.url}/v1", self.replay.url, "sk-replayed-upstream-key")
        self.through = Clients(f"{self.gateway.url}/v1", self.gateway.url, KEY)
        self.direct_http = Http(self.replay.url, "sk-replayed-upstream-key")
        self.through_http = Http(self.gateway.url, KEY)
        return self

    def __exit__(self, *exc: object) -> None:
        self._runner.run(self._close())
        self._runner.close()
        self.gateway.__exit__()
        self.replay.__exit__()

    async def _close(self) -> None:
        await self.direct.close()
        await self.through.close()
        await self.direct_http.close()
        await self.through_http.close()

    def serve(self, more: Iterable[Recorded]) -> None:
        """Adds replies to those of the recorded exchanges."""
        self.replay.replies.update((x.id, reply_of(x)) for x in more)

    async def directly(self, x: Recorded) -> tuple[Outcome, Received]:
        """The recorded reply as the SDK sees it without a gateway, and what was asked for it. Fetched once."""
        if x.id not in self._direct:
            outcome = await self.direct.fetch(x.endpoint, direct_body(x))
            self._direct[x.id] = outcome, self.replay.received[x.id][-1]
        return self._direct[x.id]

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(work)

    def each(self, todo: Iterable[_T], work: Callable[[_T], Awaitable[_R]]) -> list[_R]:
        """`work` for every item, a few at once; results in the items' order."""

        async def bounded() -> list[_R]:
            gate = asyncio.Semaphore(AT_ONCE)

            async def one(item: _T) -> _R:
                async with gate:
                    return await work(item)

            return await asyncio.gather(*(one(item) for item in todo))

        return self.run(bounded())


def reply_of(x: Recorded) -> Reply:
    return Reply(x.status, x.served_type, x.response, x.is_sse)


def upstream_model(x: Recorded) -> str:
    """The recorded model's name with the mark that picks the reply: what providers' rules see still begins as it did."""
    return f"{x.request.get('model', '')}~{x.id}"


def direct_body(x: Recorded) -> dict[str, Any]:
    return {**x.request, "model": upstream_model(x)}


def through_body(x: Recorded) -> dict[str, Any]:
    return {**x.request, "model": f"{provider_name(x.provider)}/{upstream_model(x)}"}
