"""One connection's life: requests in order, bounds, deadlines, clients that leave, polite refusals."""

from __future__ import annotations

import asyncio

import pytest

from freehold.base.errors import GatewayError, LimitExceeded, Unauthenticated
from freehold.gateway.head import MAX_HEAD_BYTES, MAX_TARGET_BYTES
from freehold.gateway.request import Request
from freehold.pipeline.output import Output

from .serving import TEXT, chunked, echo, eventually, get, post, serving

LARGE = 200_000


async def test_answers_one_request_after_another_on_one_connection() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        for body in (b"one", b"", b"three"):
            assert (await client.ask(post(body, "/p"))).body == b"POST /p " + body
        assert served.server.open_connections == 1


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    at_work = 0

    async def slower_first(request: Request, out: Output) -> None:
        nonlocal at_work
        at_work += 1
        assert at_work == 1
        await asyncio.sleep(0.02 if request.path == "/0" else 0)
        out.whole(200, TEXT, request.path.encode() + request.body)
        await asyncio.sleep(0.001)  # a call is over when its handler returns, not when its reply is
        at_work -= 1

    async with serving(slower_first) as served:
        client = await served.connect()
        client.send(
            get("/0") + post(b"x", "/1") + get("/2") + chunked(b"y", b"z") + get("/4", "Connection: close") + get("/never")
        )
        bodies = [(await client.answer()).body for _ in range(5)]
        assert bodies == [b"/0", b"/1x", b"/2", b"/yz", b"/4"]
        assert await client.everything() == b""


async def test_any_number_of_pipelined_requests_is_answered_while_what_is_held_stays_bounded() -> None:
    go = asyncio.Event()

    async def waits(request: Request, out: Output) -> None:
        await go.wait()
        out.whole(200, TEXT, request.path.encode())

    async with serving(waits) as served:
        client = await served.connect()
        for n in range(4000):
            client.send(get(f"/{n}", "X-Padding: " + "p" * 2000))
        await eventually(lambda: served.server.active_calls == 1)
        await asyncio.sleep(0.1)
        (connection,) = served.server._connections
        assert len(connection._held) < 512 * 1024
        go.set()
        for n in range(4000):
            assert (await client.answer()).body == b"/%d" % n


@pytest.mark.parametrize("size", [0, 1, 1000, 65536, 65537, LARGE])
async def test_bodies_arrive_whole_whatever_their_framing_and_pieces(size: int) -> None:
    body = bytes(i % 251 for i in range(size))
    lengthy, chunky = post(body), chunked(*(body[i : i + 999] for i in range(0, size, 999)))
    async with serving(echo) as served:
        client = await served.connect()
        for raw in (lengthy, chunky):
            for step in (len(raw), 7777):
                for i in range(0, len(raw), step):
                    client.send(raw[i : i + step])
                    await asyncio.sleep(0)
                assert (await client.answer()).body == b"POST / " + body


async def test_a_request_that_comes_byte_by_byte_is_understood() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        for raw in (post(b"abc"), chunked(b"abc")):
            for i in range(len(raw)):
                client.send(raw[i : i + 1])
                await asyncio.sleep(0.001)
            assert (await client.answer()).body == b"POST / abc"


async def test_http10_is_answered_and_closed_unless_it_asks_otherwise() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        kept = await client.ask(get("/", "Connection: keep-alive", version="1.0"))
        assert kept.headers[b"connection"] == b"keep-alive"
        closed = await client.ask(get("/", version="1.0"))
        assert closed.headers[b"connection"] == b"close"
        assert await client.everything() == b""


async def test_what_arrived_at_is_a_monotonic_time_and_the_client_is_named() -> None:
    seen: list[Request] = []

    async def note(request: Request, out: Output) -> None:
        seen.append(request)
        out.whole(204, b"", b"")

    async with serving(note) as served:
        client = await served.connect()
        await client.ask(get("/"))
        await client.ask(get("/"))
    assert 0 < seen[0].arrived_ns < seen[1].arrived_ns
    assert seen[0].client_ip == "127.0.0.1"


# Bodies that are asked about first


def refuse(request: Request) -> GatewayError:
    return Unauthenticated("no key")


async def test_a_body_is_asked_for_only_after_its_head_was_admitted() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        client.send(post(b"")[:-4].replace(b"Content-Length: 0", b"Content-Length: 5\r\nExpect: 100-continue") + b"\r\n\r\n")
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert (await client.answer()).body == b"POST / hello"
        assert [r.path for r in served.app.asked] == ["/"]


