"""Secrets that the configuration only names: they are fetched, follow their source, and an outage of Vault changes nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from freehold.store.feed import usable_keys
from tests.endtoend.conftest import CHAT, Freehold, ask, eventually
from tests.endtoend.test_control_plane import made
from tests.openbao import Server
from tests.pipeline.upstream import ScriptedUpstream
from tests.running import SRC


def used(lab: ScriptedUpstream) -> str:
    return lab.seen[-1].headers["authorization"]


async def called(freehold: Freehold) -> bool:
    return (await freehold.call(CHAT, ask())).status == 200


async def test_a_secret_in_a_file_is_used_and_its_rotation_followed(freehold: Freehold) -> None:
    secret = freehold.folder / "upstream key"
    secret.write_text("sk-one\n")
    lab = await freehold.upstream(api_key=f"file:{secret}")
    freehold.start()
    assert await called(freehold) and used(lab) == "Bearer sk-one"

    secret.unlink()
    await eventually(lambda: "can't be read: No such file" in freehold.log, "its absence is told")
    assert await called(freehold) and used(lab) == "Bearer sk-one", "the old one serves"
    new = freehold.folder / "new"
    new.write_text("sk-two\n")
    os.rename(new, secret)
    await eventually(lambda: any(e["event"] == "reloaded" for e in freehold.events), "the new one is taken")
    assert await called(freehold) and used(lab) == "Bearer sk-two"
    assert "sk-" not in freehold.log


async def test_vault_is_followed_and_its_outage_changes_nothing(freehold: Freehold, bao: Server) -> None:
    bao.put("upstream", key="sk-one")
    lab = await freehold.upstream(api_key="vault:secret/upstream#key")
    freehold.config["secrets"] = {"refresh": 1}
    freehold.env |= bao.env
    freehold.start()
    assert await called(freehold) and used(lab) == "Bearer sk-one"
    bao.put("upstream", key="sk-two")
    await eventually(lambda: any(e["event"] == "reloaded" for e in freehold.events), "the new one is taken", 60)
    assert await called(freehold) and used(lab) == "Bearer sk-two"

    bao.stop()
    try:
        await eventually(lambda: "does not answer" in freehold.log, "the outage is told", 60)
        secret = (await made(freehold, "meanwhile"))["key"]
        await eventually(lambda: usable_keys(freehold.data) == 1, "a key made meanwhile is in the file", 60)
        for _ in range(600):
            if (await freehold.call(CHAT, ask(), key=secret)).status == 200:
                break
            await asyncio.sleep(0.05)
        assert (await freehold.call(CHAT, ask(), key=secret)).status == 200 and used(lab) == "Bearer sk-two"
    finally:
        bao.start()
    refused = [e["problems"] for e in freehold.events if e["event"] == "reload_refused"]
    assert all("providers.lab.api_key: " in problem for problems in refused for problem in problems)
    assert bao.env["BAO_TOKEN"] not in freehold.log and "sk-" not in freehold.log


async def test_a_start_without_vault_is_a_clear_failure(freehold: Freehold) -> None:
    await freehold.upstream(api_key="vault:secret/upstream#key")
    freehold.write()
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "t"}
    command = [sys.executable, "-m", "freehold", "up", "--port", "0", "--admin-port", "0"]
    done = subprocess.run(command, cwd=freehold.folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "providers.lab.api_key: Vault at http://127.0.0.1:1 does not answer (check VAULT_ADDR" in done.stderr
    assert not Path(freehold.folder / "data").exists()
