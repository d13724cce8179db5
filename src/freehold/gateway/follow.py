"""A worker follows the node's file of objects: all of it before the first call, then its changes, in slices of about 2 ms."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from freehold.config.references import References, SecretError, variable
from freehold.observe import log
from freehold.pipeline.objects import Objects
from freehold.store.feed import FeedError, FeedReader, Part
from freehold.store.sealing import MasterKey, SealError

LOOK_EVERY_S = 0.1
REFER_EVERY_S = 60.0  # secrets that credentials only name are looked up again
_RETRY_S = 30.0  # for a master key that could not be had, or opens nothing


class Follow:
    def __init__(self, objects: Objects, data: Path) -> None:
        self._objects = objects
        self._data = data
        self._reader = FeedReader(data)
        self._said = ""
        self._retry_at = 0.0  # monotonic
        self._refer_at = 0.0
        self._sought: set[str] = set()
        self._lost: dict[str, str] = {}  # reference -> why it leads nowhere, as it was said

    def load(self) -> None:
        """All that is there. Blocks: nobody is served yet."""
        while (part := self._read()) is not None:
            self._apply(part)
        if self._objects.needs_master:
            self._take_master(self._master())
        while self._objects.compile_next():
            pass
        if self._objects.asked:
            self._referred(self._look_up(frozenset(self._objects.asked)))
            while self._objects.compile_next():
                pass

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.turn()
            except Exception as error:
                log.failure("objects_not_followed", error)

    async def turn(self) -> None:
        """Take what is new, if anything."""
        while (part := self._read()) is not None:
            self._apply(part)
            if not part.more:
                break
            await asyncio.sleep(0)
        await self._open()
        while self._objects.compile_next():
            await asyncio.sleep(0)
        asked = self._objects.asked
        if asked and (asked - self._sought or time.monotonic() >= self._refer_at):
            # In a thread: they may be in a Vault. What they lead to is compiled in the next turn.
            self._referred(await asyncio.to_thread(self._look_up, frozenset(asked)))

    async def _open(self) -> None:
        """The master key is had when it is first needed, and again when it opens too little: it may have been replaced."""
        objects, now = self._objects, time.monotonic()
        wanted = objects.needs_master or objects.unopened
        if wanted and (now >= self._retry_at or (objects.changed and objects.needs_master)):
            self._retry_at = now + _RETRY_S
            # In a thread: it may be in a Vault, and the library that opens takes a while to load.
            self._take_master(await asyncio.to_thread(self._master))

    def _look_up(self, asked: frozenset[str]) -> dict[str, str]:
        """What references lead to. One that leads nowhere just now keeps what it led to before."""
        found, lost = {}, {}
        references = References(os.environ)
        for reference in sorted(asked):
            name = variable(reference)
            try:
                found[reference] = os.environ[name] if name else references.resolve(reference)
            except (KeyError, SecretError) as error:
                why = f"the environment variable {name} is not set" if name else str(error)
                lost[reference] = why
                if self._lost.get(reference) != why:
                    log.event("error", "reference_unusable", reference=reference, problem=why)
                if reference in self._objects.referred:
                    found[reference] = self._objects.referred[reference]
        self._lost = lost
        self._sought = set(asked)
        return found

    def _referred(self, found: dict[str, str]) -> None:
        self._refer_at = time.monotonic() + REFER_EVERY_S
        self._objects.refer(found)

    def _master(self) -> MasterKey | None:
        try:
            from cryptography.hazmat.primitives.ciphers import aead  # noqa: F401

            return MasterKey.load(os.environ, self._data, make=False)
        except SealError as error:
            log.event("error", "no_master_key", problem=str(error), hint="providers with credentials in the database are off")
        except Exception as error:
            log.failure("no_master_key", error)
        return None

    def _take_master(self, master: MasterKey | None) -> None:
        if master is not None and (self._objects.master is None or master.known != self._objects.master.known):
            self._objects.master = master
            self._objects.again()

    def _read(self) -> Part | None:
        try:
            part = self._reader.read()
        except (OSError, FeedError) as error:
            why = str(error)
            if why != self._said:
                log.event("error", "objects_unreadable", problem=why, hint="what is known stays in use")
            self._said = why
            return None
        if part is not None and part.unreadable:
            log.event("error", "objects_unreadable", lines=part.unreadable, hint="is the control plane of another version?")
        self._said = ""
        return part

    def _apply(self, part: Part) -> None:
        if part.fresh:
            self._objects.begin()
        self._objects.apply(part.lines)

    def close(self) -> None:
        self._reader.close()
