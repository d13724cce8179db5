"""How long calls took, in so few bytes that every row of a roll-up can hold it, and merged by adding two numbers.

A histogram is one integer: 40 bits for each bucket, bucket b counting the values in [1.1^(b-1), 1.1^b) microseconds. A value read
back from it is within 4.8 % of the true one. 0 is no duration: what was not measured is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log

_GROWTH = 1.1
_BITS = 40  # over 10^12 calls in one bucket
_SCALE = 1 / log(_GROWTH)
_UNITS = tuple(0 if b == 0 else 1 << (_BITS * b) for b in range(1 + int(log(10**13) * _SCALE) + 2))
_MASK = (1 << _BITS) - 1
ERROR = (_GROWTH - 1) / (_GROWTH + 1)  # largest relative error of a value read back


def one(us: int) -> int:
    """The histogram of one value, in microseconds, up to 10^13."""
    return _UNITS[1 + int(log(us) * _SCALE)] if us > 0 else 0


def packed(histogram: int) -> bytes:
    """As stored: the first bucket that counts anything (2 bytes), then the buckets from there on. b"" for an empty one."""
    if not histogram:
        return b""
    first = ((histogram & -histogram).bit_length() - 1) // _BITS
    body = histogram >> (_BITS * first)
    return first.to_bytes(2, "little") + body.to_bytes((body.bit_length() + 7) // 8, "little")


def unpacked(stored: bytes) -> int:
    return int.from_bytes(stored[2:], "little") << (_BITS * int.from_bytes(stored[:2], "little"))


def count(histogram: int) -> int:
    """How many values are in it."""
    total = 0
    while histogram:
        total += histogram & _MASK
        histogram >>= _BITS
    return total


def percentiles(histogram: int, shares: Sequence[float]) -> list[int | None]:
    """The value, in microseconds, that `share` (0 to 1, ascending) of the values do not exceed. None where there are none."""
    total = count(histogram)
    if not total:
        return [None] * len(shares)
    found: list[int | None] = []
    seen, bucket = 0, -1
    for share in shares:
        rank = max(1, ceil(share * total))
        while seen < rank:
            bucket += 1
            seen += (histogram >> (_BITS * bucket)) & _MASK
        # The one value whose relative distance to both ends of the bucket is the same.
        found.append(round(_GROWTH ** (bucket - 1) * 2 * _GROWTH / (_GROWTH + 1)))
    return found
