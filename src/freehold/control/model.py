"""What administrators send and see: the pydantic models that nouns build upon, and the kinds of value they share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator


def _clean(text: str) -> str:
    if not text.isprintable():
        raise ValueError("only visible characters, on one line")
    return text


Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_clean)]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100, strip_whitespace=True),
    AfterValidator(_clean),
    Field(examples=["support bot"]),
]
Id = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_clean)]
Email = Annotated[
    str,
    StringConstraints(max_length=254, to_lower=True, strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$"),
    AfterValidator(_clean),
    Field(examples=["ada@example.com"]),
]
_MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_clean)]
Metadata = Annotated[
    dict[_MetadataName, Text],
    Field(max_length=32, description="Your own notes on it, never read by Freehold.", examples=[{"cost-centre": "4711"}]),
]


def _in_range(time: datetime) -> datetime:
    try:
        return max(time.astimezone(UTC), _EARLIEST)
    except OverflowError:
        raise ValueError("a time after the year 9999") from None


_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # all before that is as much in the past, and 1970 is the database's "never"
Time = Annotated[AwareDatetime, AfterValidator(_in_range), Field(examples=["2030-01-31T12:00:00Z"])]
Count = Annotated[int, Field(ge=0, le=10**15)]  # what every database and client can hold


def _bounded(value: dict[str, Any]) -> dict[str, Any]:
    waiting: list[tuple[Any, int]] = [(value, 0)]
    seen = 0
    while waiting:
        one, depth = waiting.pop()
        seen += 1
        if depth > _MAX_DEPTH or seen > _MAX_VALUES:
            raise ValueError("nested too deep" if depth > _MAX_DEPTH else f"more than {_MAX_VALUES} values")
        if isinstance(one, dict):
            waiting += ((part, depth + 1) for pair in one.items() for part in pair)
        elif isinstance(one, list):
            waiting += ((part, depth + 1) for part in one)
        elif isinstance(one, str) and not one.isprintable():
            raise ValueError("only visible characters, on one line")
        elif isinstance(one, int | float) and not abs(one) <= 1e15:
            raise ValueError("a number that is out of range")
    return value


_MAX_DEPTH = 12
_MAX_VALUES = 20_000
Document = Annotated[dict[str, Any], AfterValidator(_bounded)]  # JSON with bounds, for what a noun checks by rules of its own


class Model(BaseModel):
    """Unknown fields are errors: a misspelt one must not be taken for one that was left out."""

    model_config = ConfigDict(extra="forbid")


class View(BaseModel):
    """`source`: who owns it; what the file owns can only be changed there."""

    model_config = ConfigDict(extra="ignore")

    id: str
    name: str
    metadata: dict[str, str]
    source: Literal["api", "file"] = "api"
    created_at: datetime | None = Field(description="Unset for what freehold.yaml owns.")
    updated_at: datetime | None
    version: int = Field(exclude=True)  # it is the ETag

    @model_validator(mode="before")
    @classmethod
    def _times(cls, row: Any) -> Any:
        """Columns named *_ms become fields named *_at; 0 and NULL mean never."""
        if not isinstance(row, dict):
            return row
        return {(f"{n[:-3]}_at" if n.endswith("_ms") else n): (moment(v) if n.endswith("_ms") else v) for n, v in row.items()}


class NewObject(Model):
    name: Name
    metadata: Metadata = Field(default_factory=dict)


class EditObject(Model):
    """Leave out what shall stay as it is."""

    name: Name = Field(default="")
    metadata: Metadata = Field(default_factory=dict)


def moment(unix_ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(unix_ms / 1000, UTC) if unix_ms else None


def unix_ms(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
