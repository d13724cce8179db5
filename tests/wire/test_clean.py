"""Error texts lose their secrets and keep their sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.wire.clean import MAX_CHARS, clean_identifier, clean_message

SECRETS = [
    "sk-ant-api03-" + "Ab1_" * 20,
    "sk-proj-abc123def456",
    "sk-abcde***********wxyz",
    "gsk_" + "a1" * 20,
    "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    "0123456789abcdef0123456789abcdef",
    "123e4567-e89b-12d3-a456-426614174000",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmN",
    "AKIAIOSFODNN7EXAMPLE",
    "a1" * 50,
    "gsk_abcdefgh",
    "org-AbCdEf123456789",
    "ops.team+keys@example.com",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "key: {}.", 'x="{}"', "Bearer {}", "({})", "https://h/?api_key={}&x=1", "authorization: bearer {}"]
)
def test_secrets_do_not_survive(secret: str, around: str) -> None:
    cleaned = clean_message("Wrong " + around.format(secret))
    assert secret not in cleaned and secret[4:14] not in cleaned and "***" in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "prompt is too long: 3333404 tokens > 200000 maximum",
        "messages.3: tool_use ids were found without tool_result blocks: toolu_01A09q90qw90lq917835lq9",
        "model: anthropic.claude-3-5-sonnet-20241022-v2:0 or meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "max_tokens: 8192 > 4096, the key: value form of `token` is odd",
        "Rate limit reached for gpt-4o in organization on tokens per min (TPM): Limit 30000, Used 29000. Try again in 1.2s.",
    ],
)
def test_what_helps_a_user_stays(text: str) -> None:
    assert clean_message(text) == text


def test_passwords_in_urls_are_masked() -> None:
    assert clean_message("at https://user:hunter2@host/path") == "at https://***@host/path"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("sk-a****xyz is wrong", "*** is wrong"),
        ("see https://host.example/x?api_key=abc&y=1", "see https://host.example/x?api_key=***&y=1"),
        ("write to ops@example.com.", "write to ***."),
        ("in proj_a1b2c3d4e5", "in ***"),
        ("a user-defined-function of the user-facing-api", "a user-defined-function of the user-facing-api"),
    ],
)
def test_only_the_secret_goes(text: str, cleaned: str) -> None:
    assert clean_message(text) == cleaned


@pytest.mark.parametrize("word", ["rate_limit_error", "model_not_found", "E.1-b"])
def test_identifiers_are_kept(word: str) -> None:
    assert clean_identifier(word) == word


@pytest.mark.parametrize("value", [None, 7, True, "", "a b", "a\n", "7up", "é", "x" * 65, "sk-proj-abcDEF123", "a1" * 16, ["x"]])
def test_what_is_no_identifier_or_may_be_a_secret_is_left_out(value: object) -> None:
    assert clean_identifier(value) is None


def test_a_message_is_one_line() -> None:
    assert clean_message(" a\r\n\tb\x00\u2028c ") == "a b c"


@given(st.text(max_size=300) | st.text(alphabet="ab1-_* =:/@", max_size=300))
def test_any_text_gives_a_short_line(text: str) -> None:
    cleaned = clean_message(text * 3)
    assert len(cleaned) <= MAX_CHARS and "\n" not in cleaned


@pytest.mark.parametrize(
    "unit", ["a", "a_", "a-", "0a0a0a0a-", "sk-", "*", "a*", "://a", "bearer ", "key: ", "key=", "?key=", "a@", "a@b.", "org-1"]
)
def test_a_hostile_text_of_any_length_gives_a_short_line(unit: str) -> None:
    assert len(clean_message(unit * 100_000)) <= MAX_CHARS


def test_a_secret_at_the_reading_bound_is_not_halved_into_view() -> None:
    secret = "Zx9" * 20
    for length in range(3_930, 4_010):
        assert "Zx9Zx9" not in clean_message("a " * (length // 2) + secret)[-80:]
