from __future__ import annotations

import os
from pathlib import Path

import pytest

from freehold.config.references import MAX_BYTES, References, SecretError, is_reference


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"s3cret", "s3cret"),
        (b"s3cret\n", "s3cret"),
        (b"s3cret\r\n", "s3cret"),
        (b" two words \n\n", " two words \n"),
        ("é".encode(), "é"),
    ],
)
def test_a_files_last_line_end_is_no_part_of_the_secret(tmp_path: Path, content: bytes, secret: str) -> None:
    (tmp_path / "x").write_bytes(content)
    assert References({}).resolve(f"file:{tmp_path}/x") == secret


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "can't be read: No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xffs3cret", "not UTF-8"),
        (b"s3cret" * MAX_BYTES, "longer than"),
    ],
)
def test_a_file_without_a_secret_is_named_and_nothing_of_it_shown(tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(SecretError, match=says) as raised:
        References({}).resolve(f"file:{tmp_path}/x")
    assert f"file:{tmp_path}/x" in str(raised.value) and "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "reference", ["file:", "file:x", "file:../x", "vault:", "vault:secret/x", "vault:#key", "vault:secret/x#"]
)
def test_a_reference_that_names_nothing_shows_how_to_write_one(reference: str) -> None:
    with pytest.raises(SecretError, match=r"write (file:/run/secrets/NAME|vault:PATH#FIELD)"):
        References({"VAULT_ADDR": "http://127.0.0.1:1"}).resolve(reference)


def test_a_directory_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="can't be read: Is a directory"):
        References({}).resolve(f"file:{tmp_path}")


def test_only_the_two_prefixes_make_a_reference() -> None:
    assert is_reference("file:/x") and is_reference("vault:x#y")
    assert not any(map(is_reference, ("", "sk-file:", "File:/x", "https://vault", "vault", " vault:x#y")))


def test_it_notices_every_way_in_which_a_secret_file_is_replaced(tmp_path: Path) -> None:
    """As an editor does, as a mounted secret does, and one that appears or goes."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_text(f"value-{name}")
    (tmp_path / "now").symlink_to("one")
    references = References({})

    def read() -> str:
        references.begin()
        return references.resolve(f"file:{tmp_path}/now/x")

    assert read() == "value-one" and not references.changed()
    (tmp_path / "next").symlink_to("two")
    os.rename(tmp_path / "next", tmp_path / "now")
    assert references.changed()
    assert read() == "value-two" and not references.changed()
    (tmp_path / "two/x").write_text("other")
    assert references.changed()
    (tmp_path / "two/x").unlink()
    with pytest.raises(SecretError):
        read()
    assert not references.changed()
    (tmp_path / "two/x").write_text("back")
    assert references.changed() and read() == "back"


def test_a_new_reading_forgets_the_files_of_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a")
    references = References({})
    references.resolve(f"file:{tmp_path}/x")
    references.begin()
    (tmp_path / "x").write_text("bb")
    assert not references.changed() and not references.remote
