"""One gateway worker: load, listen, reload on change, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop

from freehold.config.load import ConfigError
from freehold.config.schema import Config
from freehold.gateway.endpoints import Gateway
from freehold.gateway.server import Server
from freehold.observe import log
from freehold.observe.metrics import Metrics
from freehold.pipeline.compile import compile_snapshot
from freehold.pipeline.runtime import Runtime, Snapshot
from freehold.policy import tokens
from freehold.store import keys
from freehold.store.spool import Spool
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.credentials import Credentials
from freehold.upstream.pool import Pool

_WATCH_S = 0.5

Fingerprint = list[tuple[int, int, int] | None]  # of each watched file: change time, size, inode


@dataclass(frozen=True)
class WorkerOptions:
    """`load_config` reads the file and the environment afresh (raises ConfigError); `sockets` are already listening."""

    load_config: Callable[[], Config]
    watched: tuple[Path, ...]  # files whose change means a reload
    data: Path
    sockets: list[socket.socket]
    on_ready: Callable[[Snapshot], None] | None = None


def run_worker(options: WorkerOptions) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError or OSError if it can't start."""
    # A call takes two descriptors, and the limit that shells set (1,024) is for programs that use select().
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    uvloop.run(Worker(options).run())


class Worker:
    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._stop = asyncio.Event()

    async def run(self) -> None:
        options = self._options
        seen = self._fingerprint()  # before the load: a change from here on is noticed, however late the watch begins
        config = options.load_config()
        spool = Spool(options.data)
        pool = Pool(config.server.max_connections)
        metrics = Metrics()
        self._credentials = Credentials(pool)
        gateway = Gateway(Runtime(self._snapshot(config), pool, spool, metrics, tokens.count))
        server = Server(gateway, config.server, ssl_context=_tls(config))
        metrics.gauges["freehold_active_calls"] = ("Calls under way.", lambda: server.active_calls)
        metrics.gauges["freehold_open_connections"] = ("Client connections.", lambda: server.open_connections)
        metrics.gauges["freehold_spool_held"] = ("Ledger lines that the disk refused, held in memory.", lambda: spool.held)
        self._listen_to_signals()
        await server.start(options.sockets)
        _settle_memory()
        if options.on_ready is not None:
            options.on_ready(gateway.runtime.snapshot)
        watcher = asyncio.create_task(self._watch(gateway, seen))
        await self._stop.wait()
        gateway.draining = True
        watcher.cancel()
        await server.drain(config.server.drain_timeout)
        await pool.close()
        spool.close()

    def _snapshot(self, config: Config) -> Snapshot:
        snapshot = compile_snapshot(config, PROVIDERS, keys.list_keys(self._options.data), self._credentials)
        self._credentials.warm()
        return snapshot

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _watch(self, gateway: Gateway, seen: Fingerprint) -> None:
        """Poll the watched files: works on every file system and with the symlink swaps of mounted config maps."""
        while True:
            await asyncio.sleep(_WATCH_S)
            gateway.runtime.spool.tend()
            now = self._fingerprint()
            if now != seen:
                seen = now
                self._reload(gateway)

    def _fingerprint(self) -> Fingerprint:
        out: Fingerprint = []
        for path in (*self._options.watched, keys.path(self._options.data)):
            try:
                stat = os.stat(path)
                out.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
            except OSError:
                out.append(None)
        return out

    def _reload(self, gateway: Gateway) -> None:
        """A bad file is refused with its errors and the old configuration keeps serving."""
        try:
            snapshot = self._snapshot(self._options.load_config())
        except ConfigError as error:
            log.event("error", "reload_refused", problems=error.lines())
        except (OSError, ValueError) as error:
            log.event("error", "reload_refused", problems=[str(error)])
        else:
            gateway.runtime = replace(gateway.runtime, snapshot=snapshot)
            log.event("info", "reloaded", routes=len(snapshot.routes), providers=len(snapshot.providers), keys=len(snapshot.keys))


def _tls(config: Config) -> ssl.SSLContext | None:
    """Raises OSError or ssl.SSLError when the files can't be used."""
    if config.server.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(config.server.tls_cert, config.server.tls_key)
    return context


def _settle_memory() -> None:
    """What start-up made lives as long as the process: keep the collector from walking it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
