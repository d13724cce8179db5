from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import json

from freehold.control.actor import command
from freehold.control.keyfile import KeyFileError, path, take_over
from freehold.control.keys import Keys
from freehold.control.plane import Plane

ROOT = command()
RECORD = {
    "id": "key_0123456789ab",
    "name": "old",
    "digest": "ab" * 32,
    "prefix": "fh_abc",
    "last4": "wxyz",
    "created": 1_790_000_000,
}


def write(folder: Path, *records: dict[str, object], version: int = 1) -> None:
    path(folder).write_bytes(json.encode({"version": version, "keys": records}))


def test_keys_are_taken_over_with_their_ids_and_digests_and_the_file_goes(plane: Plane) -> None:
    write(plane.data, RECORD, {**RECORD, "id": "key_2", "digest": "cd" * 32, "models": ["fast"], "disabled": True})
    (plane.data / "keys.lock").touch()
    assert take_over(plane) == 2
    found = {key.id: key for key in Keys().page(plane, ROOT, {})[0]}
    old = found["key_0123456789ab"]
    assert (old.name, old.prefix, old.last4, old.models, old.disabled) == ("old", "fh_abc", "wxyz", ["*"], False)
    assert old.created_at is not None and old.created_at.timestamp() == 1_790_000_000
    assert found["key_2"].disabled and found["key_2"].models == ["fast"]
    assert not path(plane.data).exists() and not (plane.data / "keys.lock").exists()
    assert take_over(plane) == 0


def test_one_that_was_killed_before_the_file_was_gone_takes_no_key_twice(plane: Plane) -> None:
    write(plane.data, RECORD)
    take_over(plane)
    write(plane.data, RECORD)
    assert take_over(plane) == 0 and len(Keys().page(plane, ROOT, {})[0]) == 1
    assert not path(plane.data).exists()


@pytest.mark.parametrize("content", [b"", b"{", b'{"version":2,"keys":[]}', b'{"version":1,"keys":[{"id":"a"}]}'])
def test_a_file_that_is_none_stays_and_is_told(plane: Plane, content: bytes) -> None:
    path(plane.data).write_bytes(content)
    with pytest.raises(KeyFileError, match="not a key file"):
        take_over(plane)
    assert path(plane.data).read_bytes() == content


def test_a_digest_of_another_length_is_no_key_file(plane: Plane) -> None:
    write(plane.data, {**RECORD, "digest": "abcd"})
    with pytest.raises(KeyFileError):
        take_over(plane)
