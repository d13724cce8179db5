from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from freehold.config import schema
from freehold.config.load import ConfigError, check, load, parse, retention
from freehold.config.references import References, Unread
from freehold.config.schema import Config, RetentionConfig
from tests.config.catalogue import CATALOGUE

KEY = "k" * 16


def problems(text: str, **env: str) -> dict[str, str]:
    """Path -> message and hint."""
    return {p.path: f"{p.message} ({p.hint})" for p in check(text, env, CATALOGUE)}


def test_the_documented_example_is_right() -> None:
    text = """
providers:
  openai: {api_key: "${OPENAI_API_KEY}"}
  lab:    {dialect: openai_chat, base_url: http://127.0.0.1:9000/v1, api_key: sk-upstream, zone: internal}
routes:
  fast-model: {targets: [{provider: lab, model: gpt-4o-mini}]}
keys:
  - {name: dev, key: "${DEV_KEY}", models: ["fast-model", "openai/*"]}
"""
    config, found = parse(text, {"OPENAI_API_KEY": "sk-1", "DEV_KEY": KEY}, CATALOGUE)
    assert found == []
    assert config.providers["openai"].api_key == "sk-1"
    assert config.providers["lab"].zone == "internal"
    assert config.routes["fast-model"].targets[0].model == "gpt-4o-mini"
    assert config.keys[0].key == KEY


