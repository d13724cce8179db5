"""What a first start asks of the database, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.cli.prepare import Prepared, prepared, take_back
from freehold.cli.settings import Failed
from freehold.store.feed import usable_keys
from tests.keyfiles import create_key


def test_a_first_key_is_made_once_and_can_be_taken_back(tmp_path: Path) -> None:
    first = prepared(tmp_path, None, first=True)
    assert first.key.startswith("fh_") and first.id and usable_keys(tmp_path) == 1
    assert prepared(tmp_path, None, first=True) == Prepared()
    take_back(tmp_path, first.id)
    assert usable_keys(tmp_path) == 0
    assert prepared(tmp_path, None, first=True).id not in ("", first.id)


def test_none_is_made_unasked_and_keys_of_old_count(tmp_path: Path) -> None:
    assert prepared(tmp_path, None, first=False) == Prepared() and usable_keys(tmp_path) == 0
    create_key(tmp_path, "old")
    assert prepared(tmp_path, None, first=True) == Prepared() and usable_keys(tmp_path) == 1


def test_a_database_out_of_reach_is_told_and_anything_else_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("FREEHOLD_DATABASE_URL", "postgresql://app:secret@127.0.0.1:1/none")
        found = prepared(tmp_path, None, first=True)
    assert "127.0.0.1:1" in found.problem and "secret" not in found.problem and found.key == ""
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(Failed, match="not a key file"):
        prepared(tmp_path, None, first=True)
