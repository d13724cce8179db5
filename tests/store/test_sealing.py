from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.store import masterkey
from freehold.store.sealing import OVERHEAD_BYTES, MasterKey, Place, SealError, WorkspaceKey

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
HERE = Place("providers", "api_key", "prov_1")
SECRET = b"sk-very-secret"
WRAPPED = (
    "0130437877bebfe299a1383e2d0ce93de4eb1ed61584a56bb193cdc3092910fe5d340067bb1229612739d9e82fc954b320d2"
    "732d7e8aa1cf4ce4ef2d0c7e1b83997b66bb526c1e504871df3671dbaff1ae"
)
SEALED = "014d98edcbbfb60daa2e79c513a9b686e2a808181674e2826c7c0ec9d6690bdcadd184bea3a5a896badfe73465667abca9d0f8de2787676b8efedc"


@pytest.fixture
def master() -> MasterKey:
    return MasterKey(OLD)


@pytest.fixture
def key(master: MasterKey) -> WorkspaceKey:
    return master.unwrap(master.new_workspace_key("acme"), "acme")


@given(st.binary(max_size=2000), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_what_is_sealed_opens_where_it_was_put(value: bytes, table: str, column: str, row: str) -> None:
    key = WorkspaceKey(OLD, "w")
    sealed = key.seal(value, Place(table, column, row))
    assert key.open(sealed, Place(table, column, row)) == value
    assert len(sealed) == len(value) + OVERHEAD_BYTES


def test_the_same_value_is_sealed_differently_every_time_and_not_readable(key: WorkspaceKey) -> None:
    sealed = {key.seal(SECRET, HERE) for _ in range(50)}
    assert len(sealed) == 50 and not any(SECRET in one for one in sealed)


@pytest.mark.parametrize(
    "place",
    [
        HERE._replace(row="prov_2"),
        HERE._replace(column="headers"),
        HERE._replace(table="provider"),
        Place("providersapi", "_key", "prov_1"),
        Place("providers", "api_keyprov_1", ""),
    ],
)
def test_a_value_moved_elsewhere_does_not_open(key: WorkspaceKey, place: Place) -> None:
    with pytest.raises(SealError, match="moved here from another row") as raised:
        key.open(key.seal(SECRET, HERE), place)
    assert "secret" not in str(raised.value) and place.table in str(raised.value)


def test_a_value_of_another_workspace_does_not_open_even_with_the_same_key(master: MasterKey, key: WorkspaceKey) -> None:
    other = master.unwrap(master.new_workspace_key("rival"), "rival")
    with pytest.raises(SealError, match="another workspace"):
        other.open(key.seal(SECRET, HERE), HERE)
    with pytest.raises(SealError, match="altered"):
        WorkspaceKey(OLD, "a").open(WorkspaceKey(OLD, "b").seal(SECRET, HERE), HERE)


@pytest.mark.parametrize("at", range(OVERHEAD_BYTES + len(SECRET)))
def test_every_flipped_bit_is_noticed(key: WorkspaceKey, at: int) -> None:
    sealed = bytearray(key.seal(SECRET, HERE))
    sealed[at] ^= 0x10
    with pytest.raises(SealError):
        key.open(bytes(sealed), HERE)


@pytest.mark.parametrize("length", range(OVERHEAD_BYTES + len(SECRET)))
def test_every_cut_is_noticed(key: WorkspaceKey, length: int) -> None:
    with pytest.raises(SealError, match="cut short" if length < OVERHEAD_BYTES else "altered"):
        key.open(key.seal(SECRET, HERE)[:length], HERE)


def test_a_later_version_is_said_to_be_one(master: MasterKey, key: WorkspaceKey) -> None:
    with pytest.raises(SealError, match="version 2; this Freehold reads version 1"):
        key.open(b"\x02" + key.seal(SECRET, HERE)[1:], HERE)
    with pytest.raises(SealError, match="version 2; this Freehold reads version 1"):
        master.unwrap(b"\x02" + master.new_workspace_key("w")[1:], "w")


def test_a_wrapped_key_belongs_to_its_workspace(master: MasterKey) -> None:
    wrapped = master.new_workspace_key("acme")
    with pytest.raises(SealError, match="'rival' does not open"):
        master.unwrap(wrapped, "rival")


@pytest.mark.parametrize("length", [0, 1, 8, 40, 80])
def test_a_wrapped_key_that_is_cut_says_so(master: MasterKey, length: int) -> None:
    with pytest.raises(SealError, match="cut short"):
        master.unwrap(master.new_workspace_key("w")[:length], "w")


@pytest.mark.parametrize("at", range(81))
def test_every_flipped_bit_of_a_wrapped_key_is_noticed(master: MasterKey, at: int) -> None:
    wrapped = bytearray(master.new_workspace_key("w"))
    wrapped[at] ^= 1
    with pytest.raises(SealError):
        master.unwrap(bytes(wrapped), "w")


def test_another_master_key_is_said_with_both_ids_and_what_to_do(master: MasterKey) -> None:
    wrapped = master.new_workspace_key("w")
    with pytest.raises(SealError, match="FREEHOLD_MASTER_KEY_PREVIOUS") as raised:
        MasterKey(NEW).unwrap(wrapped, "w")
    assert master.id.hex() in str(raised.value) and MasterKey(NEW).id.hex() in str(raised.value)


def test_rotation_wraps_anew_and_leaves_what_is_sealed(master: MasterKey) -> None:
    wrapped = master.new_workspace_key("w")
    sealed = master.unwrap(wrapped, "w").seal(SECRET, HERE)
    both = MasterKey(NEW, [OLD])
    assert not both.is_current(wrapped)
    again = both.rewrap(wrapped, "w")
    assert both.is_current(again) and both.rewrap(again, "w") == again
    assert MasterKey(NEW).unwrap(again, "w").open(sealed, HERE) == SECRET
    assert both.unwrap(wrapped, "w").open(sealed, HERE) == SECRET, "the old wrapping still opens while the old key is known"
    with pytest.raises(SealError):
        master.unwrap(again, "w")
    with pytest.raises(SealError, match="another workspace"):
        both.rewrap(wrapped, "x")


def test_derived_keys_differ_by_purpose_salt_and_master(master: MasterKey) -> None:
    both = MasterKey(NEW, [OLD])
    made = {both.derive("backup", b"a"), both.derive("backup", b"b"), both.derive("other", b"a"), master.derive("backup", b"a")}
    assert len(made) == 4
    assert both.derive("backup", b"a", master.id) == master.derive("backup", b"a")
    with pytest.raises(SealError, match="known are only"):
        master.derive("backup", b"a", both.id)


def test_keys_are_not_shown(master: MasterKey, key: WorkspaceKey) -> None:
    assert OLD.hex() not in repr(master)
    assert repr(key) == "WorkspaceKey('acme')"


def test_the_formats_stay_readable() -> None:
    """Made once: values like these are in databases."""
    wrapped = bytes.fromhex(WRAPPED)
    sealed = bytes.fromhex(SEALED)
    assert MasterKey(OLD).unwrap(wrapped, "acme").open(sealed, HERE) == SECRET


def test_nothing_is_loaded_before_something_is_sealed() -> None:
    code = (
        "import sys, freehold.store.sealing, freehold.store.masterkey, freehold.config.load;"
        "print(sorted({'cryptography', 'hvac', 'requests', 'sqlalchemy'} & {*sys.modules}))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_loaded_key_is_the_one_that_its_source_holds(tmp_path: Path) -> None:
    made = MasterKey.load({}, tmp_path)
    assert MasterKey.load({}, tmp_path, make=False).id == made.id
    masterkey.rotate_file(tmp_path)
    rotated = MasterKey.load({}, tmp_path)
    assert rotated.id != made.id and rotated.known == [rotated.id.hex(), made.id.hex()]
    assert rotated.unwrap(made.new_workspace_key("w"), "w").workspace == "w"


def test_a_key_that_another_process_put_into_use_is_found_when_it_is_met(tmp_path: Path) -> None:
    running = MasterKey.load({}, tmp_path)
    masterkey.rotate_file(tmp_path)
    wrapped = MasterKey.load({}, tmp_path).new_workspace_key("w")
    assert MasterKey.wrapped_by(wrapped) != running.id.hex()
    assert running.unwrap(wrapped, "w").workspace == "w"
    assert running.is_current(running.new_workspace_key("w")), "its own is in use until it starts again"
    masterkey.path(tmp_path).unlink()
    with pytest.raises(SealError, match="there is no master key"):
        running.unwrap(MasterKey(NEW).new_workspace_key("w"), "w")
