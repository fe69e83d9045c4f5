"""The gateway's secret: one for all who share a database, or a folder."""

from pathlib import Path

from hfproxy.storage.opening import open_database
from hfproxy.storage.secret import shared_key


async def test_machines_with_one_database_have_one_secret(tmp_path: Path, database_url: str | None) -> None:
    keys = []
    for machine in ("a", "b", "a"):
        root = tmp_path / machine
        async with open_database(root, database_url) as database:
            keys.append(await shared_key(database, root, "a purpose"))
            assert await shared_key(database, root, "another") != keys[-1]
    assert keys[0] == keys[2]
    assert (keys[0] == keys[1]) is (database_url is not None)
