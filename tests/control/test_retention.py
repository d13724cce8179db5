from __future__ import annotations

import threading
import tracemalloc

import pytest
from sqlalchemy import event, func, select, text

from freehold.control import retention
from freehold.control.retention import LEAST, Removed, trim
from freehold.control.usage import Question, ask
from freehold.store.engine import open_engine, reading, writing
from freehold.store.grains import DAY_MS, HOUR_MS
from freehold.store.schema import calls, latencies, rollups
from freehold.store.sums import kept
from tests.databases import Store
from tests.store.test_ledger import line, record

NOW_MS = 100 * DAY_MS + 5 * HOUR_MS


def counts(store: Store) -> dict[str, int]:
    hours = select(func.count()).where(rollups.c.grain.in_([1, 2]))
    days = select(func.count()).where(rollups.c.grain.in_([3, 4, 7]))
    with reading(store.engine) as connection:
        return {
            "calls": connection.scalar(select(func.count()).select_from(calls)) or 0,
            "hours": connection.scalar(hours) or 0,
            "days": connection.scalar(days) or 0,
            "latencies": connection.scalar(select(func.count()).select_from(latencies)) or 0,
        }


def fill(store: Store, per_day: int = 4) -> None:
    """Calls on each of the last 20 days, in two workspaces."""
    for workspace in ("default", "other"):
        days = (100 - day for day in range(20))
        record(
            store,
            *(
                line(f"{workspace} {day} {n}", day * DAY_MS + n * HOUR_MS, workspace=workspace, key=f"{n}")
                for day in days
                for n in range(per_day)
            ),
        )


def test_what_is_older_than_it_is_kept_goes_and_the_sums_by_day_stay(store: Store) -> None:
    fill(store)
    assert trim(store.engine, NOW_MS, 5, 10, for_s=60, pause=lambda _: None) == Removed(2 * 14 * 4, 2 * 2 * 9 * 8, True)
    left = counts(store)
    assert left == {"calls": 2 * 6 * 4, "hours": 2 * 11 * 8, "days": 2 * 20 * 9, "latencies": 2 * 11 * 8 + 2 * 20 * 9}
    with reading(store.engine) as connection:
        assert connection.scalar(select(func.min(calls.c.ended_ms))) == 95 * DAY_MS
        assert connection.scalar(select(func.min(rollups.c.at)).where(rollups.c.grain == 1)) == 90 * 24
        assert (kept(connection).calls_ms, kept(connection).hours_ms) == (95 * DAY_MS, 90 * DAY_MS)
        asked = ask(connection, Question(workspace="default", measures=("calls",), from_ms=82 * DAY_MS + 7))
    assert (asked.rows[0].values, asked.from_ms) == ((19 * 4,), 82 * DAY_MS), "usage still knows them all"
    assert trim(store.engine, NOW_MS, 5, 10, for_s=60, pause=lambda _: None) == Removed(finished=True)


@pytest.mark.parametrize(("calls_days", "hours_days", "left"), [(None, 5, "calls"), (5, None, "hours"), (None, None, "both")])
def test_what_is_kept_for_good_stays(store: Store, calls_days: int | None, hours_days: int | None, left: str) -> None:
    fill(store, 1)
    before = counts(store)
    trim(store.engine, NOW_MS, calls_days, hours_days, for_s=60, pause=lambda _: None)
    after = counts(store)
    assert (after["calls"] == before["calls"]) == (left in ("calls", "both"))
    assert (after["hours"] == before["hours"]) == (left in ("hours", "both"))


def test_it_can_be_stopped_after_any_batch_and_goes_on(store: Store) -> None:
    record(store, *(line(f"{n:04}", n) for n in range(5 * LEAST)))
    first = trim(store.engine, NOW_MS, 1, 1, for_s=60, pause=lambda _: True)
    assert first == Removed(calls=LEAST) and counts(store)["calls"] == 4 * LEAST
    assert trim(store.engine, NOW_MS, 1, 1, for_s=0.0, pause=lambda _: None).calls == LEAST, "its time is up"
    rest = trim(store.engine, NOW_MS, 1, 1, for_s=60, pause=lambda _: None)
    assert rest.finished and rest.calls == 3 * LEAST


def test_a_longer_time_set_later_does_not_bring_back_what_is_gone(store: Store) -> None:
    fill(store, 1)
    for days in (5, 50):
        trim(store.engine, NOW_MS, days, days, for_s=60, pause=lambda _: None)
        with reading(store.engine) as connection:
            assert kept(connection).calls_ms == 95 * DAY_MS


def test_no_transaction_takes_more_rows_than_fit_its_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the batches says that each took far too long: they must stay at the least."""
    record(store, *(line(f"{n:04}", n) for n in range(6 * LEAST)))
    ticks = iter(range(10_000))
    monkeypatch.setattr(retention.time, "monotonic", lambda: float(next(ticks)))
    deleted: list[int] = []

    @event.listens_for(store.engine, "after_cursor_execute")
    def after(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM calls"):
            deleted.append(cursor.rowcount)  # type: ignore[attr-defined]

    trim(store.engine, NOW_MS, 1, None, for_s=10_000, pause=lambda _: None)
    assert deleted == [LEAST] * 6 + [0]


def test_rows_are_never_loaded(store: Store) -> None:
    record(store, *(line(f"{n:05}", n, client_id="x" * 500, key=f"{n % 100}") for n in range(4_000)))
    trim(store.engine, 0, 1, 1, for_s=60, pause=lambda _: None)  # what is loaded once is loaded
    tracemalloc.start()
    removed = trim(store.engine, NOW_MS, 1, 1, for_s=60, pause=lambda _: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert removed.calls == 4_000 and peak < 1_000_000, "their texts alone are twice that"


def test_a_writer_goes_on_meanwhile(store: Store) -> None:
    """Retention removes thousands of rows; between two of its batches a writer of its own engine gets its call in every time."""
    record(store, *(line(f"old {n:05}", n) for n in range(3_000)))
    engine = open_engine(store.address)
    written: list[int] = []
    failed: list[BaseException] = []
    done, go_on = threading.Event(), threading.Semaphore(0)

    def write() -> None:
        from freehold.store import ledger

        try:
            while go_on.acquire() and not done.is_set():
                with writing(engine, "test") as connection:
                    ledger.record(connection, [line(f"new {len(written)}", NOW_MS)])
                written.append(counts(store)["calls"])
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    batches = 0

    def pause(_: float) -> None:
        nonlocal batches
        batches += 1
        go_on.release()  # and does not wait for it: both are at work at once

    removed = trim(store.engine, NOW_MS, 1, None, for_s=600, pause=pause)
    assert removed.calls == 3_000 and batches > 3
    while len(written) < batches and not failed:
        writer.join(0.01)
    done.set()
    go_on.release()
    writer.join(60)
    engine.dispose()
    assert failed == [] and len(written) == batches
    assert counts(store)["calls"] == batches


def test_a_late_call_of_a_time_that_is_gone_is_summed_up_by_day_and_removed(store: Store) -> None:
    trim(store.engine, NOW_MS, 5, 5, for_s=60)
    record(store, line("late", DAY_MS + 5, input=7))
    assert trim(store.engine, NOW_MS, 5, 5, for_s=60, pause=lambda _: None).calls == 1
    with reading(store.engine) as connection:
        found = ask(connection, Question(workspace="default", measures=("input",)))
        assert connection.execute(text("SELECT count(*) FROM calls")).scalar() == 0
    assert found.rows[0].values == (7,)
