from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

from freehold.config.load import parse
from freehold.config.references import Unread
from freehold.config.schema import Config
from freehold.upstream.catalogue import PROVIDERS

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"
PAGES: dict[str, str] = runpy.run_path(str(DOCS / "generate.py"))["pages"]()


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    assert (DOCS / "reference" / name).read_text() == PAGES[name], "stale: run `make docs`"


def test_every_setting_is_explained() -> None:
    rows = [line for line in PAGES["config.md"].splitlines() if line.startswith("| `")]
    unexplained = [line for line in rows if line.endswith("|  |")]
    assert len(rows) > 30 and unexplained == []


def test_the_readme_example_is_a_right_configuration() -> None:
    text = README.read_text().split("```yaml\n")[1].split("```")[0]
    config, problems = parse(text, {"OPENAI_API_KEY": "sk-1", "DEV_KEY": "k" * 16}, PROVIDERS)
    assert problems == [] and isinstance(config, Config)


@pytest.mark.parametrize("page", sorted(p.name for p in (DOCS / "how-to").glob("*.md")))
def test_yaml_in_the_how_tos_is_a_right_configuration(page: str) -> None:
    blocks = (DOCS / "how-to" / page).read_text().split("```yaml\n")[1:]
    env = {"BILLING_APP_KEY": "k" * 16, "OPENAI_API_KEY": "sk-1", "AZURE_SECRET": "s", "WATSONX_APIKEY": "s"}
    lab = "providers: {lab: {dialect: openai_chat, base_url: 'http://127.0.0.1:9000/v1'}}\n"
    routes = "routes: {fast-model: {targets: [{provider: lab, model: m}]}}\n"
    for block in (b.split("```")[0] for b in blocks):
        sections = yaml.safe_load(block)
        text = ("" if "providers" in sections else lab + ("" if "routes" in sections else routes)) + block
        # A row of the catalogue may be ahead of the dialects that this version has.
        assert [p for p in parse(text, env, PROVIDERS, Unread(env))[1] if "which this version does not" not in p.message] == []


def test_links_between_the_documents_lead_somewhere() -> None:
    broken = [
        f"{file.name}: {target}"
        for file in (README, *DOCS.rglob("*.md"))
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", file.read_text())
        if not (file.parent / target).exists()
    ]
    assert broken == []
