from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from freehold.store import spool as module
from freehold.store.spool import AttemptLine, LedgerLine, Spool, read_lines


def _line(n: int) -> LedgerLine:
    return LedgerLine(call_id=f"call_{n}", ended_ms=n, attempts=[AttemptLine("lab/m", 3, 200)])


def _ids(data: Path) -> list[str]:
    return [line.call_id for line in read_lines(data)]


def test_lines_come_back_as_written(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    line = LedgerLine(call_id="call_1", ended_ms=5, cost_nusd=0, input=7, outcome="ok")
    spool.append(line)
    assert list(read_lines(tmp_path)) == [line]


def test_a_line_is_readable_before_close(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(_line(1))
    assert _ids(tmp_path) == ["call_1"]


def test_segments_roll_and_read_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=200)
    for n in range(20):
        spool.append(_line(n))
    assert len(list((tmp_path / "spool").iterdir())) > 3
    assert _ids(tmp_path) == [f"call_{n}" for n in range(20)]


def test_two_workers_never_share_a_segment(tmp_path: Path) -> None:
    first, second = Spool(tmp_path), Spool(tmp_path)
    first.append(_line(1))
    second.append(_line(2))
    assert sorted(_ids(tmp_path)) == ["call_1", "call_2"]


def test_files_are_private(tmp_path: Path) -> None:
    Spool(tmp_path)
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
    assert next((tmp_path / "spool").iterdir()).stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_skipped_and_the_next_one_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(_line(1))
    segment = next((tmp_path / "spool").iterdir())
    with segment.open("r+b") as file:
        file.seek(segment.read_bytes().index(b"\0"))
        file.write(b'{"call_id":"call_torn","ended')
    file_two = tmp_path / "spool" / "9-later.jsonl"
    file_two.write_bytes(b'not json\n{"call_id":"call_2","ended_ms":1}\n')
    assert _ids(tmp_path) == ["call_1", "call_2"]


def _full_disk(fd: int, offset: int, size: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, segment_bytes=250)
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "posix_fallocate", _full_disk)
        for n in range(8):
            spool.append(_line(n))
        assert spool.held > 0
        written = _ids(tmp_path)
        assert written == [f"call_{n}" for n in range(8 - spool.held)]
        assert len(list((tmp_path / "spool").iterdir())) == 1, "a segment without room must not stay"
    while spool.held:
        spool.tend()
    assert _ids(tmp_path) == [f"call_{n}" for n in range(8)]


def test_the_gateway_must_stop_when_too_many_lines_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD", 3)
    spool = Spool(tmp_path, segment_bytes=100)
    monkeypatch.setattr(module.os, "posix_fallocate", _full_disk)
    spool.append(_line(0))
    while spool.held < 3:
        assert not spool.full
        spool.append(_line(1))
    assert spool.full


def test_a_start_without_room_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "posix_fallocate", _full_disk)
    with pytest.raises(OSError, match="No space"):
        Spool(tmp_path)


def test_the_next_segment_is_allocated_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, segment_bytes=250)
    spool.append(_line(0))
    spool.append(_line(1))
    spool.tend()
    monkeypatch.setattr(module.os, "posix_fallocate", _full_disk)
    spool.append(_line(2))
    spool.append(_line(3))
    assert spool.held == 0


def test_close_cuts_off_what_was_not_used(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=250)
    for n in range(4):
        spool.append(_line(n))
        spool.tend()
    spool.close()
    files = list((tmp_path / "spool").iterdir())
    assert b"\0" not in b"".join(f.read_bytes() for f in files)
    assert _ids(tmp_path) == [f"call_{n}" for n in range(4)]


def test_killed_in_the_middle_every_announced_line_is_there(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from freehold.store.spool import Spool, LedgerLine\n"
        "s = Spool(Path(sys.argv[1]))\n"
        "for n in range(10**9):\n"
        "    s.append(LedgerLine(call_id=f'call_{n}', ended_ms=n)); print(n, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    announced = [int(child.stdout.readline()) for _ in range(500)]
    os.kill(child.pid, signal.SIGKILL)
    announced += [int(n) for n in child.stdout.read().split(b"\n")[:-1]]
    child.wait()
    child.stdout.close()
    ids = _ids(tmp_path)
    assert set(ids) >= {f"call_{n}" for n in announced}
    assert len(set(ids)) == len(ids)
