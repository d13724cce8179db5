"""What a first start needs of the database, in a process of its own: a gateway's process never loads a database library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from msgspec import DecodeError, Struct, json

from freehold.cli.settings import Failed

FIRST_KEY = "first"


class Prepared(Struct):
    """`key`, `id`: of the first key, "" where there are keys. `problem`: why the database can't be used, "" if it can."""

    key: str = ""
    id: str = ""
    problem: str = ""


def prepared(data: Path, config: Path | None, *, first: bool) -> Prepared:
    """Runs `run` in another process. Raises Failed with what it said."""
    command = [sys.executable, "-m", "freehold", "prepare", "--data", str(data)]
    if config is not None:
        command += ["--config", str(config)]
    if first:
        command.append("--first-key")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        if done.returncode == 0:
            return json.decode(done.stdout, type=Prepared)
    except DecodeError:
        pass
    said = done.stderr.decode("utf-8", "replace").strip().removeprefix("error: ")
    raise Failed(said or f"preparing the database ended with code {done.returncode}")


def run(data: Path, config: Path | None, *, first: bool) -> str:
    """Bring the database and this node's copy of its objects up to date. With `first`, make a key where none can be used."""
    from sqlalchemy import select

    from freehold.cli.plane import opened
    from freehold.control.actor import command
    from freehold.control.keyfile import KeyFileError
    from freehold.control.keys import Keys, NewKey
    from freehold.store.address import StoreError
    from freehold.store.engine import reading
    from freehold.store.tenants import keys

    out = Prepared()
    try:
        with opened(data, config) as plane:
            with reading(plane.engine) as connection:
                usable = connection.scalar(select(keys.c.id).where(keys.c.disabled.is_(False)).limit(1))
            if first and usable is None:
                made = Keys().create(plane, command(), NewKey(name=FIRST_KEY))
                out = Prepared(made.key, made.id)
    except KeyFileError:
        raise
    except StoreError as error:
        out = Prepared(problem=str(error))
    return json.encode(out).decode()


def take_back(data: Path, key_id: str) -> None:
    """The first key of a start that failed before anybody saw it."""
    from freehold.cli.plane import opened
    from freehold.control.actor import command
    from freehold.control.keys import EditKey, Keys

    try:
        with opened(data) as plane:
            Keys().change(plane, command(), key_id, EditKey(disabled=True))
    except Exception as error:  # the start's own failure is what must be told
        print(f"error: key {key_id} was made, and could not be taken back: {error}", file=sys.stderr)
