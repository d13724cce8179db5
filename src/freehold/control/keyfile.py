"""Keys of a time before the database held them: DATA/keys.json is taken over once, digests and all, and then removed."""

from __future__ import annotations

from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError, field, json
from sqlalchemy import insert, select

from freehold.control.actor import command
from freehold.control.plane import Plane
from freehold.store.address import StoreError
from freehold.store.tenants import keys


class KeyFileError(StoreError):
    """There is a file of that name, and it is none."""


class _Record(Struct, kw_only=True):
    id: str
    name: str
    digest: str  # SHA-256 in hex
    prefix: str
    last4: str
    created: int  # unix seconds
    models: list[str] = field(default_factory=lambda: ["*"])
    disabled: bool = False


class _File(Struct, kw_only=True):
    version: int
    keys: list[_Record] = field(default_factory=list)


def path(data: Path) -> Path:
    return data / "keys.json"


def take_over(plane: Plane) -> int:
    """How many keys. Safe to be killed in: it goes on from there. Raises KeyFileError, StoreError, OSError."""
    file = path(plane.data)
    try:
        records = _records(file)
    except FileNotFoundError:
        return 0
    taken = 0
    with plane.writing(command()) as change:
        for record in records:
            if change.connection.scalar(select(keys.c.id).where(keys.c.id == record.id)) is not None:
                continue
            taken += 1
            change.connection.execute(insert(keys), _row(record, change.workspace))
            change.record("create", "key", record.id, record.name, None, {"models": record.models, "disabled": record.disabled})
            change.tell("key", record.id)
    for left in (file, plane.data / "keys.lock"):
        left.unlink(missing_ok=True)
    return taken


def _records(file: Path) -> list[_Record]:
    try:
        found = json.decode(file.read_bytes(), type=_File)
        if found.version == 1 and all(len(bytes.fromhex(one.digest)) == 32 for one in found.keys):
            return found.keys
    except (DecodeError, ValidationError, ValueError):
        pass
    # Not what is in it: a digest is no secret, but it is nobody's business either.
    raise KeyFileError(f"{file} is not a key file; restore it, or move it away to go on without the keys that were in it")


def _row(record: _Record, workspace: str) -> dict[str, object]:
    made_ms = record.created * 1000
    return {
        "workspace": workspace,
        "id": record.id,
        "name": record.name,
        "metadata": {},
        "created_ms": made_ms,
        "updated_ms": made_ms,
        "version": 1,
        "digest": bytes.fromhex(record.digest),
        "prefix": record.prefix,
        "last4": record.last4,
        "models": record.models,
        "addresses": [],
        "limits": [],
        "budgets": [],
        "capture": "",
        "disabled": record.disabled,
    }
