from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from freehold.base.errors import UpstreamBroken, UpstreamUnreachable
from freehold.upstream.credentials.ask import FORM, NoCredential, asker, form, read_secret_file
from freehold.upstream.pool import Pool
from tests.upstream.conftest import Peer, Script, Upstream

Start = Callable[[Script], Awaitable[Upstream]]


async def test_a_request_keeps_its_method_path_query_and_body(upstream: Start, pool: Pool) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            seen.append(await peer.request())
            peer.answer(b'{"a":1}')

    up = await upstream(script)
    ask = asker(pool)
    assert await ask("PUT", f"{up.origin}/latest/roles/?a=b%20c", {"x-one": "1"}) == (200, b'{"a":1}')
    await ask("POST", f"{up.origin}/", FORM, form(a="b c/+", d="é"))
    first, second = seen
    assert first.startswith(b"PUT /latest/roles/?a=b%20c HTTP/1.1\r\n") and b"x-one: 1\r\n" in first
    assert second.startswith(b"POST / HTTP/1.1\r\n") and second.endswith(b"\r\n\r\na=b%20c%2F%2B&d=%C3%A9")
    assert b"content-type: application/x-www-form-urlencoded\r\n" in second and second.count(b"content-type") == 1


async def test_redirects_are_not_followed_and_large_replies_not_read(upstream: Start, pool: Pool) -> None:
    async def redirect(peer: Peer) -> None:
        await peer.request()
        peer.write(b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n")

    async def flood(peer: Peer) -> None:
        await peer.request()
        peer.answer(b"x" * 1_000_000)
        await peer.gone()

    assert (await asker(pool)("GET", f"{(await upstream(redirect)).origin}/"))[0] == 302
    with pytest.raises(UpstreamBroken, match="262,144 bytes"):
        await asker(pool)("GET", f"{(await upstream(flood)).origin}/")


async def test_nobody_there(pool: Pool) -> None:
    with pytest.raises(UpstreamUnreachable):
        await asker(pool)("GET", "http://127.0.0.1:1/")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("none", "bytes"):
        with pytest.raises(NoCredential, match="the token file"):
            read_secret_file(str(tmp_path / name), "the token file")
