"""Jina AI: /v1/embeddings and /v1/rerank. Base URLs of this dialect end before /v1."""

from __future__ import annotations

from freehold.wire.dialect import ClientPath
from freehold.wire.dialects.bare import BareDialect
from freehold.wire.embedform import EmbedForm, FormEmbeddings
from freehold.wire.rerankform import FormRerank, RerankForm

NAME = "jina"

JINA = BareDialect(
    NAME,
    (ClientPath("/jina/v1/embeddings", "embeddings"), ClientPath("/jina/v1/rerank", "rerank")),
    {"embeddings": "/v1/embeddings", "rerank": "/v1/rerank"},
    FormEmbeddings(
        EmbedForm(
            dialect=NAME,
            encoding="embedding_type",
            purpose="task",
            purposes={
                "query": "retrieval.query",
                "document": "retrieval.passage",
                "classification": "classification",
                "clustering": "separation",
                "similarity": "text-matching",
            },
            truncate="truncate",
            objects=True,
        )
    ),
    FormRerank(RerankForm(dialect=NAME, returns_documents=True)),
)
