"""The dialects by name. Adding one is a folder under dialects/ and a line here."""

from __future__ import annotations

from freehold.wire.dialect import Dialect
from freehold.wire.dialects.anthropic import AnthropicDialect
from freehold.wire.dialects.bedrock import BedrockDialect
from freehold.wire.dialects.bedrock_invoke import BedrockInvokeDialect
from freehold.wire.dialects.openai_chat import OpenAIChatDialect

_ALL: tuple[Dialect, ...] = (OpenAIChatDialect(), AnthropicDialect(), BedrockDialect(), BedrockInvokeDialect())
DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
