"""How replies look on the wire, and what an Output allows."""

from __future__ import annotations

import asyncio
import email.utils

import pytest

from freehold.gateway.request import Request
from freehold.pipeline.output import Output

from .serving import TEXT, Call, get, serving

HEAD = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"


async def whole(request: Request, out: Output) -> None:
    out.whole(200, TEXT, b"hello")


async def stream(request: Request, out: Output) -> None:
    out.start(200, TEXT)
    for piece in (b"he", b"", b"llo"):
        out.write(piece)
        await asyncio.sleep(0)
    out.end(b"!" * 20)


async def test_a_whole_reply_in_wire_form() -> None:
    async with serving(whole) as served:
        client = await served.connect()
        client.send(get("/", "Connection: close"))
        head, _, body = (await client.everything()).partition(b"\r\n\r\n")
        date, rest = head.split(b"\r\n")[1], head.split(b"\r\n")[2:]
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert email.utils.parsedate_to_datetime(date.decode().removeprefix("date: ")).year >= 2025
        assert rest == [b"content-type: text/plain", b"connection: close", b"content-length: 5"]
        assert body == b"hello"


async def test_a_streamed_reply_is_chunked_and_empty_pieces_do_not_end_it() -> None:
    async with serving(stream) as served:
        client = await served.connect()
        client.send(get("/", "Connection: close"))
        head, _, body = (await client.everything()).partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert body == b"2\r\nhe\r\n3\r\nllo\r\n14\r\n" + b"!" * 20 + b"\r\n0\r\n\r\n"


async def test_http10_gets_a_stream_that_ends_with_the_connection() -> None:
    async with serving(stream) as served:
        client = await served.connect()
        client.send(get("/", "Connection: keep-alive", version="1.0"))
        head, _, body = (await client.everything()).partition(b"\r\n\r\n")
        assert b"transfer-encoding" not in head
        assert b"connection: close" in head
        assert body == b"hello" + b"!" * 20


@pytest.mark.parametrize("call", [whole, stream])
async def test_head_gets_no_body(call: Call) -> None:
    async with serving(call) as served:
        client = await served.connect()
        for _ in range(2):
            answer = await client.ask(HEAD)
            assert (answer.status, answer.body) == (200, b"")
        assert (await client.ask(get())).body.startswith(b"hello")


async def test_head_is_told_the_length() -> None:
    async with serving(whole) as served:
        client = await served.connect()
        assert (await client.ask(HEAD)).headers[b"content-length"] == b"5"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("streamed", [False, True])
async def test_statuses_without_a_body_have_none(status: int, streamed: bool) -> None:
    async def bodyless(request: Request, out: Output) -> None:
        if streamed:
            out.start(status, TEXT)
            out.write(b"x")
            out.end(b"x")
        else:
            out.whole(status, TEXT, b"x")

    async with serving(bodyless) as served:
        client = await served.connect()
        for _ in range(2):
            answer = await client.ask(get())
            assert (answer.status, answer.body) == (status, b"")
            assert not {b"content-length", b"transfer-encoding"} & set(answer.headers)


async def test_a_large_body_is_sent_whole() -> None:
    body = bytes(range(256)) * 20_000

    async def large(request: Request, out: Output) -> None:
        out.whole(200, TEXT, body)

    async with serving(large) as served:
        client = await served.connect()
        assert (await client.ask(get())).body == body


async def test_an_unknown_status_is_sent_as_it_is() -> None:
    async def odd(request: Request, out: Output) -> None:
        out.whole(529, TEXT, b"overloaded")

    async with serving(odd) as served:
        client = await served.connect()
        assert (await client.ask(get())).status == 529


@pytest.mark.parametrize(
    "steps",
    [
        ("whole", "whole"),
        ("whole", "start"),
        ("start", "whole"),
        ("start", "start"),
        ("write",),
        ("end",),
        ("whole", "write"),
        ("start", "end", "write"),
        ("start", "end", "end"),
    ],
)
async def test_steps_out_of_order_are_an_error_of_the_caller(steps: tuple[str, ...]) -> None:
    problems: list[str] = []

    async def disorderly(request: Request, out: Output) -> None:
        for step in steps[:-1]:
            take(out, step)
        try:
            take(out, steps[-1])
        except RuntimeError as error:
            problems.append(str(error))
        out.abort()

    def take(out: Output, step: str) -> None:
        if step == "whole":
            out.whole(200, TEXT, b"x")
        elif step == "start":
            out.start(200, TEXT)
        elif step == "write":
            out.write(b"x")
        else:
            out.end()

    async with serving(disorderly) as served:
        client = await served.connect()
        client.send(get("/", "Connection: close"))
        await client.closed()
    assert len(problems) == 1


async def test_after_an_abort_everything_is_a_no_op_and_drained_says_so() -> None:
    said: list[str] = []

    async def aborts(request: Request, out: Output) -> None:
        out.start(200, TEXT)
        out.write(b"x")
        out.abort()
        out.write(b"y")
        out.end()
        out.abort()
        try:
            await out.drained()
        except ConnectionResetError as error:
            said.append(str(error))

    async with serving(aborts) as served:
        client = await served.connect()
        client.send(get())
        assert (await client.everything()).endswith(b"\r\n\r\n1\r\nx\r\n")
    assert said == ["the client has gone"]


async def test_an_old_output_cannot_write_into_the_next_reply() -> None:
    kept: list[Output] = []

    async def keeps(request: Request, out: Output) -> None:
        for old in kept:
            with pytest.raises(RuntimeError):
                old.write(b"intruder")
        kept.append(out)
        out.start(200, TEXT)
        out.end(b"fine")

    async with serving(keeps) as served:
        client = await served.connect()
        assert [(await client.ask(get())).body for _ in range(3)] == [b"fine"] * 3
