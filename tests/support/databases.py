"""Both engines under one fixture: what keeps something is tested on each."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from hfproxy.storage.opening import open_database
from tests.support.postgres import find_server, running_postgres

ENGINES = ("sqlite", "postgresql")
_MIGRATED = "migrated"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server that lives as long as the test run."""
    with running_postgres(postgres_programs()) as server:
        yield server.url


def postgres_programs() -> Path:
    """Where its programs are; skips the test where there are none."""
    programs = find_server()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (apt-get install postgresql)")
    return programs


@pytest.fixture(params=ENGINES)
async def database_url(request: pytest.FixtureRequest) -> AsyncIterator[str | None]:
    """What `open_database` is given beside a folder: None for SQLite, the URL of a new PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    async with new_postgres_database(request.getfixturevalue("postgres_server")) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database that has all tables, to make others of."""

    async def make() -> None:
        connection = await asyncpg.connect(postgres_server)
        try:
            await connection.execute(f"CREATE DATABASE {_MIGRATED}")
        finally:
            await connection.close()
        url = make_url(postgres_server).set(database=_MIGRATED).render_as_string(hide_password=False)
        async with open_database(tmp_path_factory.mktemp("migrated"), url):
            pass

    with ThreadPoolExecutor(1) as thread:  # since who wants it has a loop of their own running
        thread.submit(lambda: asyncio.run(make())).result()
    return _MIGRATED


@asynccontextmanager
async def new_postgres_database(server: str, *, template: str | None = None) -> AsyncIterator[str]:
    """A database, empty or as its template, gone afterwards."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        yield make_url(server).set(database=name).render_as_string(hide_password=False)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
