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
Time = AwareDatetime


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
