"""What a Gemini model accepts, read from its name: only what decides how a foreign request must be written.

    name               JSON Schema for           thinking                            media in     wants signatures
                       tools       output                                            results      on tool calls
    gemini-1.x         -           -             -                                   -            -
    gemini-2.0         yes         -             -                                   -            -
    gemini-2.5-pro     yes         yes           budget 128 - 32,768, never off      -            -
    gemini-2.5-flash   yes         yes           budget 1 - 24,576, 0 is off         -            -
    gemini-2.5-*-lite  yes         yes           budget 512 - 24,576, 0 is off       -            -
    gemini-3-pro       yes         yes           level low, high                     yes          yes
    gemini-3.1-pro on  yes         yes           level low, medium, high             yes          yes
    gemini-3 flash on  yes         yes           level minimal to high               yes          yes
    gemini-*-latest    yes         yes           budget (old and new ones take it)   -            yes
    another name       -           -             -                                   -            -

Models that make images or speech have no thinking knobs, whatever their version.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

_VERSION = re.compile(r"gemini-(?:(?P<major>\d{1,2})(?:\.(?P<minor>\d{1,2}))?|[a-z-]*latest)(?![\d.])")
_UNTHINKING = re.compile(r"-(?:image|tts|audio|live|embedding|computer-use)")


class Traits(Struct, frozen=True, omit_defaults=True):
    schema_tools: bool = False  # takes parametersJsonSchema
    schema_output: bool = False  # takes responseJsonSchema
    thinking: Literal["none", "budget", "level"] = "none"
    levels: tuple[str, ...] = ()
    budget: tuple[int, int] = (0, 0)  # least and most
    can_stop_thinking: bool = False
    media_in_results: bool = False
    signed_calls: bool = False


_OTHER = Traits()


def traits(model: str) -> Traits:
    name = model.lower()
    found = _VERSION.search(name)
    if found is None:
        return _OTHER
    thinks = not _UNTHINKING.search(name)
    if found["major"] is None:
        return Traits(True, True, "budget" if thinks else "none", (), (512, 24_576), "pro" not in name, False, True)
    version = (int(found["major"]), int(found["minor"] or 0))
    if version < (2, 0):
        return _OTHER
    if version < (2, 5):
        return Traits(schema_tools=True)
    pro = "-pro" in name
    if version < (3, 0):
        budget = (128, 32_768) if pro else (512 if "lite" in name else 1, 24_576)
        return Traits(True, True, "budget" if thinks else "none", (), budget, not pro)
    levels: tuple[str, ...] = ("low", "medium", "high")
    if pro and version < (3, 1):
        levels = ("low", "high")
    elif not pro:
        levels = ("minimal", *levels)
    return Traits(True, True, "level" if thinks else "none", levels, (0, 0), False, True, True)
