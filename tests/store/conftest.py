"""Every rule about the database holds on SQLite and on PostgreSQL."""

from __future__ import annotations

from tests.databases import Store, empty, postgresql, store

__all__ = ["Store", "empty", "postgresql", "store"]
