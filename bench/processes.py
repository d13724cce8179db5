"""Start programs on a chosen core, read what they used, and leave none behind.

Linux only: CPU and memory come from /proc, cores from sched_setaffinity. A program counts with all its descendants.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_running: list[Process] = []


class Process:
    """A program pinned to one core, in a process group of its own. Its output goes to `log`."""

    def __init__(
        self, argv: Sequence[str], core: int, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.log = log
        self.began = time.monotonic()

        def prepare() -> None:
            os.sched_setaffinity(0, {core})
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)  # also when this harness is killed outright

        with log.open("wb") as out:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=None if env is None else {**os.environ, **env},
                cwd=cwd,
                start_new_session=True,
                preexec_fn=prepare,
            )
        self.pid = self._popen.pid
        _running.append(self)

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def cpu_s(self) -> float:
        """CPU seconds, user and system, of the program and its descendants, ended ones included. Steps of 1/TICKS_PER_S."""
        return sum(_ticks(pid) for pid in family(self.pid)) / TICKS_PER_S

    def rss_bytes(self) -> int:
        return sum(_rss_bytes(pid) for pid in family(self.pid))

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        return self.log.read_text(errors="replace")[-1500:].strip() or "(it printed nothing)"

    def stop(self, patience_s: float = 5.0) -> None:
        """SIGTERM, then SIGKILL to the whole group. Safe to call twice."""
        if self in _running:
            _running.remove(self)
        if self.alive:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(patience_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()


def stop_all() -> None:
    while _running:
        _running[-1].stop()


def stop_all_at_exit() -> None:
    """However this program ends (short of SIGKILL, where the kernel tells the children), nothing stays behind."""
    atexit.register(stop_all)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))


def family(pid: int) -> list[int]:
    """`pid` and its living descendants without Freehold's control plane, since it is the gateway that is measured.

    The control plane ships the record at low priority in a process of its own; bench/ledger.py measures that.
    """
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))) and b"\0freehold\0control\0" not in _arguments(int(entry)):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found = [pid]
    for parent in found:  # grows as it goes
        found += children.get(parent, [])
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (state, ppid, ...); empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _ticks(pid: int) -> int:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) if fields else 0  # utime, stime, and those of waited-for children


def _rss_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError):
        return 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
