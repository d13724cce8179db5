"""What a client says a call is for: the end user, the session and tags. Recorded as it is said, and believed by nobody.

From headers, or for the end user from the field of the request that its API has for it. Too much is cut off, never refused.
"""

from __future__ import annotations

from msgspec import DecodeError, Raw, ValidationError, json

from freehold.store.spool import LedgerLine
from freehold.wire.dialect import Peek

USER_HEADER = b"x-freehold-user"
SESSION_HEADER = b"x-freehold-session"
TAGS_HEADER = b"x-freehold-tags"  # "team=search, urgent": names, each with a value or without
MAX_LENGTH = 256  # characters of an end user, of a session
MAX_TAGS = 16
MAX_TAGS_BYTES = 2048  # looked at
MAX_NAME = 64  # characters of a tag's name
MAX_VALUE = 128

_USER_FIELDS = ("safety_identifier", "user")  # OpenAI's, and of those who took them over
_decode_str = json.Decoder(str).decode
_decode_members = json.Decoder(dict[str, Raw]).decode


def end_user_of(headers: dict[bytes, bytes], peek: Peek | None, dialect: str) -> str:
    """`dialect`: its name, which says where a request names its end user. "": it does not say."""
    user = headers.get(USER_HEADER)
    if user is not None:
        return _text(user)
    return _user_of(peek.fields, dialect) if peek is not None else ""


def session_of(headers: dict[bytes, bytes]) -> str:
    session = headers.get(SESSION_HEADER)
    return "" if session is None else _text(session)


def note_labels(headers: dict[bytes, bytes], peek: Peek | None, dialect: str, line: LedgerLine) -> None:
    """`dialect`: as in `end_user_of`."""
    line.end_user = end_user_of(headers, peek, dialect)
    session = headers.get(SESSION_HEADER)
    if session is not None:
        line.session = _text(session)
    tags = headers.get(TAGS_HEADER)
    if tags is not None:
        line.tags = tags_of(tags)


def tags_of(header: bytes) -> dict[str, str]:
    """The first MAX_TAGS; of two with one name the last counts."""
    found: dict[str, str] = {}
    for piece in header[:MAX_TAGS_BYTES].split(b","):
        name, _, value = piece.partition(b"=")
        label = _text(name, MAX_NAME)
        if label and (len(found) < MAX_TAGS or label in found):
            found[label] = _text(value, MAX_VALUE)
    return found


def _user_of(fields: dict[str, Raw], dialect: str) -> str:
    if dialect == "anthropic":
        metadata = fields.get("metadata")
        return _string(_members(metadata).get("user_id")) if metadata is not None else ""
    for name in _USER_FIELDS:
        value = fields.get(name)
        if value is not None:
            return _string(value)
    return ""


def _members(value: Raw) -> dict[str, Raw]:
    try:
        return _decode_members(value)
    except (DecodeError, ValidationError, UnicodeDecodeError):
        return {}  # no object: the provider says so


def _string(value: Raw | None) -> str:
    try:
        return "" if value is None else _clean(_decode_str(value), MAX_LENGTH)
    except (DecodeError, ValidationError, UnicodeDecodeError):
        return ""


def _text(value: bytes, length: int = MAX_LENGTH) -> str:
    return _clean(value[: length * 4].decode("utf-8", "replace"), length)


def _clean(text: str, length: int) -> str:
    text = text.strip()[:length]
    return text if text.isprintable() else "".join([c if c.isprintable() else "\ufffd" for c in text])
