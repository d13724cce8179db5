"""Every ordered pair of chat dialects, over all samples: nothing changes its meaning unless the client is told."""

from __future__ import annotations

import pytest

from tests.traffic import needs_traffic
from tests.translation.crossing import reply_to, request_to
from tests.translation.samples import CHAT, replies, requests

pytestmark = needs_traffic

PAIRS = [(source, target) for source in CHAT for target in CHAT if source != target]


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda name: str(name))
def test_a_request_crosses_equal_or_says_what_it_lost_or_is_refused(source: str, target: str) -> None:
    faults = [f"{request.id}: {fault}" for request in requests()[source] for fault in request_to(request, target).faults]
    assert faults == []
    assert len(requests()[source]) > 15


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda name: str(name))
def test_a_reply_says_the_same_whole_and_streamed(source: str, target: str, stream: bool) -> None:
    faults = [f"{reply.id}: {fault}" for reply in replies()[source] for fault in reply_to(reply, target, stream).faults]
    assert faults == []
    assert {reply.stream for reply in replies()[source]} == {False, True}
