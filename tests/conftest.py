"""Settings for every test. Fixtures live beside the tests that use them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from freehold.base import build

if build.is_stale():
    pytest.exit(f"Nothing was tested: {build.STALE}.", returncode=2)

# A slow or busy machine must not fail a test: rules are tested here, speed is measured by `make bench`.
settings.register_profile("freehold", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("freehold")