def test_every_mistake_is_told_in_the_order_of_lines() -> None:
    text = f"""
providers:
  openai: {{api_key: "${{NOPE}}"}}
  lab: {{dialect: openai_cht, base_url: "ftp://x", apikey: zzz, zone: inner}}
routes:
  fast-model:
    targets: [{{provider: labb, model: gpt}}, {{model: 3}}]
    retries: 9
keys:
  - {{name: dev, key: short}}
  - {{name: dev, key: {KEY}, models: [fast-modle]}}
server: {{drain_timeout: x}}
sever: {{}}
"""
    found = check(text, {}, CATALOGUE)
    assert [(p.line, p.path) for p in found] == [
        (3, "providers.openai.api_key"),
        (4, "providers.lab.apikey"),
        (4, "providers.lab.zone"),
        (4, "providers.lab.base_url"),
        (4, "providers.lab.dialect"),
        (7, "routes.fast-model.targets[1].model"),
        (7, "routes.fast-model.targets[1].provider"),
        (7, "routes.fast-model.targets[0].provider"),
        (8, "routes.fast-model.retries"),
        (10, "keys[0].key"),
        (11, "keys[1].name"),
        (11, "keys[1].models[0]"),
        (12, "server.drain_timeout"),
        (13, "sever"),
    ]


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("providrs: {}", "providrs", 'did you mean "providers"'),
        ("[]", "", "expected a mapping"),
        ("providers: []", "providers", "expected a mapping"),
        ("providers: {openai: x}", "providers.openai", "expected a mapping with the fields"),
        ("providers: {openai: {api_key: 123}}", "providers.openai.api_key", "put it in quotes"),
        ("providers: {openai: {api_key: x, models: gpt}}", "providers.openai.models", "brackets"),
        ("providers: {openai: {api_key: x, enabled: maybe}}", "providers.openai.enabled", "true or false"),
        ("providers: {openai: {api_key: x, timeouts: {idle: 0}}}", "providers.openai.timeouts.idle", "more than 0"),
        ("providers: {openai: {api_key: x, timeouts: {idle: .nan}}}", "providers.openai.timeouts.idle", "out of range"),
        ("providers: {openai: {api_key: x, price: {input: 1}}}", "providers.openai.price.output", "missing"),
        ("providers: {openai: {api_key: x, price: {}}}", "providers.openai.price", "names nothing"),
        ("providers: {openai: {api_key: x, price: {input: 1, output: -1}}}", "providers.openai.price.output", "at least 0"),
        ("providers: {openai: {api_key: 'a b'}}", "providers.openai.api_key", "space"),
        ('providers: {openai: {api_key: "a\\nb"}}', "providers.openai.api_key", "line break"),
        ("providers: {openai: {api_key: ''}}", "providers.openai.api_key", "empty"),
        ("providers: {openai: {}}", "providers.openai.api_key", "set OPENAI_API_KEY"),
        ("providers: {openia: {api_key: x}}", "providers.openia", 'did you mean "openai"'),
        ("providers: {mine: {dialect: openai_chat}}", "providers.mine.base_url", "needs base_url"),
        ("providers: {bedrock: {}}", "providers.bedrock.region", "AWS_REGION"),
        ("providers: {cloud: {api_key: k}}", "providers.cloud.account", "CLOUD_ACCOUNT"),
        ("routes: {r: {targets: [{provider: bedrock, model: m}]}}", "routes.r.targets[0].provider", "AWS_REGION"),
        ("routes: {r: {targets: [{provider: novel, model: m}]}}", "routes.r.targets[0].provider", "smoke_signals"),
        ("providers: {novel: {api_key: k}}", "providers.novel", "smoke_signals"),
        ("providers: {cloud: {api_key: k, account: a/b}}", "providers.cloud.account", "letters, digits"),
        ("providers: {mine: {dialect: openai_chat, base_url: 'https://{region}.x'}}", "providers.mine.region", "write region"),
        ("providers: {openai: {api_key: k, base_url: 'https://{zone}.x/v1'}}", "providers.openai.base_url", "region"),
        ("providers: {openai: {api_key: k, also: {smoke_signals: ''}}}", "providers.openai.also.smoke_signals", "not known"),
        ("providers: {openai: {api_key: k, also: {anthropic: 'ftp://x'}}}", "providers.openai.also.anthropic", "https"),
        ("providers: {openai: {api_key: k, query: {a: 'b c'}}}", "providers.openai.query.a", "space"),
        ("providers: {openai: {api_key: k, credential: {type: google}}}", "providers.openai.credential", "side by side"),
        ("providers: {openai: {credential: {type: gcp}}}", "providers.openai.credential.type", "google"),
        ("providers: {openai: {credential: {}}}", "providers.openai.credential.type", "missing"),
        ("providers: {openai: {credential: {type: google, profile: p}}}", "providers.openai.credential.profile", "google"),
        ("providers: {openai: {credential: {type: google, file: /none}}}", "providers.openai.credential.file", "/none"),
        (
            "providers: {openai: {credential: {type: azure, client_secret: s}}}",
            "providers.openai.credential.tenant_id",
            "AZURE_TENANT_ID",
        ),
        ("providers: {openai: {credential: {type: azure, client_id: ''}}}", "providers.openai.credential.client_id", "empty"),
        (
            "providers: {openai: {region: r, credential: {type: aws, access_key_id: a}}}",
            "providers.openai.credential.secret_access_key",
            "access_key_id",
        ),
        ("providers: {mine: {dialect: smoke_signals, base_url: 'http://x'}}", "providers.mine.dialect", "anthropic"),
        ("providers: {databricks: {api_key: x}}", "providers.databricks.base_url", "address of your own"),
        ("providers: {openai: {api_key: x, base_url: 'https://u:p@h/v1'}}", "providers.openai.base_url", "user name"),
        ("providers: {openai: {api_key: x, base_url: 'https://h/v1?a=1'}}", "providers.openai.base_url", "? and #"),
        ("providers: {openai: {api_key: x, base_url: 'https://h:99999'}}", "providers.openai.base_url", "not a URL"),
        ("providers: {openai: {api_key: x, base_url: 'api.openai.com'}}", "providers.openai.base_url", "http or https"),
        ("providers: {openai: {api_key: x, base_url: 'http://'}}", "providers.openai.base_url", "http or https"),
        ("providers: {openai: {api_key: x, headers: {'a b': c}}}", 'providers.openai.headers["a b"]', "header's name"),
        ("providers: {openai: {api_key: x, headers: {Host: c}}}", "providers.openai.headers.Host", "gateway itself"),
        ('providers: {openai: {api_key: x, headers: {a: "b\\r\\nc: d"}}}', "providers.openai.headers.a", "line break"),
        ("providers: {openai: {api_key: x, ca_file: /no/such.pem}}", "providers.openai.ca_file", "no file"),
        ("providers: {a/b: {dialect: openai_chat, base_url: 'http://x'}}", "providers.a/b", "provider's name"),
        ("routes: {r: {targets: []}}", "routes.r.targets", "empty"),
        ("routes: {r: }", "routes.r.targets", "missing"),
        ("routes: {r: {targets: [{provider: opnai, model: m}]}}", "routes.r.targets[0].provider", 'did you mean "openai"'),
        ("routes: {r: {targets: [{provider: anthropic, model: m}]}}", "routes.r.targets[0].provider", "ANTHROPIC_API_KEY"),
        ("routes: {r: {targets: [{provider: ollama, model: ''}]}}", "routes.r.targets[0].model", "empty"),
        ('routes: {r: {targets: [{provider: ollama, model: "m\\r\\nx: y"}]}}', "routes.r.targets[0].model", "line break"),
        ("routes: {openai/gpt: {targets: [{provider: ollama, model: m}]}}", "routes.openai/gpt", "hides a model"),
        ("routes: {'a*': {targets: [{provider: ollama, model: m}]}}", "routes.a*", "route's name"),
        ("routes: {' ': {targets: [{provider: ollama, model: m}]}}", 'routes[" "]', "route's name"),
        (
            "{providers: {ollama: {enabled: false}}, routes: {r: {targets: [{provider: ollama, model: m}]}}}",
            "routes.r.targets[0].provider",
            "switched off",
        ),
        ("keys: {a: b}", "keys", "expected a list"),
        ("keys: [{name: a}]", "keys[0].key", "missing"),
        ("keys: [{name: a, key: ''}]", "keys[0].key", "empty"),
        ("keys: [{name: a, key: 'with a space in it'}]", "keys[0].key", "space"),
        ("keys: [{name: '', key: kkkkkkkkkkkkkkkk}]", "keys[0].name", "empty"),
        ("keys: [{name: a, key: kkkkkkkkkkkkkkkk, models: []}]", "keys[0].models", "no model"),
        ("keys: [{name: a, key: kkkkkkkkkkkkkkkk, models: ['']}]", "keys[0].models[0]", "empty"),
        ("keys: [{name: a, key: kkkkkkkkkkkkkkkk, models: ['opnai/*']}]", "keys[0].models[0]", "no known provider"),
        ("keys: [{name: a, key: kkkkkkkkkkkkkkkk}, {name: b, key: kkkkkkkkkkkkkkkk}]", "keys[1].key", "keys[0]"),
        ("server: {tls_cert: /no/such.pem}", "server.tls_key", "both"),
        ("server: {max_connections: 1.5}", "server.max_connections", "whole number"),
        ("server: {max_connections: true}", "server.max_connections", "whole number"),
    ],
)
def test_a_mistake_is_named_by_its_path_with_what_to_do(text: str, path: str, says: str) -> None:
    found = problems(text)
    assert path in found
    assert says in found[path]


