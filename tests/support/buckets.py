"""Fixtures of S3 servers: one of each kind for a whole test run, started when first wanted."""

from collections.abc import Iterator

import pytest

from tests.support.s3_servers import S3Server, running_rclone, running_swift, swift_missing


@pytest.fixture(scope="session")
def rclone_server() -> Iterator[S3Server]:
    with running_rclone() as server:
        yield server


@pytest.fixture(scope="session")
def swift_server() -> Iterator[S3Server]:
    if (missing := swift_missing()) is not None:
        pytest.skip(f"OpenStack Swift is not installed: {missing} (.ci/run says how)")
    with running_swift() as server:
        yield server
