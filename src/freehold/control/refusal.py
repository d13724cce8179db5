"""Why an administrative act is refused. No HTTP here: `admin/problems.py` and the commands say it in their own ways.

Refused
├── Invalid        the value of `field` can't be taken
├── SignInNeeded   nobody known is asking
├── Forbidden      whoever asks may not do this
├── Missing        there is no such object in this workspace
├── Conflict       it does not fit what is there: a name in use, an object that others need, one that the file owns
├── Stale          somebody else changed the object meanwhile
├── Reused         an Idempotency-Key that another request came with
└── TooMany        tried too often; wait for `retry_after_s`
"""

from __future__ import annotations

from collections.abc import Sequence


class Refused(Exception):
    """The message says what happened, names the value and says what to do. It holds no secret."""


class Invalid(Refused):
    """`more`: other fields that are wrong too, each with its message."""

    def __init__(self, field: str, message: str, more: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.field = field  # as the caller wrote it: models[2], config.targets[0].provider
        self.more = tuple(more)


class SignInNeeded(Refused):
    pass


class Forbidden(Refused):
    pass


class Missing(Refused):
    def __init__(self, kind: str, wanted: str) -> None:
        super().__init__(f"There is no {kind} {wanted[:100]!r} in this workspace.")


class Conflict(Refused):
    pass


class Stale(Refused):
    pass


class Reused(Refused):
    pass


class TooMany(Refused):
    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
