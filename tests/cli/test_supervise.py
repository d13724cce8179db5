from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.running import eventually, gone, started


def test_workers_share_the_port_a_dead_one_is_replaced_and_all_drain(tmp_path: Path) -> None:
    with started(tmp_path, "--workers", "2") as up:
        first = up.workers()
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        assert eventually(lambda: len(set(up.workers()) - set(first)) == 1)
        assert up.status("/readyz") == 200
        assert '"event":"worker_died"' in up.log.read_text()
        last = up.workers()
        assert up.stop() == 0
        assert all(gone(pid) for pid in last)


def test_no_worker_outlives_its_supervisor(tmp_path: Path) -> None:
    with started(tmp_path, "--workers", "2") as up:
        workers = up.workers()
        up.process.kill()
        up.process.wait(10)
        assert eventually(lambda: all(gone(pid) for pid in workers))
