"""What many keys cost: `python -m bench.objects [--keys 100000]`.

A control plane writes them from the database into the node's file, and a worker loads that.

Prints, and holds against the promised bounds: the start of `freehold up` to its first answer, the memory that a worker has more
than one without keys, the memory of the process that writes the file, and how soon a worker refuses a key that is switched off.
Exit status: 0 all within the bounds, 1 not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import insert

from freehold.base.secret import key_digest
from freehold.config.schema import Config
from freehold.control.actor import command
from freehold.control.keys import EditKey, Keys
from freehold.control.owned import FileOwned
from freehold.control.plane import Plane
from freehold.store import feed
from freehold.store.address import database
from freehold.store.changes import last
from freehold.store.engine import open_engine, reading, writing
from freehold.store.migrate import upgrade
from freehold.store.tenants import keys

START_S = 3.0
MORE_MB = 60.0
REFUSED_S = 1.0
_ENV = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "src")}
_SECRET = "fh_bench_secret_%d"


def fill(data: Path, count: int) -> Plane:
    address = database(data, {})
    engine = open_engine(address)
    upgrade(engine)
    with writing(engine, "objects") as connection:
        for at in range(0, count, 5000):
            connection.execute(insert(keys), [_row(n) for n in range(at, min(count, at + 5000))])
    plane = Plane(engine, address, data, FileOwned(None, lambda _: Config()))
    with plane.writing(command()) as change:  # so that the file is known to be of this database
        change.tell("key", _row(0)["id"])  # type: ignore[arg-type]
    return plane


def _row(n: int) -> dict[str, object]:
    """As keys are: a name and an id of its own, one of a hundred apps' model lists."""
    return {
        "workspace": "default",
        "id": f"key_{n:011x}{n:016x}",
        "name": f"application {n} in production",
        "metadata": {},
        "created_ms": 1,
        "updated_ms": 1,
        "version": 1,
        "digest": key_digest((_SECRET % n).encode()),
        "prefix": "fh_ben",
        "last4": f"{n % 10_000:04}",
        "models": ["fast-model", f"openai/model-{n % 100}*"],
        "addresses": [],
        "limits": [],
        "budgets": [],
        "capture": "",
        "disabled": False,
    }


class Up:
    def __init__(self, data: Path) -> None:
        began = time.monotonic()
        command = [sys.executable, "-m", "freehold", "up", "--port", "0", "--no-admin", "--data", str(data)]
        self.process = subprocess.Popen(command, cwd=data, env=_ENV, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = re.findall(r"serves at (\S+)", self.process.stdout.readline())[0]
        self.start_s = time.monotonic() - began

    def status(self, secret: str) -> int:
        request = urllib.request.Request(f"{self.url}/v1/models", headers={"authorization": f"Bearer {secret}"})
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code

    def children(self) -> Iterator[int]:
        for listed in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            yield from map(int, listed.read_text().split())

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    return int(re.findall(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0]) / 1024


def measure(folder: Path, count: int) -> dict[str, float]:
    empty, full = folder / "empty", folder / "full"
    for data, keys_there in ((empty, 1), (full, count)):
        data.mkdir()
        fill(data, keys_there).engine.dispose()
        subprocess.run(
            [sys.executable, "-m", "freehold", "prepare", "--data", str(data)], check=True, env=_ENV, stdout=subprocess.DEVNULL
        )
    out: dict[str, float] = {"file_mb": feed.path(full).stat().st_size / 2**20}
    up = Up(empty)
    time.sleep(1)
    out["worker_mb_without"] = resident_mb(up.process.pid)
    up.stop()
    up = Up(full)
    try:
        assert up.status(_SECRET % (count - 1)) == 200
        out["start_s"] = up.start_s
        out["worker_mb"] = resident_mb(up.process.pid)
        first = feed.path(full).stat().st_ino
        began = time.monotonic()
        while feed.path(full).stat().st_ino == first:
            time.sleep(0.05)
        out["control_plane_ready_s"] = up.start_s + time.monotonic() - began
        time.sleep(5)  # the worker reads the new file
        out["worker_mb_after_another_file"] = resident_mb(up.process.pid)
        out["control_plane_mb"] = max(resident_mb(pid, "VmHWM") for pid in up.children())
        address = database(full, {})
        plane = Plane(open_engine(address), address, full, FileOwned(None, lambda _: Config()))
        out["refused_s"] = max(_refused_s(up, plane, n) for n in range(5))
        with reading(plane.engine) as connection:
            assert last(connection).revision == 6
    finally:
        up.stop()
    return out


def _refused_s(up: Up, plane: Plane, n: int) -> float:
    """From the commit of a key's end to its first refusal."""
    assert up.status(_SECRET % n) == 200
    Keys().change(plane, command(), str(_row(n)["id"]), EditKey(disabled=True))
    began = time.monotonic()
    while up.status(_SECRET % n) != 401:
        time.sleep(0.005)
    return time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keys", type=int, default=100_000)
    count = parser.parse_args().keys
    with tempfile.TemporaryDirectory(prefix="freehold-objects-") as folder:
        found = measure(Path(folder), count)
    found["worker_mb_more"] = max(found["worker_mb"], found["worker_mb_after_another_file"]) - found["worker_mb_without"]
    for name, value in found.items():
        print(f"{name:30}{value:8.2f}")
    bounds = (("start_s", START_S), ("worker_mb_more", MORE_MB), ("refused_s", REFUSED_S))
    over = [name for name, bound in bounds if found[name] > bound]
    for name, bound in bounds:
        print(f"{'over' if name in over else 'ok':6}{name} <= {bound:g}")
    return 1 if over else 0


if __name__ == "__main__":
    os.environ.pop("FREEHOLD_DATABASE_URL", None)
    sys.exit(main())
