from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from freehold.store import histogram, ledger
from freehold.store.address import parse
from freehold.store.engine import open_engine, reading, writing
from freehold.store.schema import calls
from freehold.store.segment import segment_paths
from freehold.store.ship import Shipped, ship
from freehold.store.spool import LedgerLine, Spool, read_lines
from tests.store.conftest import Store

SRC = Path(__file__).parents[2] / "src"
ROUNDS = 20


def line(n: int) -> LedgerLine:
    who = {"key": f"k{n % 3}", "end_user": f"u{n % 7}"}
    return LedgerLine(
        call_id=f"call_{n:06d}", ended_ms=n * 1000, outcome="ok", input=n, cost_nusd=n, total_us=1 + n * n, tags={"n": "1"}, **who
    )


def recorded(store: Store) -> list[str]:
    with reading(store.engine) as connection:
        return list(connection.scalars(calls.select().with_only_columns(calls.c.call_id).order_by(calls.c.call_id)))


def assert_exact(store: Store, count: int) -> None:
    """Every call from 0 to `count` once, and roll-ups that say the same."""
    assert recorded(store) == [line(n).call_id for n in range(count)]
    with reading(store.engine) as connection:
        totals = "SELECT sum(calls), sum(input), sum(cost_nusd) FROM rollups WHERE grain = :grain"
        rolled = [connection.execute(text(totals), {"grain": grain}).one() for grain in (1, 2, 3, 4, 5, 7)]
        times = [
            connection.scalars(text(f"SELECT total_us FROM latencies WHERE grain = {grain}")).all() for grain in (1, 2, 3, 4)
        ]
        recount = connection.execute(text("SELECT count(*), sum(input), sum(cost_nusd) FROM calls")).one()
    for row in (*rolled, recount):
        assert [int(n) for n in row] == [count, *[count * (count - 1) // 2] * 2]
    assert [sum(histogram.count(histogram.unpacked(one)) for one in stored) for stored in times] == [count] * 4


def test_a_segment_being_written_is_shipped_as_it_grows_and_stays(store: Store) -> None:
    spool = Spool(store.data)
    spool.append(line(0))
    assert ship(store.data, store.engine) == Shipped(calls=1)
    assert ship(store.data, store.engine) == Shipped()
    spool.append(line(1))
    spool.append(line(2))
    assert ship(store.data, store.engine) == Shipped(calls=2)
    assert len(segment_paths(store.data)) == 1
    spool.close()
    assert ship(store.data, store.engine) == Shipped(segments=1)
    assert segment_paths(store.data) == []
    assert_exact(store, 3)


def test_finished_segments_go_and_the_others_stay(store: Store) -> None:
    spool = Spool(store.data, segment_bytes=500)
    for n in range(30):
        spool.append(line(n))
        spool.tend()
    shipped = ship(store.data, store.engine)
    assert shipped.calls == 30 and shipped.segments > 3
    assert 1 <= len(segment_paths(store.data)) <= 2, "the one being written and the next"
    for n in range(30, 60):
        spool.append(line(n))
        spool.tend()
    spool.close()
    ship(store.data, store.engine)
    assert os.listdir(store.data / "spool") == []
    assert_exact(store, 60)


def test_a_segment_shipped_again_changes_nothing(store: Store) -> None:
    spool = Spool(store.data)
    for n in range(5):
        spool.append(line(n))
    spool.close()
    [path] = segment_paths(store.data)
    content = path.read_bytes()
    ship(store.data, store.engine)
    for again in (path, path.with_name("9-copy-000000.jsonl")):
        again.write_bytes(content)
        with writing(store.engine, "test") as connection:
            connection.execute(text("DELETE FROM spool_segments"))  # as after a restored backup
        assert ship(store.data, store.engine) == Shipped(segments=1)
    path.write_bytes(content.replace(b"call_000004", b"call_000005").replace(b"4000", b"5000"))
    with writing(store.engine, "test") as connection:
        connection.execute(text("DELETE FROM spool_segments"))
    assert ship(store.data, store.engine) == Shipped(calls=1, segments=1)
    assert len(recorded(store)) == 6


def test_unreadable_lines_are_counted_and_their_segment_kept_aside(store: Store) -> None:
    spool = store.data / "spool"
    spool.mkdir()
    surrogate = b'{"call_id":"x","ended_ms":1,"key":"\\ud800"}\n'
    bad = b'not json\n{"call_id":1}\n\xff\n[]\n' + surrogate
    (spool / "1-a-000000.jsonl").write_bytes(bad + b'{"call_id":"call_000000","ended_ms":0,"nul":"\\u0000","key":"\\u0000"}\n')
    shipped = ship(store.data, store.engine)
    assert (shipped.segments, shipped.calls + shipped.unreadable) == (1, 6) and shipped.unreadable >= 4
    assert os.listdir(spool) == ["1-a-000000.unreadable"]
    assert ship(store.data, store.engine) == Shipped()


def test_a_full_spool_of_an_older_version_is_shipped(store: Store) -> None:
    spool = store.data / "spool"
    spool.mkdir()
    old = '{"call_id":"call_%06d","ended_ms":%d,"key":"k","outcome":"ok","input":%d,"cost_nusd":%d,"total_us":3,"attempts":[]}\n'
    (spool / "1-a-000000.jsonl").write_text("".join(old % (n, n, n, n) for n in range(5)))
    assert ship(store.data, store.engine) == Shipped(calls=5, segments=1)
    with reading(store.engine) as connection:
        row = connection.execute(calls.select().where(calls.c.call_id == "call_000003")).mappings().one()
    assert (row["input"], row["team"], row["end_user"], row["tags"], row["images"]) == (3, "", "", {}, 0)


def test_a_failure_before_the_commit_leaves_the_spool_and_the_ledger(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(store.data)
    for n in range(4):
        spool.append(line(n))
    spool.close()
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(ledger, "roll_up", lambda *_: 1 / 0)
        ship(store.data, store.engine)
    assert recorded(store) == [] and len(list(read_lines(store.data))) == 4
    ship(store.data, store.engine)
    assert_exact(store, 4)


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none", "sqlite:////proc/none.db"])
def test_a_dead_database_only_makes_the_spool_longer(tmp_path: Path, url: str) -> None:
    spool = Spool(tmp_path)
    spool.append(line(0))
    with pytest.raises((SQLAlchemyError, OSError)):
        ship(tmp_path, open_engine(parse(url)))
    spool.append(line(1))
    assert len(list(read_lines(tmp_path))) == 2


def test_without_a_spool_there_is_nothing_to_do(store: Store) -> None:
    assert ship(store.data / "none", store.engine) == Shipped()


def test_several_shippers_at_once_count_every_call_once(store: Store) -> None:
    count = 3000
    spools = [Spool(store.data, segment_bytes=20_000) for _ in range(3)]
    engines = [open_engine(store.address) for _ in range(4)]
    with ThreadPoolExecutor(len(engines)) as pool:
        for at in range(0, count, 500):
            for n in range(at, at + 500):
                spools[n % 3].append(line(n))
            for done in [pool.submit(ship, store.data, engine) for engine in engines]:
                done.result()
    for spool in spools:
        spool.close()
    ship(store.data, store.engine)
    for engine in engines:
        engine.dispose()
    assert_exact(store, count)


WRITER = """
import sys, time
from pathlib import Path
from freehold.store.spool import LedgerLine, Spool
from tests.store.test_ship import line
spool = Spool(Path(sys.argv[1]), segment_bytes=30_000)
n = int(sys.argv[2])
print("ready", flush=True)
while True:
    spool.append(line(n)); n += 1
    spool.tend()
    print(n, flush=True)
    time.sleep(0.0005)
"""
SHIPPER = """
import os, sys
from pathlib import Path
from freehold.store.address import database
from freehold.store.engine import open_engine
from freehold.store import segment
from freehold.store.ship import ship
segment.PART_BYTES = 4_000  # many commits
data = Path(sys.argv[1])
engine = open_engine(database(data, os.environ))
print("ready", flush=True)
while True:
    ship(data, engine)
"""


def _start(program: str, store: Store, *arguments: str) -> subprocess.Popen[str]:
    path = f"{SRC}{os.pathsep}{SRC.parent}"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, **store.env}
    command = [sys.executable, "-c", program, str(store.data), *arguments]
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert child.stdout and child.stdout.readline() == "ready\n"
    return child


def test_killed_again_and_again_under_a_running_writer_every_call_is_recorded_once(store: Store) -> None:
    dice = random.Random(4)
    total = 0
    writer = _start(WRITER, store, "0")
    for number in range(ROUNDS):
        shipper = _start(SHIPPER, store)
        time.sleep(dice.uniform(0.0, 0.3))
        shipper.send_signal(signal.SIGKILL)
        shipper.communicate()
        if number % 5 == 4:
            writer.send_signal(signal.SIGKILL)
            said = writer.communicate()[0].split()
            in_spool = [one.call_id for one in read_lines(store.data)]
            done = {*in_spool, *recorded(store)}
            assert all(line(n).call_id in done for n in range(int(said[-1]))), "a call was lost"
            total = len(done)
            assert max(Counter(in_spool).values(), default=1) == 1
            writer = _start(WRITER, store, str(total))
    writer.kill()
    writer.communicate()
    total = len({*(one.call_id for one in read_lines(store.data)), *recorded(store)})
    before = len(recorded(store))
    assert before > 0, "the rounds were too short to ship anything"
    ship(store.data, store.engine)
    assert segment_paths(store.data) == []
    assert_exact(store, total)
    print(f"\n{ROUNDS} kills, {before} of {total} calls shipped between them")
