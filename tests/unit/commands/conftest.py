"""These tests run over fakes, on a clock of their own."""

from tests.unit.fakes.fixtures import cluster, heard, helm, pytest_asyncio_loop_factories

__all__ = ["cluster", "heard", "helm", "pytest_asyncio_loop_factories"]
