"""Voyage AI: /v1/embeddings and /v1/rerank. Base URLs of this dialect end before /v1."""

from __future__ import annotations

from freehold.wire.dialect import ClientPath
from freehold.wire.dialects.bare import BareDialect
from freehold.wire.embedform import EmbedForm, FormEmbeddings
from freehold.wire.rerankform import FormRerank, RerankForm

NAME = "voyage"

VOYAGE = BareDialect(
    NAME,
    (ClientPath("/voyage/v1/embeddings", "embeddings"), ClientPath("/voyage/v1/rerank", "rerank")),
    {"embeddings": "/v1/embeddings", "rerank": "/v1/rerank"},
    FormEmbeddings(
        EmbedForm(
            dialect=NAME,
            dimensions="output_dimension",
            encoding="encoding_format",
            number_type="output_dtype",
            purpose="input_type",
            purposes={"query": "query", "document": "document"},
            truncate="truncation",
        )
    ),
    FormRerank(RerankForm(dialect=NAME, top_n="top_k", results="data", bare=True)),
)
