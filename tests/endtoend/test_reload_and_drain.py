"""Configuration changes under way, and the end: a bad file changes nothing, a removed key is out at once, SIGTERM drains."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests import client
from tests.endtoend.conftest import CHAT, KEY, Freehold, ask, eventually
from tests.pipeline.upstream import Act, reply, stream

SECOND_KEY = "fh_second_key_0123456789abcdef"
WORKERS = pytest.mark.parametrize("workers", ["1", "2"])


async def status(freehold: Freehold, key: str = KEY) -> int:
    return (await freehold.call(CHAT, ask(), key=key)).status


def refusals(freehold: Freehold) -> list[str]:
    return [problem for event in freehold.events if event["event"] == "reload_refused" for problem in event["problems"]]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"providers: [", "not YAML"),
        (b"providers: {lab: {dialect: openai_chat, base_url: 'ftp://x', api_key: k}}\nkyes: []\n", "kyes"),
        (b"routes: {r: {targets: [{provider: nobody, model: m}]}}\n", "routes.r.targets[0].provider"),
        (b'keys: [{name: a, key: "short"}]\n', "keys[0].key"),
        (b"\xff\xfe\x00", "freehold.yaml"),
        (b"a: &a [*a]\n", "freehold.yaml"),
    ],
    ids=["not yaml", "unknown field", "unknown provider", "short key", "not text", "a cycle"],
)
async def test_a_bad_file_is_refused_with_its_errors_and_the_old_one_serves(freehold: Freehold, text: bytes, named: str) -> None:
    await freehold.upstream()
    freehold.start()
    assert await status(freehold) == 200
    freehold.write(text)
    await eventually(lambda: refusals(freehold), "the refusal is logged")
    assert any(named in problem for problem in refusals(freehold)), refusals(freehold)
    assert await status(freehold) == 200
    assert "Traceback" not in freehold.log and "short" not in str(refusals(freehold))

    freehold.config["keys"].append({"name": "second", "key": SECOND_KEY})
    freehold.write()
    await eventually(lambda: any(e["event"] == "reloaded" for e in freehold.events), "the mended file is taken")
    assert await status(freehold, SECOND_KEY) == 200


async def test_a_file_that_is_gone_for_a_moment_changes_nothing(freehold: Freehold) -> None:
    await freehold.upstream()
    freehold.start()
    (freehold.folder / "freehold.yaml").unlink()
    await eventually(lambda: refusals(freehold), "the missing file is logged")
    assert await status(freehold) == 200


@WORKERS
async def test_a_key_removed_from_the_file_is_refused_within_a_second(freehold: Freehold, workers: str) -> None:
    lab = await freehold.upstream()
    freehold.config["keys"].append({"name": "second", "key": SECOND_KEY})
    freehold.start("--workers", workers)
    lab.acts(stream("a", "b", gap_s=0.5), reply())
    reader, writer = await freehold.send(CHAT, ask(stream=True), key=SECOND_KEY)
    await reader.readuntil(b"\n\n")
    kept, kept_writer = await asyncio.open_connection("127.0.0.1", freehold.up.port)
    again = client.request(CHAT, ask(), key=SECOND_KEY)
    kept_writer.write(again)
    assert (await client.read(kept)).status == 200

    freehold.config["keys"].pop()
    freehold.write()
    await asyncio.sleep(1)
    for _ in range(8):  # whichever worker takes the connection
        assert await status(freehold, SECOND_KEY) == 401
    kept_writer.write(again)
    assert (await client.read(kept)).status == 401, "an open connection is no way around it"
    assert await status(freehold) == 200
    assert b"[DONE]" in await asyncio.wait_for(reader.read(), 10), "a call under way ends well"
    writer.close()
    kept_writer.close()


@WORKERS
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
async def test_sigterm_lets_calls_end_and_takes_no_new_ones(freehold: Freehold, workers: str, times: int) -> None:
    lab = await freehold.upstream()
    freehold.start("--workers", workers)
    lab.acts(stream("one ", "two ", "three", gap_s=0.3))
    streams = [await freehold.send(CHAT, ask(stream=True)) for _ in range(4)]
    for reader, _ in streams:
        await reader.readuntil(b"\n\n")
    lab.acts(Act(pieces=[b"".join(reply("slow").pieces)], gap_s=1.0))
    _, idle = await asyncio.open_connection("127.0.0.1", freehold.up.port)
    whole = await freehold.send(CHAT, ask())
    await eventually(lambda: len(lab.seen) == 5, "every call has reached the upstream")

    for _ in range(times):
        freehold.up.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", freehold.up.port)
    assert freehold.up.process.poll() is None, "the calls are still under way"
    for reader, writer in streams:
        body = await asyncio.wait_for(reader.read(), 10)
        assert b"three" in body and body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        writer.close()
    got = await client.read(whole[0])
    assert got.whole and got.json["choices"][0]["message"]["content"] == "slow"
    idle.close()
    assert freehold.up.process.wait(10) == 0
    assert [line.outcome for line in freehold.ledger] == ["ok"] * 5
    assert "Traceback" not in freehold.log
    assert b"\0" not in b"".join(path.read_bytes() for path in freehold.data.rglob("*.jsonl"))


async def test_a_call_that_does_not_end_in_time_is_cut_and_recorded(freehold: Freehold) -> None:
    freehold.config["server"]["drain_timeout"] = 0.5
    lab = await freehold.upstream()
    lab.acts(stream("one ", then="hang"), Act(before="hang"))
    lab.choose = lambda seen: Act(pieces=stream("one ").pieces[:2], content_type="text/event-stream", then="hang")
    freehold.start()
    reader, writer = await freehold.send(CHAT, ask(stream=True))
    await reader.readuntil(b"one ")
    began = time.monotonic()
    assert await asyncio.to_thread(freehold.up.stop) == 0
    assert time.monotonic() - began < 4
    line = await freehold.line()
    assert (line.outcome, line.estimated) == ("client_gone", True)
    assert (line.cost_nusd or 0) > 0
    writer.close()


async def test_a_second_gateway_takes_over_the_port_at_once(freehold: Freehold, tmp_path: Path) -> None:
    await freehold.upstream()
    first = freehold.start()
    port = str(first.port)
    assert await status(freehold) == 200
    assert await asyncio.to_thread(first.stop) == 0
    freehold.start("--port", port)
    assert freehold.up.port == int(port) and await status(freehold) == 200
