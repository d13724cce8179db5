"""Every recorded exchange of the other dialects, by plain HTTP: directly, and through the gateway."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conformance.exceptions import unexplained
from tests.conformance.groups import Group, native_grouped
from tests.conformance.native import native_of
from tests.conformance.native_cases import native_case_exchanges, replies_of
from tests.conformance.native_checks import compare_native
from tests.conformance.stage import Stage
from tests.traffic import needs_traffic, traffic_dir

pytestmark = needs_traffic

GROUPS = native_grouped()
CASES = native_case_exchanges() if traffic_dir() is not None else []


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_every_byte_reaches_the_client_every_field_the_provider_and_every_token_the_ledger(stage: Stage, group: Group) -> None:
    findings = stage.each(GROUPS[group], partial(compare_native, stage))
    assert unexplained(f for found in findings for f in found) == []


@pytest.mark.parametrize("dialect", ["openai_responses", "gemini", "bedrock", "bedrock_invoke"])
def test_so_do_the_cases_in_every_form(stage: Stage, dialect: str) -> None:
    found = [x for x in CASES if (native := native_of(x)) is not None and native.dialect == dialect]
    stage.replay.replies.update(replies_of(found))
    findings = stage.each(found, partial(compare_native, stage))
    assert unexplained(f for checked in findings for f in checked) == []
    assert len(found) >= 12
