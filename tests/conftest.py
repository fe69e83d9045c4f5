"""Fixtures of every kind of test."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.support.buckets import rclone_server, s3_server, swift_server
from tests.support.databases import database_url, migrated_postgres, postgres_server
from tests.support.kept import kept_in, pytest_generate_tests

# How long an example takes says what else the machine is doing. And each run judges by the same examples;
# `--hypothesis-profile=exploring` looks for others.
settings.register_profile("exploring", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("exploring"), derandomize=True, database=None)
settings.load_profile("same")

__all__ = [
    "database_url",
    "kept_in",
    "migrated_postgres",
    "postgres_server",
    "pytest_generate_tests",
    "rclone_server",
    "s3_server",
    "swift_server",
]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The standard loop; the gateway's own as well for what uses transports in ways of its own (`on_both_loops`)."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if item.get_closest_marker("on_both_loops") is not None:
        loops["uvloop"] = uvloop.new_event_loop
    return loops
