"""A provider's bill or usage export, as CSV, read into amounts by day and model.

A form is recognised by its columns. Those of providers are read as their consoles and APIs name them; where one has changed, the
plain form always works: date, model, and any of input_tokens, output_tokens and cost_usd.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TextIO

from msgspec import Struct

MAX_COST_USD = 10**9  # on one line; more is a mistake
MAX_TOKENS = 10**15


class InvoiceError(ValueError):
    """It can't be read; the message names the line, what stands there, and what is expected."""


class Amounts(Struct):
    """None: not told. `input` includes cached tokens, both read and written."""

    input: int | None = None
    output: int | None = None
    cost_nusd: int | None = None

    def add(self, other: Amounts) -> None:
        for name in self.__struct_fields__:
            new = getattr(other, name)
            if new is not None:
                setattr(self, name, (getattr(self, name) or 0) + new)


class Invoice(Struct):
    """`form`: of which provider's, or "plain". `told`: those of Amounts that it has."""

    form: str
    told: tuple[str, ...]
    lines: dict[tuple[date, str], Amounts]


class _Form(Struct, frozen=True):
    """Columns. `day`, `model`, `cost`: the first that is there; `input`, `output`: all that are there, added up."""

    name: str
    day: tuple[str, ...]
    model: tuple[str, ...]
    input: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    cost: tuple[str, ...] = ()
    currency: tuple[str, ...] = ()


_STARTS = ("start_time_iso", "start_time")
_FORMS = (
    _Form(
        "anthropic",
        ("usage_date_utc",),
        ("model_version", "model"),
        (
            *("usage_input_tokens_no_cache", "usage_input_tokens_cache_read"),
            *("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"),
        ),
        ("usage_output_tokens",),
        ("cost_usd",),
    ),
    _Form("openai", _STARTS, ("model",), ("input_tokens",), ("output_tokens",)),
    # "gpt-4o-mini-2024-07-18, cached input": the model stands before the comma.
    _Form("openai", _STARTS, ("line_item",), (), (), ("amount_value",), ("amount_currency",)),
    _Form("plain", ("date",), ("model",), ("input_tokens",), ("output_tokens",), ("cost_usd",)),
)


def read_invoice(file: TextIO) -> Invoice:
    """Raises InvoiceError. `file` is opened with newline=""."""
    try:
        reader = csv.DictReader(file, strict=True)
        names = [name.strip().lower().lstrip("\ufeff") for name in reader.fieldnames or ()]
        form = _form(names)
        reader.fieldnames = names
        lines: dict[tuple[date, str], Amounts] = {}
        for key, amounts in _lines(reader, form, names):
            lines.setdefault(key, Amounts()).add(amounts)
    except csv.Error as error:
        raise InvoiceError(f"line {reader.line_num}: it is no CSV: {error}") from None
    except UnicodeDecodeError:
        raise InvoiceError("the file is not UTF-8; save it as CSV UTF-8") from None
    told = {"input": form.input, "output": form.output, "cost_nusd": form.cost}
    return Invoice(form.name, tuple(name for name, columns in told.items() if _there(columns, names)), lines)


def _form(names: list[str]) -> _Form:
    for form in _FORMS:
        measured = (*form.input, *form.output, *form.cost)
        if _there(form.day, names) and _there(form.model, names) and _there(measured, names):
            return form
    plain = "date,model,input_tokens,output_tokens,cost_usd"
    shown = ", ".join(names)[:300] or "none"
    raise InvoiceError(f"line 1: no bill or usage export known by these columns: {shown}; the plain form is {plain}")


def _there(columns: Iterable[str], names: list[str]) -> list[str]:
    return [column for column in columns if column in names]


def _lines(reader: csv.DictReader[str], form: _Form, names: list[str]) -> Iterator[tuple[tuple[date, str], Amounts]]:
    day, model = _there(form.day, names)[0], _there(form.model, names)[0]
    currency = _there(form.currency, names)
    for row in reader:
        at = reader.line_num
        if not any(value for value in row.values()):
            continue
        if None in row or None in row.values():
            raise InvoiceError(f"line {at}: it has not as many cells as line 1 has columns")
        if currency and row[currency[0]].strip().lower() not in ("usd", ""):
            raise InvoiceError(f"line {at}: {currency[0]} is {row[currency[0]][:20]!r}; the ledger is in US dollars")
        name = row[model].strip()
        if model == "line_item":
            name = name.partition(",")[0].strip()
        amounts = Amounts(_tokens(row, form.input, names, at), _tokens(row, form.output, names, at), _cost(row, form, names, at))
        yield (_day(row[day], day, at), name), amounts


def _day(value: str, column: str, at: int) -> date:
    text = value.strip()
    try:
        if text.isascii() and text.isdigit() and len(text) > 8:
            return datetime.fromtimestamp(int(text), UTC).date()
        moment = datetime.fromisoformat(text)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError, OSError):
        raise InvoiceError(f"line {at}: {column} is {value[:40]!r}; write a UTC date such as 2026-11-23") from None


def _tokens(row: dict[str, str], columns: Iterable[str], names: list[str], at: int) -> int | None:
    total: int | None = None
    for column in _there(columns, names):
        number = _number(row[column], column, at)
        if number != number.to_integral_value() or number > MAX_TOKENS:
            raise InvoiceError(f"line {at}: {column} is {row[column][:40]!r}; it must be a whole number")
        total = (total or 0) + int(number)
    return total


def _cost(row: dict[str, str], form: _Form, names: list[str], at: int) -> int | None:
    columns = _there(form.cost, names)
    if not columns:
        return None
    return round(_number(row[columns[0]], columns[0], at, signed=True) * 10**9)


def _number(value: str, column: str, at: int, *, signed: bool = False) -> Decimal:
    """An empty cell is 0. `signed`: credits are negative."""
    text = value.strip().replace(",", "").removeprefix("$")
    try:
        number = Decimal(text or "0")
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or (number < 0 and not signed) or abs(number) > max(MAX_COST_USD, MAX_TOKENS):
        raise InvoiceError(f"line {at}: {column} is {value[:40]!r}; it must be a number" + ("" if signed else ", 0 or more"))
    return number
