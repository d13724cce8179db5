"""DATA/keys.json as an earlier Freehold wrote it."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import json

from freehold.control.keyfile import path


def create_key(data: Path, name: str) -> tuple[dict[str, Any], str]:
    """Adds a key to the file. What it holds of it, and the secret."""
    secret = f"fh_secret_of_{name}"
    record = {"id": f"key_{name.encode().hex():0>12}", "name": name, "digest": sha256(secret.encode()).hexdigest()}
    record |= {"prefix": secret[:6], "last4": secret[-4:], "created": 1_790_000_000}  # type: ignore[dict-item]
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path(data).write_bytes(json.encode({"version": 1, "keys": [*list_keys(data), record]}))
    path(data).chmod(0o600)
    return record, secret


def list_keys(data: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.decode(path(data).read_bytes())["keys"] if path(data).exists() else []
    return found
