"""One gateway and one replay server for a whole session (under xdist: for each worker)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.stage import Stage
from tests.traffic import traffic_dir


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if traffic_dir() is None:
        pytest.skip("recorded traffic is not here: set FREEHOLD_TRAFFIC")
    with Stage(tmp_path_factory.mktemp("gateway")) as arranged:
        yield arranged
