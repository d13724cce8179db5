"""A small provider catalogue for the configuration's tests."""

from __future__ import annotations

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    name: str
    dialect: str = "openai_chat"
    base_url: str = "https://api.example.com/v1"
    auth: str = "bearer"
    env: tuple[str, ...] = ()
    probe: str = ""


CATALOGUE = {
    row.name: row
    for row in (
        Row(name="openai", env=("OPENAI_API_KEY",)),
        Row(name="anthropic", dialect="anthropic", auth="x-api-key", env=("ANTHROPIC_API_KEY",)),
        Row(name="gemini", env=("GEMINI_API_KEY", "GOOGLE_API_KEY")),
        Row(name="databricks", base_url="", env=("DATABRICKS_TOKEN",)),
        Row(name="ollama", base_url="http://127.0.0.1:11434/v1", auth="none"),
        Row(name="sandbox", base_url="sandbox://sandbox", auth="none"),
    )
}
