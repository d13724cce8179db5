"""The jobs of the control plane: keep the database's schema, ship the spool into it, and remove what is older than the record is
kept.

Nothing here is urgent: workers serve without it, and it gives way to them. Whatever fails is tried again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from freehold.config.load import ConfigError, retention
from freehold.control.retention import trim
from freehold.observe import log
from freehold.store.address import Address, StoreError
from freehold.store.engine import explained, open_engine
from freehold.store.migrate import prepare
from freehold.store.ship import ship

EVERY_S = 2.0
MAX_DELAY_S = 30.0
TRIM_EVERY_S = 600.0
TRIM_FOR_S = 1.0

FindConfig = Callable[[], Path | None]


class Jobs:
    """`find_config`: the configuration, which says how long the record is kept; asked again until there is one."""

    def __init__(self, data: Path, address: Address, find_config: FindConfig = lambda: None) -> None:
        self._data = data
        self._address = address
        self._find_config = find_config
        self._config: Path | None = None
        self._trim_at = 0.0  # monotonic
        self._stopping = threading.Event()
        self._engine: Engine | None = None  # None: not known to be usable
        self._said = ""
        self._delay_s = EVERY_S

    def run(self, stopping: threading.Event) -> None:
        """In a thread of its own until `stopping`, and then once more: what the workers wrote last."""
        self._stopping = stopping
        while not stopping.is_set():
            self.once()
            stopping.wait(self._delay_s)
        self.once()

    def once(self) -> None:
        try:
            with explained(self._address):
                if self._engine is None:
                    engine = open_engine(self._address)
                    prepare(engine, self._address)
                    self._engine = engine
                shipped = ship(self._data, self._engine)
                if time.monotonic() >= self._trim_at and not self._stopping.is_set():
                    self._trim(self._engine)
        except (StoreError, OSError) as error:
            self._failed(str(error))
        except Exception as error:
            log.failure("ship_failed", error)
            self._failed(type(error).__name__)
        else:
            if self._said:
                log.event("info", "ship_resumed", calls=shipped.calls)
            self._said, self._delay_s = "", EVERY_S
            if shipped.unreadable:
                log.event("error", "spool_unreadable", pieces=shipped.unreadable, kept=str(self._data / "spool/*.unreadable"))

    def _trim(self, engine: Engine) -> None:
        """For a moment only; what is left then, after the next shipping."""
        # Once there is one, it must stay: without it more might be removed than it said.
        self._config = self._config or self._find_config()
        try:
            keep = retention(self._config, os.environ)
        except ConfigError as error:
            # Nothing is removed by a setting that can't be read.
            log.event("error", "retention_failed", problem=error.lines()[0], hint="nothing is removed until it can be read")
            self._trim_at = time.monotonic() + TRIM_EVERY_S
            return
        now_ms = time.time_ns() // 1_000_000
        removed = trim(engine, now_ms, keep.calls_days, keep.hours_days, for_s=TRIM_FOR_S, pause=self._stopping.wait)
        if removed.finished:
            self._trim_at = time.monotonic() + TRIM_EVERY_S
        if removed.calls or removed.sums:
            log.event("info", "record_trimmed", calls=removed.calls, sums=removed.sums, finished=removed.finished)

    def _failed(self, why: str) -> None:
        self._engine = None  # its schema is looked at again
        self._delay_s = min(self._delay_s * 2, MAX_DELAY_S)
        if why != self._said:  # a long outage is one line in the log
            log.event("error", "ship_failed", problem=why, hint="calls go on; their record waits in the spool")
        self._said = why
