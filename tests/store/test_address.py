from __future__ import annotations

from pathlib import Path

import pytest

from freehold.store.address import StoreError, database, parse


def test_without_a_url_it_is_a_file_of_ours_in_the_data_directory(tmp_path: Path) -> None:
    address = database(tmp_path, {})
    assert address.file == tmp_path / "freehold.db" and address.own


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@h:5433/app", "postgres://u:secret@h:5433/app", "postgresql+psycopg2://u:secret@h:5433/app"]
)
def test_postgresql_is_named_without_its_password(url: str) -> None:
    address = database(Path("data"), {"FREEHOLD_DATABASE_URL": url})
    assert address.url == "postgresql+psycopg://u:secret@h:5433/app"
    assert address.name == "PostgreSQL database 'app' on h:5433"
    assert address.file is None and not address.own


def test_a_sqlite_file_may_be_anywhere() -> None:
    assert parse("sqlite:////var/lib/f.db").file == Path("/var/lib/f.db")
    assert parse("sqlite:///f.db").file == Path("f.db")


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:secret@h/x",
        "sqlite://",
        "sqlite:///",
        "secret",
        "postgresql:secret",
        "postgresql://u:secret@h:port/x",
        "postgresql://u:12/secret@h/x",
        "postgresql://u:12#secret@h/x",
    ],
)
def test_other_urls_are_refused_with_the_forms_there_are_and_not_shown(url: str) -> None:
    with pytest.raises(StoreError, match="postgresql://USER") as raised:
        parse(url)
    assert "secret" not in str(raised.value)
