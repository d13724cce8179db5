from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from freehold.control import background
from freehold.control.background import EVERY_S, MAX_DELAY_S, Jobs
from freehold.store.address import database, parse
from freehold.store.engine import open_engine, reading
from freehold.store.migrate import upgrade
from freehold.store.schema import calls
from freehold.store.segment import segment_paths
from freehold.store.spool import LedgerLine, Spool

NOW_MS = time.time_ns() // 1_000_000


def events(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_told_to_stop_it_ships_what_is_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(LedgerLine(call_id="a", ended_ms=1))
    spool.close()
    stopping = threading.Event()
    stopping.set()
    Jobs(tmp_path, database(tmp_path, {})).run(stopping)
    assert segment_paths(tmp_path) == []


def test_an_outage_is_said_once_waited_out_ever_longer_and_its_end_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(tmp_path, database(tmp_path, {}))
    with monkeypatch.context() as patch:
        patch.setattr(background, "open_engine", lambda _: open_engine(parse("postgresql://app:secret@127.0.0.1:1/none")))
        for _ in range(6):
            jobs.once()
    [event] = events(capsys)
    assert event["event"] == "ship_failed" and "secret" not in str(event) and jobs._delay_s == MAX_DELAY_S
    spool = Spool(tmp_path)
    spool.append(LedgerLine(call_id="a", ended_ms=NOW_MS))
    jobs.once()
    assert [(e["event"], e["calls"]) for e in events(capsys)] == [("ship_resumed", 1)] and jobs._delay_s == EVERY_S


def test_a_fault_of_ours_is_logged_without_values_and_does_not_end_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(tmp_path, database(tmp_path, {}))
    monkeypatch.setattr(background, "ship", lambda *_: {}["a secret"])
    jobs.once()
    said = events(capsys)
    assert [e["event"] for e in said] == ["ship_failed", "ship_failed"] and said[0]["error"] == "KeyError"
    assert "a secret" not in str(said)


def test_unreadable_records_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool/1-a-000000.jsonl").write_bytes(b"not json\n")
    Jobs(tmp_path, database(tmp_path, {})).once()
    [event] = events(capsys)
    assert event["event"] == "spool_unreadable" and event["pieces"] == 1


def test_a_database_that_another_version_upgrades_meanwhile_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = database(tmp_path, {})
    engine = open_engine(address)
    upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    spool = Spool(tmp_path)
    spool.append(LedgerLine(call_id="a", ended_ms=1))
    Jobs(tmp_path, address).once()
    [event] = events(capsys)
    assert "newer than this" in str(event["problem"]) and len(segment_paths(tmp_path)) == 1


DAY_MS = 86_400_000


def recorded(data: Path) -> set[str]:
    with reading(open_engine(database(data, {}))) as connection:
        return set(connection.scalars(select(calls.c.call_id)))


def aged(data: Path, *days: int) -> None:
    spool = Spool(data)
    for age in days:
        spool.append(LedgerLine(call_id=f"{age} days", ended_ms=NOW_MS - age * DAY_MS))
    spool.close()


def test_what_is_older_than_the_file_says_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "freehold.yaml"
    config.write_text("retention: {calls_days: 3}\n")
    aged(tmp_path, 1, 5, 100)
    Jobs(tmp_path, database(tmp_path, {}), lambda: config).once()
    assert recorded(tmp_path) == {"1 days"}
    [event] = events(capsys)
    assert (event["event"], event["calls"], event["finished"]) == ("record_trimmed", 2, True)


def test_without_a_file_calls_are_kept_for_the_time_of_the_schema(tmp_path: Path) -> None:
    aged(tmp_path, 1, 80, 100)
    Jobs(tmp_path, database(tmp_path, {})).once()
    assert recorded(tmp_path) == {"1 days", "80 days"}


@pytest.mark.parametrize("text", ["retention: {calls_days: soon}\n", "retention: [\n", None])
def test_nothing_is_removed_by_a_setting_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    """None: a file that was there is gone. It may have said that all is kept."""
    config = tmp_path / "freehold.yaml"
    found = [config]
    jobs = Jobs(tmp_path, database(tmp_path, {}), lambda: found.pop() if found else None)
    config.write_text("retention: {calls_days: null}\n")
    jobs.once()
    if text is None:
        config.unlink()
    else:
        config.write_text(text)
    aged(tmp_path, 100)
    jobs._trim_at = 0.0  # it is time again
    jobs.once()
    assert recorded(tmp_path) == {"100 days"}
    assert [event["event"] for event in events(capsys)] == ["retention_failed"]


def test_told_to_stop_it_only_ships(tmp_path: Path) -> None:
    aged(tmp_path, 100)
    stopping = threading.Event()
    stopping.set()
    Jobs(tmp_path, database(tmp_path, {})).run(stopping)
    assert recorded(tmp_path) == {"100 days"}
