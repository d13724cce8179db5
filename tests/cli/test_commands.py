"""The commands as users run them: a process of its own, an empty environment, a fresh directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import freehold
from freehold.base import build
from freehold.store.address import database
from freehold.store.engine import open_engine
from freehold.store.feed import usable_keys
from freehold.store.migrate import upgrade
from freehold.store.schema import HEAD
from freehold.store.ship import ship
from freehold.store.spool import LedgerLine, Spool, read_lines

SRC = Path(__file__).parents[2] / "src"
CONFIG = """
discover: false
providers:
  lab: {dialect: openai_chat, base_url: "http://127.0.0.1:9/v1", price: {input: 1, output: 2.5}, models: [small]}
routes:
  fast-model: {targets: [{provider: lab, model: small}, {provider: lab, model: big}]}
"""


def run(cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "freehold", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_version_says_how_it_was_built() -> None:
    assert run(Path.cwd(), "version").stdout == f"freehold {freehold.__version__} ({build.description()})\n"


def test_check_counts_what_a_right_file_holds(tmp_path: Path) -> None:
    (tmp_path / "freehold.yaml").write_text(CONFIG)
    done = run(tmp_path, "check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok: 1 provider, 1 route, 0 keys\n", "")


@pytest.mark.parametrize("command", [("check",), ("up", "--port", "0"), ("models",)])
def test_mistakes_are_listed_with_their_lines_and_end_with_code_2(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "my.yaml").write_text("providers:\n  openia: {api_key: x}\nkeys: [{name: a, key: short}]\n")
    done = run(tmp_path, *command, "--config", "my.yaml")
    assert done.returncode == 2
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [
        ["my.yaml:2", "providers.openia"],
        ["my.yaml:3", "keys[0].key"],
    ]
    assert not (tmp_path / "data").exists()


def test_check_says_which_secrets_are_not_to_be_had(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret-" + "x" * 20 + "\n")
    (tmp_path / "freehold.yaml").write_text(
        CONFIG + f"keys:\n  - {{name: a, key: 'file:{tmp_path}/secret'}}\n  - {{name: b, key: 'file:{tmp_path}/none'}}\n"
        "  - {name: c, key: 'vault:secret/c#key'}\n"
    )
    done = run(tmp_path, "check", VAULT_ADDR="http://127.0.0.1:1", VAULT_TOKEN="t0ken")
    assert done.returncode == 2 and "s3cret" not in done.stderr and "t0ken" not in done.stderr
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [
        ["freehold.yaml:9", "keys[1].key"],
        ["freehold.yaml:10", "keys[2].key"],
    ]
    assert "can't be read: No such file" in done.stderr and "does not answer" in done.stderr


@pytest.mark.parametrize("command", [("check",), ("up", "--port", "0"), ("models",)])
def test_a_file_that_is_not_there_is_said_so(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(tmp_path, *command, "--config", "nope.yaml")
    assert done.returncode == 2 and "nope.yaml: there is no such file" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("up", "--prot", "1"), 2, "--prot"),
        (("up", "--port", "99999"), 2, "65535"),
        (("up", "--workers", "0"), 2, "--workers"),
        (("up", "--host", "no.such.host.invalid", "--port", "0"), 1, "no address of this machine"),
        (("up", "--data", "file", "--port", "0"), 1, "file"),
        (("spend", "--data", "nowhere"), 1, "no data directory 'nowhere'"),
        (("spend", "--data", ".", "--since", "soon"), 1, "--since 'soon'"),
        (("spend", "--data", ".", "--by", "moon"), 2, "moon"),
        (("key", "list", "--data", "nowhere"), 1, "no data directory"),
        (("key", "disable", "key_1", "--data", "."), 1, "no key 'key_1'"),
        (("key", "create"), 2, "--name"),
        (("key", "create", "--name", ""), 1, "name"),
        (("key", "create", "--name", "x", "--model", "a b"), 1, "pattern"),
        (("key", "create", "--name", "x", "--data", "file/below"), 1, "Not a directory"),
        (("nothing",), 2, "nothing"),
    ],
)
def test_a_wrong_command_line_gets_an_error_and_no_traceback(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, *arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_a_broken_key_file_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/keys.json").write_text("{")
    for arguments in (("key", "list"), ("key", "create", "--name", "x"), ("up", "--port", "0", "--admin-port", "0")):
        done = run(tmp_path, *arguments)
        assert done.returncode == 1 and "keys.json is not a key file" in done.stderr and "Traceback" not in done.stderr


def test_a_key_is_made_listed_and_disabled(tmp_path: Path) -> None:
    made = json.loads(run(tmp_path, "key", "create", "--name", "app", "--model", "r", "--model", "openai/*", "--json").stdout)
    assert made["key"].startswith("fh_") and made["models"] == ["r", "openai/*"]
    listed = run(tmp_path, "key", "list")
    assert made["id"] in listed.stdout and "in use" in listed.stdout and made["key"] not in listed.stdout
    assert run(tmp_path, "key", "disable", "app").returncode == 0
    assert [k["disabled"] for k in json.loads(run(tmp_path, "key", "list", "--json").stdout)] == [True]


def test_a_key_as_text_stands_alone_on_the_first_line(tmp_path: Path) -> None:
    secret = run(tmp_path, "key", "create", "--name", "app", "--data", "elsewhere").stdout.splitlines()[0]
    [record] = json.loads(run(tmp_path, "key", "list", "--json", "--data", "elsewhere").stdout)
    assert secret.startswith(record["prefix"]) and secret.endswith(record["last4"])


def test_the_data_directory_may_come_from_the_environment(tmp_path: Path) -> None:
    run(tmp_path, "key", "create", "--name", "app", FREEHOLD_DATA="from-env")
    assert usable_keys(tmp_path / "from-env") == 1


def test_models_lists_routes_then_models_with_prices(tmp_path: Path) -> None:
    (tmp_path / "freehold.yaml").write_text(CONFIG)
    lines = run(tmp_path, "models").stdout.splitlines()
    assert lines[1].split() == ["fast-model", "lab/small", "then", "lab/big"]
    assert lines[2].split() == ["lab/small", "1", "2.5"]
    shown = json.loads(run(tmp_path, "models", "lab/", "--json").stdout)
    assert shown["routes"] == [] and [m["id"] for m in shown["models"]] == ["lab/small"]
    assert "No model's name holds 'zzz'" in run(tmp_path, "models", "zzz").stdout


def test_models_shows_known_prices_of_a_provider_found_by_its_key(tmp_path: Path) -> None:
    shown = json.loads(run(tmp_path, "models", "openai/gpt-4o-mini", "--json", OPENAI_API_KEY="sk-x").stdout)
    [model] = [m for m in shown["models"] if m["id"] == "openai/gpt-4o-mini"]
    assert (model["input"], model["output"], model["context_tokens"]) == ("0.15", "0.6", 128_000)


def test_models_can_list_all_that_are_known_with_every_price(tmp_path: Path) -> None:
    shown = json.loads(run(tmp_path, "models", "--all", "--json").stdout)
    assert len(shown["models"]) > 2000 and shown["routes"] == []
    [model] = [m for m in shown["models"] if m["id"] == "gemini/gemini-2.5-pro"]
    assert model["pricing"]["tiers"][0]["above_input_tokens"] == 200_000 and model["cached"] == "0.125"
    lines = run(tmp_path, "models", "--all", "gemini/gemini-2.5-pro").stdout.splitlines()
    assert lines[0].split() == ["NAME", "CONTEXT", "INPUT", "$/M", "CACHED", "$/M", "OUTPUT", "$/M", "GOES", "TO"]
    assert "1.25+" in lines[1] and lines[-1].startswith("+ costs more for long prompts")


@pytest.mark.parametrize("where", ["", "sqlite:///elsewhere.db"])
def test_a_database_is_made_checked_and_upgraded(tmp_path: Path, where: str) -> None:
    env = {"FREEHOLD_DATABASE_URL": where}
    name = "elsewhere.db" if where else "data/freehold.db"
    none = run(tmp_path, "db", "check", **env)
    assert none.returncode == 1 and f"there is no SQLite file {name} yet" in none.stderr and "db upgrade" in none.stderr
    assert not (tmp_path / name).exists()
    assert f"now has schema {HEAD} (before: none)" in run(tmp_path, "db", "upgrade", **env).stdout
    assert f"has schema {HEAD} already" in run(tmp_path, "db", "upgrade", **env).stdout
    assert run(tmp_path, "db", "check", **env).stdout == f"ok: SQLite file {name} has schema {HEAD}, the newest\n"
    (tmp_path / name).write_bytes(b"no database at all, but long enough to be looked at" * 20)
    broken = run(tmp_path, "db", "check", **env)
    assert broken.returncode == 1 and "not a database" in broken.stderr and "Traceback" not in broken.stderr


@pytest.mark.parametrize("command", [("db", "check"), ("db", "upgrade"), ("spend",), ("up", "--port", "0")])
def test_a_database_url_that_cannot_be_used_is_an_error_without_its_password(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "data").mkdir()
    for url in ("mysql://app:secret@h/x", *(["postgresql://app:secret@127.0.0.1:1/x"] if command[0] != "up" else [])):
        done = run(tmp_path, *command, FREEHOLD_DATABASE_URL=url)
        assert done.returncode == 1 and done.stderr.startswith("error: ")
        assert "secret" not in done.stderr and "Traceback" not in done.stderr


def test_spend_adds_the_ledger_and_what_waits_in_the_spool_each_call_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    spool = Spool(data)
    for n in range(4):
        spool.append(LedgerLine(call_id=f"{n}", ended_ms=n * 3_600_000, key="app", route="r", outcome="ok", input=1, cost_nusd=1))
    engine = open_engine(database(data, {}))
    upgrade(engine)
    ship(data, engine)  # the segment stays: it is still being written
    spool.append(LedgerLine(call_id="new", ended_ms=3_600_000, key="app", route="r", outcome="ok", input=1, cost_nusd=1))
    assert {line.call_id for line in read_lines(data)} == {"0", "1", "2", "3", "new"}
    for by in ("key", "route", "model", "day"):
        assert json.loads(run(tmp_path, "spend", "--json", "--by", by).stdout)["total"]["calls"] == 5
    shown = json.loads(run(tmp_path, "spend", "--json", "--by", "day", "--since", "1970-01-01T00:30").stdout)
    assert shown["rows"][0]["day"] == "1970-01-01" and shown["total"]["calls"] == 4
    spool.close()
    ship(data, engine)
    assert list(read_lines(data)) == []
    assert json.loads(run(tmp_path, "spend", "--json").stdout)["total"]["cost_nusd"] == 5


def test_spend_adds_up_the_record(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "data")
    for i in range(3):
        spool.append(
            LedgerLine(
                call_id=str(i),
                ended_ms=1_800_000_000_000,
                key="app",
                outcome="ok",
                provider="openai",
                model="m",
                input=10,
                output=1,
                cost_nusd=100_000_001,
            )
        )
    spool.close()
    text = run(tmp_path, "spend", "--by", "model").stdout
    assert text.splitlines()[-1].split() == ["total", "3", "0", "30", "0", "3", "0.300000003", "0"]
    shown = json.loads(run(tmp_path, "spend", "--json").stdout)
    assert shown["rows"][0]["key"] == "app" and shown["total"]["cost_nusd"] == 300_000_003


# --- the ledger: usage, calls, reconcile ---


def ledger(tmp_path: Path, *, wait: int = 0) -> None:
    """Six calls of 23 and 24 November 2026 in the ledger of tmp_path/data, and `wait` more in its spool alone."""
    data = tmp_path / "data"
    spool = Spool(data)
    engine = open_engine(database(data, {}))
    upgrade(engine)
    for n in range(6 + wait):
        if n == 6:
            ship(data, engine)
        spool.append(
            LedgerLine(
                call_id=f"call_{n}",
                ended_ms=1_795_435_200_000 + n % 2 * 86_400_000,
                **{"key": f"app-{n % 3}", "provider": "openai", "model": "m", "outcome": "ok", "end_user": "=cmd()"},
                **{"input": 100, "output": 10, "cost_nusd": 10**9, "total_us": 1000 * (n + 1)},
            )
        )
    if not wait:
        ship(data, engine)
    spool.close()


def test_usage_is_shown_as_table_json_csv_and_parquet(tmp_path: Path) -> None:
    ledger(tmp_path)
    asked = ("usage", "--by", "model", "--bucket", "day", "--measures", "calls,cost_nusd,p50_total_us")
    done = run(tmp_path, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["FROM", "MODEL", "CALLS", "COST", "USD", "P50_TOTAL", "MS"],
        ["2026-11-23", "m", "3", "3", "3.1"],
        ["2026-11-24", "m", "3", "3", "4.2"],
    ]
    shown = json.loads(run(tmp_path, *asked, "--format", "json").stdout)
    assert shown["rows"][0] == {
        **{"from": "2026-11-23T00:00:00Z", "model": "m"},
        **{"calls": 3, "cost_nusd": 3 * 10**9, "p50_total_us": shown["rows"][0]["p50_total_us"]},
    }
    assert run(tmp_path, *asked, "--format", "csv").stdout.splitlines()[0] == "from,model,calls,cost_nusd,p50_total_us"
    assert run(tmp_path, *asked, "--format", "parquet", "--output", "u.parquet").returncode == 0
    assert (tmp_path / "u.parquet").read_bytes()[:4] == b"PAR1"


def test_usage_takes_a_span_filters_and_a_limit(tmp_path: Path) -> None:
    ledger(tmp_path)
    asked = ("usage", "--format", "json", "--by", "key", "--from", "2026-11-24", "--to", "2026-11-25")
    shown = json.loads(run(tmp_path, *asked, "--where", "key=app-1", "--where", "key=app-2").stdout)
    assert [(row["key"], row["calls"]) for row in shown["rows"]] == [("app-1", 1), ("app-2", 1)]
    done = run(tmp_path, "usage", "--by", "key", "--limit", "1")
    assert done.stderr == "note: 1 of 3 groups are shown\n" and len(done.stdout.splitlines()) == 2


def test_what_waits_in_the_spool_is_pointed_out(tmp_path: Path) -> None:
    ledger(tmp_path, wait=2)
    for command in (("usage",), ("calls",)):
        done = run(tmp_path, *command)
        assert done.returncode == 0 and "2 calls are still in the spool" in done.stderr
    assert "1 call is still in the spool" in run(tmp_path, "usage", "--from", "2026-11-24").stderr
    assert "2 calls are still" in json.loads(run(tmp_path, "usage", "--format", "json").stdout)["note"]
    assert "2 calls are still in the spool" in run(tmp_path, "calls", "call_7").stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("usage", "--by", "color"), "'color' is no dimension"),
        (("usage", "--where", "color"), "--where 'color' is no NAME=VALUE"),
        (("usage", "--from", "soon"), "--from 'soon' is no time"),
        (("calls", "--where", "input=5"), "can't be looked for by 'input'"),
        (("calls", "none"), "there is no call 'none'"),
        (("spend", "reconcile", "none.csv"), "none.csv: No such file"),
        (("spend", "reconcile", "bill.csv"), "bill.csv: line 1: no bill"),
        (("usage", "--data", "elsewhere"), "there is no data directory 'elsewhere'"),
        (("usage", "--data", "empty"), "there is no SQLite file empty/freehold.db yet"),
    ],
)
def test_what_the_ledger_cannot_answer_is_told_in_a_line(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    ledger(tmp_path)
    (tmp_path / "bill.csv").write_text("a,b\n")
    (tmp_path / "empty").mkdir()
    done = run(tmp_path, *arguments)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and says in done.stderr and done.stderr.count("\n") == 1


def test_calls_are_listed_shown_and_exported(tmp_path: Path) -> None:
    ledger(tmp_path)
    done = run(tmp_path, "calls", "--limit", "2", "--where", "key=app-1", "--where", "key=app-2")
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["CALL", "call_5", "call_1"]
    assert done.stderr == "note: these are the newest 2; --limit shows more\n"
    assert json.loads(run(tmp_path, "calls", "call_3").stdout)["total_us"] == 4000
    assert [one["call_id"] for one in json.loads(run(tmp_path, "calls", "--format", "json", "--limit", "1").stdout)] == ["call_5"]
    names, *rows = run(tmp_path, "calls", "--format", "csv").stdout.splitlines()
    assert names.startswith("call_id,ended_ms,") and len(rows) == 6 and ",'=cmd()," in rows[0]
    run(tmp_path, "calls", "--format", "parquet", "--output", "c.parquet")
    assert (tmp_path / "c.parquet").read_bytes()[-4:] == b"PAR1"


def test_a_bill_is_compared_line_by_line_and_the_exit_code_tells(tmp_path: Path) -> None:
    ledger(tmp_path)
    bill = tmp_path / "bill.csv"
    bill.write_text("date,model,input_tokens,output_tokens,cost_usd\n2026-11-23,m,300,30,3\n2026-11-24,m,300,30,3.00\n")
    asked = ("spend", "reconcile", "bill.csv", "--provider", "openai")
    done = run(tmp_path, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "openai, 2026-11-23 to 2026-11-24 (UTC): the bill and the ledger agree"
    bill.write_text(bill.read_text().replace("3.00", "4.00"))
    done = run(tmp_path, *asked)
    assert done.returncode == 1 and done.stdout.splitlines()[2].split()[-2:] == ["-25.00", "differs"]
    assert run(tmp_path, *asked, "--tolerance", "30").returncode == 0
    shown = run(tmp_path, *asked, "--json", "--month", "2026-11")
    assert shown.returncode == 1
    assert [line["verdict"] for line in json.loads(shown.stdout)["lines"]] == ["ok", "differs"]
    assert run(tmp_path, "spend").returncode == 0, "spend alone is as it was"
