"""`freehold backup` and `freehold restore`: with what they are locked, and what is said about them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from freehold.cli.settings import Failed, plural
from freehold.config.references import References, SecretError, is_reference
from freehold.control.actor import command
from freehold.control.archive import Tail
from freehold.control.backup import backup
from freehold.control.restore import Found, restore, verify
from freehold.store import masterkey
from freehold.store.address import database
from freehold.store.container import ContainerError, Lock, Mastered, Passphrase
from freehold.store.sealing import MasterKey, SealError

VARIABLE = "FREEHOLD_BACKUP_PASSPHRASE"
MIN_CHARS = 12  # of a passphrase: whoever has the file may guess as long as he likes


def make(file: Path, data: Path, passphrase_file: Path | None, *, with_master_key: bool) -> str:
    """Raises Failed, StoreError, OSError."""
    phrase = _passphrase(passphrase_file)
    if phrase and len(phrase) < MIN_CHARS:
        raise Failed(
            f"the passphrase has {len(phrase)} characters; at least {MIN_CHARS}, for it protects all that Freehold knows"
        )
    if with_master_key and not phrase:
        raise Failed(f"the master key can't lock itself in: give a passphrase with --passphrase-file or {VARIABLE}")
    if with_master_key and not masterkey.path(data).exists():
        raise Failed(f"there is no {masterkey.path(data)}; a master key that is kept elsewhere stays there")
    with _named(file):
        made = backup(file, data, database(data, os.environ), _lock(phrase, data, make=True), with_master_key=with_master_key)
    lines = [f"{file}: {_held(made.tail)}, schema {made.revision}, {made.size:,} bytes"]
    if not phrase:
        master = MasterKey.load(os.environ, data, make=False).id.hex()
        lines.append(f"Only master key {master} opens it, which is not in it: keep that in another place.")
    elif with_master_key:
        lines.append("Only the passphrase opens it. It holds the master key.")
    else:
        lines.append(
            "Only the passphrase opens it. The secrets in it open with the master key alone: keep that in another place."
        )
    return "\n".join(lines)


def bring_back(file: Path, data: Path, passphrase_file: Path | None, *, check: bool, force: bool) -> str:
    """Raises Failed, StoreError, OSError."""
    lock = _lock(_passphrase(passphrase_file), data, make=False)
    with file.open("rb") as opened, _named(file):
        if check:
            found = verify(opened, lock)
            return f"ok: {file} is whole: {_held(found.tail)}, {_made(found)}"
        address = database(data, os.environ)
        found = restore(opened, data, address, lock, force=force, actor=command(""))
    return f"Restored {file} into {address.name} and {data}: {_held(found.tail)}, {_made(found)}"


def _lock(phrase: str, data: Path, *, make: bool) -> Lock:
    return Passphrase(phrase) if phrase else Mastered(lambda: MasterKey.load(os.environ, data, make=make))


def _passphrase(file: Path | None) -> str:
    """ "" for none."""
    given = os.environ.get(VARIABLE, "")
    reference = f"file:{file.absolute()}" if file is not None else given
    if not is_reference(reference):
        return given
    try:
        return References(os.environ).resolve(reference)
    except SecretError as error:
        raise Failed(f"{'--passphrase-file' if file is not None else VARIABLE}: {error}") from None


@contextmanager
def _named(file: Path) -> Iterator[None]:
    try:
        yield
    except (ContainerError, SealError) as error:
        raise Failed(f"{file}: {error}") from None


def _held(tail: Tail) -> str:
    count = sum(counted.size for counted in tail.tables.values())
    return f"{plural(count, 'row')} of {plural(len(tail.tables), 'table')}, {plural(len(tail.files), 'file')}"


def _made(found: Found) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(found.head.made_ms / 1000))
    return f"made {when} by freehold {found.head.freehold} from {found.head.kind}, schema {found.head.revision}"