@pytest.mark.parametrize(
    "pattern", ["*", "r", "r*", "*gpt*", "openai/*", "openai/gpt-4o", "sandbox/echo", "open*/x", "team/fast", "mine/m"]
)
def test_patterns_that_can_match_something_are_right(pattern: str) -> None:
    text = f"""
providers: {{mine: {{dialect: openai_chat, base_url: "http://x"}}}}
routes:
  r: {{targets: [{{provider: mine, model: m}}]}}
  team/fast: {{targets: [{{provider: mine, model: m}}]}}
keys: [{{name: a, key: {KEY}, models: ["{pattern}"]}}]
"""
    assert problems(text) == {}


def test_null_sections_and_fields_mean_their_defaults() -> None:
    config, found = parse("providers:\nroutes:\nkeys:\nserver:\n", {}, CATALOGUE)
    assert (config, found) == (Config(), [])
    config, found = parse("providers: {ollama: }", {}, CATALOGUE)
    assert found == [] and config.providers["ollama"].timeouts.connect == 5.0


def test_variables_are_filled_in_after_yaml_was_read() -> None:
    env = {"A": "x: [1, 2]", "N": "7", "B": "false", "E": ""}
    text = """
discover: "${B}"
providers:
  mine:
    dialect: openai_chat
    base_url: "http://${HOST:-127.0.0.1}:${PORT:-9000}/v1"
    headers: {a: "${A}", b: "$${A} ${E:-e}"}
server: {max_connections: "${N}", drain_timeout: "${D:-1.5}"}
"""
    config, found = parse(text, env, CATALOGUE)
    assert found == []
    assert config.discover is False
    assert config.providers["mine"].base_url == "http://127.0.0.1:9000/v1"
    assert config.providers["mine"].headers == {"a": "x: [1, 2]", "b": "${A} e"}
    assert (config.server.max_connections, config.server.drain_timeout) == (7, 1.5)


def test_a_number_in_a_variable_stays_text_where_text_is_wanted() -> None:
    config, found = parse("keys: [{name: '1', key: '${K}'}]", {"K": "1234567890123456"}, CATALOGUE)
    assert found == [] and config.keys[0].key == "1234567890123456"


@pytest.mark.parametrize("text", ["${A", "${1A}", "${}", "${A-b}", "${ A }"])
def test_a_variable_that_is_not_well_written_is_a_problem(text: str) -> None:
    assert "not well written" in problems(f"keys: [{{name: a, key: '{text}'}}]")["keys[0].key"]


