"""Fixtures of every kind of test."""

from hypothesis import settings

from tests.support.buckets import rclone_server, s3_server, swift_server
from tests.support.databases import database_url, migrated_postgres, postgres_server
from tests.support.kept import kept_in, pytest_generate_tests

# How long an example takes says what else the machine is doing.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

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
