"""The jobs of the control plane: keep the database's schema, and ship the spool into it.

Nothing here is urgent: workers serve without it, and it gives way to them. Whatever fails is tried again.
"""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Engine

from freehold.observe import log
from freehold.store.address import Address, StoreError
from freehold.store.engine import explained, open_engine
from freehold.store.migrate import prepare
from freehold.store.ship import ship

EVERY_S = 2.0
MAX_DELAY_S = 30.0


class Jobs:
    def __init__(self, data: Path, address: Address) -> None:
        self._data = data
        self._address = address
        self._engine: Engine | None = None  # None: not known to be usable
        self._said = ""
        self._delay_s = EVERY_S

    def run(self, stopping: threading.Event) -> None:
        """In a thread of its own until `stopping`, and then once more: what the workers wrote last."""
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

    def _failed(self, why: str) -> None:
        self._engine = None  # its schema is looked at again
        self._delay_s = min(self._delay_s * 2, MAX_DELAY_S)
        if why != self._said:  # a long outage is one line in the log
            log.event("error", "ship_failed", problem=why, hint="calls go on; their record waits in the spool")
        self._said = why
