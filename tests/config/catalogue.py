"""A small provider catalogue for the configuration's tests."""

from __future__ import annotations

from msgspec import Struct, field


class Row(Struct, frozen=True, kw_only=True):
    name: str
    dialect: str = "openai_chat"
    base_url: str = "https://api.example.com/v1"
    auth: str = "bearer"
    env: tuple[str, ...] = ()
    probe: str = ""
    also: dict[str, str] = field(default_factory=dict)
    credential: str = ""
    fill: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)


CATALOGUE = {
    row.name: row
    for row in (
        Row(name="openai", env=("OPENAI_API_KEY",)),
        Row(name="anthropic", dialect="anthropic", auth="x-api-key", env=("ANTHROPIC_API_KEY",)),
        Row(name="gemini", env=("GEMINI_API_KEY", "GOOGLE_API_KEY")),
        Row(name="databricks", base_url="", env=("DATABRICKS_TOKEN",)),
        Row(
            name="bedrock",
            base_url="https://bedrock-runtime.{region}.amazonaws.com",
            env=("AWS_BEARER_TOKEN_BEDROCK",),
            credential="aws",
            fill={"region": ("AWS_REGION",)},
        ),
        Row(
            name="cloud",
            base_url="https://{region}.example.com/{account}",
            env=("CLOUD_KEY",),
            fill={"account": ("CLOUD_ACCOUNT",), "region": ("CLOUD_REGION",)},
            defaults={"region": "global"},
        ),
        Row(name="novel", dialect="smoke_signals", env=("NOVEL_KEY",)),
        Row(name="bilingual", dialect="smoke_signals", also={"openai_chat": ""}, env=("BILINGUAL_KEY",)),
        Row(name="ollama", base_url="http://127.0.0.1:11434/v1", auth="none"),
        Row(name="sandbox", base_url="sandbox://sandbox", auth="none"),
    )
}
