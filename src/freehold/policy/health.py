"""How a target is doing, as one worker sees it: a breaker, the time it takes, what is under way there. Pure: times come in.

The breaker opens after a few failures in a row, or when most of the calls of the last seconds failed; it lets one probe through
after a while (half-open), closes when that goes well, and waits longer each time it does not. A 429 or Retry-After is no
failure: the target asks for rest, and gets it. A refused credential (401, 403) keeps the target out until somebody has looked.
"""

from __future__ import annotations

from math import exp
from typing import Literal

State = Literal["closed", "open", "half_open", "resting", "refused"]

FAILURES_IN_A_ROW = 5
RATIO, RATIO_MIN, RATIO_DECAY_S = 0.5, 10.0, 10.0  # more than half of at least ten calls, older ones counting less and less
OPEN_S, MAX_OPEN_S = 2.0, 60.0
PROBE_S = 10.0  # a probe that has not come back by then is given up for another
REFUSED_S = 300.0  # a credential may have been mended where it was made
MAX_REST_S = 300.0
TAU_S = 5.0  # how fast an old latency is forgotten


class Health:
    """Mutable, of one target in one worker. All times are seconds of a clock that never goes back."""

    __slots__ = (
        *("_calls", "_failed", "_in_a_row", "_latency_s", "_open_s", "_probing_until", "_ratio_at", "_seen_at"),
        *("_until", "in_flight", "reason"),
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.reason = ""  # why calls are kept from it: open, resting, refused; "": they are not
        self._until = 0.0  # and until when
        self._probing_until = 0.0
        self._open_s = OPEN_S
        self._in_a_row = 0
        self._calls = self._failed = self._ratio_at = 0.0
        self._latency_s = self._seen_at = 0.0

    def state(self, now: float) -> State:
        if not self.reason:
            return "closed"
        if now < self._until:
            return "open" if self.reason == "open" else "resting" if self.reason == "resting" else "refused"
        return "half_open"

    def usable(self, now: float) -> bool:
        """May a call be sent there now? Where it may be one probe only, asking does not take the probe: `begin` does."""
        if not self.reason:
            return True
        return now >= self._until and now >= self._probing_until

    def begin(self, now: float) -> None:
        self.in_flight += 1
        if self.reason:
            self._probing_until = now + PROBE_S

    def end(self) -> None:
        """A call that was begun is over, however it went."""
        self.in_flight -= 1

    def went_well(self, now: float, first_s: float) -> None:
        """`first_s`: until the first good event."""
        self.reason = ""
        self._in_a_row = 0
        self._open_s = OPEN_S
        self._count(now, 0.0)
        # A peak counts at once and is forgotten slowly: many calls must not wait for a target that has become slow.
        kept = exp((self._seen_at - now) / TAU_S)
        old = self._latency_s
        self._latency_s = first_s if first_s > old else old * kept + first_s * (1 - kept)
        self._seen_at = now

    def failed(self, now: float) -> bool:
        """A connect error, a timeout, a 5xx, a broken reply. True if the breaker opens with it."""
        self._in_a_row += 1
        self._count(now, 1.0)
        probe = self.reason == "open"
        if (
            not probe
            and self._in_a_row < FAILURES_IN_A_ROW
            and not (self._calls >= RATIO_MIN and self._failed > RATIO * self._calls)
        ):
            return False
        self._open_s = min(self._open_s * 2, MAX_OPEN_S) if probe else OPEN_S
        self.reason, self._until, self._probing_until = "open", now + self._open_s, 0.0
        return True

    def rest(self, now: float, for_s: float) -> None:
        """It said 429, or when to come again."""
        until = now + min(for_s, MAX_REST_S)
        if until > self._until or self.reason != "resting":
            self.reason, self._until, self._probing_until = "resting", until, 0.0

    def refuse(self, now: float) -> None:
        """It refused our credential."""
        self.reason, self._until, self._probing_until = "refused", now + REFUSED_S, 0.0

    def due_s(self, now: float) -> float:
        """How long until it may be tried again."""
        return max(0.0, max(self._until, self._probing_until) - now) if self.reason else 0.0

    def load_s(self, now: float) -> float:
        """What a new call may expect to wait: the latency seen, times what is before it. 0 for a target that nobody has tried."""
        return self._latency_s * exp((self._seen_at - now) / (TAU_S * 12)) * (self.in_flight + 1)

    def _count(self, now: float, failed: float) -> None:
        kept = exp((self._ratio_at - now) / RATIO_DECAY_S)
        self._calls = self._calls * kept + 1.0
        self._failed = self._failed * kept + failed
        self._ratio_at = now


class RetryBudget:
    """Retries of one worker, as a share of its calls: when everything fails, trying all of it again would double the load."""

    __slots__ = ("_left",)

    SHARE = 0.2
    MOST = 100.0

    def __init__(self) -> None:
        self._left = self.MOST / 2

    def earn(self) -> None:
        """A call went well."""
        if self._left < self.MOST:
            self._left += self.SHARE

    def spend(self) -> bool:
        """May one more be tried?"""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
