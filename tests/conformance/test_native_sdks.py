"""Every recorded reply of the other dialects as the official SDK parses it: directly, and through the gateway."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from tests.conformance.exceptions import unexplained
from tests.conformance.gateway import KEY
from tests.conformance.native import native_of, native_scope
from tests.conformance.native_checks import compare_sdk
from tests.conformance.native_sdks import SDKS
from tests.conformance.stage import Stage
from tests.traffic import needs_traffic

pytestmark = needs_traffic


@pytest.mark.parametrize("package", SDKS)
def test_the_sdk_sees_through_the_gateway_what_it_sees_directly(stage: Stage, package: str) -> None:
    pytest.importorskip(package, reason=f"the official SDK is not here: pip install {package.replace(chr(46), chr(45))}")
    make, dialects = SDKS[package]
    direct, through = make(stage.replay.url, "sk-replayed-upstream-key"), make(stage.gateway.url, KEY)
    todo = [x for x in native_scope() if (native := native_of(x)) is not None and native.dialect in dialects]
    todo = [x for x in todo if "enum-encoding" not in x.url]  # words as numbers: asked for by other clients, not by this SDK
    findings = stage.each(todo, partial(asyncio.to_thread, partial(compare_sdk, direct, through)))
    assert unexplained(findings) == []
    assert len(findings) > 10
