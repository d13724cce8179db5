from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text, inspect, text

from freehold.store import rows, schema, tenants
from freehold.store.address import StoreError, database
from freehold.store.engine import is_postgresql, open_engine, reading, writing
from freehold.store.migrate import VERSION_TABLE, upgrade
from tests.samples import ROWS, content, fill
from tests.store.conftest import Store

METADATA = schema.metadata
assert tenants.metadata is METADATA


def test_every_table_of_the_database_is_one_that_backups_know(store: Store) -> None:
    assert {*inspect(store.engine).get_table_names()} == {*METADATA.tables, VERSION_TABLE}
    assert all(rows.plain_type(column) for table in METADATA.tables.values() for column in table.columns)


def test_tables_can_be_put_in_an_order_in_which_references_come_after_what_they_lead_to() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # SQLAlchemy only warns of a cycle
        assert len(METADATA.sorted_tables) == len(METADATA.tables)


def test_what_is_read_from_one_database_and_written_into_another_is_the_same(store: Store, tmp_path: Path) -> None:
    fill(store.engine, METADATA)
    other = open_engine(database(tmp_path / "other", {}))
    upgrade(other)
    for source, target in ((store.engine, other), (other, store.engine)):
        with reading(source) as connection:
            rows.lock(connection, METADATA.sorted_tables)
            read = {table: list(rows.read(connection, table)) for table in METADATA.sorted_tables}
        with writing(target, "test") as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(table.delete())
            writer = rows.Writer(connection)
            for table, batches in read.items():
                writer.write(table, batches)
                assert rows.count(connection, table) == sum(map(len, batches)) >= ROWS
        assert content(target, METADATA) == content(source, METADATA)
    other.dispose()


def test_rows_come_in_batches_of_a_bounded_size(store: Store) -> None:
    blob = Table("blob", MetaData(), Column("id", BigInteger, primary_key=True), Column("data", Text))
    with writing(store.engine, "test") as connection:
        blob.create(connection)
        connection.execute(blob.insert(), [{"id": i, "data": "x" * (600_000 if i < 5 else 1)} for i in range(1200)])
    with reading(store.engine) as connection:
        sizes = [len(batch) for batch in rows.read(connection, blob)]
    assert sum(sizes) == 1200 and max(sizes) <= rows.BATCH_ROWS and sizes[:2] == [2, 2]


def test_a_kind_of_column_that_is_not_known_is_refused_not_guessed() -> None:
    table = Table("t", MetaData(), Column("at", DateTime))
    with pytest.raises(StoreError, match=r"t\.at"):
        rows.plain_type(table.c.at)


def test_a_row_that_does_not_fit_is_told_without_its_values(store: Store) -> None:
    broken = [[["id", "s3cret"] + [None] * (len(schema.workspaces.columns) - 2)]]
    with pytest.raises(StoreError, match="table workspaces: ") as raised, writing(store.engine, "test") as connection:
        rows.Writer(connection).write(schema.workspaces, broken)
    assert "s3cret" not in str(raised.value)


def test_a_reference_that_leads_nowhere_is_refused_at_the_end(store: Store) -> None:
    fill(store.engine, METADATA)
    with reading(store.engine) as connection:
        [[first, *_]] = rows.read(connection, tenants.teams)
    lost = ["no such workspace", "x", "other name", *first[3:]]
    with pytest.raises(Exception, match=r"(?i)foreign key"), writing(store.engine, "test") as connection:
        rows.Writer(connection).write(tenants.teams, [[lost]])


def test_a_sequence_goes_on_after_what_was_written(store: Store) -> None:
    counted = Table("counted", MetaData(), Column("id", BigInteger, primary_key=True), Column("x", Text))
    with writing(store.engine, "test") as connection:
        kind = "BIGSERIAL" if is_postgresql(store.engine) else "INTEGER"
        connection.execute(text(f"CREATE TABLE counted (id {kind} PRIMARY KEY, x TEXT)"))
        rows.Writer(connection).write(counted, [[[41, "a"]]])
        connection.execute(text("INSERT INTO counted (x) VALUES ('b')"))
        assert connection.execute(text("SELECT max(id) FROM counted")).scalar() == 42
