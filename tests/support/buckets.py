"""Fixtures of S3 servers: one of each kind for a whole test run, started when first wanted."""

from collections.abc import Iterator

import pytest

from tests.support.s3_servers import REGION, S3Server, running_rclone, running_swift, swift_missing


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


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Swift where it is installed, else rclone's server."""
    server: S3Server = request.getfixturevalue("rclone_server" if swift_missing() else "swift_server")
    return server


def bucket_variables(server: S3Server) -> dict[str, str]:
    """What a gateway is told of a new bucket."""
    return {
        "HFPROXY_STORAGE__BLOBS": f"s3://{server.new_bucket()}/kept",
        "HFPROXY_STORAGE__S3_ENDPOINT": server.url,
        "HFPROXY_STORAGE__S3_REGION": REGION,
        "HFPROXY_STORAGE__S3_ACCESS_KEY": server.access_key,
        "HFPROXY_STORAGE__S3_SECRET_KEY": server.secret_key,
        "HFPROXY_STORAGE__S3_BLOCK_SIZE": "1MiB",
    }
