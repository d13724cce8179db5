"""`freehold usage`: any measure of calls by anything, from the ledger's roll-ups."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct, json

from freehold.cli.ledger import WORKSPACE, opened, waiting
from freehold.cli.settings import Failed
from freehold.cli.table import table
from freehold.cli.when import when_ms
from freehold.control.export import ExportError, Format, moment, usage_columns, usage_rows, write
from freehold.control.usage import USUAL, Question, Step, Usage, UsageError, ask
from freehold.policy.pricing import format_usd
from freehold.store.engine import reading


class Asked(Struct, frozen=True, kw_only=True):
    """As on the command line. `by`, `measures`: names with commas between; `where`: NAME=VALUE, of one name any of the values."""

    by: str = ""
    measures: str = ""
    bucket: Step = "none"
    since: str | None = None
    until: str | None = None
    where: tuple[str, ...] = ()
    order: str = ""
    limit: int | None = None


def show(data: Path, asked: Asked, form: str, output: Path | None) -> None:
    """Raises Failed, StoreError, OSError."""
    question = _question(asked, time.time())
    with opened(data) as engine:
        missing = waiting(data, engine, question.from_ms, question.to_ms)
        try:
            with reading(engine) as connection:
                usage = ask(connection, question)
        except UsageError as error:
            raise Failed(str(error)) from None
    for note in _notes(question, usage, missing):
        print(f"note: {note}", file=sys.stderr)
    with target(output, form) as out:
        if form in ("table", "json"):
            out.write((as_json(usage, missing) if form == "json" else as_table(usage)).encode() + b"\n")
        else:
            written(form, usage, out)


def written(form: str, usage: Usage, out: BinaryIO) -> None:
    shape: Format = "csv" if form == "csv" else "parquet"
    try:
        write(shape, usage_columns(usage), usage_rows(usage), out)
    except ExportError as error:
        raise Failed(str(error)) from None


@contextmanager
def target(output: Path | None, form: str) -> Iterator[BinaryIO]:
    """The file, or stdout. Raises Failed for bytes that would be shown in a terminal."""
    if output is not None:
        with output.open("wb") as file:
            yield file
        return
    if form == "parquet" and sys.stdout.isatty():
        raise Failed("Parquet is not for the screen; name a file with --output")
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def pairs(where: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """NAME=VALUE, each name with all its values. Raises Failed."""
    found: dict[str, tuple[str, ...]] = {}
    for one in where:
        name, equals, value = one.partition("=")
        if not equals or not name:
            raise Failed(f"--where {one!r} is no NAME=VALUE")
        found[name] = (*found.get(name, ()), value)
    return found


def _question(asked: Asked, now_s: float) -> Question:
    return Question(
        workspace=WORKSPACE,
        measures=_names(asked.measures) or USUAL,
        by=_names(asked.by),
        step=asked.bucket,
        from_ms=when_ms(asked.since, "--from", now_s) if asked.since else 0,
        to_ms=when_ms(asked.until, "--to", now_s) if asked.until else None,
        where=pairs(asked.where),
        order=asked.order,
        limit=asked.limit,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _notes(question: Question, usage: Usage, missing: str) -> list[str]:
    notes = []
    if usage.from_ms != question.from_ms or usage.to_ms != question.to_ms:
        end = moment(usage.to_ms) if usage.to_ms is not None else "now"
        notes.append(f"finer records have been removed; these numbers are from {moment(usage.from_ms)} to {end}")
    if question.limit is not None and usage.groups > question.limit:
        notes.append(f"{question.limit} of {usage.groups:,} groups are shown")
    return [*notes, *([missing] if missing else [])]


def as_table(usage: Usage) -> str:
    stepped = any(row.at_ms is not None for row in usage.rows)
    heads = [*(["FROM"] if stepped else []), *(name.upper() for name in usage.by), *map(_head, usage.measures)]
    rows = []
    for row in usage.rows:
        values = (_cell(name, value) for name, value in zip(usage.measures, row.values, strict=True))
        rows.append([*([_short(row.at_ms or 0)] if stepped else []), *(text or "-" for text in row.group), *values])
    return table(heads, rows, right=range(len(heads) - len(usage.measures), len(heads)))


def as_json(usage: Usage, missing: str) -> str:
    rows = []
    for row in usage.rows:
        at = {} if row.at_ms is None else {"from": moment(row.at_ms)}
        rows.append(at | dict(zip(usage.by, row.group, strict=True)) | dict(zip(usage.measures, row.values, strict=True)))
    whole = {"from_ms": usage.from_ms, "to_ms": usage.to_ms, "groups": usage.groups, "note": missing, "rows": rows}
    return json.format(json.encode(whole), indent=2).decode()


def _head(measure: str) -> str:
    return measure.removesuffix("_nusd").removesuffix("_us").upper() + (
        " USD" if measure.endswith("_nusd") else " MS" if measure.endswith("_us") else ""
    )


def _cell(measure: str, value: int | None) -> str:
    if value is None:
        return "-"
    if measure.endswith("_nusd"):
        return format_usd(value)
    return f"{value / 1000:,.1f}" if measure.endswith("_us") else f"{value:,}"


def _short(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%d" if ms % 86_400_000 == 0 else "%Y-%m-%dT%H:%M")
