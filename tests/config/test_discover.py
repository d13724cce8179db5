from __future__ import annotations

import pytest

from freehold.config.discover import discover, effective
from freehold.config.load import parse
from freehold.config.schema import Config
from tests.config.catalogue import CATALOGUE

ENV = {"OPENAI_API_KEY": " sk-1\n", "ANTHROPIC_API_KEY": "  ", "GOOGLE_API_KEY": "g", "DATABRICKS_TOKEN": "d"}


def config(text: str) -> Config:
    found, problems = parse(text, ENV, CATALOGUE)
    assert problems == []
    return found


def test_a_provider_is_found_by_its_first_variable_that_holds_something() -> None:
    assert discover(ENV, CATALOGUE) == {"openai": "OPENAI_API_KEY", "gemini": "GOOGLE_API_KEY"}


def test_without_a_file_the_environment_local_servers_and_the_sandbox_serve() -> None:
    got = effective(Config(), ENV, CATALOGUE, {"ollama": "http://127.0.0.1:11434/v1"})
    assert list(got.config.providers) == ["openai", "gemini", "ollama", "sandbox"]
    assert got.config.providers["openai"].api_key == "sk-1"
    assert got.config.providers["ollama"].base_url == "http://127.0.0.1:11434/v1"
    assert "OPENAI_API_KEY" in got.why["openai"] and "11434" in got.why["ollama"]
    assert not [why for why in got.why.values() if "sk-1" in why]


def test_the_file_wins_over_what_is_found() -> None:
    got = effective(
        config("providers: {openai: {api_key: mine}, ollama: {base_url: 'http://h/v1'}}"), ENV, CATALOGUE, {"ollama": "x"}
    )
    assert got.config.providers["openai"].api_key == "mine"
    assert got.config.providers["ollama"].base_url == "http://h/v1"


def test_a_configured_provider_without_a_key_takes_it_from_its_variable() -> None:
    got = effective(config("providers: {openai: {zone: internal}}"), ENV, CATALOGUE)
    assert (got.config.providers["openai"].api_key, got.config.providers["openai"].zone) == ("sk-1", "internal")


@pytest.mark.parametrize("name", ["openai", "sandbox"])
def test_a_provider_that_is_switched_off_stays_off(name: str) -> None:
    assert name not in effective(config(f"providers: {{{name}: {{enabled: false}}}}"), ENV, CATALOGUE).config.providers


def test_discovery_can_be_switched_off_and_routes_still_get_their_providers() -> None:
    text = "discover: false\nroutes: {r: {targets: [{provider: ollama, model: m}, {provider: gemini, model: m}]}}"
    got = effective(config(text), ENV, CATALOGUE, {"ollama": "http://elsewhere"})
    assert list(got.config.providers) == ["ollama", "gemini", "sandbox"]
    assert got.config.providers["gemini"].api_key == "g"
    assert got.config.providers["ollama"].base_url is None


def test_the_given_config_is_left_as_it_was() -> None:
    given = config("providers: {openai: {}}")
    effective(given, ENV, CATALOGUE)
    assert list(given.providers) == ["openai"] and given.providers["openai"].api_key is None


def test_an_address_with_gaps_is_found_once_they_are_filled() -> None:
    env = {"CLOUD_KEY": "k", "AWS_BEARER_TOKEN_BEDROCK": "b"}
    assert discover(env, CATALOGUE) == {}
    env |= {"CLOUD_ACCOUNT": "https://acc/", "AWS_REGION": "a/b"}  # a region that could not stand in a URL is none
    assert discover(env, CATALOGUE) == {"cloud": "CLOUD_KEY"}
    got = effective(Config(), env, CATALOGUE).config.providers["cloud"]
    assert (got.account, got.region, got.api_key) == ("acc", "global", "k")


def test_the_file_fills_gaps_before_the_environment() -> None:
    env = {"CLOUD_KEY": "k", "CLOUD_ACCOUNT": "env", "CLOUD_REGION": "env"}
    found, problems = parse("providers: {cloud: {account: mine}}", env, CATALOGUE)
    assert problems == []
    got = effective(found, env, CATALOGUE).config.providers["cloud"]
    assert (got.account, got.region) == ("mine", "env")


def test_a_cloud_named_without_a_key_takes_the_clouds_own_credential() -> None:
    env = {"AWS_REGION": "eu-1"}
    found, problems = parse("providers: {bedrock: {}}", env, CATALOGUE)
    assert problems == []
    assert effective(found, env, CATALOGUE).why["bedrock"] == "configured; aws credentials"
    got = effective(found, env, CATALOGUE).config.providers["bedrock"]
    assert (got.credential is not None and got.credential.type, got.api_key, got.region) == ("aws", None, "eu-1")
    keyed = effective(found, env | {"AWS_BEARER_TOKEN_BEDROCK": "b"}, CATALOGUE).config.providers["bedrock"]
    assert (keyed.credential, keyed.api_key) == (None, "b")
    assert "bedrock" not in effective(Config(), env | {"AWS_ACCESS_KEY_ID": "a"}, CATALOGUE).config.providers


def test_a_credential_of_the_file_wins_over_a_key_in_the_environment() -> None:
    env = {"AWS_REGION": "eu-1", "AWS_BEARER_TOKEN_BEDROCK": "b"}
    found, problems = parse("providers: {bedrock: {credential: {type: aws, profile: work}}}", env, CATALOGUE)
    assert problems == []
    got = effective(found, env, CATALOGUE).config.providers["bedrock"]
    assert got.api_key is None and got.credential is not None and got.credential.profile == "work"


def test_a_provider_of_ones_own_that_signs_takes_the_region_from_the_environment() -> None:
    text = "providers: {vpc: {dialect: openai_chat, base_url: 'https://vpc.example', credential: {type: aws}}}"
    found, problems = parse(text, {"AWS_REGION": "eu-1"}, CATALOGUE)
    assert problems == []
    assert effective(found, {"AWS_REGION": "eu-1"}, CATALOGUE).config.providers["vpc"].region == "eu-1"
    assert [p.path for p in parse(text, {}, CATALOGUE)[1]] == ["providers.vpc.region"]


def test_a_provider_whose_dialects_this_version_does_not_have_is_not_found() -> None:
    assert discover({"NOVEL_KEY": "k", "BILINGUAL_KEY": "k"}, CATALOGUE) == {"bilingual": "BILINGUAL_KEY"}
