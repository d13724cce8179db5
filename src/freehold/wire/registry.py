"""The dialects by name. Adding one is a folder under dialects/ and a line here."""

from __future__ import annotations

from freehold.wire.dialect import Dialect
from freehold.wire.dialects.anthropic import AnthropicDialect
from freehold.wire.dialects.anthropic.vertex import AnthropicOnVertex
from freehold.wire.dialects.openai_chat import OpenAIChatDialect

# What clients and upstreams speak.
DIALECTS: dict[str, Dialect] = {d.name: d for d in (OpenAIChatDialect(), AnthropicDialect())}
# And the forms of them that only upstreams speak.
SPOKEN: dict[str, Dialect] = {**DIALECTS, "anthropic_vertex": AnthropicOnVertex()}
