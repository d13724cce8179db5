"""`freehold audit ...`: the log of administrative acts, shown, exported and verified."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

from msgspec import json

from freehold.cli.plane import opened
from freehold.cli.settings import existing
from freehold.cli.table import table
from freehold.cli.when import when_ms
from freehold.control import audit, auditlog
from freehold.control.actor import command
from freehold.control.auditlog import Wanted


def wanted(
    actor: str | None = None,
    kind: str | None = None,
    object_id: str | None = None,
    action: str | None = None,
    since: str | None = None,
) -> Wanted:
    """Raises Failed."""
    return Wanted(actor, kind, object_id, action, when_ms(since, "--since", time.time()) if since else None)


def listing(data: Path, workspace: str, asked: Wanted, limit: int, *, as_json: bool) -> str:
    with opened(existing(data)) as plane:
        records, _ = auditlog.page(plane, command(workspace), asked, limit=limit)
    if as_json:
        return _json([record.model_dump(mode="json") for record in records])
    if not records:
        return "No such acts."
    rows = [(r.at, r.actor, r.address, r.action, r.kind, r.object_id, r.object) for r in records]
    return table(("AT", "WHO", "FROM", "ACTION", "KIND", "ID", "NAME"), rows)


def export(data: Path, workspace: str, asked: Wanted, form: str, output: Path | None) -> None:
    shape: Literal["jsonl", "cef"] = "cef" if form == "cef" else "jsonl"
    with opened(existing(data)) as plane:
        pieces = auditlog.exported(plane, command(workspace), asked, shape)
        if output is None:
            sys.stdout.flush()
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            with output.open("wb") as file:
                file.writelines(pieces)


def verify(data: Path, workspace: str, anchor: str | None, *, as_json: bool) -> tuple[str, bool]:
    """A report, and whether nothing is wrong. Raises Invalid, SealError, StoreError."""
    kept = None if anchor is None else audit.anchor(anchor)
    with opened(existing(data)) as plane:
        verdict = auditlog.verify(plane, command(workspace), kept)
    newest = None if verdict.last is None else str(verdict.last)
    if as_json:
        told = {"intact": not verdict.wrong, "records": verdict.records, "wrong": verdict.wrong}
        return _json({**told, "problems": verdict.problems, "anchor": newest}), not verdict.wrong
    if verdict.wrong:
        more = f"\n... and {verdict.wrong - len(verdict.problems):,} more" if verdict.wrong > len(verdict.problems) else ""
        return "\n".join(verdict.problems) + f"{more}\n{verdict.wrong:,} wrong among {verdict.records:,} records", False
    anchored = f"\nAnchor, to be kept elsewhere: {newest}" if newest else ""
    return f"ok: {verdict.records:,} records, each as it was written and in its place{anchored}", True


def _json(value: object) -> str:
    return json.format(json.encode(value), indent=2).decode()
