"""A real gateway process in front of the replay server, started by its own command, and its ledger read from disk.

One configured provider for each recorded one, under its catalogue name where there is one, so that the provider's own quirks
are on: only base URL and key differ from what a user would write.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.running import Up

KEY = "fh-conformance-0123456789abcdef"
# Providers without a row: the dialect and nothing else.
PLAIN = {"openai_chat": "plain-openai", "anthropic": "plain-anthropic"}
NATIVE = ("openai_responses", "openai_completions", "gemini", "bedrock", "bedrock_invoke", "cohere", "ollama", "voyage")

# The recordings' name for a provider -> its row in the catalogue, where the two differ.
ROWS = {"vercel-gw": "vercel", "local": "vllm"}


class Gateway:
    """`url` is http://127.0.0.1:PORT. Use as a context manager; the process ends with it."""

    def __init__(self, folder: Path, replay_url: str, providers: Iterable[str]) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._lines: dict[str, dict[str, Any]] = {}
        self._read: dict[Path, int] = {}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "freehold.yaml").write_text(json.dumps(_config(replay_url, providers), indent=1))  # JSON is YAML

    def __enter__(self) -> Gateway:
        self._up = Up(self._folder, "--data", str(self._data))
        self.url = self._up.url
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._up.stop()
        except subprocess.TimeoutExpired:
            self._up.kill()

    def ledger(self, call_id: str) -> dict[str, Any] | None:
        """The line of one call. It is on disk before the client sees the reply's end: no waiting."""
        if call_id not in self._lines:
            self._read_new()
        return self._lines.get(call_id)

    def _read_new(self) -> None:
        for path in sorted((self._data / "spool").glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for raw in file:
                    if not raw.endswith(b"\n") or raw.startswith(b"\0"):  # unused rest, or a line being written
                        break
                    self._read[path] = self._read.get(path, 0) + len(raw)
                    line = json.loads(raw)
                    self._lines[line["call_id"]] = line

    def log(self) -> str:
        return self._up.log.read_text(errors="replace")


def provider_name(recorded: str) -> str:
    """What the gateway's configuration calls a recorded provider."""
    return ROWS.get(recorded, recorded)


def _config(replay_url: str, providers: Iterable[str]) -> dict[str, Any]:
    from freehold.upstream.catalogue import PROVIDERS

    rows: dict[str, Any] = {}
    for recorded in providers:
        name = provider_name(recorded)
        row = PROVIDERS.get(name)
        # The replay server takes any path; the Anthropic row's base URL has no /v1 of its own.
        rows[name] = {"base_url": f"{replay_url}/v1", "api_key": "sk-replayed-upstream-key"}
        if row is None or row.dialect not in PLAIN:  # recorded at its OpenAI-compatible endpoint
            rows[name]["dialect"] = "anthropic" if recorded == "anthropic" else "openai_chat"
    for dialect, name in PLAIN.items():
        rows[name] = {"dialect": dialect, "base_url": f"{replay_url}/v1", "api_key": "sk-replayed-upstream-key"}
    for dialect in NATIVE:
        base = f"{replay_url}/v1" if dialect.startswith("openai") else replay_url
        base = f"{replay_url}/v1beta" if dialect == "gemini" else base
        rows[f"plain-{dialect.replace('_', '-')}"] = {"dialect": dialect, "base_url": base, "api_key": "sk-replayed-upstream-key"}
    return {"providers": rows, "keys": [{"name": "conformance", "key": KEY}]}
