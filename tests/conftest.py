"""Settings for every test. Fixtures live beside the tests that use them."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A slow or busy machine must not fail a test: rules are tested here, speed is measured by `make bench`.
settings.register_profile("freehold", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("freehold")
