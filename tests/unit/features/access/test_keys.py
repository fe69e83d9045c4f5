"""Keys are made once, told once, kept as a hash, and end when they should."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from hfproxy.downstream.access import Role
from hfproxy.features.access.keyring import KeyRing
from hfproxy.features.access.secrets import fingerprint, hash_of, new_secret
from hfproxy.features.access.service import KeyRefused, KeyService
from hfproxy.features.access.store import KeyStore
from hfproxy.storage.database import Database
from hfproxy.storage.opening import open_database


class Clock:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(tmp_path: Path, database_url: str | None) -> AsyncIterator[Database]:
    async with open_database(tmp_path, database_url) as opened:
        yield opened


@pytest.fixture
def keys(database: Database, clock: Clock) -> KeyService:
    return KeyService(store=KeyStore(database), clock=clock)


@pytest.fixture
def ring(database: Database, clock: Clock) -> KeyRing:
    return KeyRing(store=KeyStore(database), clock=clock)


def test_secrets_are_long_different_and_named_so_that_scanners_find_them() -> None:
    made = {new_secret() for _ in range(200)}
    assert len(made) == 200
    assert all(secret.startswith("hfp_") and len(secret) == 47 and secret[4:].isalnum() for secret in made)


def test_a_fingerprint_is_short_stable_and_not_the_token() -> None:
    assert fingerprint("hf_abc") == fingerprint("hf_abc") != fingerprint("hf_abd")
    assert len(fingerprint("hf_abc")) == 12


async def test_the_secret_is_nowhere_in_the_database(keys: KeyService, database: Database) -> None:
    _, secret = await keys.create("ci", Role.WRITER)
    async with database.reading() as connection:
        [row] = (await connection.execute(text("SELECT * FROM gateway_keys"))).all()
    assert hash_of(secret) in row
    assert secret[4:] not in repr(row)


async def test_a_key_opens_until_it_expires(keys: KeyService, ring: KeyRing, clock: Clock) -> None:
    key, secret = await keys.create("ci", Role.WRITER, repos=["acme/*"], lifetime=timedelta(hours=1))
    await ring.look()
    assert ring.find(secret) == key
    clock.now += timedelta(minutes=59, seconds=59)
    assert ring.find(secret) == key
    clock.now += timedelta(seconds=1)
    assert ring.find(secret) is None
    assert ring.ever_made


async def test_a_revoked_key_opens_nothing_but_is_remembered(keys: KeyService, ring: KeyRing, clock: Clock) -> None:
    _, secret = await keys.create("ci", Role.ADMIN)
    await keys.revoke("ci")
    await ring.look()
    assert ring.find(secret) is None
    assert ring.ever_made
    [kept] = await keys.list()
    assert (kept.state(clock.now), kept.revoked_at) == ("revoked", clock.now)


async def test_a_key_is_revoked_by_its_id_too_and_only_once(keys: KeyService) -> None:
    key, _ = await keys.create("ci", Role.READER)
    await keys.revoke(key.id)
    with pytest.raises(KeyRefused, match="no key"):
        await keys.revoke(key.id)


async def test_an_unknown_secret_finds_nothing(keys: KeyService, ring: KeyRing) -> None:
    assert not ring.ever_made
    _, secret = await keys.create("ci", Role.READER)
    await ring.look()
    for wrong in ("", "hfp_", new_secret(), secret[:-1], secret + "x", secret.upper()):
        assert ring.find(wrong) is None


async def test_a_use_is_noted_to_the_minute(keys: KeyService, ring: KeyRing, clock: Clock) -> None:
    _, secret = await keys.create("ci", Role.READER)
    await ring.look()
    first = clock.now
    ring.find(secret)
    await ring.note_uses()
    clock.now += timedelta(seconds=30)
    ring.find(secret)
    await ring.note_uses()
    assert (await keys.list())[0].last_used_at == first
    clock.now += timedelta(seconds=30)
    ring.find(secret)
    await ring.note_uses()
    assert (await keys.list())[0].last_used_at == clock.now
    clock.now -= timedelta(days=365)  # it had been wrong
    ring.find(secret)
    await ring.note_uses()
    assert (await keys.list())[0].last_used_at == clock.now


@pytest.mark.parametrize(
    ("name", "role", "given", "why"),
    [
        ("", Role.READER, {}, "a name begins"),
        ("a/b", Role.READER, {}, "a name begins"),
        ("ci", Role.ADMIN, {"repos": ["acme/*"]}, "an admin sees everything"),
        ("ci", Role.READER, {"repos": ["acme"]}, r"write acme/\*"),
        ("ci", Role.READER, {"lifetime": timedelta(0)}, "live for some time"),
        ("taken", Role.READER, {}, "already"),
    ],
)
async def test_what_makes_no_key_is_told(
    keys: KeyService, name: str, role: Role, given: dict[str, object], why: str
) -> None:
    await keys.create("taken", Role.READER)
    with pytest.raises(KeyRefused, match=why):
        await keys.create(name, role, **given)
    assert len(await keys.list()) == 1
