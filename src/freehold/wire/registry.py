"""The dialects by name. Adding one is a folder under dialects/ and a line here."""

from __future__ import annotations

from freehold.wire.dialect import Dialect
from freehold.wire.dialects.anthropic import AnthropicDialect
from freehold.wire.dialects.anthropic.vertex import AnthropicOnVertex
from freehold.wire.dialects.bedrock import BedrockDialect
from freehold.wire.dialects.bedrock_invoke import BedrockInvokeDialect
from freehold.wire.dialects.cohere import CohereDialect
from freehold.wire.dialects.gemini import GeminiDialect
from freehold.wire.dialects.gemini.vertex import GeminiOnVertex
from freehold.wire.dialects.jina import JINA
from freehold.wire.dialects.ollama import OllamaDialect
from freehold.wire.dialects.openai_chat import OpenAIChatDialect
from freehold.wire.dialects.openai_completions import OpenAICompletionsDialect
from freehold.wire.dialects.openai_responses import OpenAIResponsesDialect
from freehold.wire.dialects.tei import TEI
from freehold.wire.dialects.voyage import VOYAGE

_ALL: tuple[Dialect, ...] = (
    OpenAIChatDialect(),
    OpenAIResponsesDialect(),
    OpenAICompletionsDialect(),
    AnthropicDialect(),
    GeminiDialect(),
    BedrockDialect(),
    BedrockInvokeDialect(),
    CohereDialect(),
    OllamaDialect(),
    VOYAGE,
    JINA,
    TEI,
)
# What clients and upstreams speak.
DIALECTS: dict[str, Dialect] = {dialect.name: dialect for dialect in _ALL}
# And the forms of them that only upstreams speak.
SPOKEN: dict[str, Dialect] = {**DIALECTS, "anthropic_vertex": AnthropicOnVertex(), "gemini_vertex": GeminiOnVertex()}
