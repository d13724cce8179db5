from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from freehold.control import background
from freehold.control.background import EVERY_S, MAX_DELAY_S, Jobs
from freehold.store.address import database, parse
from freehold.store.engine import open_engine
from freehold.store.migrate import upgrade
from freehold.store.segment import segment_paths
from freehold.store.spool import LedgerLine, Spool


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
    spool.append(LedgerLine(call_id="a", ended_ms=1))
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
