"""Bodies that are given on as they arrive: the handler is called at once, and its pace is the client's."""

from __future__ import annotations

import asyncio

import pytest

from freehold.base.errors import GatewayError
from freehold.gateway.incoming import HIGH_BYTES
from freehold.gateway.request import Request
from freehold.pipeline.output import Output

from .serving import TEXT, Served, chunked, eventually, get, post, serving

BODY = bytes(range(256)) * 4096  # 1 MiB


def streams(request: Request) -> GatewayError | None:
    request.streams = True
    return None


async def digest(request: Request, out: Output) -> None:
    """Say back the size of what arrived, and in how many reads."""
    if request.incoming is None:
        out.whole(200, TEXT, b"held %d" % len(request.body))
        return
    body = bytearray()
    try:
        while piece := await request.incoming.read():
            body += piece
    except GatewayError as error:
        out.whole(error.status, TEXT, error.kind.encode())
        return
    out.whole(200, TEXT, b"%d %b" % (len(body), b"right" if bytes(body) in (BODY, BODY * 8) else b"wrong"))


async def upload(served: Served, data: bytes) -> bytes:
    client = await served.connect()
    return (await client.ask(data)).body


async def test_both_framings_arrive_whole_and_the_connection_serves_on() -> None:
    async with serving(digest, admit=streams) as served:
        client = await served.connect()
        for _ in range(2):
            answer = await client.ask(post(BODY) + get("/next"))
            assert (answer.status, answer.body) == (200, b"1048576 right")
            assert (await client.answer()).body == b"held 0"
            assert (await client.ask(chunked(BODY[:1000], BODY[1000:]))).body == b"1048576 right"


async def test_a_small_body_is_held_as_ever() -> None:
    async with serving(digest, admit=streams) as served:
        assert await upload(served, post(b"x" * 1000)) == b"held 1000"


async def test_the_call_begins_before_the_body_is_whole() -> None:
    async with serving(digest, admit=streams) as served:
        client = await served.connect()
        data = post(BODY)
        client.send(data[: len(data) // 2])
        await eventually(lambda: served.server.active_calls == 1)
        client.send(data[len(data) // 2 :])
        assert (await client.answer()).body == b"1048576 right"


async def test_what_nobody_reads_holds_the_client_back() -> None:
    go = asyncio.Event()
    seen: list[Request] = []

    async def later(request: Request, out: Output) -> None:
        seen.append(request)
        await go.wait()
        await digest(request, out)

    async with serving(later, admit=streams) as served:
        client = await served.connect()
        client.send(post(BODY * 8))
        await eventually(lambda: bool(seen))
        incoming = seen[0].incoming
        await eventually(lambda: incoming.held)  # type: ignore[union-attr]
        await asyncio.sleep(0.6)  # two sweeps: the client is still there, and its time does not run
        assert incoming._size <= HIGH_BYTES + 256 * 1024  # type: ignore[union-attr]
        go.set()
        assert (await client.answer()).body == b"8388608 right"


async def test_a_client_that_leaves_while_it_is_held_back_is_seen() -> None:
    ended = asyncio.Event()

    async def never(request: Request, out: Output) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    async with serving(never, admit=streams) as served:
        client = await served.connect()
        client.send(post(BODY * 8)[: HIGH_BYTES * 2])
        await eventually(lambda: served.server.active_calls == 1)
        client.close()
        await asyncio.wait_for(ended.wait(), 20)


async def test_a_body_that_stops_is_told_to_the_reader_and_the_answer_arrives() -> None:
    async with serving(digest, admit=streams, body_timeout=0.2) as served:
        client = await served.connect()
        client.send(post(BODY)[:500_000])
        answer = await client.answer()
        assert (answer.status, answer.body, answer.headers[b"connection"]) == (408, b"request_timeout", b"close")


async def test_bad_chunks_are_told_to_the_reader() -> None:
    async with serving(digest, admit=streams) as served:
        data = chunked(BODY)
        assert await upload(served, data[: len(data) // 2] + b"x" * len(data)) == b"invalid_request"


@pytest.mark.parametrize("framed", [post, chunked])
async def test_uploads_have_a_limit_of_their_own(framed: object) -> None:
    async with serving(digest, admit=streams, max_body_mib=0.1, max_upload_mib=0.9) as served:
        client = await served.connect()
        assert (await client.ask(framed(BODY))).status == 413  # type: ignore[operator]
    async with serving(digest, admit=streams, max_body_mib=0.1, max_upload_mib=1) as served:
        assert await upload(served, framed(BODY)) == b"1048576 right"  # type: ignore[operator]


async def test_an_early_answer_arrives_though_the_client_goes_on_sending() -> None:
    async def refuses(request: Request, out: Output) -> None:
        out.whole(403, TEXT, b"no")

    async with serving(refuses, admit=streams) as served:
        client = await served.connect()
        client.send(post(BODY * 8))
        answer = await client.answer()
        assert (answer.status, answer.body, answer.headers[b"connection"]) == (403, b"no", b"close")
        assert await client.everything() == b""


async def test_who_waits_for_100_gets_it() -> None:
    async with serving(digest, admit=streams) as served:
        client = await served.connect()
        head, _, body = post(BODY, "/", "Expect: 100-continue").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await client.ask(body)).body == b"1048576 right"
