from __future__ import annotations

from freehold.cli.table import table


def test_columns_line_up_and_numbers_are_flush_right() -> None:
    assert table(("NAME", "N"), [("a", "1"), ("longer", "1,000")], right=(1,)) == "NAME        N\na           1\nlonger  1,000"


def test_no_line_ends_in_spaces() -> None:
    assert table(("A", "B"), [("long", "")]).splitlines() == ["A     B", "long"]
