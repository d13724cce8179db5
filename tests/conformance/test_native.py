"""Every recorded exchange of the other dialects, by plain HTTP: directly, and through the gateway."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conformance.exceptions import unexplained
from tests.conformance.groups import Group, native_grouped
from tests.conformance.native_checks import compare_native
from tests.conformance.stage import Stage
from tests.traffic import needs_traffic

pytestmark = needs_traffic

GROUPS = native_grouped()


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_every_byte_reaches_the_client_every_field_the_provider_and_every_token_the_ledger(stage: Stage, group: Group) -> None:
    findings = stage.each(GROUPS[group], partial(compare_native, stage))
    assert unexplained(f for found in findings for f in found) == []
