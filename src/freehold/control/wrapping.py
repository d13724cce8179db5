"""Which master key wraps the workspaces' keys and those of users' second factors, and wrapping them anew after it was changed."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, select, update

from freehold.control import totp
from freehold.control.plane import Change
from freehold.store.schema import workspaces
from freehold.store.sealing import MasterKey


def standing(connection: Connection) -> Counter[str]:
    """Master key's id in hex -> how many workspaces it wraps. Those without a key of their own are not counted."""
    wrapped = select(workspaces.c.data_key).where(workspaces.c.data_key.is_not(None))
    return Counter(MasterKey.wrapped_by(key) for key in connection.scalars(wrapped))


def rewrap(change: Change, master: MasterKey) -> int:
    """Wrap all keys with the master key in use; what those have sealed stays as it is. Returns how many were not.

    All or none. Raises SealError naming the first workspace whose key no known master key opens.
    """
    connection, done = change.connection, 0
    rows = select(workspaces.c.id, workspaces.c.data_key).where(workspaces.c.data_key.is_not(None)).order_by(workspaces.c.id)
    for workspace, wrapped in connection.execute(rows).all():
        if not master.is_current(wrapped):
            again = master.rewrap(wrapped, workspace)
            connection.execute(update(workspaces).where(workspaces.c.id == workspace).values(data_key=again))
            done += 1
    of_users = totp.rewrap(connection, master)
    if done or of_users:
        change.record(
            "rewrap", "master_key", master.id.hex(), "", None, {"workspaces": done, **({"users": of_users} if of_users else {})}
        )
    return done + of_users
