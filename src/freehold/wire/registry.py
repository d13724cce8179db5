"""The dialects by name. Adding one is a folder under dialects/ and a line here."""

from __future__ import annotations

from freehold.wire.dialect import Dialect
from freehold.wire.dialects.anthropic import AnthropicDialect
from freehold.wire.dialects.cohere import CohereDialect
from freehold.wire.dialects.jina import JINA
from freehold.wire.dialects.openai_chat import OpenAIChatDialect
from freehold.wire.dialects.tei import TEI
from freehold.wire.dialects.voyage import VOYAGE

DIALECTS: dict[str, Dialect] = {
    d.name: d
    for d in (
        OpenAIChatDialect(),
        AnthropicDialect(),
        CohereDialect(),
        VOYAGE,
        JINA,
        TEI,
    )
}
