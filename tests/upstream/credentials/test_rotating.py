from __future__ import annotations

import asyncio
import gc
import weakref
from time import time

import pytest

from freehold.base.errors import CredentialUnavailable, UpstreamUnreachable
from freehold.upstream.credentials import rotating
from freehold.upstream.credentials.ask import NoCredential
from freehold.upstream.credentials.rotating import FOREVER, Bearer, Fetched, Rotating, bearer_line, renewal_s


class Source:
    """Gives out "secret 1", "secret 2"...; `fails` while an exception is set; `life_s` of each."""

    def __init__(self, life_s: float = FOREVER) -> None:
        self.calls = 0
        self.life_s = life_s
        self.fails: Exception | None = None
        self.gate: asyncio.Event | None = None

    async def fetch(self) -> Fetched[str]:
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return Fetched(f"secret {self.calls}", time() + self.life_s)


async def until(condition: object, timeout_s: float = 5) -> None:
    assert callable(condition)
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_all_who_wait_share_one_fetch_and_later_ones_wait_for_nothing() -> None:
    source = Source()
    secret = Rotating("lab", source.fetch)
    await asyncio.gather(*(secret.ready() for _ in range(20)))
    await secret.ready()
    assert (source.calls, secret.value) == (1, "secret 1")


async def test_a_caller_that_goes_away_does_not_end_it_for_the_others() -> None:
    source = Source()
    source.gate = asyncio.Event()
    secret = Rotating("lab", source.fetch)
    first, second = asyncio.create_task(secret.ready()), asyncio.create_task(secret.ready())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    source.gate.set()
    await second
    assert first.cancelled() and source.calls == 1


async def test_it_is_renewed_in_the_background_before_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "renewal_s", lambda *_: 0.02)
    source = Source(life_s=60)
    secret = Rotating("lab", source.fetch)
    await secret.ready()
    await until(lambda: source.calls >= 3)
    source.gate = asyncio.Event()  # a renewal that takes its time
    await asyncio.sleep(0.05)
    before = source.calls
    async with asyncio.timeout(0.01):
        await secret.ready()
    assert source.calls == before


async def test_a_failed_renewal_keeps_the_old_secret_until_it_ends_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rotating, "renewal_s", lambda *_: 0.02)
    monkeypatch.setattr(rotating, "RETRY_S", 0.02)
    source = Source(life_s=0.4)
    secret = Rotating("lab", source.fetch)
    await secret.ready()
    source.fails = NoCredential("the cloud said no")
    await until(lambda: source.calls >= 3)
    await secret.ready()
    assert secret.value == "secret 1"
    assert '"event":"credential_refresh_failed"' in (log := capfd.readouterr().err) and '"still_valid":true' in log
    assert "secret 1" not in log
    await asyncio.sleep(0.5)
    with pytest.raises(CredentialUnavailable, match="provider 'lab': the cloud said no"):
        await secret.ready()
    source.fails = None
    await until(lambda: secret._valid())  # it goes on trying by itself
    await secret.ready()


@pytest.mark.parametrize("error", [NoCredential("why"), UpstreamUnreachable("why"), RuntimeError("has a secret in it")])
async def test_a_failed_first_fetch_is_told_to_all_and_not_repeated_at_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source()
    source.fails = error
    secret = Rotating("lab", source.fetch)
    results = await asyncio.gather(*(secret.ready() for _ in range(5)), return_exceptions=True)
    with pytest.raises(CredentialUnavailable) as raised:
        await secret.ready()
    assert {str(r) for r in results} == {str(raised.value)}
    expected = "see its log" if isinstance(error, RuntimeError) else "why"
    assert expected in str(raised.value) and "has a secret" not in str(raised.value)
    assert source.calls == 1 and raised.value.status == 503
    source.fails = None
    monkeypatch.setattr(rotating, "monotonic", lambda: 1e12)
    await secret.ready()
    assert source.calls == 2


async def test_a_fetch_that_hangs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "FETCH_S", 0.02)
    source = Source()
    source.gate = asyncio.Event()
    with pytest.raises(CredentialUnavailable, match="none came within"):
        await Rotating("lab", source.fetch).ready()


async def test_a_secret_that_is_given_out_expired_is_not_used() -> None:
    with pytest.raises(CredentialUnavailable, match="clock"):
        await Rotating("lab", Source(life_s=-5).fetch).ready()


async def test_one_that_nobody_holds_any_more_stops_renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating, "renewal_s", lambda *_: 0.02)
    source = Source(life_s=60)
    secret = Rotating("lab", source.fetch)
    await secret.ready()
    ref = weakref.ref(secret)
    gc.disable()  # a reload must not have to wait for the collector, which start-up objects are frozen out of
    try:
        del secret
        await until(lambda: ref() is None)
    finally:
        gc.enable()
    calls = source.calls
    await asyncio.sleep(0.1)
    assert source.calls == calls


@pytest.mark.parametrize(
    ("left_s", "again_s", "low", "high"),
    [
        (3600, FOREVER, 3135, 3300),  # LEAD_S before the end
        (400, FOREVER, 190, 200),  # in the middle of a short life
        (1, FOREVER, 1, 1),
        (-50, FOREVER, 1, 1),
        (FOREVER, 300, 285, 300),
        (FOREVER, FOREVER, FOREVER, FOREVER),
    ],
)
def test_when_to_renew(left_s: float, again_s: float, low: float, high: float) -> None:
    assert low <= renewal_s(Fetched("x", 1000 + left_s, again_s), 1000) <= high


async def test_a_bearer_token_is_one_header_line() -> None:
    bearer = Bearer("lab", Source().fetch)
    with pytest.raises(CredentialUnavailable, match="no header may hold"):
        await bearer.ready()  # "secret 1" holds a space
    assert bearer_line("abc.def") == b"authorization: Bearer abc.def\r\n"
    for token in ("", "a\r\nx: y", "ü"):
        with pytest.raises(NoCredential):
            bearer_line(token)


def test_a_secret_does_not_show_in_a_repr() -> None:
    assert "hush" not in repr(Fetched("hush"))
