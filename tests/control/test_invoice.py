from __future__ import annotations

from datetime import date
from io import StringIO

import pytest

from freehold.control.invoice import Amounts, InvoiceError, read_invoice

DAY = date(2026, 11, 23)


def read(text: str) -> dict[tuple[date, str], Amounts]:
    return read_invoice(StringIO(text, newline="")).lines


def test_the_plain_form() -> None:
    invoice = read_invoice(StringIO("date,model,input_tokens,output_tokens,cost_usd\n2026-11-23,m,10,5,0.000000001\n"))
    assert (invoice.form, invoice.told) == ("plain", ("input", "output", "cost_nusd"))
    assert invoice.lines == {(DAY, "m"): Amounts(10, 5, 1)}


def test_lines_of_one_day_and_model_are_added_up() -> None:
    text = "date,model,cost_usd\n2026-11-23,m,1.5\n2026-11-23,m,0.25\n2026-11-24,m,1\n2026-11-23,n,-0.5\n"
    assert read(text) == {
        (DAY, "m"): Amounts(cost_nusd=1_750_000_000),
        (date(2026, 11, 24), "m"): Amounts(cost_nusd=10**9),
        (DAY, "n"): Amounts(cost_nusd=-500_000_000),
    }


def test_openai_usage_counts_cached_tokens_as_input() -> None:
    text = (
        "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,input_tokens,output_tokens,"
        "input_cached_tokens\n1795392000,1795478400,2026-11-23T00:00:00+00:00,2026-11-24T00:00:00+00:00,p,3,gpt-4o,100,20,40\n"
    )
    assert read(text) == {(DAY, "gpt-4o"): Amounts(100, 20)}
    assert read("start_time,model,input_tokens,output_tokens\n1795392000,m,1,2\n") == {(DAY, "m"): Amounts(1, 2)}


def test_openai_costs_name_the_model_before_a_comma() -> None:
    text = (
        "start_time,start_time_iso,amount_value,amount_currency,line_item\n"
        '1795392000,2026-11-23T00:00:00+00:00,0.10,usd,"gpt-4o-2024-08-06, input"\n'
        '1795392000,2026-11-23T00:00:00+00:00,0.25,usd,"gpt-4o-2024-08-06, output"\n'
    )
    invoice = read_invoice(StringIO(text))
    assert invoice.told == ("cost_nusd",) and invoice.form == "openai"
    assert invoice.lines == {(DAY, "gpt-4o-2024-08-06"): Amounts(cost_nusd=350_000_000)}


def test_anthropic_usage_adds_up_every_kind_of_input() -> None:
    text = (
        "usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,"
        "usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens\n2026-11-23,claude-a,k,1,20,300,4000,5\n"
    )
    assert read(text) == {(DAY, "claude-a"): Amounts(4321, 5)}
    assert read("usage_date_utc,model,cost_usd,token_type\n2026-11-23,Claude A,1.25,input\n") == {
        (DAY, "Claude A"): Amounts(cost_nusd=1_250_000_000)
    }


@pytest.mark.parametrize("head", ["\ufeffdate,model,cost_usd", " Date , MODEL,cost_usd", "x,cost_usd,model,date"])
def test_columns_are_found_in_any_order_and_spelling(head: str) -> None:
    row = "1,2,m,2026-11-23" if head.startswith("x") else "2026-11-23,m,2"
    assert read(f"{head}\n{row}\n\n") == {(DAY, "m"): Amounts(cost_nusd=2 * 10**9)}


@pytest.mark.parametrize(
    ("day", "read_as"),
    [("2026-11-23T23:30:00-02:00", date(2026, 11, 24)), ("2026-11-23T23:30:00Z", DAY), ("2026-11-23 10:00", DAY)],
)
def test_days_are_utc(day: str, read_as: date) -> None:
    assert list(read(f"date,model,cost_usd\n{day},m,1\n")) == [(read_as, "m")]


def test_numbers_may_have_separators_and_be_absent() -> None:
    text = 'date,model,input_tokens,cost_usd\n2026-11-23,m,"1,234","$1,000.50"\n2026-11-24,m,,\n2026-11-25,m,5.0,1e-9\n'
    assert list(read(text).values()) == [Amounts(1234, None, 1000_500_000_000), Amounts(0, None, 0), Amounts(5, None, 1)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: no bill .* these columns: none"),
        ("a,b\n", "these columns: a, b; the plain form is date,model"),
        ("date,model\n", "no bill"),
        ("date,model,cost_usd\nsoon,m,1\n", "line 2: date is 'soon'; write a UTC date"),
        ("date,model,cost_usd\n2026-13-01,m,1\n", "line 2: date"),
        ("date,model,cost_usd\n2026-11-23,m,one\n", "line 2: cost_usd is 'one'; it must be a number"),
        ("date,model,cost_usd\n2026-11-23,m,nan\n", "line 2: cost_usd"),
        ("date,model,cost_usd\n2026-11-23,m,1e99\n", "line 2: cost_usd"),
        ("date,model,input_tokens\n2026-11-23,m,1.5\n", "line 2: input_tokens is '1.5'; it must be a whole number"),
        ("date,model,input_tokens\n2026-11-23,m,-1\n", "0 or more"),
        ("date,model,cost_usd\n2026-11-23,m,1\n2026-11-23,m\n", "line 3: it has not as many cells"),
        ("date,model,cost_usd\n2026-11-23,m,1,2\n", "line 2: it has not as many cells"),
        ("start_time_iso,amount_value,amount_currency,line_item\n2026-11-23,1,eur,m\n", "amount_currency is 'eur'"),
        ('date,model,cost_usd\n2026-11-23,"m\n', "it is no CSV"),
        ("date,model,cost_usd\n99999999999999999999,m,1\n", "line 2: date"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, says: str) -> None:
    with pytest.raises(InvoiceError, match=says):
        read(text)
