"""One line of ArcSight's Common Event Format (CEF:0) for an audit record, which most SIEMs read."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from freehold import __version__

_MAX = 4000  # characters of a custom string
_SEVERITY = {"delete": 7, "erase": 8, "rotate": 5, "sign_in_failed": 6}  # of 10; what else there is: 3


def line(row: Mapping[str, Any]) -> bytes:
    event = f"{row['kind']}.{row['action']}"
    head = ("CEF:0", "Freehold", "Freehold", __version__, event, f"{row['action']} {row['kind']}", _severity(row["action"]))
    fields = {
        "rt": row["at_ms"],
        "act": row["action"],
        "suser": row["actor"],
        "suid": row["actor_id"],
        **_source(row["address"]),
        "externalId": row["sequence"],
        **_labelled(1, "workspace", row["workspace"]),
        **_labelled(2, "object", row["object"]),
        **_labelled(3, "objectId", row["object_id"]),
        **_labelled(4, "before", row["before"] or ""),
        **_labelled(5, "after", row["after"] or ""),
        **_labelled(6, "digest", row["digest"]),
    }
    extension = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value != "")
    return f"{'|'.join(_head(part) for part in head)}|{extension}".encode()


def _severity(action: str) -> str:
    return str(_SEVERITY.get(action, 3))


def _source(address: str) -> dict[str, str]:
    """`src` holds addresses alone."""
    try:
        return {"src": str(ipaddress.IPv4Address(address))}
    except ValueError:
        return {"shost": address}


def _labelled(number: int, label: str, value: str) -> dict[str, str]:
    return {f"cs{number}Label": label, f"cs{number}": value} if value else {}


def _head(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("\r", " ")


def _value(value: object) -> str:
    text = str(value)
    text = text if len(text) <= _MAX else f"{text[: _MAX - 3]}..."
    return text.replace("\\", "\\\\").replace("=", "\\=").replace("\r", "\\r").replace("\n", "\\n")
