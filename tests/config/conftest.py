from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import openbao


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openbao.Server]:
    try:
        with openbao.server(tmp_path_factory.mktemp("bao")) as server:
            yield server
    except openbao.Missing as missing:
        pytest.skip(str(missing))
