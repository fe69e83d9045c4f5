"""Both engines under one fixture: what keeps something is tested on each."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from tests.support.postgres import find_server, running_postgres

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the test run."""
    programs = find_server()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    with running_postgres(programs) as url:
        yield url


@pytest.fixture(params=ENGINES)
async def database_url(request: pytest.FixtureRequest) -> AsyncIterator[str | None]:
    """What `open_database` is given beside a folder: None for SQLite, the URL of a new PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    async with new_postgres_database(request.getfixturevalue("postgres_server")) as url:
        yield url


@asynccontextmanager
async def new_postgres_database(server: str) -> AsyncIterator[str]:
    """An empty database, gone afterwards."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
