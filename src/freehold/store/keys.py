"""Keys made by command: DATA/keys.json, digests only. The secret is returned once, when it is made, and never written.

Writers take a lock and replace the file in one step, so readers (workers that poll it) see the old list or the new one.
Keys written in freehold.yaml are not here: the file owns those.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import DecodeError, Struct, ValidationError, field, json, structs

from freehold.base.secret import key_digest

_VERSION = 1


class KeyRecord(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One key. `digest`: SHA-256 of the secret in hex. `prefix`, `last4`: to tell keys apart. `created`: unix seconds."""

    id: str
    name: str
    digest: str
    prefix: str
    last4: str
    created: int
    models: list[str] = field(default_factory=lambda: ["*"])
    disabled: bool = False


class KeyStoreError(ValueError):
    """The key file cannot be used as asked; the message says what to do."""


class _File(Struct, kw_only=True):
    version: int
    keys: list[KeyRecord] = field(default_factory=list)


def path(data: Path) -> Path:
    return data / "keys.json"


def list_keys(data: Path) -> list[KeyRecord]:
    """Every key made in this data directory, disabled ones too, oldest first. Raises KeyStoreError or OSError."""
    try:
        raw = path(data).read_bytes()
    except FileNotFoundError:
        return []
    try:
        file = json.decode(raw, type=_File)
    except (DecodeError, ValidationError) as error:
        # The position, not the content: a digest is no secret, but it is nobody's business either.
        raise KeyStoreError(f"{path(data)} is not a key file ({error}); restore it, or move it away to begin a new one") from None
    if file.version != _VERSION:
        raise KeyStoreError(f"{path(data)} has version {file.version}; this Freehold reads version {_VERSION}")
    return file.keys


def create_key(data: Path, name: str, models: Sequence[str] = ("*",)) -> tuple[KeyRecord, str]:
    """A new key and its secret ("fh_" and 43 characters: 256 random bits). Raises KeyStoreError if `name` is in use, OSError."""
    if not name or len(name) > 100 or not name.isprintable() or name != name.strip():
        raise KeyStoreError("a key's name has 1 to 100 visible characters")
    patterns = list(dict.fromkeys(models)) or ["*"]
    if any(not p or len(p) > 300 or not p.isprintable() or " " in p for p in patterns):
        raise KeyStoreError("a model pattern is a route, provider/model, or a pattern such as openai/*, without spaces")
    secret = "fh_" + secrets.token_urlsafe(32)
    record = KeyRecord(
        id="key_" + secrets.token_hex(6),
        name=name,
        digest=key_digest(secret.encode()).hex(),
        prefix=secret[:6],
        last4=secret[-4:],
        created=int(time.time()),
        models=patterns,
    )
    with _writing(data):
        keys = list_keys(data)
        if any(k.name == name and not k.disabled for k in keys):
            raise KeyStoreError(f"a key named {name!r} exists; choose another name, or disable that one first")
        _write(data, [*keys, record])
    return record, secret


def disable_key(data: Path, wanted: str) -> KeyRecord:
    """Switch off the key with this id or name. Doing it twice is no error. Raises KeyStoreError if there is none, OSError."""
    with _writing(data):
        keys = list_keys(data)
        named = [k for k in keys if k.name == wanted]
        found = next((k for k in keys if k.id == wanted), None) or next((k for k in named if not k.disabled), None)
        found = found or (named[-1] if named else None)
        if found is None:
            raise KeyStoreError(f'no key has the id or name {wanted!r}; "freehold key list" shows them')
        disabled = structs.replace(found, disabled=True)
        _write(data, [disabled if k.id == found.id else k for k in keys])
    return disabled


@contextmanager
def _writing(data: Path) -> Iterator[None]:
    """Only one writer at a time, over all processes."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(data / "keys.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _write(data: Path, keys: list[KeyRecord]) -> None:
    encoded = json.format(json.encode(_File(version=_VERSION, keys=keys)), indent=1)
    fd, temporary = tempfile.mkstemp(dir=data, prefix=".keys-", suffix=".tmp")  # made with mode 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(encoded + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path(data))
    except BaseException:
        os.unlink(temporary)
        raise
    directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)  # the new name too must survive a power cut
    finally:
        os.close(directory)
