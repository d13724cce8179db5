"""The request as the handler sees it, and the server's own refusals."""

from __future__ import annotations

import pytest

from freehold.base.errors import InvalidRequest, RequestTimeout, TooLarge
from freehold.gateway.head import HeadReader
from freehold.gateway.request import refused


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (408, RequestTimeout), (413, TooLarge), (414, TooLarge), (431, TooLarge), (501, InvalidRequest)],
)
def test_a_refusal_keeps_its_status_and_its_fault(status: int, kind: type[Exception]) -> None:
    error = refused(status, "why")
    assert (error.status, type(error), error.message) == (status, kind, "why")


def test_a_refusal_with_a_status_of_its_own_leaves_the_others_alone() -> None:
    refused(501, "why")
    assert InvalidRequest("other").status == 400


@pytest.mark.parametrize(
    ("version", "header", "expects"),
    [("1.1", "Expect: 100-Continue", True), ("1.1", "Accept: x", False), ("1.0", "Expect: 100-continue", False)],
)
def test_only_http11_can_wait_for_100(version: str, header: str, expects: bool) -> None:
    head = f"POST / HTTP/{version}\r\nHost: x\r\n{header}\r\nContent-Length: 1\r\n\r\n"
    assert HeadReader().read(head.encode(), "").expects_continue is expects
