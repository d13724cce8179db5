"""`freehold master-key ...`: which keys there are, and changing the one in use."""

from __future__ import annotations

import os
from pathlib import Path

from freehold.cli.plane import opened
from freehold.cli.settings import Failed, plural
from freehold.cli.table import table
from freehold.control.actor import command
from freehold.control.wrapping import rewrap, standing
from freehold.store import masterkey
from freehold.store.engine import reading
from freehold.store.sealing import MasterKey


def show(data: Path) -> str:
    """Raises SealError, StoreError."""
    master = MasterKey.load(os.environ, data, make=False)
    with opened(data) as plane, reading(plane.engine) as connection:
        wraps = standing(connection)
    states = [(key, "in use" if key == master.id.hex() else "previous") for key in master.known]
    states += [(key, "MISSING") for key in wraps if key not in master.known]
    return table(("ID", "STATE", "WORKSPACES"), [(key, state, f"{wraps[key]:,}") for key, state in states], right=(2,))


def rotate(data: Path) -> str:
    """Raises Failed for a key that is not ours to change, SealError, StoreError, OSError."""
    for variable in (masterkey.VARIABLE, masterkey.FILE_VARIABLE):
        if os.environ.get(variable, "").strip():
            raise Failed(
                f"the master key comes from {variable}: set a new one there and the old one in {masterkey.PREVIOUS_VARIABLE}, "
                'start Freehold again everywhere, then run "freehold master-key rewrap"'
            )
    MasterKey.load(os.environ, data, make=True)
    masterkey.rotate_file(data)
    return f"{masterkey.path(data)} begins with a new key: keep a copy in another place. {wrap_anew(data)}"


def wrap_anew(data: Path) -> str:
    """Raises SealError, StoreError."""
    master = MasterKey.load(os.environ, data, make=False)
    with opened(data) as plane, plane.writing(command("")) as change:
        done = rewrap(change, master)
    return f"Wrapped anew with master key {master.id.hex()}: {plural(done, 'key')}."
