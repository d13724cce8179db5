"""Why a provider refused a request, where another target may not: too long for this model, or against this provider's rules.

Providers have no common code for either; what they write is known from their documentation and from recorded replies.
"""

from __future__ import annotations

import re
from typing import Literal

Cause = Literal["", "context_window", "content_policy"]

_STATUSES = frozenset((400, 403, 413, 422))
_TOO_LONG = re.compile(
    rb"context_length_exceeded|model_context_window_exceeded|maximum context length|prompt is too long|input is too long"
    rb"|exceeds? the (?:maximum|available) (?:number of tokens|context)|input token count|context window"
    rb"|too many (?:input )?tokens"
    rb"|longer than the model's context|exceed_context_size",
    re.IGNORECASE,
)
_AGAINST_RULES = re.compile(
    rb"content_policy_violation|content_filter|responsibleaipolicyviolation|content management policy|blocked by our safety"
    rb"|safety system|prohibited_content|blocked_reason|content policy|guardrail",
    re.IGNORECASE,
)


def cause_of(status: int, body: bytes) -> Cause:
    """`body`: of the provider's error reply, or the message of one within a stream."""
    if status not in _STATUSES:
        return ""
    if _TOO_LONG.search(body):
        return "context_window"
    return "content_policy" if _AGAINST_RULES.search(body) else ""
