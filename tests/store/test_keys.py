from __future__ import annotations

import os
import stat
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from freehold.store.keys import KeyStoreError, create_key, disable_key, list_keys, path


def test_a_made_key_is_listed_and_only_its_digest_is_on_disk(tmp_path: Path) -> None:
    record, secret = create_key(tmp_path, "dev", ["fast-model", "openai/*"])
    assert list_keys(tmp_path) == [record]
    assert record.digest == sha256(secret.encode()).hexdigest()
    assert record.models == ["fast-model", "openai/*"]
    assert secret not in path(tmp_path).read_text()


def test_a_secret_has_256_bits_and_shows_only_its_ends(tmp_path: Path) -> None:
    made = [create_key(tmp_path, f"k{i}") for i in range(5)]
    assert len({secret for _, secret in made}) == 5
    for record, secret in made:
        assert secret.startswith("fh_") and len(secret) == 3 + 43
        assert (record.prefix, record.last4) == (secret[:6], secret[-4:])


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    create_key(data, "dev")
    assert stat.S_IMODE(path(data).stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_no_directory_and_no_file_mean_no_keys(tmp_path: Path) -> None:
    assert list_keys(tmp_path / "nowhere") == []


def test_a_name_is_used_once_among_the_keys_in_use(tmp_path: Path) -> None:
    record, _ = create_key(tmp_path, "dev")
    with pytest.raises(KeyStoreError, match="'dev' exists"):
        create_key(tmp_path, "dev")
    disable_key(tmp_path, record.id)
    again, _ = create_key(tmp_path, "dev")
    assert [k.disabled for k in list_keys(tmp_path)] == [True, False]
    assert disable_key(tmp_path, "dev").id == again.id  # by name, the one in use is meant


def test_disabling_keeps_the_others_and_may_be_repeated(tmp_path: Path) -> None:
    first, _ = create_key(tmp_path, "a")
    second, _ = create_key(tmp_path, "b")
    disable_key(tmp_path, first.id)
    disable_key(tmp_path, "a")
    assert [(k.id, k.disabled) for k in list_keys(tmp_path)] == [(first.id, True), (second.id, False)]


def test_disabling_an_unknown_key_says_how_to_find_it(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="key list"):
        disable_key(tmp_path, "key_nope")


@pytest.mark.parametrize("name", ["", " a", "a\n", "x" * 101])
def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyStoreError, match="name"):
        create_key(tmp_path, name)


@pytest.mark.parametrize("pattern", ["", "a b", "a\n", "x" * 301])
def test_a_pattern_that_can_match_nothing_is_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(KeyStoreError, match="pattern"):
        create_key(tmp_path, "dev", [pattern])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1, "keys": [{"id": 1}]}', "\xff"])
def test_a_broken_file_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path(tmp_path).write_bytes(text.encode("latin-1"))
    with pytest.raises(KeyStoreError, match="not a key file"):
        create_key(tmp_path, "dev")
    assert path(tmp_path).read_bytes() == text.encode("latin-1")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path(tmp_path).write_text('{"version": 2, "keys": []}')
    with pytest.raises(KeyStoreError, match="version 2"):
        list_keys(tmp_path)


def _make_ten(data: Path, who: int) -> None:
    for i in range(10):
        create_key(data, f"{who}-{i}")


def test_writers_at_the_same_time_lose_no_key(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        for done in [pool.submit(_make_ten, tmp_path, who) for who in range(3)]:
            done.result()
    assert len({k.name for k in list_keys(tmp_path)}) == 30
    assert not [f for f in os.listdir(tmp_path) if f.endswith(".tmp")]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_key(tmp_path, "a")
    monkeypatch.setattr(os, "rename", _disk_full)
    with pytest.raises(OSError, match="No space"):
        create_key(tmp_path, "b")
    assert [k.name for k in list_keys(tmp_path)] == ["a"]
    assert sorted(os.listdir(tmp_path)) == ["keys.json", "keys.lock"]


def _disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")
