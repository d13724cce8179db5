"""Write usage or calls as CSV or Parquet, batch by batch: however many rows there are, only one batch is in memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any, BinaryIO, Literal, get_args

from msgspec import Struct, json, structs

from freehold.control.usage import Usage
from freehold.store.schema import calls
from freehold.store.spool import LedgerLine

Format = Literal["csv", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportError(Exception):
    """It can't be written in this form here; the message says what to do."""


class Column(Struct, frozen=True):
    """`kind`: str, int, float or bool; any value may be None."""

    name: str
    kind: type


Rows = Iterable[Sequence[tuple[Any, ...]]]


def write(form: Format, columns: Sequence[Column], batches: Rows, out: BinaryIO) -> int:
    """Returns how many rows. Raises ExportError, OSError, and what `batches` raises."""
    return _csv(columns, batches, out) if form == "csv" else _parquet(columns, batches, out)


def usage_columns(usage: Usage) -> list[Column]:
    time = [Column("from", str)] if any(row.at_ms is not None for row in usage.rows) else []
    return [*time, *(Column(name, str) for name in usage.by), *(Column(name, int) for name in usage.measures)]


def usage_rows(usage: Usage) -> Rows:
    stepped = any(row.at_ms is not None for row in usage.rows)
    return [[(*([moment(row.at_ms or 0)] if stepped else []), *row.group, *row.values) for row in usage.rows]]


# A call's fields as they are, but `attempts` and `tags` as JSON text.
CALL_COLUMNS = [Column(c.name, str if c.name in ("attempts", "tags") else c.type.python_type) for c in calls.columns]


def call_rows(batches: Iterable[Sequence[LedgerLine]]) -> Iterator[list[tuple[Any, ...]]]:
    for lines in batches:
        yield [
            tuple(json.encode(value).decode() if isinstance(value, dict | list) else value for value in structs.astuple(line))
            for line in lines
        ]


def moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _csv(columns: Sequence[Column], batches: Rows, out: BinaryIO) -> int:
    count = 0
    text = TextIOWrapper(out, "utf-8", newline="", write_through=False)
    try:
        writer = csv.writer(text)
        writer.writerow([column.name for column in columns])
        for rows in batches:
            writer.writerows([[_cell(value) for value in row] for row in rows])
            count += len(rows)
        text.flush()
    finally:
        text.detach()  # `out` stays open
    return count


def _cell(value: Any) -> Any:
    """Spreadsheets run a text that begins like a formula, and clients write texts: it gets an apostrophe, as they do it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "'" + value if isinstance(value, str) and value.startswith(_FORMULA) else value


def _parquet(columns: Sequence[Column], batches: Rows, out: BinaryIO) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ExportError('Parquet needs the package pyarrow: pip install "freehold[parquet]"; or write csv') from None
    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(column.name, kinds[column.kind]) for column in columns])
    count = 0
    with parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for rows in batches:
            if not rows:
                continue
            arrays = [pyarrow.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
            writer.write_batch(pyarrow.record_batch(arrays, schema=schema))
            count += len(rows)
    return count
