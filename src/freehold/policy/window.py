"""A sliding window over counted things, and a gauge of things under way. Pure: the caller says what time it is.

The window is exact on the safe side: time is cut into slots, and a slot counts until all of it has left the window. So never are
more than `amount` admitted in any `window_s` seconds, wherever one begins to look; that costs one slot in SLOTS + 1 (1.5 %).
A bucket that refills would admit up to twice as much in the worst window, and so would windows that begin by the clock.
"""

from __future__ import annotations

from collections import deque

SLOTS = 64


class Window:
    """Things admitted lately, by slot. `now_s` comes from a clock that never goes back."""

    __slots__ = ("_counts", "_slot_s", "amount", "total")

    def __init__(self, amount: int, window_s: float) -> None:
        self.amount = amount
        self.total = 0
        self._slot_s = window_s / SLOTS
        self._counts: deque[list[int]] = deque()  # [slot, count], oldest first, without empty ones

    def take(self, n: int, now_s: float) -> int:
        """Admit `n`. Returns the slot that they count in, for `give`; -1 if there is no room for them."""
        slot = int(now_s / self._slot_s)
        counts = self._counts
        if counts and counts[0][0] < slot - SLOTS:
            self._forget(slot)
        if self.total + n > self.amount:
            return -1
        self.total += n
        if counts and counts[-1][0] >= slot:
            counts[-1][1] += n
        elif n:
            counts.append([slot, n])
        return slot

    def add(self, n: int, now_s: float) -> None:
        """Count `n` that happened, whether there was room for them or not."""
        slot = int(now_s / self._slot_s)
        self._forget(slot)
        self.total += n
        if self._counts and self._counts[-1][0] >= slot:
            self._counts[-1][1] += n
        elif n:
            self._counts.append([slot, n])

    def give(self, n: int, slot: int) -> None:
        """Take back `n` of those admitted in `slot`. Nothing happens when that has left the window."""
        for entry in reversed(self._counts):
            if entry[0] <= slot:
                if entry[0] == slot:
                    back = min(n, entry[1])
                    entry[1] -= back
                    self.total -= back
                return

    def left(self, now_s: float) -> int:
        self._forget(int(now_s / self._slot_s))
        return max(0, self.amount - self.total)

    def wait_s(self, n: int, now_s: float) -> float:
        """How long until there is room for `n` if nothing else comes; infinity if there never is."""
        if n > self.amount:
            return float("inf")
        self._forget(int(now_s / self._slot_s))
        over = self.total + n - self.amount
        for slot, count in self._counts:
            if over <= 0:
                break
            over -= count
            free_s = (slot + SLOTS + 1) * self._slot_s
        else:
            if over > 0:
                return float("inf")
        return max(0.0, free_s - now_s) if self.total + n > self.amount else 0.0

    def state(self) -> list[tuple[int, int]]:
        """(slot, count), to be kept over a restart."""
        return [(slot, count) for slot, count in self._counts if count]

    def restore(self, state: list[tuple[int, int]]) -> None:
        self._counts = deque([slot, count] for slot, count in sorted(state) if count > 0)
        self.total = sum(count for _, count in self._counts)

    def _forget(self, slot: int) -> None:
        counts = self._counts
        while counts and counts[0][0] < slot - SLOTS:
            self.total -= counts.popleft()[1]


class Gauge:
    """Things under way at the same time."""

    __slots__ = ("amount", "total")

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self.total = 0

    def take(self, n: int) -> bool:
        if self.total + n > self.amount:
            return False
        self.total += n
        return True

    def give(self, n: int) -> None:
        self.total = max(0, self.total - n)
