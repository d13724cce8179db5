"""Money that may be spent in a period: reserved before a call is sent, settled when it is known what the call cost.

A hard purse refuses a reservation that it could not pay, so that any number of calls at the same time stay within it; a soft one
only counts. Money is integer nano-US-dollars, time is unix seconds in UTC. Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from freehold.policy.window import Window

Per = Literal["hour", "day", "week", "month", "year"]
ROLLING_S: dict[str, float] = {"hour": 3600.0, "day": 86_400.0, "week": 604_800.0, "month": 2_592_000.0, "year": 31_536_000.0}


class Purse:
    """`per` None: for all time. `rolling`: the last hour, day..., rather than the one that the calendar has."""

    __slots__ = ("_ends_s", "_per", "_window", "amount", "hard", "reserved", "spent")

    def __init__(self, amount: int, per: Per | None, *, hard: bool = True, rolling: bool = False) -> None:
        self.amount = amount
        self.hard = hard
        self.spent = 0
        self.reserved = 0  # by calls under way, whatever period they began in
        self._per = per
        self._ends_s = 0.0  # of the calendar's period that `spent` is of
        self._window = Window(amount, ROLLING_S[per]) if rolling and per is not None else None

    def reserve(self, worst: int, now_s: float) -> bool:
        """Set aside what a call may cost at most. False: there is not so much left."""
        if self.hard and self._spent(now_s) + self.reserved + worst > self.amount:
            return False
        self.reserved += worst
        return True

    def settle(self, worst: int, cost: int, now_s: float) -> None:
        """A call that had `worst` set aside has cost `cost` (0: it came to nothing)."""
        self.reserved -= worst
        if self._window is not None:
            self._window.add(cost, now_s)
        else:
            self._spent(now_s)
            self.spent += cost

    def left(self, now_s: float) -> int:
        """What a new call may reserve; below 0 for a soft purse that is overspent."""
        return self.amount - self._spent(now_s) - self.reserved

    def wait_s(self, worst: int, now_s: float) -> float:
        """How long until `worst` could be reserved, if calls under way cost what they reserved; infinity: never."""
        if worst > self.amount:
            return float("inf")
        if self.left(now_s) >= worst:
            return 0.0
        if self._window is not None:
            return self._window.wait_s(min(worst + self.reserved, self.amount), now_s)
        return self._ends_s - now_s if self._per is not None else float("inf")

    def restore(self, spent: int, now_s: float) -> None:
        """What was spent in the period of `now_s`, as the record of calls has it."""
        if self._window is not None:
            self._window.restore([])
            self._window.add(spent, now_s)
        else:
            self._spent(now_s)
            self.spent = spent

    def _spent(self, now_s: float) -> int:
        if self._window is not None:
            self._window.left(now_s)  # forgets what has left the window
            return self._window.total
        if self._per is not None and now_s >= self._ends_s:
            self.spent = 0
            self._ends_s = period(self._per, now_s)[1]
        return self.spent


def period(per: Per, now_s: float) -> tuple[float, float]:
    """Begin and end of the calendar's period that holds `now_s`; weeks begin on Monday."""
    now = datetime.fromtimestamp(now_s, UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    match per:
        case "hour":
            begin, end = hour, hour + timedelta(hours=1)
        case "day":
            begin, end = day, day + timedelta(days=1)
        case "week":
            begin = day - timedelta(days=day.weekday())
            end = begin + timedelta(weeks=1)
        case "month":
            begin = day.replace(day=1)
            end = (begin + timedelta(days=32)).replace(day=1)
        case "year":
            begin = day.replace(month=1, day=1)
            end = begin.replace(year=begin.year + 1)
    return begin.timestamp(), end.timestamp()
