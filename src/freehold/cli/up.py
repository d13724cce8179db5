"""`freehold up`: from flags to a serving gateway. Binds the port first, so that nothing is made or shown that can't be used."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from freehold.base import build
from freehold.cli.companion import Companion, control_command, end_with
from freehold.cli.prepare import Prepared, prepared, take_back
from freehold.cli.settings import DEFAULT_FILE, Failed, config_file, load_effective
from freehold.cli.welcome import Welcome, welcome
from freehold.config.discover import Effective, effective
from freehold.config.load import load
from freehold.config.references import References
from freehold.config.schema import Config
from freehold.gateway.worker import WorkerOptions, run_worker
from freehold.store.address import database
from freehold.store.feed import usable_keys
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.probe import probe_local

BACKLOG = 2048
OLD_KEYS = "keys.json"  # of a time before the database held them


class Start(Struct, frozen=True):
    config: Path | None
    host: str
    port: int
    data: Path
    workers: int
    admin: tuple[str, int] | None = None  # address and port of the admin API


def start(options: Start) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, Failed or OSError where it can't."""
    if build.is_stale():
        raise Failed(build.STALE)
    file = config_file(options.config)
    database(options.data, os.environ)  # a URL that can't be read is a mistake to be told now
    config = load(file, os.environ, PROVIDERS)
    with _listen(options.host, options.port) as listener, _admin(options.admin) as admin:
        port = listener.getsockname()[1]
        local = probe_local(PROVIDERS.values(), skip_ports=(port,)) if config.discover else {}
        served = effective(config, os.environ, PROVIDERS, local)
        companion = Companion(control_command(options.data, file, admin), [admin] if admin else [])
        with _first_key(config, options.data, file) as (first, shown), _stopped_after(companion):
            text = welcome(_welcome(options, port, admin, file, served, first))

            def ready(*_: object) -> None:
                print(text, flush=True)
                shown()
                companion.start()

            if options.workers == 1:
                _serve(_worker_options(listener, file, options.data, local, ready))
            else:
                from freehold.cli.supervise import supervise

                command = _worker_command(file, options.data, local)
                supervise(options.workers, command, listener, ready, served.config.server.drain_timeout)


def run_supervised(fd: int, link: int, config: Path | None, data: Path, local: Mapping[str, str]) -> None:
    """A worker of `up --workers N`: `fd` is the listening socket, `link` the supervisor's end to tell and to watch."""
    supervisor = socket.socket(fileno=link)
    threading.Thread(target=end_with, args=(supervisor,), daemon=True).start()
    with socket.socket(fileno=fd) as listener:
        _serve(_worker_options(listener, config, data, local, lambda *_: supervisor.sendall(b"1")))


@contextmanager
def _stopped_after(companion: Companion) -> Iterator[None]:
    try:
        yield
    finally:
        companion.stop()


@contextmanager
def _admin(where: tuple[str, int] | None) -> Iterator[socket.socket | None]:
    """Bound now, so that a port in use fails the start: a gateway that nobody can administer is no half of a success."""
    if where is None:
        yield None
        return
    with _listen(*where, host_flag="--admin-host", port_flag="--admin-port") as listener:
        yield listener


def _serve(options: WorkerOptions) -> None:
    try:
        run_worker(options)
    except ValueError as error:
        # Raised while the snapshot is made: a value that only shows its fault there.
        raise Failed(str(error)) from error


def _worker_options(
    listener: socket.socket, file: Path | None, data: Path, local: Mapping[str, str], on_ready: Callable[..., None]
) -> WorkerOptions:
    references = References(os.environ)

    def load_config() -> Config:
        # Without a file at the start, one that appears later counts; a file that was there once must stay.
        return load_effective(file or config_file(None), local, references).config

    return WorkerOptions(
        load_config=load_config,
        watched=(file or DEFAULT_FILE,),
        data=data,
        sockets=[listener],
        on_ready=on_ready,
        references=references,
    )


def _worker_command(file: Path | None, data: Path, local: Mapping[str, str]) -> list[str]:
    command = [sys.executable, "-m", "freehold", "worker", "--data", str(data)]
    if file is not None:
        command += ["--config", str(file)]
    for name, url in local.items():
        command += ["--local", f"{name}={url}"]
    return command


def _listen(host: str, port: int, host_flag: str = "--host", port_flag: str = "--port") -> socket.socket:
    """A listening socket. Raises Failed naming the address."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise Failed(f"{host!r} is no address of this machine; try {host_flag} 127.0.0.1") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Failed(f"cannot listen on {where}: {_why(error, host_flag, port_flag)}") from None
    return listener


def _why(error: OSError, host_flag: str, port_flag: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"another program has that port; stop it, or choose another with {port_flag}"
        case errno.EACCES:
            return f"ports below 1024 need privileges; choose another with {port_flag}"
        case errno.EADDRNOTAVAIL:
            return f"this machine does not have that address; try {host_flag} 127.0.0.1"
    return error.strerror or type(error).__name__


@contextmanager
def _first_key(config: Config, data: Path, file: Path | None) -> Iterator[tuple[Prepared, Callable[[], None]]]:
    """A first key where there is none at all, and what to call once it has been shown.

    A start that fails before that takes the key back: nobody knows its secret. A later start asks the database nothing: the
    file of objects says that there are keys.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = not config.keys and not usable_keys(data)
    if not wanted and not (data / OLD_KEYS).exists():
        yield Prepared(), lambda: None
        return
    first = prepared(data, file, first=wanted)
    seen = threading.Event()
    try:
        yield first, seen.set
    finally:
        if first.id and not seen.is_set():
            take_back(data, first.id)


def _welcome(
    options: Start, port: int, admin: socket.socket | None, file: Path | None, served: Effective, first: Prepared
) -> Welcome:
    config = served.config
    return Welcome(
        scheme="https" if config.server.tls_cert else "http",
        host=options.host,
        port=port,
        file=str(file or ""),
        data=str(options.data),
        workers=options.workers,
        providers=served.why,
        routes={name: [f"{t.provider}/{t.model}" for t in route.targets] for name, route in config.routes.items()},
        keys_in_file=len(config.keys),
        keys_made=usable_keys(options.data) or 0,
        secret=first.key,
        problem=first.problem,
        admin=(options.admin[0], admin.getsockname()[1]) if options.admin and admin else None,
    )
