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
from freehold.cli.settings import DEFAULT_FILE, Failed, config_file, load_effective
from freehold.cli.welcome import Welcome, welcome
from freehold.config.discover import Effective, effective
from freehold.config.load import load
from freehold.config.references import References
from freehold.config.schema import Config
from freehold.gateway.worker import WorkerOptions, run_worker
from freehold.store.address import database
from freehold.store.keys import create_key, disable_key, list_keys
from freehold.upstream.catalogue import PROVIDERS
from freehold.upstream.probe import probe_local

BACKLOG = 2048
FIRST_KEY = "first"


class Start(Struct, frozen=True):
    config: Path | None
    host: str
    port: int
    data: Path
    workers: int


def start(options: Start) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, Failed or OSError where it can't."""
    if build.is_stale():
        raise Failed(build.STALE)
    file = config_file(options.config)
    database(options.data, os.environ)  # a URL that can't be read is a mistake to be told now
    config = load(file, os.environ, PROVIDERS)
    with _listen(options.host, options.port) as listener:
        port = listener.getsockname()[1]
        local = probe_local(PROVIDERS.values(), skip_ports=(port,)) if config.discover else {}
        served = effective(config, os.environ, PROVIDERS, local)
        with _first_key(config, options.data) as (secret, shown), _companion(options.data, file) as companion:
            text = welcome(_welcome(options, port, file, served, secret))

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
def _companion(data: Path, file: Path | None) -> Iterator[Companion]:
    companion = Companion(control_command(data, file))
    try:
        yield companion
    finally:
        companion.stop()


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


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Failed naming the address."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise Failed(f"{host!r} is no address of this machine; try --host 127.0.0.1") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise Failed(f"cannot listen on {where}: {_why(error)}") from None
    return listener


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another program has that port; stop it, or choose another with --port"
        case errno.EACCES:
            return "ports below 1024 need privileges; choose another with --port"
        case errno.EADDRNOTAVAIL:
            return "this machine does not have that address; try --host 127.0.0.1"
    return error.strerror or type(error).__name__


@contextmanager
def _first_key(config: Config, data: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """The secret of a first key where there is none at all ("" otherwise), and what to call once it has been shown.

    A start that fails before that takes the key back: nobody knows its secret.
    """
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if config.keys or any(not k.disabled for k in list_keys(data)):
        yield "", lambda: None
        return
    record, secret = create_key(data, FIRST_KEY)
    seen = threading.Event()
    try:
        yield secret, seen.set
    finally:
        if not seen.is_set():
            disable_key(data, record.id)


def _welcome(options: Start, port: int, file: Path | None, served: Effective, secret: str) -> Welcome:
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
        keys_made=sum(not k.disabled for k in list_keys(options.data)),
        secret=secret,
    )
