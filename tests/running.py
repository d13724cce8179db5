"""`freehold up` in a process of its own, for tests of the whole command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SRC = Path(__file__).parents[1] / "src"


class Up:
    """Serves as soon as it is made, at `url`, with freehold.yaml of `cwd` if it is there. A session of its own: see `kill`."""

    def __init__(self, cwd: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.log = cwd / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "freehold", "up", "--port", "0", "--admin-port", "0", *arguments],
                cwd=cwd,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), **(env or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.text = self._wait(r"curl .*\n")
        self.url = re.findall(r"serves at (\S+)", self.text)[0]
        self.admin = next(iter(re.findall(r"Admin API at (\S+)/api/v1", self.text)), "")
        self.port = int(self.url.rpartition(":")[2])

    def _wait(self, pattern: str) -> str:
        for _ in range(600):
            text = self.log.read_text()
            if re.search(pattern, text):
                return text
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"never said {pattern}: {self.log.read_text()}")

    def workers(self) -> list[int]:
        return self._children("worker")

    def control(self) -> int | None:
        """The control plane's process, which starts a little after the first answer."""
        return next(iter(self._children("control")), None)

    def _children(self, command: str) -> list[int]:
        out = subprocess.run(
            ["ps", "--ppid", str(self.process.pid), "-o", "pid=,args="], capture_output=True, text=True, check=False
        )
        return [int(line.split()[0]) for line in out.stdout.splitlines() if f" freehold {command} " in line]

    def status(self, path: str) -> int:
        with urllib.request.urlopen(self.url + path, timeout=10) as reply:
            return int(reply.status)

    def resident_bytes(self) -> int:
        """Of the only worker, which is this process."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def kill(self) -> None:
        """kill -9 to the whole process group, workers and all."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextmanager
def started(cwd: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Up]:
    up = Up(cwd, *arguments, env=env)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.kill()


def eventually(holds: Callable[[], bool]) -> bool:
    for _ in range(400):
        if holds():
            return True
        time.sleep(0.05)
    return False


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except OSError:
        return True
