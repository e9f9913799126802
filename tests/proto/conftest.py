"""Hypothesis without a clock: the same examples every time, on however busy a machine."""

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _fresh_logs():
    """Whoever sets up logging in a test does it for that test only."""
    yield
    structlog.reset_defaults()
