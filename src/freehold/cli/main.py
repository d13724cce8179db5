"""The `freehold` command: names, flags and exit codes. What each command does is in a file of its own, imported when it runs.

Exit codes: 0 done; 1 it could not be done (port in use, no such key, unreadable data); 2 the configuration or the command
line is wrong, with every mistake listed on stderr; 130 interrupted.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from freehold import __version__
from freehold.cli.commands import Commands

app = typer.Typer(
    name="freehold",
    cls=Commands,
    help="The AI gateway you own: one self-hosted service between your applications and every model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
spend_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.add_typer(spend_app, name="spend")
db_app = typer.Typer(help="The database that holds the record of calls.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(db_app, name="db")
audit_app = typer.Typer(help="The log of administrative acts.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(audit_app, name="audit")
master_app = typer.Typer(help="The key that protects all stored secrets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(master_app, name="master-key")

ConfigFlag = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Configuration; freehold.yaml in this directory if it is there.")
]
DataFlag = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar="FREEHOLD_DATA", help="Where keys and the record of calls are kept.")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
DATA = Path("data")


class By(StrEnum):
    """What `freehold spend` groups calls by."""

    KEY = "key"
    MODEL = "model"
    ROUTE = "route"
    DAY = "day"


class Bucket(StrEnum):
    NONE = "none"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


FormFlag = Annotated[Form, typer.Option("--format", metavar="table|json|csv|parquet", help="How it is written.")]
OutputFlag = Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Where to; the screen.")]


@app.command()
def up(
    config: ConfigFlag = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on; 0 for any free one.")] = 8080,
    data: DataFlag = DATA,
    workers: Annotated[
        int, typer.Option(min=1, max=256, metavar="N", help="Worker processes; at most one a core is of use.")
    ] = 1,
    admin_host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address of the admin API.")] = "127.0.0.1",
    admin_port: Annotated[
        int, typer.Option(min=-1, max=65535, metavar="PORT", help="Port of the admin API; 0 for any free one, -1 for none.")
    ] = 8081,
    no_admin: Annotated[bool, typer.Option("--no-admin", help="Serve no admin API.")] = False,
) -> None:
    """Start the gateway and the admin API, and serve until SIGTERM or Ctrl-C."""
    from freehold.cli.up import Start, start

    where = None if no_admin or admin_port < 0 else (admin_host, admin_port)
    start(Start(config=config, host=host, port=port, data=data, workers=workers, admin=where))


@app.command(hidden=True)
def worker(
    fd: Annotated[int, typer.Option(help="Listening socket, inherited.")],
    link: Annotated[int, typer.Option(help="Socket to the supervisor, inherited.")],
    config: ConfigFlag = None,
    data: DataFlag = DATA,
    local: Annotated[list[str] | None, typer.Option(metavar="NAME=URL", help="A server found on this machine.")] = None,
) -> None:
    """One of the workers that `up --workers N` starts."""
    from freehold.cli.up import run_supervised

    run_supervised(fd, link, config, data, dict(pair.split("=", 1) for pair in local or ()))


@app.command(hidden=True)
def control(
    link: Annotated[int, typer.Option(help="Socket to whoever started it, inherited.")],
    data: DataFlag = DATA,
    config: ConfigFlag = None,
    admin_fd: Annotated[int | None, typer.Option(help="Socket that listens for the admin API, inherited.")] = None,
) -> None:
    """The control plane's process, which `up` starts."""
    from freehold.cli.control import run

    run(link, data, config, admin_fd)


@app.command(hidden=True)
def prepare(
    data: DataFlag = DATA,
    config: ConfigFlag = None,
    first_key: Annotated[bool, typer.Option("--first-key", help="Make a key where none can be used.")] = False,
) -> None:
    """What `up` asks for at a first start, as JSON."""
    from freehold.cli.prepare import run

    print(run(data, config, first=first_key))


@app.command()
def check(config: ConfigFlag = None) -> None:
    """Check the configuration: every mistake as file:line: path: what (what to do)."""
    from freehold.cli.settings import check_file

    print(check_file(config))


