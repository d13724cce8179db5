"""The rows are data that people edit: hold them to what the code takes for granted."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec
import pytest

from freehold.config.address import GAPS, fill, gaps
from freehold.config.schema import ProviderConfig
from freehold.pipeline.sides import sides
from freehold.policy import pricebook
from freehold.upstream.catalogue import PROVIDERS, ProviderRow, find, load
from freehold.upstream.head import auth_headers, request_head
from freehold.upstream.transport import SANDBOX, parse_base_url
from freehold.wire.dialects.openai_chat import media
from freehold.wire.registry import DIALECTS, SPOKEN

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
    "azure",
    "azure-ai",
    "azure-anthropic",
    "azure-deployments",
    "vertex",
    "vertex-anthropic",
    "bedrock",
    "voyage",
    "jina",
    "writer",
    "watsonx",
    "watsonx-native",
    "replicate",
    "deepgram",
    "elevenlabs",
    "snowflake",
    "upstage",
    "reka",
    "volcengine",
    "stepfun",
    "baichuan",
    "yi",
    "hunyuan",
    "qianfan",
    "friendli",
    "featherless",
    "ovhcloud",
    "scaleway",
    "ionos",
    "siliconflow",
    "meta",
    "requesty",
    "poe",
    "chutes",
    "nscale",
    "cloudflare",
    "databricks",
    "ollama",
    "vllm",
    "llamacpp",
    "lmstudio",
    "sglang",
    "tgi",
    "tei",
    "infinity",
    "localai",
    "sandbox",
]


def test_the_vendors_that_people_ask_for_are_there() -> None:
    assert [name for name in REQUIRED if name not in PROVIDERS] == []


def test_there_are_at_least_65() -> None:
    assert len(ROWS) >= 65


def test_a_row_is_found_by_its_exact_name() -> None:
    assert find("openai") is PROVIDERS["openai"]
    assert find("OpenAI") is None


@each_row
def test_a_name_can_stand_before_a_slash_in_a_model_name(row: ProviderRow) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]*", row.name)
    assert row.title


@each_row
def test_its_dialect_has_a_path_for_each_kind(row: ProviderRow) -> None:
    assert row.kinds
    if row.dialect in SPOKEN:
        peek = DIALECTS["openai_chat"].peek(b'{"model":"m","messages":[{"role":"user","content":"x"}]}', "chat")
        passed = media.KINDS & set(row.kinds)  # their paths are the client's own
        assert not passed or row.dialect == "openai_chat"
        for kind in set(row.kinds) - passed - {"passthrough"}:
            assert row.paths.get(kind) or SPOKEN[row.dialect].path(kind, peek, "m") is not None


def test_the_rows_whose_dialects_are_still_to_come() -> None:
    """A row may be ahead of the code, but not by a slip of the pen."""
    to_come = {"gemini", "bedrock", "bedrock_invoke", "cohere", "voyage", "jina", "tei", "ollama"}
    to_come |= {"openai_responses", "openai_completions"}
    assert {dialect for row in ROWS for dialect in (row.dialect, *row.also)} - set(SPOKEN) <= to_come


@each_row
def test_its_other_dialects_are_not_its_own_and_their_bases_are_paths_or_urls(row: ProviderRow) -> None:
    assert row.dialect not in row.also
    for entry in row.also.values():
        base = entry if isinstance(entry, str) else entry.base
        assert base == "" or base.startswith(("/", "https://"))


@each_row
def test_every_gap_in_an_address_can_be_filled_by_a_field_of_the_configuration(row: ProviderRow) -> None:
    assert set(gaps(row.base_url)) <= set(GAPS)
    assert set(row.fill) | set(row.defaults) <= set(gaps(row.base_url))
    assert set(gaps(row.global_base_url)) <= set(gaps(row.base_url))


@each_row
def test_an_api_of_its_own_is_nothing_else(row: ProviderRow) -> None:
    assert "passthrough" not in row.kinds or (row.kinds == ("passthrough",) and not row.also and not row.price_id)


@each_row
def test_a_provider_can_be_made_of_it(row: ProviderRow) -> None:
    if row.dialect not in SPOKEN and not any(name in SPOKEN for name in row.also):
        return
    given = ProviderConfig(
        region="r1", project="p1", resource="res1", account="a1", base_url=None if row.base_url else "https://x/v1"
    )
    main, by_dialect = sides(row.name, given, row, None)
    assert main in by_dialect.values()
    assert all("{" not in side.prefix.replace("{model}", "") + side.origin.host for side in by_dialect.values())


@each_row
def test_a_base_url_is_https_unless_it_is_on_this_machine_and_is_never_guessed(row: ProviderRow) -> None:
    if not row.base_url:
        assert "Give base_url as https://" in row.notes
        return
    origin, prefix = parse_base_url(row.base_url)
    assert prefix == urlsplit(row.base_url).path.rstrip("/")
    if origin == SANDBOX:
        return
    assert (origin.scheme == "https") == (row.zone == "external")
    if origin.scheme == "http":
        assert origin.host == "127.0.0.1"
        assert row.auth == "none"


@each_row
def test_a_key_has_a_place_to_come_from_where_one_is_needed(row: ProviderRow) -> None:
    assert bool(row.env or row.credential) == (row.auth != "none")
    for name in row.env:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]*_(KEY|TOKEN|PAT|BEDROCK)", name)
        assert name not in ("GITHUB_TOKEN", "API_KEY", "AWS_SECRET_ACCESS_KEY")


def test_no_key_is_claimed_by_two_rows() -> None:
    names = [name for row in ROWS for name in row.env]
    assert sorted(names) == sorted(set(names))


@each_row
def test_its_heads_can_be_built(row: ProviderRow) -> None:
    filled = fill(row.base_url, dict.fromkeys(GAPS, "x")).replace("{model}", "m")
    origin, prefix = parse_base_url(filled or "https://placeholder.example/v1")
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


@pytest.mark.parametrize("text", ["[a]\ntitle = 5", '[a]\ntitle = "A"\nurl = "x"', '[a]\ntitle="A"\nauth="smoke"'])
def test_a_row_with_a_wrong_field_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        load(text)
