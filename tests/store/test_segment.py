from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.store import segment as module
from freehold.store.segment import Segment, opened, segment_paths, sweep
from freehold.store.spool import LedgerLine, Spool

GOOD = b'{"call_id":"good","ended_ms":1}\n'


def _line(n: int) -> LedgerLine:
    return LedgerLine(call_id=f"call_{n}", ended_ms=n)


def _file(data: Path, content: bytes, name: str = "1-dead-000000.jsonl") -> Path:
    path = data / "spool" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def _all(segment: Segment) -> tuple[list[str], int]:
    ids, unreadable, at = [], 0, 0
    while (part := segment.read(at)).end > at:
        ids += [line.call_id for line in part.lines]
        unreadable += part.unreadable
        at = part.end
    return ids, unreadable


def test_a_segment_is_finished_once_its_writer_has_let_go(tmp_path: Path) -> None:
    spool = Spool(tmp_path, segment_bytes=100)
    spool.append(_line(1))
    [first] = segment_paths(tmp_path)
    with opened(first) as segment:
        assert segment and not segment.finished
    for n in range(4):
        spool.append(_line(n))
        spool.tend()
    with opened(first) as segment:
        assert segment and segment.finished
    last = segment_paths(tmp_path)[-1]
    spool.close()
    assert not last.exists() or last.stat().st_size < 100
    for path in segment_paths(tmp_path):
        with opened(path) as segment:
            assert segment and segment.finished


def test_a_killed_worker_leaves_finished_segments(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from freehold.store.spool import Spool, LedgerLine\n"
        "s = Spool(Path(sys.argv[1])); s.append(LedgerLine(call_id='call_1', ended_ms=1)); print('ready', flush=True); input()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout and child.stdout.readline()
    [path] = segment_paths(tmp_path)
    with opened(path) as segment:
        assert segment and not segment.finished
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with opened(path) as segment:
        assert segment and segment.finished and _all(segment) == (["call_1"], 0)


def test_no_segment_is_ever_seen_without_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    allocate = os.posix_fallocate

    def looking(fd: int, offset: int, size: int) -> None:
        seen.append(bool(segment_paths(tmp_path)))
        allocate(fd, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", looking)
    Spool(tmp_path)
    assert seen == [False]


def test_what_is_being_written_is_not_read_before_it_is_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(_line(1))
    [path] = segment_paths(tmp_path)
    whole = path.stat().st_size
    end = path.read_bytes().index(b"\0")
    with path.open("r+b") as file, opened(path) as segment:
        assert segment
        file.seek(end)
        file.write(b'{"call_id":"call_2"\0\0\0\0\0\0\0\0\0\0\0\0\0}\n')  # its middle is not there yet
        file.flush()
        assert _all(segment) == (["call_1"], 0)
        file.seek(end)
        file.write(b'{"call_id":"call_2","ended_ms":1}\n')
        file.flush()
        assert _all(segment) == (["call_1", "call_2"], 0)
    assert path.stat().st_size == whole


@pytest.mark.parametrize("part_bytes", [1 << 19, 200, 64, 40])
def test_a_crash_of_the_machine_costs_only_what_it_overwrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", part_bytes)
    good = b'{"call_id":"%d","ended_ms":1}\n'
    content = (
        good % 1 + good % 2 + b"\0" * 500 + b'ed_ms":1}\n' + good % 3 + b"\0" * 90 + good % 4 + b'{"call_id":"torn' + b"\0" * 300
    )
    with opened(_file(tmp_path, content)) as segment:
        assert segment and _all(segment) == (["1", "2", "3", "4"], 2)


@pytest.mark.parametrize("content", [b"", b"\0" * 1000, b"\n\n\n", b"\0\n\0\n"])
def test_nothing_is_read_from_nothing(tmp_path: Path, content: bytes) -> None:
    with opened(_file(tmp_path, content)) as segment:
        assert segment and _all(segment) == ([], 0)


def test_a_last_line_without_its_end_counts_when_it_is_whole(tmp_path: Path) -> None:
    with opened(_file(tmp_path, b'{"call_id":"1","ended_ms":1}\0\0\0')) as segment:
        assert segment and _all(segment) == (["1"], 0)


def test_a_segment_that_is_gone_is_nothing(tmp_path: Path) -> None:
    path = _file(tmp_path, b"")
    with opened(path) as segment:
        assert segment
        segment.remove(unreadable=False)
        segment.remove(unreadable=False)
        segment.remove(unreadable=True)
    with opened(path) as segment:
        assert segment is None


def test_a_segment_that_was_never_named_is_swept_away_once_it_is_old(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    young, old = (_file(tmp_path, b"\0", f"{name}.new") for name in ("young", "old"))
    os.utime(old, (1, 1))
    sweep(tmp_path)
    assert young.exists() and not old.exists()
    spool.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([b"\0" * 70, b"\n", GOOD]), max_size=12), st.sampled_from([40, 64, 1 << 19])
)
def test_no_bytes_can_stop_it_and_whole_lines_between_ends_of_lines_are_read(
    tmp_path: Path, pieces: list[bytes], part_bytes: int
) -> None:
    content = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch, opened(_file(tmp_path, content)) as segment:
        patch.setattr(module, "PART_BYTES", part_bytes)
        assert segment
        ids, unreadable = _all(segment)
    whole = [raw.strip(b"\0") + b"\n" for raw in content.split(b"\n")]
    if part_bytes > len(content):
        assert ids.count("good") == sum(raw.strip(b" \t\r\n") == GOOD[:-1] for raw in whole)  # JSON allows space around it
        assert len(ids) + unreadable == sum(raw != b"\n" for raw in whole)


@pytest.mark.parametrize("part_bytes", [40, 100, 1 << 20])
def test_a_copy_of_one_that_is_written_means_the_same_at_every_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr(module, "PART_BYTES", part_bytes)
    spool = Spool(tmp_path, segment_bytes=4096)
    path = segment_paths(tmp_path)[0]
    written = GOOD * 5
    with path.open("r+b") as file:
        file.write(written + b'{"call_id":"not whole yet"')
    with opened(path) as segment:
        assert segment and not segment.finished
        copy = b"".join(segment.content())
    spool.close()
    assert copy == written
    (tmp_path / "other").mkdir()
    with opened(_file(tmp_path / "other", copy)) as segment:
        assert segment and segment.finished and _all(segment) == (["good"] * 5, 0)
