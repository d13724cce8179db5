"""Denial of service by slowness, as `slowhttptest` does it: while 200 slow clients hang on, others are served."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from freehold.gateway.request import Request
from freehold.pipeline.output import Output

from .serving import TEXT, get, serving

CONNECTIONS = 200
SECONDS = 5
MODES = {
    "slow heads": ["-H", "-i", "1"],
    "slow bodies": ["-B", "-i", "1", "-s", "100000"],
    "slow reads": ["-X", "-w", "1", "-y", "16", "-z", "5", "-n", "1", "-k", "3"],
    "range": ["-R", "-a", "1", "-b", "3000"],
}

pytestmark = [
    pytest.mark.skipif(shutil.which("slowhttptest") is None, reason="needs slowhttptest (a Debian package) on the PATH"),
    pytest.mark.asyncio(loop_factories=["uvloop"]),
]


@pytest.mark.parametrize("mode", MODES)
async def test_service_stays_up_for_others(mode: str) -> None:
    slow_calls = 0

    async def answer(request: Request, out: Output) -> None:
        nonlocal slow_calls
        slow_calls += request.path == "/large"
        out.whole(200, TEXT, b"x" * (100_000 if request.path == "/large" else 10))

    async with serving(answer, max_connections=CONNECTIONS + 50) as gateway:
        attack = await asyncio.create_subprocess_exec(
            *("slowhttptest", "-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-l", str(SECONDS), "-p", "3", *MODES[mode]),
            *("-u", f"http://127.0.0.1:{gateway.port}/large"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            most_open = served = 0
            while attack.returncode is None:
                client = await gateway.connect()
                assert (await client.ask(get("/", "Connection: close"))).status == 200
                client.close()
                most_open = max(most_open, gateway.server.open_connections)
                served += 1
                try:
                    await asyncio.wait_for(attack.wait(), 0.2)
                except TimeoutError:
                    continue
        finally:
            if attack.returncode is None:
                attack.kill()
            await attack.wait()
        assert most_open > 100 or slow_calls > 100  # the attack did come
        assert served > 1
