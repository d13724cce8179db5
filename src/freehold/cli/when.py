"""Moments as they are written on the command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from freehold.cli.settings import Failed

_SPAN = re.compile(r"(\d{1,6})([mhd])\Z")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}


def when_ms(text: str, flag: str, now_s: float) -> int:
    """Unix milliseconds for "30m", "24h", "7d" before now, or an ISO date or time (UTC if it names no zone). Raises Failed."""
    span = _SPAN.match(text)
    if span:
        return int((now_s - int(span[1]) * _SECONDS[span[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Failed(f"{flag} {text!r} is no time; write 30m, 24h, 7d, 2026-11-23 or 2026-11-23T08:00") from None
