"""Make a provider's error text safe to show: secrets masked, control characters gone, length bounded.

Providers echo parts of what they were sent, sometimes the gateway's own credential. We keep the sentence and mask
whatever could be a secret; public identifiers that help a user (tool-call, message and request ids) stay.
It errs on the side of masking. It does not judge meaning: callers decide whether a text is shown at all.
"""

from __future__ import annotations

import re

MAX_CHARS = 500
_MASK = "***"
_READ_AT_MOST = 4_000  # characters looked at: an error message of megabytes must not cost seconds

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\ufeff]+")
_SECRET = re.compile(
    # public ids first: what matches here is kept
    r"(?P<keep>(?<![A-Za-z0-9_-])(?:toolu|srvtoolu|mcptoolu|msg|call|req|resp|file|fc|rs|chatcmpl|run|thread|batch|msgbatch)"
    r"[_-][A-Za-z0-9]{1,64}(?![A-Za-z0-9_-]))"
    # "Bearer xyz", "Basic xyz"
    r"|(?i:\b(?P<scheme>bearer|basic)\s+)[A-Za-z0-9._~+/=*-]{6,}"
    # key=..., "api_key": "...", x-api-key: ...
    r"|(?P<name>(?i:(?:api|access|secret|private|auth|subscription)[_-]?(?:key|token)|key|token|secret|password|passwd|signature|sig"
    r"|authorization)[\"']?\s?[=:]\s?[\"']?)(?!(?i:bearer|basic)\b)[^\s\"'&,;}]{6,}"
    # a secret in a URL's query may be short
    r"|(?<=[?&])(?P<query>(?i:(?:api[_-]?)?key|(?:access_)?token|sig|signature|code)=)[^\s\"'&]+"
    # https://user:password@host, and mail addresses
    r"|(?<=://)[^\s/@]{1,256}(?=@)"
    r"|[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{0,62}\w"
    # whose account it is
    r"|(?<![A-Za-z0-9_-])(?:org|proj|user|acct)[-_](?=[A-Za-z-]{0,63}[0-9])[A-Za-z0-9-]{8,}"
    # well-known key prefixes, also where the provider already starred out the middle
    r"|(?<![A-Za-z0-9])(?:sk|pk|rk|ak|gsk|xai|hf|nvapi|csk|pplx|fw|r8|ghp|gho|ghs|github_pat|glpat|xox[abps]|tgp_v\d|dapi|AIza|ya29\.|eyJ"
    r"|AKIA|ASIA|key|fh)(?:[_-]|(?<=AIza)|(?<=ya29\.)|(?<=eyJ)|(?<=AKIA)|(?<=ASIA))[A-Za-z0-9_\-.*/+=]{6,}"
    # starred-out remains of a key
    r"|(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{0,64}\*{3,}[A-Za-z0-9_*-]*"
    # uuids and long runs of letters and digits
    r"|(?<![A-Za-z0-9])[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}(?![A-Za-z0-9])"
    r"|(?<![A-Za-z0-9])(?=[A-Za-z0-9+]{0,63}[0-9])(?=[A-Za-z0-9+]{0,63}[A-Za-z])[A-Za-z0-9+]{24,}={0,2}"
    r"|[A-Za-z0-9+]{64,}={0,2}"
)


def clean_message(text: str) -> str:
    """One line of at most 500 characters without anything that looks like a secret. Pure; any text is accepted."""
    if len(text) > _READ_AT_MOST:
        # The cut may halve a secret, and half of one would not be recognised: drop the last word with it.
        text = text[:_READ_AT_MOST].rpartition(" ")[0] or _MASK
    text = _SECRET.sub(_mask, _SPACE.sub(" ", text)).strip()
    return text if len(text) <= MAX_CHARS else text[: MAX_CHARS - 1].rstrip() + "…"


def clean_identifier(value: object) -> str | None:
    """A provider's short machine-readable word ("rate_limit_error"), or None where it is something else or may be a secret."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value) or clean_message(value) != value:
        return None
    return value


def _mask(match: re.Match[str]) -> str:
    if (kept := match["keep"]) is not None:
        return kept
    if (scheme := match["scheme"]) is not None:
        return f"{scheme} {_MASK}"
    return (match["query"] or match["name"] or "") + _MASK