@app.command()
def models(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Show only names that hold this text.")] = "",
    config: ConfigFlag = None,
    known: Annotated[
        bool, typer.Option("--all", help="Every model that Freehold knows, of providers without a key too.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """List the names that clients can ask for, with context window and price."""
    from freehold.cli import models as listing

    print(listing.render_known(text, as_json=json) if known else listing.render(text, config, as_json=json))


@spend_app.callback()
def spend(
    context: typer.Context,
    data: DataFlag = DATA,
    by: Annotated[By, typer.Option(metavar="key|model|route|day", help="One line for each of these.")] = By.KEY,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="30m, 24h, 7d, or a UTC date or time: 2026-11-23.")] = None,
    json: JsonFlag = False,
) -> None:
    """Calls, tokens and cost, from the record of calls. US dollars, exact."""
    if context.invoked_subcommand is None:
        from freehold.cli import spend as report

        print(report.render(data, by.value, since, as_json=json))


@spend_app.command("reconcile")
def spend_reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The bill as CSV.")],
    provider: Annotated[str, typer.Option(metavar="NAME", help="Whose bill it is, as in the record of calls.")] = "",
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="Compare all days of this month.")] = "",
    tolerance: Annotated[float, typer.Option(min=0, metavar="PERCENT", help="What a line may differ by.")] = 1.0,
    data: DataFlag = DATA,
    json: JsonFlag = False,
) -> None:
    """Compare a provider's bill with the ledger, by day and model. Exits with 1 where they differ.

    Reads OpenAI's and Anthropic's exports, and any CSV with date, model and input_tokens, output_tokens or cost_usd.
    """
    from freehold.cli import reconcile

    text, agrees = reconcile.render(data, file, provider, month, tolerance, as_json=json)
    print(text)
    if not agrees:
        raise typer.Exit(1)


@app.command()
def usage(
    by: Annotated[
        str, typer.Option(metavar="NAME,...", help="team, app, member, key, route, provider, model, zone, end_user, tag...")
    ] = "",
    bucket: Annotated[Bucket, typer.Option(metavar="none|hour|day|month", help="One line for each of these.")] = Bucket.NONE,
    since: Annotated[str | None, typer.Option("--from", metavar="WHEN", help="30d, 24h, or a UTC date or time.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="Up to and without this moment.")] = None,
    measures: Annotated[
        str, typer.Option(metavar="NAME,...", help="calls, failed, input, output, cost_nusd, p95_total_us...")
    ] = "",
    where: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only such calls; repeat for more.")] = None,
    order: Annotated[str, typer.Option(metavar="MEASURE", help="Which groups come first; the first measure.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the N largest groups.")] = None,
    form: FormFlag = Form.TABLE,
    output: OutputFlag = None,
    data: DataFlag = DATA,
) -> None:
    """Any measure of calls by anything, from the ledger: tokens, cost, latency percentiles, over any time."""
    from freehold.cli import usage as report

    asked = report.Asked(
        by=by,
        measures=measures,
        bucket=bucket.value,
        since=since,
        until=until,
        where=tuple(where or ()),
        order=order,
        limit=limit,
    )
    report.show(data, asked, form.value, output)


@app.command()
def calls(
    call_id: Annotated[str, typer.Argument(metavar="[ID]", help="One call, with all that is recorded of it.")] = "",
    since: Annotated[str | None, typer.Option("--from", metavar="WHEN", help="30d, 24h, or a UTC date or time.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="Up to and without this moment.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only such calls (key=app, tag=team=x); repeat for more.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many are shown. CSV and Parquet hold all.")] = 50,
    form: FormFlag = Form.TABLE,
    output: OutputFlag = None,
    data: DataFlag = DATA,
) -> None:
    """Single calls of the ledger, the newest first; as CSV or Parquet, all of them."""
    from freehold.cli import calls as listing

    if call_id:
        print(listing.one(data, call_id))
    else:
        listing.show(data, listing.Asked(since=since, until=until, where=tuple(where or ()), limit=limit), form.value, output)


PassphraseFlag = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", metavar="FILE", help="Holds the passphrase; else FREEHOLD_BACKUP_PASSPHRASE, else the master key."
    ),
]


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; replaced when the new one is whole.")],
    data: DataFlag = DATA,
    passphrase_file: PassphraseFlag = None,
    with_master_key: Annotated[
        bool, typer.Option("--with-master-key", help="Put DATA/master.key into it too; needs a passphrase.")
    ] = False,
) -> None:
    """Write the database, the keys and the spool into one encrypted file, while Freehold runs."""
    from freehold.cli import backup as backups

    print(backups.make(file, data, passphrase_file, with_master_key=with_master_key))


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    data: DataFlag = DATA,
    passphrase_file: PassphraseFlag = None,
    check: Annotated[bool, typer.Option("--check", help="Only read it to its end and say what it holds.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there. It is gone for good.")] = False,
) -> None:
    """Bring back a backup into an empty data directory and database, of the same kind or the other. Stop Freehold first."""
    from freehold.cli import backup as backups

    print(backups.bring_back(file, data, passphrase_file, check=check, force=force))


@app.command()
def version() -> None:
    """Print the version, and whether this copy is compiled or pure Python."""
    from freehold.base import build

    print(f"freehold {__version__} ({build.description()})")


@db_app.command("upgrade")
def db_upgrade(data: DataFlag = DATA) -> None:
    """Bring the database's schema up to date; make it where there is none. FREEHOLD_DATABASE_URL says where it is."""
    from freehold.cli import db

    print(db.upgrade(data))


@db_app.command("check")
def db_check(data: DataFlag = DATA) -> None:
    """Check that this version can use the database's schema; if not, say what to do and exit with 1."""
    from freehold.cli import db

    print(db.check(data))


@master_app.command("show")
def master_show(data: DataFlag = DATA) -> None:
    """List the ids of known master keys, never the keys, and how many workspaces each protects."""
    from freehold.cli import masterkey

    print(masterkey.show(data))


@master_app.command("rotate")
def master_rotate(data: DataFlag = DATA) -> None:
    """Put a new key into use in DATA/master.key, and wrap every workspace's key with it. Nothing needs to stop."""
    from freehold.cli import masterkey

    print(masterkey.rotate(data))


@master_app.command("rewrap")
def master_rewrap(data: DataFlag = DATA) -> None:
    """Wrap every workspace's key with the master key in use: after it was changed where it comes from."""
    from freehold.cli import masterkey

    print(masterkey.wrap_anew(data))


WorkspaceFlag = Annotated[
    str, typer.Option("--workspace", metavar="ID", envvar="FREEHOLD_WORKSPACE", help='Whose log; "" for the installation\'s own.')
]
SinceFlag = Annotated[str | None, typer.Option("--since", metavar="WHEN", help="30m, 24h, 7d, or a UTC date or time.")]


class AuditFormat(StrEnum):
    JSONL = "jsonl"
    CEF = "cef"


@audit_app.command("list")
def audit_list(
    data: DataFlag = DATA,
    workspace: WorkspaceFlag = "default",
    actor: Annotated[str | None, typer.Option(metavar="TEXT", help="Name or id of whoever did it.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Of the object: key, app, ...")] = None,
    object_id: Annotated[str | None, typer.Option("--object", metavar="ID", help="Id of the object.")] = None,
    action: Annotated[str | None, typer.Option(metavar="TEXT", help="create, update, delete, ...")] = None,
    since: SinceFlag = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="At most so many.")] = 50,
    json: JsonFlag = False,
) -> None:
    """Show what was done, the newest first."""
    from freehold.cli import audit

    wanted = audit.wanted(actor, kind, object_id, action, since)
    print(audit.listing(data, workspace, wanted, limit, as_json=json))


@audit_app.command("export")
def audit_export(
    data: DataFlag = DATA,
    workspace: WorkspaceFlag = "default",
    format: Annotated[AuditFormat, typer.Option(metavar="jsonl|cef", help="JSON lines, or Common Event Format.")] = (
        AuditFormat.JSONL
    ),
    since: SinceFlag = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Instead of showing it.")] = None,
) -> None:
    """Write the log, the oldest first, for another system to read."""
    from freehold.cli import audit

    audit.export(data, workspace, audit.wanted(since=since), format.value, output)


@audit_app.command("verify")
def audit_verify(
    data: DataFlag = DATA,
    workspace: WorkspaceFlag = "default",
    anchor: Annotated[
        str | None, typer.Option(metavar="SEQUENCE:DIGEST", help="Noted earlier: tells if the log's end was cut off.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Look at every record: any that was changed, taken out, moved or slipped in is named, and the exit code is 1."""
    from freehold.cli import audit

    report, intact = audit.verify(data, workspace, anchor, as_json=json)
    print(report)
    if not intact:
        raise typer.Exit(1)


def main() -> NoReturn:
    try:
        app(prog_name="freehold")  # also when run as python -m freehold
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # Imported only now: most runs of most commands load neither.
        from freehold.cli.settings import Failed
        from freehold.config.problem import ConfigError
        from freehold.control.refusal import Refused
        from freehold.store.address import StoreError
        from freehold.store.sealing import SealError

        if isinstance(error, ConfigError):
            fail(error.lines(), 2)
        if isinstance(error, OSError):
            fail([": ".join(str(part) for part in (error.filename, error.strerror or error) if part is not None)])
        if isinstance(error, Failed | SealError | StoreError | Refused):
            fail([str(error)])
        raise
    sys.exit(0)


def fail(lines: list[str], code: int = 1) -> NoReturn:
    for line in lines:
        print(f"error: {line}" if code == 1 else line, file=sys.stderr)
    sys.exit(code)
