"""The dialects by name. Adding one is a folder under dialects/ and a line here."""

from __future__ import annotations

from freehold.wire.dialect import Dialect
from freehold.wire.dialects.anthropic import AnthropicDialect
from freehold.wire.dialects.gemini import GeminiDialect
from freehold.wire.dialects.openai_chat import OpenAIChatDialect

DIALECTS: dict[str, Dialect] = {d.name: d for d in (OpenAIChatDialect(), AnthropicDialect(), GeminiDialect())}
