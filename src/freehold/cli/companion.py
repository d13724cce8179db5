"""The control plane's process beside the workers: started after them, restarted when it dies, told to finish after they have.

Kept by a thread, for both ways of serving: one worker in this very process, or several that are supervised.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from freehold.observe import log

START_AFTER_S = 1.0  # the first answers come first
FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0
STEADY_S = 60.0
FINISH_S = 8.0


def control_command(data: Path, config: Path | None = None, admin: socket.socket | None = None) -> list[str]:
    command = [sys.executable, "-m", "freehold", "control", "--data", str(data)]
    if config is not None:
        command += ["--config", str(config)]
    if admin is not None:
        command += ["--admin-fd", str(admin.fileno())]
    return command


def end_with(starter: socket.socket) -> None:
    """Finish when whoever started this process is gone, however it went: nobody must outlive it and hold the port."""
    try:
        starter.recv(1)
    except OSError:
        pass  # reset: gone as well
    os.kill(os.getpid(), signal.SIGTERM)


class Companion:
    """`command` gets --link, a socket whose end tells it to finish: it does not outlive us, however we end. It inherits
    `sockets`, which stay ours: while it is started again, clients wait.
    """

    def __init__(self, command: Sequence[str], sockets: Sequence[socket.socket] = ()) -> None:
        self._command = command
        self._sockets = sockets
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Let it finish, for FINISH_S at most. It may be killed anywhere: it goes on from there at the next start."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        _end(self._link)
        self._thread.join(FINISH_S)
        if self._process is not None and self._thread.is_alive():
            self._process.kill()

    def _keep(self) -> None:
        delay = FIRST_DELAY_S
        self._stopping.wait(START_AFTER_S)
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                code = self._run()
            except OSError as error:  # no memory or process to be had just now
                code = error.errno or -1
            if self._stopping.is_set():
                return
            delay = FIRST_DELAY_S if time.monotonic() - began >= STEADY_S else min(delay * 2, MAX_DELAY_S)
            log.event("error", "control_plane_died", code=code, restart_in_s=delay)
            self._stopping.wait(delay)

    def _run(self) -> int:
        """The process's whole life. Returns its exit code (negative: the signal that ended it)."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                command = (*self._command, "--link", str(theirs.fileno()))
                fds = (theirs.fileno(), *(s.fileno() for s in self._sockets))
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=fds)
            self._link = ours
            if self._stopping.is_set():  # `stop` may have come too early to see the link
                _end(ours)
            try:
                return self._process.wait()
            finally:
                self._link = None


def _end(link: socket.socket | None) -> None:
    try:
        if link is not None:
            link.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already
