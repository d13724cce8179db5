from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from pyarrow import parquet

from freehold.control import calls, export
from freehold.control.export import CALL_COLUMNS, Column, ExportError, call_rows, usage_columns, usage_rows, write
from freehold.control.usage import Row, Usage
from freehold.store.spool import AttemptLine, LedgerLine
from tests.databases import Store
from tests.store.test_ledger import FULL, line, record

USAGE = Usage(("key",), ("calls", "p50_total_us"), 0, None, 2, [Row(0, ("a",), (2, 5)), Row(86_400_000, ("b\nü,",), (1, None))])


def as_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(StringIO(data.decode())))


def test_usage_as_csv() -> None:
    out = BytesIO()
    assert write("csv", usage_columns(USAGE), usage_rows(USAGE), out) == 2
    assert as_csv(out.getvalue()) == [
        ["from", "key", "calls", "p50_total_us"],
        ["1970-01-01T00:00:00Z", "a", "2", "5"],
        ["1970-01-02T00:00:00Z", "b\nü,", "1", ""],
    ]


def test_usage_as_parquet() -> None:
    out = BytesIO()
    assert write("parquet", usage_columns(USAGE), usage_rows(USAGE), out) == 2
    table = parquet.read_table(BytesIO(out.getvalue()))
    assert table.to_pylist()[1] == {"from": "1970-01-02T00:00:00Z", "key": "b\nü,", "calls": 1, "p50_total_us": None}


def test_without_steps_there_is_no_column_of_times_and_without_rows_there_are_columns() -> None:
    whole = Usage(("key",), ("calls",), 0, None, 1, [Row(None, ("a",), (2,))])
    assert [column.name for column in usage_columns(whole)] == ["key", "calls"]
    for form in ("csv", "parquet"):
        out = BytesIO()
        assert write(form, [Column("key", str)], [], out) == 0  # type: ignore[arg-type]
        assert b"key" in out.getvalue()


def test_every_field_of_a_call_is_exported(store: Store) -> None:
    record(store, FULL, line("bare", FULL.ended_ms + 1, seconds=0.5, cost_nusd=None))
    found: dict[str, list[dict[str, Any]]] = {}
    for form in ("csv", "parquet"):
        out = BytesIO()
        lines = calls.batches(store.engine, calls.Filter(workspace="default"), 1)
        assert write(form, CALL_COLUMNS, call_rows(lines), out) == 2  # type: ignore[arg-type]
        if form == "csv":
            names, *rows = as_csv(out.getvalue())
            found[form] = [dict(zip(names, row, strict=True)) for row in rows]
        else:
            found[form] = parquet.read_table(BytesIO(out.getvalue())).to_pylist()
    full, bare = found["parquet"]
    assert list(full) == list(LedgerLine.__struct_fields__)
    for name in LedgerLine.__struct_fields__:
        value = getattr(FULL, name)
        assert full[name] == (json.encode(value).decode() if name in ("attempts", "tags") else value)
    assert (bare["cost_nusd"], bare["seconds"], bare["stream"]) == (None, 0.5, False)
    assert (found["csv"][0]["stream"], found["csv"][0]["cost_nusd"], found["csv"][1]["cost_nusd"]) == ("true", "12345678901", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_what_a_spreadsheet_would_run_is_a_text(text: str) -> None:
    out = BytesIO()
    write("csv", [Column("a", str), Column("n", int)], [[(text, -5)]], out)
    [_, row] = as_csv(out.getvalue())
    assert row == ["'" + text, "-5"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_memory_does_not_grow_with_the_rows(form: str, tmp_path: Path) -> None:
    def batches(count: int) -> Iterator[list[LedgerLine]]:
        for n in range(count):
            yield [line(f"{n}-{m}", client_id="x" * 100, attempts=[AttemptLine("a/b", 1)]) for m in range(200)]

    peaks = []
    for count in (10, 100):
        with (tmp_path / "out").open("wb") as out:
            tracemalloc.start()
            assert write(form, CALL_COLUMNS, call_rows(batches(count)), out) == count * 200  # type: ignore[arg-type]
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 2, "ten times the rows"


def test_without_pyarrow_parquet_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ExportError, match=r"freehold\[parquet\]"):
        export.write("parquet", [Column("a", str)], [], BytesIO())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_answer_without_rows_is_a_file_without_rows(form: Any) -> None:
    out = BytesIO()
    usage = Usage(by=("model",), measures=("calls",), from_ms=0, to_ms=None, groups=0, rows=[])
    assert write(form, usage_columns(usage), usage_rows(usage), out) == 0
    assert out.getvalue() == b"model,calls\r\n" if form == "csv" else parquet.read_table(BytesIO(out.getvalue())).num_rows == 0
