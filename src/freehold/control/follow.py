"""Carries what administrators decide from the database to this node's gateways, by way of a file (store/feed.py).

All of it is written at the start; then each change is added within a fraction of a second. A database that is not the one
followed so far (restored, replaced) is noticed by its last change, and all is written again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Engine

from freehold.config.schema import Config
from freehold.control.keyfile import take_over
from freehold.control.owned import FileOwned
from freehold.control.plane import Plane
from freehold.observe import log
from freehold.store import changes, feed
from freehold.store.address import Address, StoreError
from freehold.store.changes import Listener
from freehold.store.engine import explained, is_postgresql, open_engine, reading, writing
from freehold.store.feed import FeedWriter
from freehold.store.migrate import prepare

POLL_S = 0.2  # SQLite tells nobody of changes
NET_S = 0.5  # PostgreSQL does, unless something between us swallows it
MAX_DELAY_S = 5.0  # between tries while the database is away
MAX_ADDED_BYTES = 4 * 1024 * 1024  # of changes in the file, before a whole one is written
PRUNE_EVERY_S = 3600.0
KEEP_CHANGES_MS = 7 * 86_400_000


class Follower:
    """`run` in a thread of its own. `ready` is set while the database can be read."""

    def __init__(self, data: Path, address: Address, replaced: Callable[[], None] = lambda: None) -> None:
        """`replaced` is called when the database's file is another one: whoever has it open writes into nothing."""
        self._data = data
        self._address = address
        self._replaced = replaced
        self._inode = 0  # of a SQLite file
        self._engine: Engine | None = None  # None: not known to be usable
        self._listener: Listener | None = None
        self._seen: changes.Change | None = None  # the last one in the file; None: the file is to be written
        self._began = False
        self._prune_at = 0.0
        self._said = ""
        self._delay_s = POLL_S
        self.ready = threading.Event()

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                with feed.locked(self._data, wait=False) as writer:
                    self._follow(writer, stopping)
            except BlockingIOError:
                stopping.wait(POLL_S)  # one that is about to end still holds it
            except OSError as error:
                self._failed(f"{self._data / feed.FOLDER}: {error.strerror or error}")
                stopping.wait(self._delay_s)
        self._forget()

    def _follow(self, writer: FeedWriter, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self.once(writer)
            self._pause(stopping)

    def once(self, writer: FeedWriter) -> None:
        """Bring the file up to the database. Whatever fails is tried again, with the file as it was."""
        try:
            with explained(self._address):
                if self._engine is None:
                    self._open()
                elif _inode(self._address) != self._inode:
                    self._replaced()
                    return
                assert self._engine is not None
                self._catch_up(writer, self._engine)
                if time.monotonic() >= self._prune_at:
                    self._prune(self._engine)
        except (StoreError, OSError) as error:
            self._failed(str(error) if isinstance(error, StoreError) else f"{feed.FOLDER}: {error.strerror or error}")
        except Exception as error:
            log.failure("follow_failed", error)
            self._failed(type(error).__name__)
        else:
            if self._said:
                log.event("info", "follow_resumed")
            self._said, self._delay_s = "", POLL_S
            self.ready.set()

    def _open(self) -> None:
        engine = open_engine(self._address)
        prepare(engine, self._address)
        take_over(Plane(engine, self._address, self._data, FileOwned(None, lambda _: Config())))
        self._engine = engine
        self._inode = _inode(self._address)

    def _catch_up(self, writer: FeedWriter, engine: Engine) -> None:
        with reading(engine) as connection:
            if self._seen is not None and writer.is_there():
                found = changes.since(connection, self._seen)
                if found is not None and writer.added_bytes <= MAX_ADDED_BYTES:
                    if found:
                        self._append(writer, changes.changed(connection, found), found[-1])
                    return
            again, self._seen = self._seen is not None or self._began, None
            newest = changes.last(connection)
            count = writer.replace(changes.everything(connection), newest.revision, time.time_ns() // 1_000_000)
            self._seen, self._began = newest, True
        if again:
            log.event("info", "objects_written", objects=count, revision=newest.revision, bytes=writer.base_bytes)

    def _append(self, writer: FeedWriter, lines: Iterator[feed.Object], newest: changes.Change) -> None:
        seen, self._seen = self._seen, None  # a line half written is followed by a whole new file
        assert seen is not None
        writer.append(lines, newest.revision)
        self._seen = newest

    def _prune(self, engine: Engine) -> None:
        self._prune_at = time.monotonic() + PRUNE_EVERY_S
        with writing(engine, "objects") as connection:
            changes.prune(connection, time.time_ns() // 1_000_000 - KEEP_CHANGES_MS)

    def _pause(self, stopping: threading.Event) -> None:
        """Until there is word of a change, or for as long as nobody needs to look."""
        if self._engine is None or not is_postgresql(self._engine):
            stopping.wait(self._delay_s)
            return
        try:
            with explained(self._address):
                if self._listener is None:
                    self._listener = Listener(self._engine)
                    return  # what came before it listened is looked at first
                self._listener.wait(NET_S)
        except StoreError as error:
            self._failed(str(error))
            stopping.wait(self._delay_s)

    def _failed(self, why: str) -> None:
        self.ready.clear()
        self._forget()
        self._delay_s = min(self._delay_s * 2, MAX_DELAY_S)
        if why != self._said:  # a long outage is one line in the log
            log.event("error", "follow_failed", problem=why, hint="gateways serve with what they last knew")
        self._said = why

    def _forget(self) -> None:
        """Its schema is looked at again; where it is the same database, following goes on from the last change."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def write_once(data: Path, engine: Engine) -> bool:
    """What a command does where no control plane runs: bring the file up to date, if it is not. Whether it is: if a control plane
    runs, that one will see to it. Raises SQLAlchemyError, OSError.
    """
    try:
        with feed.locked(data, wait=False) as writer, reading(engine) as connection:
            newest = changes.last(connection)
            if feed.revision(data) != newest.revision:
                writer.replace(changes.everything(connection), newest.revision, time.time_ns() // 1_000_000)
    except BlockingIOError:
        return False
    return True


def _inode(address: Address) -> int:
    try:
        return 0 if address.file is None else address.file.stat().st_ino
    except FileNotFoundError:
        return -1
