"""What every table is built from: the one MetaData, and columns by kind.

Times are unix milliseconds in a column named *_ms; 0 or NULL says "never" where the table's comment says so.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, LargeBinary, MetaData, Text

metadata = MetaData()


def text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def maybe_text(name: str) -> Column[str]:
    return Column(name, Text)


def number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def maybe_number(name: str) -> Column[int]:
    return Column(name, BigInteger)


def flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def maybe_flag(name: str) -> Column[bool]:
    return Column(name, Boolean)


def document(name: str) -> Column[object]:
    return Column(name, JSON, nullable=False)


def maybe_document(name: str) -> Column[object]:
    return Column(name, JSON(none_as_null=True))


def sealed(name: str) -> Column[bytes]:
    """Bytes that only a key of ours opens (store/sealing.py), or a digest."""
    return Column(name, LargeBinary, nullable=False)


def maybe_sealed(name: str) -> Column[bytes]:
    return Column(name, LargeBinary)
