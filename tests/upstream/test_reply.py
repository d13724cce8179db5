"""The reply alone, fed by hand: no sockets."""

from __future__ import annotations

import asyncio

import pytest

from freehold.base.errors import UpstreamBroken
from freehold.upstream.reply import HIGH_BYTES, Reply, parse_headers


class Hand:
    def __init__(self) -> None:
        self.said: list[str] = []

    def pause(self) -> None:
        self.said.append("pause")

    def resume(self) -> None:
        self.said.append("resume")

    def abort(self) -> None:
        self.said.append("abort")


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
async def reply(hand: Hand) -> Reply:
    return Reply(hand, asyncio.get_running_loop())


def test_header_names_are_lower_case_and_repeated_ones_are_joined() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type:text/html\r\nX-A:  1 \r\nx-a: 2\r\nEmpty:"
    assert parse_headers(head) == {b"content-type": b"text/html", b"x-a": b"1, 2", b"empty": b""}


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"content-type", b"text/html"), (b"x-a", b"1"), (b"last", b"z"), (b"empty", b""), (b"none", b""), (b"type", b"")],
)
async def test_one_header_is_found_without_reading_the_others(reply: Reply, name: bytes, value: bytes) -> None:
    reply.head = b"HTTP/1.1 200 OK\r\nContent-Type:text/html\r\nX-A:  1 \r\nx-a: 2\r\nEmpty:\r\nLast: z"
    assert reply.header(name) == value


def test_a_folded_header_line_is_one_value() -> None:
    assert parse_headers(b"HTTP/1.1 200 OK\r\nA: 1\r\n  2\r\n\t3\r\nB: 4") == {b"a": b"1 2 3", b"b": b"4"}


async def test_take_returns_everything_buffered_and_never_waits(reply: Reply) -> None:
    assert reply.take() == b""
    reply.feed(b"a")
    reply.feed(b"b")
    assert (reply.take(), reply.take()) == (b"ab", b"")


async def test_read_ends_with_empty_bytes_for_ever(reply: Reply) -> None:
    reply.feed(b"a")
    reply.finish(b"b")
    assert reply.complete
    assert [await reply.read(), await reply.read(), await reply.read()] == [b"ab", b"", b""]


async def test_bytes_before_a_cut_are_read_before_the_error_is_raised(reply: Reply) -> None:
    reply.feed(b"a")
    reply.fail(UpstreamBroken("cut"))
    assert await reply.read() == b"a"
    for _ in range(2):
        with pytest.raises(UpstreamBroken, match="cut"):
            await reply.read()
    assert not reply.complete


async def test_pump_gives_buffered_bytes_first_then_each_piece_without_a_task_switch(reply: Reply) -> None:
    got: list[bytes] = []
    reply.feed(b"early")
    pumping = asyncio.create_task(reply.pump(got.append))
    await asyncio.sleep(0)
    assert got == [b"early"]
    reply.feed(b"1")
    reply.feed(b"2")
    assert got == [b"early", b"1", b"2"]
    reply.finish(b"3")
    await pumping
    assert got == [b"early", b"1", b"2", b"3"]


async def test_pump_returns_at_once_where_the_reply_is_whole(reply: Reply, hand: Hand) -> None:
    got: list[bytes] = []
    reply.finish(b"all")
    await reply.pump(got.append)
    await reply.pump(got.append)
    assert got == [b"all"]
    assert hand.said == []


async def test_pump_raises_what_the_sink_raises_and_drops_the_upstream(reply: Reply, hand: Hand) -> None:
    def sink(data: bytes) -> None:
        raise KeyError(data)

    pumping = asyncio.create_task(reply.pump(sink))
    await asyncio.sleep(0)
    reply.feed(b"x")
    with pytest.raises(KeyError):
        await pumping
    assert hand.said == ["abort"]


async def test_pump_raises_the_cut_after_all_bytes_were_given(reply: Reply) -> None:
    got: list[bytes] = []
    reply.feed(b"a")
    reply.fail(UpstreamBroken("cut"))
    with pytest.raises(UpstreamBroken):
        await reply.pump(got.append)
    assert got == [b"a"]


async def test_a_cancelled_pump_leaves_the_rest_to_be_read_or_closed(reply: Reply, hand: Hand) -> None:
    pumping = asyncio.create_task(reply.pump(lambda data: None))
    await asyncio.sleep(0)
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping
    reply.feed(b"later")
    assert reply.take() == b"later"
    reply.close()
    assert hand.said == ["abort"]


async def test_the_source_is_paused_when_nobody_takes_and_resumed_when_someone_does(reply: Reply, hand: Hand) -> None:
    reply.feed(b"x" * HIGH_BYTES)
    assert hand.said == []
    reply.feed(b"x")
    reply.feed(b"x")
    assert hand.said == ["pause"]
    assert len(reply.take()) == HIGH_BYTES + 2
    assert hand.said == ["pause", "resume"]


async def test_the_readers_pause_outlasts_the_buffers(reply: Reply, hand: Hand) -> None:
    reply.pause()
    reply.pause()
    reply.feed(b"x" * (HIGH_BYTES + 1))
    reply.take()
    assert hand.said == ["pause"]
    reply.resume()
    reply.resume()
    assert hand.said == ["pause", "resume"]


async def test_the_buffers_pause_outlasts_the_readers(reply: Reply, hand: Hand) -> None:
    reply.feed(b"x" * (HIGH_BYTES + 1))
    reply.pause()
    reply.resume()
    assert hand.said == ["pause"]
    reply.take()
    assert hand.said == ["pause", "resume"]


async def test_close_drops_an_unfinished_source_once(reply: Reply, hand: Hand) -> None:
    reply.feed(b"x")
    reply.close()
    reply.close()
    reply.pause()
    reply.resume()
    assert hand.said == ["abort"]
    assert reply.take() == b""


async def test_close_leaves_a_finished_source_alone(reply: Reply, hand: Hand) -> None:
    reply.finish(b"x")
    reply.close()
    assert hand.said == []


async def test_closing_wakes_whoever_still_reads(reply: Reply) -> None:
    reading = asyncio.create_task(reply.read())
    await asyncio.sleep(0)
    reply.close()
    with pytest.raises(UpstreamBroken, match="closed by its reader"):
        await reading
