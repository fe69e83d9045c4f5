"""Fixtures of every kind of test."""

from tests.support.buckets import rclone_server, s3_server, swift_server
from tests.support.databases import database_url, postgres_server

__all__ = ["database_url", "postgres_server", "rclone_server", "s3_server", "swift_server"]
