"""The page says what the tests find, and a fault makes the tests fail."""

from __future__ import annotations

import re

import pytest

from freehold.wire.dialect import NOTHING_ASKED
from tests.traffic import needs_traffic
from tests.translation import features, page
from tests.translation.crossing import Crossed, request_to
from tests.translation.meaning import asked
from tests.translation.samples import CHAT, Request


@needs_traffic
def test_the_page_is_what_the_samples_say() -> None:
    assert page.FILE.read_text(encoding="utf-8") == page.page(), "stale: run `make docs-translation`"


@pytest.mark.parametrize("feature", features.FEATURES, ids=lambda feature: feature.name)
def test_every_feature_crosses_equal_or_is_named_or_refused(feature: features.Feature) -> None:
    assert {features.cell(feature, target) for target in CHAT} <= {"yes", "named", "refused", "own"}


def test_what_is_lost_without_a_word_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0.5}
    request = Request("openai_chat", "made-up", body, NOTHING_ASKED)
    assert request_to(request, "anthropic") == Crossed(
        explained=["Claude's API must be given a limit: the model's own largest is sent"]
    )
    told = iter((asked, lambda request: {**asked(request), "temperature": None, "turns": []}))
    monkeypatch.setattr("tests.translation.crossing.asked", lambda request: next(told)(request))
    assert [re.split("[ :]", fault)[0] for fault in request_to(request, "anthropic").faults] == ["turns", "temperature"]
