"""The control plane's process, which `up` starts: it carries objects to the gateways, ships the spool, and serves the admin API.

Each of the three goes on when another one is in trouble. The gateways serve without any of them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from freehold.admin.app import make_app
from freehold.admin.outer import Outer
from freehold.admin.serve import serve
from freehold.admin.who import who
from freehold.cli.companion import end_with
from freehold.cli.settings import config_file
from freehold.cli.welcome import url
from freehold.config.load import load
from freehold.config.references import Unread
from freehold.control import invites, syslog
from freehold.control.actor import command
from freehold.control.background import Jobs
from freehold.control.follow import Follower
from freehold.control.owned import FileOwned
from freehold.control.plane import Plane
from freehold.control.refusal import Refused
from freehold.observe import log
from freehold.store.address import Address, StoreError, database
from freehold.store.engine import open_engine
from freehold.store.sealing import SealError
from freehold.upstream.catalogue import PROVIDERS

REPLACED = 3  # exit code
NICENESS = 10


def run(link: int, data: Path, config: Path | None, admin_fd: int | None, environ: Mapping[str, str] = os.environ) -> None:
    """Until `link`, a socket to whoever started us, ends. `admin_fd` listens; None: no admin API."""
    listener = socket.socket(fileno=admin_fd) if admin_fd is not None else None
    asyncio.run(_Process(data, database(data, environ), config, environ).run(socket.socket(fileno=link), listener))


class _Process:
    def __init__(self, data: Path, address: Address, config: Path | None, environ: Mapping[str, str]) -> None:
        self._data = data
        self._address = address
        self._config = config
        self._owned = FileOwned(self._find_config(), lambda file: load(file, environ, PROVIDERS, Unread(environ)))
        self._follower = Follower(data, address, _replaced)
        self._stopping = threading.Event()

    async def run(self, starter: socket.socket, listener: socket.socket | None) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        # Ctrl-C goes to all processes; the workers still have calls to finish.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Only now: it ends us by a signal, and what the workers wrote last is still to be shipped.
        threading.Thread(target=end_with, args=(starter,), daemon=True).start()
        threads = [
            threading.Thread(target=run, daemon=True) for run in (self._follow, self._work, self._tell, *self._greeting(listener))
        ]
        for thread in threads:
            thread.start()
        try:
            if listener is None:
                await stop.wait()
            else:
                await self._serve(listener, stop)
        finally:
            self._stopping.set()
            for thread in threads:
                await asyncio.to_thread(thread.join)

    def _find_config(self) -> Path | None:
        return self._config or config_file(None)

    def _follow(self) -> None:
        self._follower.run(self._stopping)

    def _work(self) -> None:
        os.nice(NICENESS)  # of this thread alone: nothing here is urgent, and the workers have calls to answer
        Jobs(self._data, self._address, self._find_config).run(self._stopping)

    def _tell(self) -> None:
        syslog.run(self._stopping, self._address, lambda: self._owned.config().audit.syslog)

    async def _serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        engine = open_engine(self._address)
        server = self._owned.config().server
        tls = (Path(server.tls_cert), Path(server.tls_key)) if server.tls_cert and server.tls_key else None
        app = make_app(Plane(engine, self._address, self._data, self._owned), who)
        await serve(Outer(app, self._unready, tls=tls is not None), listener, stop, tls)
        engine.dispose()

    def _greeting(self, listener: socket.socket | None) -> list[Callable[[], None]]:
        return [] if listener is None else [lambda: self._greet(listener.getsockname()[:2])]

    def _greet(self, where: tuple[str, int]) -> None:
        """While there is no user at all, show how to become the first one."""
        while not self._follower.ready.wait(0.2):
            if self._stopping.is_set():
                return
        engine = open_engine(self._address)
        config = self._owned.config()
        scheme = "https" if config.server.tls_cert else "http"
        try:
            secret = invites.setup(Plane(engine, self._address, self._data, self._owned), command())
            if secret is not None:
                shown = invites.link(config.sign_in.url or url(scheme, *where), secret)
                print(f"\nNobody can sign in yet. Whoever opens this link first becomes the owner:\n{shown}", flush=True)
        except (StoreError, SealError, Refused) as error:
            log.event("error", "setup_link_failed", problem=str(error), hint='see "freehold user setup-link"')
        finally:
            engine.dispose()

    def _unready(self) -> str:
        return "" if self._follower.ready.is_set() else "the database can't be reached"


def _replaced() -> None:
    """At once, and without another write: what would be written now would be lost with the old file."""
    log.event("error", "database_replaced", hint="the control plane starts again with the new file")
    os._exit(REPLACED)