async def test_a_body_that_is_already_here_needs_no_100() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        answer = await client.ask(post(b"hello", "/", "Expect: 100-continue"))
        assert (answer.interim, answer.body) == ([], b"POST / hello")


@pytest.mark.parametrize(
    "raw",
    [
        post(b"x" * LARGE),
        chunked(b"x" * 10),
        b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n",
    ],
)
async def test_a_head_that_is_not_admitted_is_refused_without_its_body(raw: bytes) -> None:
    async with serving(echo, admit=refuse) as served:
        client = await served.connect()
        answer = await client.ask(raw)
        assert (answer.status, answer.body, answer.interim) == (401, b"invalid_api_key: no key", [])
        assert answer.headers[b"connection"] == b"close"
        assert await client.everything() == b""


async def test_small_bodies_are_not_asked_about() -> None:
    async with serving(echo, admit=refuse) as served:
        client = await served.connect()
        assert (await client.ask(post(b"x" * 1000))).status == 200


async def test_http10_gets_no_100() -> None:
    async with serving(echo) as served:
        client = await served.connect()
        client.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        await asyncio.sleep(0.05)
        client.send(b"hello")
        assert (await client.everything()).startswith(b"HTTP/1.1 200 OK\r\n")


# Bounds


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1100000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10c8e0\r\n", 413),
        (chunked(*[b"x" * 60_000] * 30), 413),
        (post(b"x" * 1_100_000), 413),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * MAX_HEAD_BYTES, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 2 * MAX_TARGET_BYTES, 414),
        (b"\r\nGET / HTTP/1.1\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # TLS where none is spoken
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ],
)
async def test_what_is_out_of_bounds_is_refused_at_once_and_the_connection_closed(raw: bytes, status: int) -> None:
    async with serving(echo, max_body_mib=1) as served:
        client = await served.connect()
        answer = await client.ask(raw)
        assert answer.status == status
        assert answer.headers[b"connection"] == b"close"
        assert await client.everything() == b""
        client.close()
        await eventually(lambda: served.server.open_connections == 0)


async def test_a_body_at_the_bound_is_read() -> None:
    async with serving(echo, max_body_mib=1) as served:
        client = await served.connect()
        assert len((await client.ask(post(b"x" * 1024 * 1024))).body) == 1024 * 1024 + len(b"POST / ")


async def test_a_client_that_sends_all_before_it_reads_still_sees_why_it_was_refused() -> None:
    async with serving(echo, max_body_mib=1) as served:
        client = await served.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12000000\r\n\r\n")
        for _ in range(12):
            client.send(b"x" * 1_000_000)
            await client.writer.drain()
        assert (await client.answer()).status == 413


async def test_nothing_after_a_refusal_is_taken_for_a_request() -> None:
    calls = 0

    async def count(request: Request, out: Output) -> None:
        nonlocal calls
        calls += 1
        out.whole(200, b"", b"")

    async with serving(count) as served:
        client = await served.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(get("/smuggled"))
        assert (await client.answer()).status == 400
        client.send(get("/smuggled"))
        assert await client.everything() == b""
    assert calls == 0


# Deadlines


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        (b"GET / HT", b"head"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe", b"body"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", b"body"),
    ],
)
async def test_a_request_that_stops_arriving_is_answered_408(raw: bytes, names: bytes) -> None:
    async with serving(echo, header_timeout=0.2, body_timeout=0.2) as served:
        client = await served.connect()
        answer = await client.ask(raw)
        assert answer.status == 408
        assert names in answer.body
        assert await client.everything() == b""


