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
db_app = typer.Typer(help="The database that holds the record of calls.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(db_app, name="db")

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


@app.command()
def spend(
    data: DataFlag = DATA,
    by: Annotated[By, typer.Option(metavar="key|model|route|day", help="One line for each of these.")] = By.KEY,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="30m, 24h, 7d, or a UTC date or time: 2026-11-23.")] = None,
    json: JsonFlag = False,
) -> None:
    """Calls, tokens and cost, from the record of calls. US dollars, exact."""
    from freehold.cli import spend as report

    print(report.render(data, by.value, since, as_json=json))


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

        if isinstance(error, ConfigError):
            fail(error.lines(), 2)
        if isinstance(error, OSError):
            fail([": ".join(str(part) for part in (error.filename, error.strerror or error) if part is not None)])
        if isinstance(error, Failed | StoreError | Refused):
            fail([str(error)])
        raise
    sys.exit(0)


def fail(lines: list[str], code: int = 1) -> NoReturn:
    for line in lines:
        print(f"error: {line}" if code == 1 else line, file=sys.stderr)
    sys.exit(code)
