"""The control plane's one way to change anything: a transaction that also holds what happened and what gateways must be told.

    with plane.changing(actor, "key:write") as change:
        change.connection.execute(...)
        change.tell("key", key_id)                       # gateways take it from here (store/changes.py)
        change.record("update", "key", key_id, name, before, after)   # the audit log

All or nothing: no change without its audit record, no audit record of what did not happen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from freehold.control import audit
from freehold.control.actor import Actor
from freehold.control.owned import FileOwned
from freehold.control.refusal import Conflict, Missing
from freehold.store.address import Address
from freehold.store.changes import CHANNEL
from freehold.store.engine import explained, is_postgresql, reading, writing
from freehold.store.schema import workspaces
from freehold.store.sealing import MasterKey, SealError, WorkspaceKey
from freehold.store.tenants import changes


class Change:
    """One transaction of one actor, in the actor's workspace."""

    def __init__(self, connection: Connection, actor: Actor, plane: Plane) -> None:
        self.connection = connection
        self.actor = actor
        self.plane = plane
        self.workspace = actor.workspace
        self.now_ms = time.time_ns() // 1_000_000

    def record(
        self,
        action: str,
        kind: str,
        object_id: str,
        name: str,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Put it into the audit log. `before` and `after` are what an administrator may see: no secrets, no digests."""
        act = audit.Act(action, kind, object_id, name, before, after)
        audit.append(self.connection, self.plane.master(), self.actor, self.now_ms, act)

    def data_key(self) -> WorkspaceKey:
        """What seals the workspace's secrets, made at the first need. Raises SealError.

        An act of the installation (workspace "") has one derived from the master key: good for what need not outlive that.
        """
        if not self.workspace:
            return WorkspaceKey(self.plane.master().derive("installation", b""), "")
        mine = workspaces.c.id == self.workspace
        wrapped = self.connection.scalar(select(workspaces.c.data_key).where(mine))
        if wrapped is None:
            wrapped = self.plane.master().new_workspace_key(self.workspace)
            self.connection.execute(update(workspaces).where(mine).values(data_key=wrapped))
        try:
            return self.plane.master().unwrap(wrapped, self.workspace)
        except SealError:
            return self.plane.master(again=True).unwrap(wrapped, self.workspace)  # it was rotated meanwhile

    def tell(self, kind: str, object_id: str) -> None:
        """Gateways read this object again, within a second."""
        revision = self.connection.scalar(select(func.coalesce(func.max(changes.c.revision), 0))) or 0
        row = {"revision": revision + 1, "workspace": self.workspace, "kind": kind, "object_id": object_id, "at_ms": self.now_ms}
        self.connection.execute(insert(changes), row)
        if is_postgresql(self.connection.engine):
            self.connection.exec_driver_sql(f"NOTIFY {CHANNEL}")  # sent with the commit


_joined: ContextVar[Change | None] = ContextVar("joined", default=None)


class Plane:
    """The database, and beside it what the configuration file owns. `data`: the data directory."""

    def __init__(self, engine: Engine, address: Address, data: Path, owned: FileOwned) -> None:
        self.engine = engine
        self.address = address
        self.data = data
        self.owned = owned
        self._master: MasterKey | None = None

    def master(self, *, again: bool = False) -> MasterKey:
        """Read at the first need, and `again` if it may have been rotated. Raises SealError."""
        if self._master is None or again:
            self._master = MasterKey.load(os.environ, self.data)
        return self._master

    @contextmanager
    def changing(self, actor: Actor, scope: str) -> Iterator[Change]:
        """Raises Forbidden, Missing for a workspace that is gone, Conflict for what the database refuses, StoreError."""
        actor.require(scope)
        with self.writing(actor) as change:
            if change.connection.scalar(select(workspaces.c.id).where(workspaces.c.id == actor.workspace)) is None:
                raise Missing("workspace", actor.workspace)
            yield change

    @contextmanager
    def writing(self, actor: Actor) -> Iterator[Change]:
        """Without a look at rights: for acts of the installation, and for signing in. One at a time: revisions have no gaps."""
        outer = _joined.get()
        if outer is not None and outer.plane is self:
            yield Change(outer.connection, actor, self)
            return
        try:
            with explained(self.address), writing(self.engine, "objects") as connection:
                yield Change(connection, actor, self)
        except Exception as error:
            if isinstance(error.__cause__, IntegrityError):
                raise Conflict("It does not fit what is there: something of that name exists, or others refer to it.") from None
            raise

    @contextmanager
    def joined(self, change: Change) -> Iterator[None]:
        """What is changed within, in this thread, is part of the transaction of `change`: all of it happens, or nothing."""
        token = _joined.set(change)
        try:
            yield
        finally:
            _joined.reset(token)

    @contextmanager
    def reading(self, actor: Actor, scope: str) -> Iterator[Connection]:
        """Raises Forbidden, StoreError."""
        actor.require(scope)
        with explained(self.address), reading(self.engine) as connection:
            yield connection
