"""The rows are data that people edit: hold them to what the code takes for granted."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec
import pytest

from freehold.policy import pricebook
from freehold.upstream.catalogue import PROVIDERS, ProviderRow, find, load
from freehold.upstream.head import auth_headers, request_head
from freehold.upstream.transport import SANDBOX, parse_base_url
from freehold.wire.registry import DIALECTS

ROWS = list(PROVIDERS.values())
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
REQUIRED = [
    "openai",
    "anthropic",
    "mistral",
    "groq",
    "deepseek",
    "xai",
    "together",
    "fireworks",
    "openrouter",
    "perplexity",
    "cerebras",
    "huggingface",
    "nvidia",
    "github",
    "gemini",
    "cohere",
    "moonshot",
    "zai",
    "minimax",
    "dashscope",
    "sambanova",
    "deepinfra",
    "novita",
    "hyperbolic",
    "nebius",
    "baseten",
    "ai21",
    "vercel",
    "cloudflare",
    "databricks",
    "ollama",
    "vllm",
    "llamacpp",
    "lmstudio",
    "sglang",
    "tgi",
    "localai",
    "sandbox",
]


def test_the_vendors_that_people_ask_for_are_there() -> None:
    assert [name for name in REQUIRED if name not in PROVIDERS] == []


def test_a_row_is_found_by_its_exact_name() -> None:
    assert find("openai") is PROVIDERS["openai"]
    assert find("OpenAI") is None


@each_row
def test_a_name_can_stand_before_a_slash_in_a_model_name(row: ProviderRow) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]*", row.name)
    assert row.title


@each_row
def test_a_dialect_exists_and_has_a_path_for_each_kind(row: ProviderRow) -> None:
    body = b'{"model":"m","max_tokens":5,"input":"x","messages":[{"role":"user","content":"x"}]}'
    dialect = DIALECTS[row.dialect]
    assert row.kinds
    for kind in row.kinds:
        assert dialect.path(kind, dialect.peek(body, kind), "m") is not None


@each_row
def test_a_base_url_is_https_unless_it_is_on_this_machine_and_is_never_guessed(row: ProviderRow) -> None:
    if not row.base_url:
        assert "Give base_url as https://" in row.notes
        return
    origin, prefix = parse_base_url(row.base_url)
    assert prefix == urlsplit(row.base_url).path
    if origin == SANDBOX:
        return
    assert (origin.scheme == "https") == (row.zone == "external")
    if origin.scheme == "http":
        assert origin.host == "127.0.0.1"
        assert row.auth == "none"


@each_row
def test_a_key_has_a_place_to_come_from_where_one_is_needed(row: ProviderRow) -> None:
    assert bool(row.env) == (row.auth != "none")
    for name in row.env:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*_(KEY|TOKEN|BEDROCK)", name)
        assert name not in ("GITHUB_TOKEN", "API_KEY", "AWS_SECRET_ACCESS_KEY")


def test_no_key_is_claimed_by_two_rows() -> None:
    names = [name for row in ROWS for name in row.env]
    assert sorted(names) == sorted(set(names))


@each_row
def test_its_heads_can_be_built(row: ProviderRow) -> None:
    origin, prefix = parse_base_url(row.base_url or "https://placeholder.example/v1")
    assert request_head(origin, prefix, "/x", auth_headers(row.auth, "sk-1"), row.headers).startswith(b"POST ")


@each_row
def test_its_prices_exist(row: ProviderRow) -> None:
    if row.price_id:
        assert any(True for _ in pricebook.models(row.price_id))


@each_row
def test_a_probe_is_a_local_url_of_its_own_base_and_never_our_own_port(row: ProviderRow) -> None:
    if row.probe:
        assert row.probe == row.base_url + row.models_path
        assert urlsplit(row.probe).hostname == "127.0.0.1"
        assert urlsplit(row.probe).port not in (8080, 8081)


@each_row
def test_a_field_is_not_both_renamed_and_dropped_and_usage_is_not_asked_of_who_refuses_it(row: ProviderRow) -> None:
    assert not set(row.quirks.rename) & set(row.quirks.drop)
    if "stream_options" in row.quirks.drop:
        assert row.quirks.stream_usage != "ask"


def test_mistral_gets_the_names_it_knows() -> None:
    dialect = DIALECTS["openai_chat"]
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true},'
        b'"max_completion_tokens":5,"seed":7}'
    )
    sent, dropped = dialect.patch(dialect.peek(body, "chat"), "mistral-small", PROVIDERS["mistral"].quirks)
    fields = msgspec.json.decode(sent)
    assert (fields["max_tokens"], fields["random_seed"]) == (5, 7)
    assert not {"stream_options", "max_completion_tokens", "seed"} & set(fields)
    assert dropped == ("stream_options",)


@pytest.mark.parametrize("text", ["[a]\ntitle = 5", '[a]\ntitle = "A"\nurl = "x"', '[a]\ntitle="A"\ndialect="smoke"'])
def test_a_row_with_a_wrong_field_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        load(text)
