"""Call: a coroutine driven without a Task behaves as in one, but starts at once."""

from __future__ import annotations

import asyncio

import pytest

from freehold.base.aio import Call


async def test_it_starts_in_its_callers_frame_and_ends_with_the_future() -> None:
    seen: list[str] = []
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("began")
        seen.append(await gate)

    call = Call(work())
    call.start()
    assert (seen, call.done) == (["began"], False)
    gate.set_result("ended")
    await asyncio.sleep(0)
    assert (seen, call.done) == (["began", "ended"], True)


async def test_a_failed_future_raises_inside() -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[Exception] = []

    async def work() -> None:
        try:
            await gate
        except ValueError as error:
            seen.append(error)

    Call(work()).start()
    gate.set_exception(error := ValueError("no"))
    await asyncio.sleep(0)
    assert seen == [error]


@pytest.mark.parametrize("when", ["before the start", "while it waits", "while it runs", "after its future was set"])
async def test_cancelling_raises_where_it_waits(when: str) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def work() -> None:
        try:
            if when == "while it runs":
                call.cancel()
            seen.append("began")
            await gate
            seen.append("went on")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("cleaned up")

    call = Call(work())
    if when == "before the start":
        call.cancel()
    call.start()
    if when == "while it waits":
        call.cancel()
    if when == "after its future was set":
        gate.set_result(None)
        call.cancel()
    await asyncio.sleep(0.01)
    expected = {"before the start": []}.get(when, ["began", "cancelled", "cleaned up"])
    assert (seen, call.done) == (expected, True)


async def test_tasks_sleeps_and_bare_yields_can_be_awaited() -> None:
    seen: list[int] = []

    async def inner() -> int:
        async with asyncio.timeout(5):  # a Task of its own has what this needs
            await asyncio.sleep(0)
        return 2

    async def work() -> None:
        await asyncio.sleep(0)
        seen.append(1)
        seen.append(await asyncio.get_running_loop().create_task(inner()))
        await asyncio.sleep(0.001)
        seen.append(3)

    call = Call(work())
    call.start()
    await asyncio.sleep(0.05)
    assert (seen, call.done) == ([1, 2, 3], True)


async def test_cancelling_reaches_a_task_that_it_waits_for() -> None:
    inner_ended: list[str] = []

    async def inner() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            inner_ended.append("cancelled")
            raise

    async def work() -> None:
        await asyncio.get_running_loop().create_task(inner())

    call = Call(work())
    call.start()
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.sleep(0.01)
    assert (inner_ended, call.done) == (["cancelled"], True)


async def test_what_escapes_goes_to_the_loops_handler() -> None:
    told: list[BaseException] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    gate: asyncio.Future[None] = loop.create_future()

    async def work() -> None:
        await gate
        raise KeyError("bug")

    call = Call(work())
    call.start()
    gate.set_result(None)
    await asyncio.sleep(0)
    assert [type(error) for error in told] == [KeyError]
    assert call.done
