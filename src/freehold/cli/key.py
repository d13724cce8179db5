"""`freehold key ...`: what the commands print. The store itself is store/keys.py."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import json

from freehold.cli.settings import existing
from freehold.cli.table import table
from freehold.store.keys import KeyRecord, create_key, disable_key, list_keys


def create(data: Path, name: str, models: list[str], *, as_json: bool) -> str:
    record, secret = create_key(data, name, models)
    if as_json:
        return _json({**_described(record), "key": secret})
    return f"{secret}\n\nThis is the only time it is shown. Key {record.id} ({name}) may use: {', '.join(record.models)}"


def listing(data: Path, *, as_json: bool) -> str:
    records = list_keys(existing(data))
    if as_json:
        return _json([_described(r) for r in records])
    if not records:
        return 'No keys yet. Make one: "freehold key create --name NAME"'
    rows = [
        (r.id, r.name, f"{r.prefix}...{r.last4}", _day(r.created), "disabled" if r.disabled else "in use", ", ".join(r.models))
        for r in records
    ]
    return table(("ID", "NAME", "KEY", "MADE", "STATE", "MODELS"), rows)


def disable(data: Path, wanted: str) -> str:
    record = disable_key(existing(data), wanted)
    return f"Key {record.id} ({record.name}) is switched off."


def _described(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "last4": record.last4,
        "models": record.models,
        "created": record.created,
        "disabled": record.disabled,
    }


def _day(unix_s: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(unix_s))


def _json(value: object) -> str:
    return json.format(json.encode(value), indent=2).decode()
