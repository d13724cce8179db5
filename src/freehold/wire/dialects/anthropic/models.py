"""What a Claude model accepts, read from its name: only what decides how a foreign request must be written.

Source: the API description and Anthropic's documentation, 2026-11. A name that is not Claude's (another server that
speaks this dialect) gets the middle way: nothing is held back that old and new models both take.

    version     thinking            effort                sampling             default max_tokens
    < 3.5       none                -                     all                  4,096   (its maximum)
    3.5         none                -                     all                  8,192   (its maximum)
    3.7         budget              -                     all                  32,000
    4 - 4.5     budget              -                     all; from 4.1 one    32,000
                                                          of temperature, top_p
    4.6         adaptive            low medium high max   as above             32,000
    >= 4.7      adaptive            the same and xhigh    none                 32,000
    other name  budget              -                     all                  8,192
"""

from __future__ import annotations

import re

from msgspec import Struct

_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")


class Traits(Struct, frozen=True):
    thinking: str  # "none" | "budget" | "adaptive"
    default_max_tokens: int  # OpenAI's default is "as much as fits"; this API wants a number
    efforts: tuple[str, ...] = ()
    sampling: bool = True  # temperature, top_p and top_k are taken
    one_of_temperature_and_top_p: bool = False
    strict_tools: bool = True
    can_disable: bool = True  # knows {"type": "disabled"}


_OTHER = Traits("budget", 8_192, can_disable=False)
_EFFORTS = ("low", "medium", "high", "max")


def traits(model: str) -> Traits:
    found = _VERSION.search(model.lower())
    if found is None:
        return _OTHER
    version = (int(found[1]), int(found[2] or 0))
    if version < (3, 7):
        return Traits("none", 8_192 if version >= (3, 5) else 4_096, strict_tools=False, can_disable=False)
    if version < (4, 6):
        exclusive = version >= (4, 1)
        return Traits("budget", 32_000, one_of_temperature_and_top_p=exclusive, strict_tools=exclusive)
    if version < (4, 7):
        return Traits("adaptive", 32_000, _EFFORTS, one_of_temperature_and_top_p=True)
    return Traits("adaptive", 32_000, (*_EFFORTS, "xhigh"), sampling=False)
