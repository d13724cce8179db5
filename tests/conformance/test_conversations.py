"""The translation cases through the gateway, both ways, and each request against the same one in the other dialect's words."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conformance.checks import compare_pass, compare_reply
from tests.conformance.conversations import case_exchanges, pairs
from tests.conformance.crossing import compare_pair, compare_recorded_request
from tests.conformance.exceptions import unexplained
from tests.conformance.stage import Stage
from tests.traffic import Recorded, needs_traffic, traffic_dir

pytestmark = needs_traffic

EXCHANGES = case_exchanges() if traffic_dir() is not None else []
PAIRS = pairs() if traffic_dir() is not None else []


@pytest.fixture(params=["chat/completions", "messages"])
def spoken(request: pytest.FixtureRequest, stage: Stage) -> list[Recorded]:
    found = [x for x in EXCHANGES if x.endpoint == request.param]
    stage.serve(found)
    return found


def test_a_case_passes_unchanged_to_a_client_of_its_own_dialect(stage: Stage, spoken: list[Recorded]) -> None:
    findings = stage.each(spoken, partial(compare_pass, stage))
    assert unexplained(f for found in findings for f in found) == []


def test_a_case_says_the_same_to_a_client_of_the_other_dialect(stage: Stage, spoken: list[Recorded]) -> None:
    assert unexplained(stage.each(spoken, partial(compare_reply, stage))) == []


def test_a_case_asks_the_same_of_a_provider_of_the_other_dialect(stage: Stage, spoken: list[Recorded]) -> None:
    assert unexplained(stage.each(spoken, partial(compare_recorded_request, stage))) == []


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0])
def test_a_translated_request_equals_the_one_recorded_in_that_dialect(
    stage: Stage, pair: tuple[str, dict[str, object], dict[str, object]]
) -> None:
    assert unexplained([stage.run(compare_pair(stage, *pair))]) == []
