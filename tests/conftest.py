"""What every test has: the fixtures of clusters, each once a worker, and property tests that a slow machine may run."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.sandbox_fixtures", "tests.cluster.fixtures"]

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
