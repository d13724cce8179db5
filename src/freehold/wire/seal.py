"""A proof of reasoning on its way through a client that speaks another dialect than the model which gave it.

Signatures and redacted thinking mean something only to the maker that issued them; any other one refuses a request that
holds them. A client's dialect has one field for them and no word for whose they are, so a foreign one travels sealed:
"~freehold.<dialect>.<what>.<value>". Who reads it back knows the maker, and whether it may be sent to a target.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

What = Literal["signature", "redacted", "call"]  # "call": the signature belongs to the tool call that follows

MARK: Final = "~freehold."  # begins with a character that is rare in JSON: a long body is searched for it
_KINDS = get_args(What)


class Sealed(NamedTuple):
    maker: str  # the dialect of the provider that issued the value
    what: What
    value: str  # "" where the reasoning came unsigned


def seal(maker: str, what: What, value: str) -> str:
    return f"{MARK}{maker}.{what}.{value}"


def unseal(text: str) -> Sealed | None:
    """What `seal` was given; None where `text` is no seal of ours."""
    if not text.startswith(MARK):
        return None
    parts = text.split(".", 3)
    if len(parts) != 4 or parts[2] not in _KINDS or not parts[1]:
        return None
    return Sealed(parts[1], parts[2], parts[3])  # type: ignore[arg-type]
