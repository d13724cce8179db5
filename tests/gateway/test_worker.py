"""The worker: which changes of its files it notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from freehold.config.load import load
from freehold.gateway.worker import Worker, WorkerOptions
from freehold.upstream.catalogue import PROVIDERS


async def test_a_change_made_between_its_load_and_its_first_look_is_noticed(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text("discover: false\n")
    heard = b""

    def refused() -> bool:
        nonlocal heard
        heard += capfdbinary.readouterr().err
        return any(json.loads(line)["event"] == "reload_refused" for line in heard.splitlines())

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        options = WorkerOptions(
            load_config=lambda: load(file, {}, PROVIDERS),
            watched=(file,),
            data=tmp_path,
            sockets=[listener],
            on_ready=lambda _: file.unlink(),  # the earliest that anybody outside can know that it serves
        )
        running = asyncio.create_task(Worker(options).run())
        try:
            async with asyncio.timeout(30):
                while not refused():
                    await asyncio.sleep(0.05)
        finally:
            if not running.done():  # nobody would catch it
                os.kill(os.getpid(), signal.SIGTERM)
            await running