def test_one_mistake_is_reported_once() -> None:
    assert list(problems("providers: {openai: {api_key: '${NOPE}'}}")) == ["providers.openai.api_key"]
    assert list(problems("keys: [{name: a, key: 5}, {name: b, key: 5}]")) == ["keys[0].key", "keys[1].key"]


def test_secrets_are_in_no_message() -> None:
    secret = "sk-very-secret-value-0123456789"
    text = f"""
providers:
  a: {{api_key: "{secret} x", base_url: "{secret}", dialect: openai_chat, headers: {{x-key: "{secret}\u00e9"}}}}
  b: {{api_key: [{secret}], base_url: "https://{secret}@host", dialect: openai_chat}}
keys:
  - {{name: a, key: "{secret}"}}
  - {{name: b, key: "{secret}"}}
  - {{name: c, key: "{secret} {secret}"}}
  - "{secret}"
server: "{secret}"
"""
    found = check(text, {}, CATALOGUE)
    assert len(found) >= 8
    assert not [str(p) for p in found if secret in str(p)]


def test_without_a_catalogue_only_the_file_itself_is_judged() -> None:
    text = f"providers: {{x: {{}}}}\nkeys: [{{name: a, key: {KEY}, models: ['x/*', 'y/*']}}]"
    assert check(text, {}) == []


def test_load_names_the_file_and_every_line(tmp_path: Path) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text("server: 1\nsever: 2\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {}, CATALOGUE)
    assert [line.split(": ")[0] for line in caught.value.lines()] == [f"{file}:1", f"{file}:2"]


def test_load_refuses_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {}, CATALOGUE)
    assert load(None, {}, CATALOGUE) == Config()


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats() | st.sampled_from(["${X}", "${X:-1}"])
_SECTIONS = ["providers", "routes", "keys", "server", "openai", "lab"]
_FIELDS = ["targets", "provider", "model", "name", "key", "models", "api_key", "base_url", "dialect", "timeouts", "idle", "price"]
_WORDS = st.sampled_from([*_SECTIONS, *_FIELDS])
_TREES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4), max_leaves=20
)


@given(st.dictionaries(_WORDS, _TREES, max_size=5))
def test_any_document_gives_problems_or_a_config(tree: dict[str, object]) -> None:
    config, found = parse(yaml.safe_dump(tree, allow_unicode=True), {"X": "2"}, CATALOGUE)
    assert isinstance(config, Config)
    assert all(p.message and p.line >= 1 for p in found)


@pytest.fixture
def secret(tmp_path: Path) -> str:
    """A reference to a secret of 30 characters."""
    (tmp_path / "secret").write_text("s3cret-" + "x" * 23 + "\n")
    return f"file:{tmp_path}/secret"


@pytest.mark.parametrize(
    ("section", "read"),
    [
        ("keys: [{name: a, key: @}]", lambda c: c.keys[0].key),
        ("providers: {openai: {api_key: @}}", lambda c: c.providers["openai"].api_key),
        ("providers: {openai: {api_key: k, headers: {x-a: @}}}", lambda c: c.providers["openai"].headers["x-a"]),
        ("providers: {openai: {api_key: k, query: {key: @}}}", lambda c: c.providers["openai"].query["key"]),
        (
            "providers: {openai: {region: r, credential: {type: aws, access_key_id: a, secret_access_key: @}}}",
            lambda c: c.providers["openai"].credential.secret_access_key,
        ),
    ],
)
@pytest.mark.parametrize("form", ["{}", "${{{}}}", "${{GIVEN}}", "${{NONE:-{}}}"])
def test_a_secret_may_be_named_wherever_one_is_accepted(section: str, read: Any, form: str, secret: str) -> None:
    text = section.replace("@", f'"{form.format(secret)}"')
    config, found = parse(text, {"GIVEN": secret}, CATALOGUE)
    assert found == []
    assert read(config) == "s3cret-" + "x" * 23
    assert "s3cret" not in repr(config)


def test_a_secret_may_stand_among_other_text_and_its_reference_hold_variables(secret: str) -> None:
    text = f'providers: {{openai: {{api_key: k, headers: {{a: "Bearer ${{{secret}}}.", b: "${{DIR}}/secret"}}}}}}'
    config, found = parse(text, {"DIR": secret.rpartition("/")[0]}, CATALOGUE)
    assert found == []
    assert config.providers["openai"].headers == {"a": f"Bearer s3cret-{'x' * 23}.", "b": "s3cret-" + "x" * 23}