async def test_a_head_has_one_deadline_however_often_a_byte_of_it_comes() -> None:
    async with serving(echo, header_timeout=0.3) as served:
        client = await served.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")

        async def drip() -> None:
            while True:
                client.send(b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert (await client.answer()).status == 408
        dripping.cancel()


@pytest.mark.parametrize(("size", "status"), [(10, 408), (100_000, 200)])
async def test_a_large_body_has_a_deadline_for_each_silence_and_a_small_one_for_all_of_it(size: int, status: int) -> None:
    """A large one has passed the handler; a small one may be anybody's, and must not hold a connection for ever."""
    async with serving(echo, body_timeout=0.5) as served:
        client = await served.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(10):
            await asyncio.sleep(0.1)
            client.send(b"x" * (size // 10))
        assert (await client.answer()).status == status


@pytest.mark.parametrize("first", [b"", get()])
async def test_a_silent_connection_is_closed_without_a_word(first: bytes) -> None:
    async with serving(echo, header_timeout=0.2, idle_timeout=0.2) as served:
        client = await served.connect()
        if first:
            assert (await client.ask(first)).status == 200
        assert await client.everything() == b""


async def test_a_call_at_work_has_no_deadline() -> None:
    async def slow(request: Request, out: Output) -> None:
        await asyncio.sleep(0.6)
        out.whole(200, TEXT, b"done")

    async with serving(slow, header_timeout=0.1, body_timeout=0.1, idle_timeout=0.1, send_timeout=0.1) as served:
        client = await served.connect()
        assert (await client.ask(get())).body == b"done"


# Clients that leave


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
async def test_a_call_is_cancelled_when_its_client_goes(how: str) -> None:
    ended: list[str] = []

    async def forever(request: Request, out: Output) -> None:
        out.start(200, TEXT)
        out.write(b"x")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            out.write(b"nobody reads this")
            out.end()
            ended.append("cancelled")
            raise

    async with serving(forever) as served:
        client = await served.connect()
        client.send(get())
        await client.reader.readuntil(b"x\r\n")
        if how == "half-close":
            client.writer.write_eof()
        elif how == "reset":
            client.reset()
        else:
            client.close()
        await eventually(lambda: ended == ["cancelled"] and served.server.active_calls == 0)
        await eventually(lambda: served.server.open_connections == 0)


async def test_a_client_that_goes_while_it_pipelines_is_noticed() -> None:
    cancelled = asyncio.Event()

    async def forever(request: Request, out: Output) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(forever) as served:
        client = await served.connect()
        client.send(get() + get() + get())
        await eventually(lambda: served.server.active_calls == 1)
        client.close()
        await asyncio.wait_for(cancelled.wait(), 10)


async def test_a_call_whose_reply_is_complete_may_finish_its_books() -> None:
    books: list[str] = []

    async def settles(request: Request, out: Output) -> None:
        out.whole(200, TEXT, b"x")
        await asyncio.sleep(0.2)
        books.append("closed")

    async with serving(settles) as served:
        client = await served.connect()
        await client.ask(get())
        client.close()
        await eventually(lambda: books == ["closed"])


@pytest.mark.parametrize("raw", [b"", b"GET / HT", post(b"hello")[:-2], chunked(b"hello")[:-3]])
async def test_leaving_in_the_middle_of_a_request_starts_no_call(raw: bytes) -> None:
    async def never(request: Request, out: Output) -> None:
        raise AssertionError("called")

    async with serving(never) as served:
        client = await served.connect()
        client.send(raw)
        await asyncio.sleep(0.02)
        client.writer.write_eof()
        assert await client.everything() == b""
        await eventually(lambda: served.server.open_connections == 0)


# Handlers that fail


async def test_a_handler_that_raises_is_answered_for(capfd: pytest.CaptureFixture[str]) -> None:
    async def broken(request: Request, out: Output) -> None:
        raise ValueError("sk-secret")

    async with serving(broken) as served:
        client = await served.connect()
        answer = await client.ask(get())
        assert (answer.status, answer.body.partition(b":")[0]) == (500, b"internal_error")
        assert b"secret" not in answer.body
        assert (await client.ask(get())).status == 500  # the connection is still good
    said = capfd.readouterr().err
    assert "handler_failed" in said
    assert "secret" not in said


async def test_an_error_of_ours_keeps_its_status() -> None:
    async def limited(request: Request, out: Output) -> None:
        raise LimitExceeded("too many")

    async with serving(limited) as served:
        client = await served.connect()
        answer = await client.ask(get())
        assert (answer.status, answer.body) == (429, b"rate_limit_exceeded: too many")


async def test_a_handler_that_says_nothing_is_answered_for() -> None:
    async def mute(request: Request, out: Output) -> None:
        pass

    async with serving(mute) as served:
        client = await served.connect()
        assert (await client.ask(get())).status == 500


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_reply_that_was_begun_and_not_ended_is_seen_as_cut(raises: bool, version: str) -> None:
    async def half(request: Request, out: Output) -> None:
        out.start(200, TEXT)
        out.write(b"half")
        await asyncio.sleep(0.05)
        if raises:
            raise ValueError

    async with serving(half) as served:
        client = await served.connect()
        client.send(get(version=version))
        if version == "1.0":
            with pytest.raises(ConnectionResetError):
                await client.everything()
        else:
            raw = await client.everything()
            assert raw.endswith(b"4\r\nhalf\r\n")


async def test_a_handler_that_cancels_itself_does_not_hang_its_client() -> None:
    async def gives_up(request: Request, out: Output) -> None:
        raise asyncio.CancelledError

    async with serving(gives_up) as served:
        client = await served.connect()
        client.send(get())
        await client.closed()
        await eventually(lambda: served.server.active_calls == 0)
