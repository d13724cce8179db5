from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from freehold.control.actor import command
from freehold.control.plane import Plane
from freehold.control.wrapping import rewrap, standing
from freehold.store.engine import reading
from freehold.store.schema import workspaces
from freehold.store.sealing import MasterKey, Place, SealError
from freehold.store.tenants import audit

OLD, NEW, OTHER = MasterKey(bytes(32)), MasterKey(bytes(range(32)), [bytes(32)]), MasterKey(bytes(range(1, 33)))
HERE = Place("credentials", "secret", "cred_1")


def keys(plane: Plane) -> dict[str, bytes]:
    with reading(plane.engine) as connection:
        return {row.id: row.data_key for row in connection.execute(select(workspaces))}


@pytest.fixture
def wrapped(plane: Plane) -> Plane:
    """Workspaces a and b with keys under the old master key, and one without."""
    with plane.writing(command("")) as change:
        for name in ("a", "b"):
            row = {"id": name, "name": name, "created_ms": 0, "metadata": {}, "updated_ms": 0, "version": 1, "disabled": False}
            change.connection.execute(insert(workspaces), row | {"data_key": OLD.new_workspace_key(name)})
    return plane


def test_every_key_is_wrapped_anew_once_and_that_is_recorded(wrapped: Plane) -> None:
    before = keys(wrapped)
    sealed = OLD.unwrap(before["a"], "a").seal(b"secret", HERE)
    with wrapped.writing(command("")) as change:
        assert rewrap(change, NEW) == 2
    now = keys(wrapped)
    assert all(NEW.is_current(now[name]) for name in "ab") and now["default"] is None
    assert MasterKey(bytes(range(32))).unwrap(now["a"], "a").open(sealed, HERE) == b"secret"
    with wrapped.writing(command("")) as change:
        assert rewrap(change, NEW) == 0
    assert keys(wrapped) == now
    with reading(wrapped.engine) as connection:
        assert dict(standing(connection)) == {NEW.id.hex(): 2}
        [act] = connection.execute(select(audit)).mappings()
    assert (act["action"], act["kind"], act["object_id"], act["after"]) == (
        "rewrap",
        "master_key",
        NEW.id.hex(),
        '{"workspaces":2}',
    )


def test_with_one_key_that_does_not_open_none_is_changed(wrapped: Plane) -> None:
    with wrapped.writing(command("")) as change:
        theirs = update(workspaces).where(workspaces.c.id == "b").values(data_key=OTHER.new_workspace_key("b"))
        change.connection.execute(theirs)
    before = keys(wrapped)
    with pytest.raises(SealError, match=r"workspace 'b'.*FREEHOLD_MASTER_KEY_PREVIOUS"), wrapped.writing(command("")) as change:
        rewrap(change, NEW)
    assert keys(wrapped) == before
    with reading(wrapped.engine) as connection:
        assert dict(standing(connection)) == {OLD.id.hex(): 1, OTHER.id.hex(): 1}
        assert connection.execute(select(audit)).all() == []
