"""An upload costs a worker the same memory however large it is, whichever side is slow."""

from __future__ import annotations

import asyncio

import pytest

from tests.endtoend.conftest import KEY, Freehold, eventually
from tests.pipeline.taking import END, FILE, Sender, Taker, field, sound

TRANSCRIPTIONS = "/v1/audio/transcriptions"
MIB = 1024 * 1024
# Held of one upload: the first MiB and what is buffered on both sides. The rest is the allocator's.
ALLOWED = 8 * MIB


async def upload(freehold: Freehold, lab: Taker, size: int, model_first: bool) -> int:
    """Send a form of this size to an upstream that at first takes nothing. Returns the most that was resident meanwhile."""
    lab.go.clear()
    lab.heads.clear()
    before, after = field("model", "lab/whisper-1"), b""
    if not model_first:
        before, after = after, before
    parts = (before + FILE, sound(size), b"\r\n" + after + END)
    length = len(parts[0]) + sum(map(len, parts[1])) + len(parts[2])
    sender = await Sender(freehold.up.port, TRANSCRIPTIONS, length, key=KEY).open()
    sending = asyncio.create_task(sender.send([parts[0], *parts[1], parts[2]]))
    await eventually(lambda: bool(lab.heads), "the upload begins upstream")
    most = freehold.up.resident_bytes()
    if model_first:
        last = -1
        while last != sender.sent:
            last = sender.sent
            await asyncio.sleep(0.3)
        assert size <= 16 * MIB or not sending.done(), "the client was not held back"
    most = max(most, freehold.up.resident_bytes())
    lab.go.set()
    answer = asyncio.create_task(sender.answer())
    while not answer.done():
        most = max(most, freehold.up.resident_bytes())
        await asyncio.sleep(0.02)
    await sending
    assert answer.result().status == 200
    sender.writer.close()
    return most


async def measured(freehold: Freehold, size: int, model_first: bool) -> None:
    lab = Taker()
    await lab.start()
    freehold.config["providers"]["lab"] = {"dialect": "openai_chat", "base_url": f"{lab.url}/v1", "api_key": "k"}
    up = freehold.start()
    await upload(freehold, lab, 4 * MIB, model_first)  # what such a call needs at all is there from now on
    before = up.resident_bytes()
    most = await upload(freehold, lab, size, model_first)
    print(f"\n{size} B: resident +{most - before} B of {before}")
    assert most - before < ALLOWED
    await lab.stop()


ORDERS = pytest.mark.parametrize("model_first", [True, False], ids=["model first", "model last"])


@ORDERS
async def test_an_upload_of_64_mib_costs_no_memory(freehold: Freehold, model_first: bool) -> None:
    await measured(freehold, 64 * MIB, model_first)


@pytest.mark.slow
@ORDERS
async def test_an_upload_of_200_mb_costs_no_memory(freehold: Freehold, model_first: bool) -> None:
    await measured(freehold, 200_000_000, model_first)
