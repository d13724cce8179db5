"""Every recorded exchange, fetched with the official SDKs directly and through the gateway."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conformance.checks import OTHER, compare_mode, compare_pass, compare_reply, compare_unasked, tells_no_usage
from tests.conformance.crossing import compare_recorded_request
from tests.conformance.exceptions import unexplained
from tests.conformance.groups import Group, grouped
from tests.conformance.stage import Stage
from tests.traffic import needs_traffic

pytestmark = needs_traffic

GROUPS = grouped()
CHATS = {group: members for group, members in GROUPS.items() if group.endpoint in OTHER}


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_the_sdk_sees_through_the_gateway_what_it_sees_directly_and_the_ledger_holds_the_usage(
    stage: Stage, group: Group
) -> None:
    findings = stage.each(GROUPS[group], partial(compare_pass, stage))
    assert unexplained(f for found in findings for f in found) == []


@pytest.mark.parametrize("group", CHATS, ids=str)
def test_a_client_of_the_other_dialect_gets_the_same_content_and_usage(stage: Stage, group: Group) -> None:
    assert unexplained(stage.each(CHATS[group], partial(compare_reply, stage))) == []


@pytest.mark.parametrize("group", CHATS, ids=str)
def test_a_request_reaches_a_provider_of_the_other_dialect_whole_or_says_what_is_left_out(stage: Stage, group: Group) -> None:
    answered = [x for x in CHATS[group] if x.status == 200]
    assert unexplained(stage.each(answered, partial(compare_recorded_request, stage))) == []


@pytest.mark.parametrize("group", [g for g, members in GROUPS.items() if any(map(tells_no_usage, members))], ids=str)
def test_usage_that_only_the_gateway_asked_for_is_recorded_and_kept_from_the_client(stage: Stage, group: Group) -> None:
    assert unexplained(stage.each(filter(tells_no_usage, GROUPS[group]), partial(compare_unasked, stage))) == []


@pytest.mark.parametrize("group", CHATS, ids=str)
def test_a_stream_for_a_whole_reply_or_the_other_way_round_says_the_same(stage: Stage, group: Group) -> None:
    answered = [x for x in CHATS[group] if x.status == 200]
    assert unexplained(stage.each(answered[::3], partial(compare_mode, stage))) == []  # a third of them: it doubles the run
