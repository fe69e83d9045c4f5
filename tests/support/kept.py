"""Where a gateway of a test keeps things: the suites of the cache and of rights are the same for each.

All of them run on a folder with SQLite. On a bucket with PostgreSQL run those that are marked `also_in_a_bucket`, where
the two differ or a fault would cost most; with HFPROXY_TESTS_STORES=all they all do.
"""

import os
from collections.abc import AsyncIterator

import pytest

from tests.support.buckets import bucket_variables
from tests.support.databases import new_postgres_database

EVERYTHING = os.environ.get("HFPROXY_TESTS_STORES") == "all"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once for each place where the test's gateway is to keep things."""
    if "kept_in" not in metafunc.fixturenames:
        return
    marked = {marker.name for marker in metafunc.definition.iter_markers()}
    bucket = "only_in_a_folder" not in marked and (EVERYTHING or "also_in_a_bucket" in marked)
    metafunc.parametrize("kept_in", ["folder", "bucket"] if bucket else ["folder"], indirect=True)


@pytest.fixture
async def kept_in(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, str]]:
    """Settings without their prefix: none for a folder; else a new bucket and a new database."""
    if request.param == "folder":
        yield {}
        return
    server, template = request.getfixturevalue("s3_server"), request.getfixturevalue("migrated_postgres")
    async with new_postgres_database(request.getfixturevalue("postgres_server"), template=template) as url:
        variables = {"HFPROXY_STORAGE__DATABASE": url, **bucket_variables(server)}
        yield {name.removeprefix("HFPROXY_"): value for name, value in variables.items()}
