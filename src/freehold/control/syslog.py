"""Push the audit log to a syslog server: RFC 5424, over UDP (RFC 5426) or TCP with counted frames (RFC 6587).

Each record at least once and in order: how far it got is written down after it was sent. Syslog knows no acknowledgement, so what
a server loses, or a network, is not sent again; `digest` in each record tells that something is missing.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, delete, func, insert, select

from freehold.control.auditlog import Row, Wanted, after, line_of
from freehold.observe import log
from freehold.store.address import Address, StoreError
from freehold.store.engine import explained, open_engine, reading, writing
from freehold.store.tenants import audit, audit_sent

EVERY_S = 2.0
MAX_DELAY_S = 60.0
WAIT_S = 3.0
MAX_BYTES = 32 * 1024  # of a message: more than that no datagram holds for sure
_PRIORITY = 13 * 8 + 5  # facility "log audit", severity "notice"
_AT_ONCE = 500


def run(stopping: threading.Event, address: Address, target: Callable[[], str | None]) -> None:
    """In a thread of its own until `stopping`, for a server that is slow or away must keep nothing else waiting."""
    engine, said, delay_s = open_engine(address), "", EVERY_S
    while not stopping.wait(delay_s):
        where = target()
        if where is None:
            continue
        try:
            with explained(address):
                push(engine, where)
            said, delay_s = "", EVERY_S
        except Exception as error:
            why = str(error) if isinstance(error, OSError | StoreError) else type(error).__name__
            if why != said:  # a long outage is one line in the log
                log.event("error", "syslog_failed", target=where, problem=why, hint="the records wait, and are sent later")
            said, delay_s = why, min(delay_s * 2, MAX_DELAY_S)
    engine.dispose()


def push(engine: Engine, target: str) -> int:
    """Send what has not been sent to `target` (udp://HOST:PORT, tcp://HOST:PORT) yet. Returns how many.

    Raises OSError, SQLAlchemyError.
    """
    count = 0
    waiting = _waiting(engine, target)
    if not waiting:
        return 0
    with _link(target) as send:
        for workspace, sequence in waiting:
            while True:
                with reading(engine) as connection:
                    rows = after(connection, workspace, Wanted(), sequence, _AT_ONCE)
                if not rows:
                    break
                send(message(row) for row in rows)
                sequence = rows[-1]["sequence"]
                with writing(engine, "audit_sent") as connection:
                    _note(connection, workspace, target, sequence)
                count += len(rows)
    return count


def message(row: Row) -> bytes:
    """Without a frame. The record is the message, as JSON."""
    at = datetime.fromtimestamp(row["at_ms"] / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    kind = "".join(letter for letter in f"{row['kind']}.{row['action']}" if "!" <= letter <= "~")[:32] or "-"
    head = f"<{_PRIORITY}>1 {at} {_host()} freehold - {kind} - ".encode()
    line: bytes = line_of("jsonl")(row)
    return (head + line)[:MAX_BYTES]


def _host() -> str:
    return "".join(letter for letter in socket.gethostname() if "!" <= letter <= "~")[:255] or "-"


def _waiting(engine: Engine, target: str) -> list[tuple[str, int]]:
    """Workspaces that have records which were not sent, and the last one that was."""
    with reading(engine) as connection:
        newest = connection.execute(select(audit.c.workspace, func.max(audit.c.sequence)).group_by(audit.c.workspace)).all()
        query = select(audit_sent.c.workspace, audit_sent.c.sequence).where(audit_sent.c.target == target)
        sent = {row.workspace: row.sequence for row in connection.execute(query)}
    return sorted((workspace, sent.get(workspace, 0)) for workspace, last in newest if last > sent.get(workspace, 0))


def _note(connection: Connection, workspace: str, target: str, sequence: int) -> None:
    mine = (audit_sent.c.workspace == workspace, audit_sent.c.target == target)
    connection.execute(delete(audit_sent).where(*mine))
    connection.execute(insert(audit_sent), {"workspace": workspace, "target": target, "sequence": sequence})


@contextmanager
def _link(target: str) -> Iterator[_Send]:
    parts = urlsplit(target)
    kind = socket.SOCK_DGRAM if parts.scheme == "udp" else socket.SOCK_STREAM
    address = socket.getaddrinfo(parts.hostname, parts.port, type=kind)[0]
    with socket.socket(address[0], kind) as link:
        link.settimeout(WAIT_S)
        link.connect(address[4])
        yield _Send(link, framed=parts.scheme == "tcp")


class _Send:
    def __init__(self, link: socket.socket, *, framed: bool) -> None:
        self._link = link
        self._framed = framed

    def __call__(self, messages: Iterable[bytes]) -> None:
        if self._framed:
            self._link.sendall(b"".join(b"%d %b" % (len(one), one) for one in messages))
            return
        for one in messages:
            self._link.send(one)
