from __future__ import annotations

import base64
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from freehold.store.masterkey import find, path, rotate_file
from freehold.store.sealing import SealError

KEY, OLDER = bytes(range(200, 232)), bytes(range(32))
BASE64, HEX = base64.b64encode(KEY).decode(), OLDER.hex()
URLSAFE = base64.urlsafe_b64encode(KEY).decode().rstrip("=")


@pytest.mark.parametrize("text", [BASE64, URLSAFE, KEY.hex(), KEY.hex().upper(), f"  {BASE64}\n"])
def test_a_key_in_the_environment_may_be_base64_or_hex(tmp_path: Path, text: str) -> None:
    assert "-" in URLSAFE or "_" in URLSAFE
    assert find({"FREEHOLD_MASTER_KEY": text}, tmp_path, make=True) == [KEY]
    assert os.listdir(tmp_path) == [], "none is made beside it"


def test_previous_keys_come_after_the_one_in_use(tmp_path: Path) -> None:
    env = {"FREEHOLD_MASTER_KEY": BASE64, "FREEHOLD_MASTER_KEY_PREVIOUS": f"{HEX}, {HEX}"}
    assert find(env, tmp_path, make=True) == [KEY, OLDER, OLDER]
    assert find({"FREEHOLD_MASTER_KEY": f"{BASE64} {HEX}"}, tmp_path, make=True) == [KEY, OLDER]


def test_a_key_may_be_in_a_file_or_behind_a_reference(tmp_path: Path) -> None:
    (tmp_path / "k 1").write_text(BASE64 + "\n")
    (tmp_path / "old").write_text(HEX + "\n")
    old = {"FREEHOLD_MASTER_KEY_PREVIOUS": f"file:{tmp_path / 'old'}"}
    assert find({"FREEHOLD_MASTER_KEY_FILE": str(tmp_path / "k 1"), **old}, tmp_path, make=True) == [KEY, OLDER]
    assert find({"FREEHOLD_MASTER_KEY": f"file:{tmp_path / 'old'}"}, tmp_path, make=True) == [OLDER]


@pytest.mark.parametrize(
    ("env", "says"),
    [
        (
            {"FREEHOLD_MASTER_KEY": "c2VjcmV0"},
            "FREEHOLD_MASTER_KEY holds 8 characters that are no master key; it holds 32 random",
        ),
        ({"FREEHOLD_MASTER_KEY": HEX[:-2]}, "62 characters"),
        ({"FREEHOLD_MASTER_KEY": BASE64, "FREEHOLD_MASTER_KEY_FILE": "x"}, "both set"),
        ({"FREEHOLD_MASTER_KEY_FILE": "/none/here"}, "FREEHOLD_MASTER_KEY_FILE: file:/none/here can't be read: No such file"),
        ({"FREEHOLD_MASTER_KEY": "vault:secret/x#y"}, "FREEHOLD_MASTER_KEY: .*VAULT_ADDR"),
        ({"FREEHOLD_MASTER_KEY": BASE64, "FREEHOLD_MASTER_KEY_PREVIOUS": "short"}, "PREVIOUS holds 5 characters"),
    ],
)
def test_what_is_no_key_is_refused_by_the_variable_and_not_shown(tmp_path: Path, env: dict[str, str], says: str) -> None:
    with pytest.raises(SealError, match=says) as raised:
        find(env, tmp_path, make=True)
    assert not any(secret in str(raised.value) for secret in ("c2VjcmV0", HEX[:-2], BASE64))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"nonsense", b"\xff\xfe", b"A" * 43 + b"=" * 9])
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path(tmp_path).write_bytes(content)
    with pytest.raises(SealError, match=r"master\.key"):
        find({}, tmp_path, make=True)
    with pytest.raises(SealError, match=r"master\.key"):
        rotate_file(tmp_path)
    assert path(tmp_path).read_bytes() == content


def test_the_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    [made] = find({}, data, make=True)
    assert find({}, data, make=True) == [made] and len(made) == 32
    assert stat.S_IMODE(path(data).stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert os.listdir(data) == ["master.key"]


def test_who_may_not_make_one_is_told_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SealError, match=r"master\.key does not exist and FREEHOLD_MASTER_KEY is not set"):
        find({}, tmp_path, make=False)
    assert os.listdir(tmp_path) == []


def _find(data: Path) -> list[bytes]:
    return find({}, data, make=True)


def test_several_that_make_it_at_once_agree(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        assert len({keys[0] for keys in pool.map(_find, [tmp_path] * 40)}) == 1
    assert os.listdir(tmp_path) == ["master.key"]


def test_rotation_keeps_those_before(tmp_path: Path) -> None:
    [first] = find({}, tmp_path, make=True)
    rotate_file(tmp_path)
    rotate_file(tmp_path)
    third, second, last = find({}, tmp_path, make=False)
    assert last == first and len({first, second, third}) == 3
    assert stat.S_IMODE(path(tmp_path).stat().st_mode) == 0o600


def test_of_two_that_rotate_at_once_neither_loses_a_key(tmp_path: Path) -> None:
    find({}, tmp_path, make=True)
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(rotate_file, [tmp_path] * 12))
    assert len(set(find({}, tmp_path, make=False))) == 13


def test_a_rotation_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find({}, tmp_path, make=True)
    monkeypatch.setattr(os, "replace", _disk_full)
    with pytest.raises(OSError, match="No space"):
        rotate_file(tmp_path)
    assert find({}, tmp_path, make=False) == before and os.listdir(tmp_path) == ["master.key"]


def _disk_full(*_: object) -> None:
    raise OSError(28, "No space left on device")
