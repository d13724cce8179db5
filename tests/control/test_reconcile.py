from __future__ import annotations

from datetime import UTC, date, datetime
from io import StringIO

import pytest

from freehold.control.invoice import Amounts, read_invoice
from freehold.control.reconcile import Comparison, Line, ReconcileError, family, reconcile
from freehold.store.engine import reading
from freehold.store.spool import LedgerLine
from tests.databases import Store
from tests.store.test_ledger import line, record

NOON_MS = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000)
DAY_MS = 86_400_000
HEAD = "date,model,input_tokens,output_tokens,cost_usd\n"


def call(n: int, model: str = "m", day: int = 0, **fields: object) -> LedgerLine:
    given = {"provider": "openai", "model": model, "input": 100, "output": 10, "cost_nusd": 10**9, **fields}
    return line(f"{n}", NOON_MS + day * DAY_MS, **given)


def compared(store: Store, text: str, provider: str = "openai", month: str = "", tolerance_percent: float = 1.0) -> Comparison:
    invoice = read_invoice(StringIO(text, newline=""))
    with reading(store.engine) as connection:
        return reconcile(connection, "default", invoice, provider=provider, month=month, tolerance_percent=tolerance_percent)


def verdicts(found: Comparison) -> list[tuple[str, str, str]]:
    return [(str(one.day), one.model, one.verdict) for one in found.lines]


def test_a_bill_that_says_the_same_agrees(store: Store) -> None:
    record(store, call(1), call(2), call(3, "n", 1), call(4, provider="other"), call(5, workspace="other"))
    found = compared(store, HEAD + "2026-11-23,m,200,20,2.00\n2026-11-24,n,100,10,1\n")
    assert found.agrees and verdicts(found) == [("2026-11-23", "m", "ok"), ("2026-11-24", "n", "ok")]
    assert found.lines[0] == Line(
        date(2026, 11, 23), "m", ["m"], Amounts(200, 20, 2 * 10**9), Amounts(200, 20, 2 * 10**9), 0, 0.0, "ok"
    )
    assert (found.total.theirs, found.total.ours) == (Amounts(300, 30, 3 * 10**9), Amounts(300, 30, 3 * 10**9))


@pytest.mark.parametrize(
    ("row", "tolerance", "verdict", "percent"),
    [
        ("200,20,2.02", 1.0, "ok", -0.99),
        ("200,20,2.03", 1.0, "differs", -1.478),
        ("200,20,2.03", 2.0, "ok", -1.478),
        ("200,20,1.00", 1.0, "differs", 100.0),
        ("210,20,2.00", 1.0, "differs", -4.762),
        ("200,0,2.00", 1.0, "differs", 0.0),
        ("200,20,2.01", 0.0, "ok", -0.498),  # a cent is rounding
        ("200,20,2.011", 0.0, "differs", -0.547),
        ("201,20,2.00", 0.0, "differs", -0.498),
    ],
)
def test_a_line_may_differ_by_the_tolerance(store: Store, row: str, tolerance: float, verdict: str, percent: float) -> None:
    record(store, call(1), call(2))
    found = compared(store, f"{HEAD}2026-11-23,m,{row}\n", tolerance_percent=tolerance)
    assert [(one.verdict, one.difference_percent) for one in found.lines] == [(verdict, percent)]
    assert found.agrees == (verdict == "ok")


def test_what_only_one_side_has_is_told(store: Store) -> None:
    record(store, call(1), call(2, "ours"), call(3, "failed", input=0, output=0, cost_nusd=0), call(4, "late", 5))
    found = compared(store, HEAD + "2026-11-23,m,100,10,1\n2026-11-23,theirs,1,1,1\n")
    assert verdicts(found) == [
        ("2026-11-23", "m", "ok"),
        ("2026-11-23", "ours", "only ours"),
        ("2026-11-23", "theirs", "only theirs"),
    ]
    assert not found.agrees and found.lines[1].difference_percent is None


def test_only_what_the_bill_tells_is_compared(store: Store) -> None:
    record(store, call(1))
    found = compared(store, "date,model,cost_usd\n2026-11-23,m,1\n")
    assert found.agrees and found.told == ("cost_nusd",)


def test_the_version_that_answered_is_compared_with_the_version_billed(store: Store) -> None:
    record(store, call(1, "gpt-4o", answered_by="gpt-4o-2024-08-06"), call(2, "gpt-4o", answered_by="gpt-4o-2024-11-20"))
    found = compared(store, HEAD + "2026-11-23,gpt-4o-2024-08-06,100,10,1\n2026-11-23,gpt-4o-2024-11-20,100,10,1\n")
    assert found.agrees and [one.our_models for one in found.lines] == [["gpt-4o-2024-08-06"], ["gpt-4o-2024-11-20"]]


def test_names_that_differ_in_their_date_alone_are_of_one_family(store: Store) -> None:
    record(store, call(1, "x", answered_by="claude-opus-4-1-20250805"), call(2, "claude-opus-4-1"))
    found = compared(store, HEAD + "2026-11-23,Claude Opus 4.1,200,20,2\n")
    assert found.agrees and found.lines[0].our_models == ["claude-opus-4-1", "claude-opus-4-1-20250805"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-5-haiku@20241022", "claude-3-5-haiku"),
        ("anthropic.claude-3-5-haiku-20241022-v1", "anthropic-claude-3-5-haiku"),
        ("claude-3-opus-latest", "claude-3-opus"),
        ("GPT-4.1", "gpt-4-1"),
        ("o3", "o3"),
    ],
)
def test_families(name: str, found: str) -> None:
    assert family(name) == found


def test_a_month_is_compared_day_by_day_whatever_the_bill_lists(store: Store) -> None:
    record(store, call(1), call(2, day=6), call(3, day=30))
    found = compared(store, HEAD + "2026-11-23,m,100,10,1\n2026-10-01,m,9,9,9\n", month="2026-11")
    assert (found.first, found.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert verdicts(found) == [("2026-11-23", "m", "ok"), ("2026-11-29", "m", "only ours")]
    assert compared(store, HEAD, month="2026-12").total.ours.cost_nusd == 10**9


def test_calls_without_a_price_are_counted(store: Store) -> None:
    record(store, call(1, cost_nusd=None), call(2))
    found = compared(store, HEAD + "2026-11-23,m,200,20,2\n")
    assert (found.lines[0].verdict, found.lines[0].unpriced_calls, found.total.unpriced_calls) == ("differs", 1, 1)


def test_whose_bill_it_is_follows_from_its_form_or_must_be_said(store: Store) -> None:
    record(store, call(1), call(2, provider="lab"))
    openai = "start_time_iso,model,input_tokens,output_tokens\n2026-11-23,m,100,10\n"
    assert compared(store, openai, provider="").provider == "openai"
    with pytest.raises(ReconcileError, match="--provider; the ledger has: lab, openai"):
        compared(store, HEAD + "2026-11-23,m,1,1,1\n", provider="")


@pytest.mark.parametrize(
    ("text", "month", "says"), [(HEAD, "", "no lines"), (HEAD, "2026-13", "is no month"), (HEAD, "x", "is no")]
)
def test_what_cannot_be_compared_is_told(store: Store, text: str, month: str, says: str) -> None:
    with pytest.raises(ReconcileError, match=says):
        compared(store, text, month=month)