def test_references_that_lead_nowhere_are_told_by_path_and_line_and_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    text = f"""
keys:
  - {{name: a, key: "file:{tmp_path}/none"}}
  - {{name: b, key: "file:{tmp_path}/empty"}}
providers:
  openai: {{api_key: "vault:secret/openai#key"}}
  lab: {{dialect: openai_chat, base_url: "http://h/v1", headers: {{x-key: "Bearer ${{vault:secret}}"}}}}
"""
    found = check(text, {}, CATALOGUE)
    assert [(p.line, p.path) for p in found] == [
        (3, "keys[0].key"),
        (4, "keys[1].key"),
        (6, "providers.openai.api_key"),
        (7, "providers.lab.headers.x-key"),
    ]
    assert "can't be read: No such file" in found[0].message and "is empty" in found[1].message
    assert "BAO_ADDR" in found[2].hint and "vault:PATH#FIELD" in found[3].hint


@pytest.mark.parametrize("field", ["base_url", "dialect", "region"])
def test_a_secret_is_not_read_into_a_field_that_is_shown(field: str, secret: str) -> None:
    found = check(f'providers: {{openai: {{api_key: k, {field}: "${{{secret}}}"}}}}', {}, CATALOGUE)
    assert [p.path for p in found] == [f"providers.openai.{field}"] and "not read here" in found[0].message
    found = check(f'providers: {{openai: {{api_key: k, dialect: "{secret}"}}}}', {}, CATALOGUE)
    assert "s3cret" not in str(found) and "is not known" in found[0].message


def test_a_secret_that_breaks_a_rule_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("s3cret word\nand more\n")
    found = check(f'providers: {{openai: {{api_key: "file:{tmp_path}/k"}}}}', {}, CATALOGUE)
    assert [p.path for p in found] == ["providers.openai.api_key"]
    assert "holds a space" in found[0].message and "s3cret" not in str(found[0])


def test_a_load_begins_a_new_reading_even_if_the_file_is_bad(tmp_path: Path, secret: str) -> None:
    references = References({})
    file = tmp_path / "f.yaml"
    file.write_text(f"keys: [{{name: a, key: '{secret}'}}]")
    load(file, {}, CATALOGUE, references)
    Path(secret.removeprefix("file:")).write_text("y" * 20)
    assert references.changed()
    assert load(file, {}, CATALOGUE, references).keys[0].key == "y" * 20 and not references.changed()
    file.write_text("keys: [")
    with pytest.raises(ConfigError):
        load(file, {}, CATALOGUE, references)
    Path(secret.removeprefix("file:")).write_text("z" * 20)
    assert not references.changed()


def test_who_needs_no_secrets_reads_none_and_finds_the_other_mistakes() -> None:
    text = """
keys: [{name: a, key: "file:/none/a"}, {name: b, key: "vault:s/b#k"}, {name: c, key: short}]
providers: {openai: {api_key: "file:/none/a", headers: {x-key: "Bearer ${vault:s/b#k}"}}}
"""
    config, found = parse(text, {}, CATALOGUE, Unread({}))
    assert [p.path for p in found] == ["keys[2].key"]
    assert config.keys[0].key != config.keys[1].key and "none" not in config.keys[0].key


def test_every_field_for_a_secret_is_hidden_when_shown() -> None:
    marked = set(re.findall(r"^    (\w+): [^=#]*\bSecret\b", inspect.getsource(schema), re.MULTILINE))
    assert marked == schema._SECRETS and len(marked) > 5


# --- the section on retention alone ---


def test_retention_is_read_alone_and_no_secret_is_fetched(tmp_path: Path) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text(
        "keys: [{name: a, key: 'vault:secret/none#x'}]\nproviders: 5\nretention: {calls_days: '${DAYS}', hours_days: null}\n"
    )
    assert retention(file, {"DAYS": "7"}) == RetentionConfig(calls_days=7, hours_days=None)
    for text in ("", "retention:\n", "routes: {}\n"):
        file.write_text(text)
        assert retention(file, {}) == RetentionConfig() == retention(None, {})


@pytest.mark.parametrize(
    "text", ["retention: {calls_days: 0}", "retention: {calls: 5}", "retention: 5", "retention: {calls_days: '${NONE}'}", "["]
)
def test_retention_that_cannot_be_read_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "freehold.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"freehold\.yaml"):
        retention(file, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        retention(tmp_path / "none.yaml", {})
