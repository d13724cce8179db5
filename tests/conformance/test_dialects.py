"""The recordings against the dialects alone: says whether a fault is theirs, and runs in seconds."""

from __future__ import annotations

import pytest

from tests.conformance.checks import OTHER
from tests.conformance.exceptions import unexplained
from tests.conformance.groups import Group, grouped
from tests.conformance.wire_checks import check_encode, check_rewrite, check_tap
from tests.traffic import needs_traffic

pytestmark = needs_traffic

GROUPS = grouped()
CHATS = {group: members for group, members in GROUPS.items() if group.endpoint in OTHER}


@pytest.mark.parametrize("group", CHATS, ids=str)
def test_a_request_decoded_and_encoded_again_is_equal(group: Group) -> None:
    assert unexplained(check_encode(x) for x in CHATS[group] if x.status == 200) == []


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_a_tap_forwards_every_byte_and_reads_the_usage(group: Group) -> None:
    assert unexplained(check_tap(x) for x in GROUPS[group] if x.status == 200) == []


@pytest.mark.parametrize("group", CHATS, ids=str)
def test_a_reply_read_and_written_again_says_the_same(group: Group) -> None:
    assert unexplained(check_rewrite(x) for x in CHATS[group] if x.status == 200) == []
