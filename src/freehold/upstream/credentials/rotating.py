"""A secret that expires: fetched once for everyone who waits, and again in the background well before its end."""

from __future__ import annotations

import asyncio
import random
import weakref
from collections.abc import Awaitable, Callable
from time import monotonic, time
from typing import Generic, TypeVar

from msgspec import Struct

from freehold.base.errors import CredentialUnavailable, UpstreamError
from freehold.observe import log
from freehold.upstream.credentials.ask import NoCredential
from freehold.upstream.head import auth_headers

T = TypeVar("T")

LEAD_S = 300.0  # begin to renew this long before the end: no cloud gives out a new secret much earlier
FETCH_S = 30.0  # a fetch that takes longer has failed
RETRY_S = 10.0  # after a failed renewal
QUIET_S = 2.0  # after a failed fetch, calls are refused without a new try
FOREVER = float("inf")


class Fetched(Struct, Generic[T], frozen=True):
    """`expires_s`: unix seconds. `again_s`: look again after so many seconds, where the secret itself has no end."""

    value: T
    expires_s: float = FOREVER
    again_s: float = FOREVER

    def __repr__(self) -> str:
        return f"Fetched(expires_s={self.expires_s}, again_s={self.again_s})"


class Rotating(Generic[T]):
    """`owner` is the provider's name. `fetch` raises NoCredential or UpstreamError where it can't."""

    def __init__(self, owner: str, fetch: Callable[[], Awaitable[Fetched[T]]]) -> None:
        self._owner = owner
        self._fetch = fetch
        self._held: Fetched[T] | None = None
        self._flight: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._problem = ""
        self._quiet_until = 0.0

    @property
    def value(self) -> T:
        """The secret. `ready` has returned before."""
        assert self._held is not None
        return self._held.value

    def warm(self) -> None:
        if not self._valid():
            self._begin()

    async def ready(self) -> None:
        """Returns at once while the secret is valid. Raises CredentialUnavailable."""
        if self._valid():
            return
        if self._flight is not None or monotonic() >= self._quiet_until:
            # One flight for all; one caller's cancellation must not end it for the others.
            await asyncio.shield(self._begin())
        if not self._valid():
            raise CredentialUnavailable(f"There is no valid credential for provider {self._owner!r}: {self._problem}")

    def _valid(self) -> bool:
        return self._held is not None and time() < self._held.expires_s

    def _begin(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._flight = asyncio.get_running_loop().create_task(self._renew())
        return self._flight

    async def _renew(self) -> None:
        """Never raises: a secret that is still valid stays, and what went wrong is logged."""
        try:
            async with asyncio.timeout(FETCH_S):
                self._held = held = await self._fetch()
            self._problem = "" if self._valid() else "the one that was given had expired; is this machine's clock right?"
            self._schedule(renewal_s(held, time()))
        except (NoCredential, UpstreamError) as error:
            self._failed(str(error))
        except TimeoutError:
            self._failed(f"none came within {FETCH_S:g} s")
        except Exception as error:
            log.failure("credential_failed", error, provider=self._owner)
            self._failed("fetching it failed inside the gateway; see its log")
        finally:
            self._flight = None

    def _failed(self, problem: str) -> None:
        self._problem = problem
        self._quiet_until = monotonic() + QUIET_S
        log.event("error", "credential_refresh_failed", provider=self._owner, problem=problem, still_valid=self._valid())
        if self._held is not None:
            self._schedule(RETRY_S * random.uniform(0.5, 1.5))

    def _schedule(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if delay_s != FOREVER:
            # Weakly: a credential that no snapshot uses any more must be able to go, and its renewals with it.
            self._timer = asyncio.get_running_loop().call_later(delay_s, _due, weakref.ref(self))


def _due(ref: weakref.ref[Rotating[T]]) -> None:
    rotating = ref()
    if rotating is not None:
        rotating._begin()


def renewal_s(held: Fetched[T], now_s: float) -> float:
    """In how many seconds to fetch again: LEAD_S before the end, in the middle of a short life, at least a second from now."""
    left_s = held.expires_s - now_s
    due_s = min(max(left_s - LEAD_S, left_s / 2), held.again_s)
    return due_s if due_s == FOREVER else max(due_s * random.uniform(0.95, 1.0), 1.0)


class Bearer:
    """A token that is sent as it is: `authorization: Bearer ...`. A credentials.Credential."""

    signs_body = False

    def __init__(self, owner: str, fetch: Callable[[], Awaitable[Fetched[str]]]) -> None:
        async def line() -> Fetched[bytes]:
            fetched = await fetch()
            return Fetched(bearer_line(fetched.value), fetched.expires_s, fetched.again_s)

        self._line = Rotating(owner, line)
        self.warm = self._line.warm
        self.ready = self._line.ready

    def lines(self, method: str, authority: str, target: str, body: bytes) -> bytes:
        return self._line.value


def bearer_line(token: str) -> bytes:
    """Raises NoCredential on a token that could not be sent."""
    try:
        line = auth_headers("bearer", token)
    except ValueError:
        line = b""
    if not line:
        raise NoCredential("the token that was given is empty or holds characters that no header may hold")
    return line
