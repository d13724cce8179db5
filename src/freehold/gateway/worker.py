"""One gateway worker: load, listen, reload on change, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import math
import random
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvloop

from freehold.config.load import ConfigError
from freehold.config.references import References, Stamp, stamp
from freehold.config.schema import Config
from freehold.gateway.endpoints import Gateway
from freehold.gateway.follow import Follow
from freehold.gateway.server import Server
from freehold.observe import log
from freehold.observe.metrics import Metrics
from freehold.pipeline.objects import Objects
from freehold.pipeline.runtime import Runtime, Snapshot
from freehold.policy import tokens
from freehold.store.spool import Spool
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.credentials import Credentials
from freehold.upstream.pool import Pool

_WATCH_S = 0.5
_RETRY_S = 15.0  # after secrets could not be fetched; more often is no use to a Vault in trouble

Stamps = tuple[Stamp, ...]  # of each watched file


@dataclass(frozen=True)
class WorkerOptions:
    """`load_config` reads the file and the environment afresh (raises ConfigError), and the secrets behind `references`, which
    may block: only the first time is it called on the event loop. `sockets` are already listening.
    """

    load_config: Callable[[], Config]
    watched: tuple[Path, ...]  # files whose change means a reload
    data: Path
    sockets: list[socket.socket]
    on_ready: Callable[[Snapshot], None] | None = None
    references: References = field(default_factory=lambda: References({}))


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
        self._config: Config | None = None  # the one that serves
        self._refused: list[str] = []  # what was wrong with the last one, if it was refused
        self._refresh_at = math.inf  # loop time

    async def run(self) -> None:
        options = self._options
        seen = self._stamps()  # before the load: a change from here on is noticed, however late the watch begins
        self._config = config = options.load_config()  # nobody is served yet, so nobody waits
        self._schedule_refresh()
        spool = Spool(options.data)
        pool = Pool(config.server.max_connections)
        metrics = Metrics()
        self._credentials = Credentials(pool)
        self._objects = objects = Objects(PROVIDERS, self._credentials)
        follow = Follow(objects, options.data)
        follow.load()
        gateway = Gateway(Runtime(self._snapshot(config), pool, spool, metrics, tokens.count))
        server = Server(gateway, config.server, ssl_context=_tls(config))
        metrics.gauges["freehold_active_calls"] = ("Calls under way.", lambda: server.active_calls)
        metrics.gauges["freehold_open_connections"] = ("Client connections.", lambda: server.open_connections)
        metrics.gauges["freehold_spool_held"] = ("Ledger lines that the disk refused, held in memory.", lambda: spool.held)
        metrics.gauges["freehold_keys"] = ("Secrets of keys made in the database.", lambda: len(objects.keys))
        metrics.gauges["freehold_objects_revision"] = ("Last change of the database that is served.", lambda: objects.revision)
        self._listen_to_signals()
        await server.start(options.sockets)
        _settle_memory()
        if options.on_ready is not None:
            options.on_ready(gateway.runtime.snapshot)
        background = [asyncio.create_task(self._watch(gateway, seen)), asyncio.create_task(follow.run())]
        await self._stop.wait()
        gateway.draining = True
        for task in background:
            task.cancel()
        await server.drain(config.server.drain_timeout)
        await pool.close()
        follow.close()
        spool.close()

    def _snapshot(self, config: Config) -> Snapshot:
        snapshot = self._objects.use(config)
        self._credentials.warm()
        return snapshot

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _watch(self, gateway: Gateway, seen: Stamps) -> None:
        """Poll the watched files: works on every file system and with the symlink swaps of mounted config maps."""
        loop = asyncio.get_running_loop()
        loading: asyncio.Task[None] | None = None
        try:
            while True:
                await asyncio.sleep(_WATCH_S)
                gateway.runtime.spool.tend()
                now = self._stamps()
                if loading is not None and not loading.done():
                    continue
                if now != seen or self._options.references.changed() or loop.time() >= self._refresh_at:
                    # A task, because a Vault that answers slowly must keep nothing else waiting.
                    loading = asyncio.create_task(self._reload(gateway, asked=now != seen))
                    seen = now
        finally:
            if loading is not None:
                loading.cancel()

    def _stamps(self) -> Stamps:
        return tuple(stamp(path) for path in self._options.watched)

    def _serve(self, gateway: Gateway, snapshot: Snapshot) -> None:
        gateway.runtime = replace(gateway.runtime, snapshot=snapshot)
        space = snapshot.space
        log.event("info", "reloaded", routes=len(space.routes), providers=len(space.providers), keys=len(snapshot.keys))

    async def _reload(self, gateway: Gateway, *, asked: bool) -> None:
        """A bad configuration is refused with its errors and the old one keeps serving.

        `asked`: by a change of a watched file. Otherwise secrets were due, and the same again is no news.
        """
        problems: list[str] = []
        try:
            # In a thread: it may wait for files on a network and for Vault.
            config = await asyncio.to_thread(self._options.load_config)
            if asked or self._refused or config != self._config:
                self._serve(gateway, self._snapshot(config))
            self._config = config
        except ConfigError as error:
            problems = error.lines()
        except (OSError, ValueError) as error:
            problems = [str(error)]
        except Exception as error:
            log.failure("reload_failed", error)
            problems = ["loading failed inside the gateway; see its log"]
        if problems and (asked or problems != self._refused):  # a long outage of Vault is one line in the log
            log.event("error", "reload_refused", problems=problems)
        self._refused = problems
        self._schedule_refresh()

    def _schedule_refresh(self) -> None:
        """Nothing tells when a secret in Vault changes, or when one that can't be had comes back."""
        wait_s = math.inf
        if self._options.references.remote and self._config is not None:
            wait_s = _RETRY_S if self._refused else self._config.secrets.refresh
        # Not all workers of a fleet in the same second.
        self._refresh_at = asyncio.get_running_loop().time() + wait_s * random.uniform(0.9, 1.0)


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
