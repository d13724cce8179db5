"""Where a large request body comes from: the port between the request function and whatever server receives it."""

from __future__ import annotations

from typing import Protocol


class Input(Protocol):
    """A request body that is still arriving. What is not read holds the client back: only little of it is ever in memory."""

    length: int | None  # bytes, as the client announced them; None: it sends chunks, and nobody knows
    hold_bytes: int  # the most that may be held in memory, where a body must be whole before it goes on

    async def read(self) -> bytes:
        """The next bytes; b"" at the end. One reader at a time.

        Raises RequestTimeout (the client stopped sending), TooLarge, InvalidRequest (bad framing).
        """
        ...
