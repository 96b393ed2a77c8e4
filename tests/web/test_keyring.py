"""Who a key belongs to: found at once, and not for long when it is revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.errors import StorageFull
from media_service.store.api_keys import digest_of, new_key
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import ApiKey, Scope
from media_service.web.keyring import ADMIN, REMEMBERED_SECONDS, Caller, Keyring

TOKEN = "the-admin-token"


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(catalog: Catalog, clock: Clock) -> Keyring:
    return Keyring(catalog, TOKEN, now=clock)


async def made(catalog: Catalog, *scopes: Scope) -> tuple[ApiKey, str]:
    key, secret = new_key("camera", scopes, now=1)
    await catalog.add_key(key, digest_of(secret))
    return key, secret


async def test_the_admin_token_may_do_everything(keyring: Keyring) -> None:
    assert await keyring.caller(TOKEN) == ADMIN
    assert ADMIN.scopes == {"manage", "read", "transform", "upload"}


@pytest.mark.parametrize(
    ("scopes", "all_scopes"),
    [
        (("read",), {"read"}),
        (("upload",), {"upload"}),
        (("read", "upload"), {"read", "upload"}),
        (("transform",), {"transform"}),
        (("manage",), {"manage", "read", "transform", "upload"}),
    ],
)
async def test_a_key_may_do_what_its_scopes_say(
    keyring: Keyring, catalog: Catalog, scopes: tuple[Scope, ...], all_scopes: set[Scope]
) -> None:
    key, secret = await made(catalog, *scopes)
    assert await keyring.caller(secret) == Caller("camera", key.id, frozenset(all_scopes))


async def test_a_key_that_is_not_quite_it_is_nobodys(keyring: Keyring, catalog: Catalog) -> None:
    key, secret = await made(catalog, "read")
    for near in ("", key.id, digest_of(secret), secret[:-1], secret + "A", secret.upper(), f" {secret}"):
        assert await keyring.caller(near) is None
    for near in (TOKEN[:-1], TOKEN + "x", TOKEN.upper(), digest_of(TOKEN)):
        assert await keyring.caller(near) is None


async def test_a_key_that_another_process_revokes_ends_within_seconds(
    keyring: Keyring, catalog: Catalog, clock: Clock
) -> None:
    key, secret = await made(catalog, "read")
    assert await keyring.caller(secret)
    await catalog.revoke_key(key.id, now=2)
    clock.seconds += REMEMBERED_SECONDS
    assert REMEMBERED_SECONDS < 5
    assert await keyring.caller(secret) is None


async def test_a_key_that_is_revoked_here_ends_at_once(keyring: Keyring, catalog: Catalog) -> None:
    key, secret = await made(catalog, "read")
    assert await keyring.caller(secret)
    await catalog.revoke_key(key.id, now=2)
    keyring.forget()
    assert await keyring.caller(secret) is None


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(
    keyring: Keyring, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = await made(catalog, "read")
    use_key = catalog.use_key

    async def revoked_meanwhile(key_id: str, *, now: int) -> None:
        await catalog.revoke_key(key.id, now=2)
        keyring.forget()
        await use_key(key_id, now=now)

    monkeypatch.setattr(catalog, "use_key", revoked_meanwhile)
    assert await keyring.caller(secret)  # it began before the end
    assert await keyring.caller(secret) is None


async def test_known_keys_ask_the_catalog_once_in_a_while(
    keyring: Keyring, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = await made(catalog, "read")
    first = await keyring.caller(secret)

    async def nobody(_digest: str) -> ApiKey | None:
        raise AssertionError("asked")

    monkeypatch.setattr(catalog, "key_of_digest", nobody)
    assert await keyring.caller(secret) == first


async def test_it_is_kept_when_a_key_was_used_and_a_full_disk_is_no_reason_to_refuse(
    keyring: Keyring, catalog: Catalog, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, secret = await made(catalog, "read")

    async def full(_key_id: str, *, now: int) -> None:
        raise StorageFull(str(now))

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "use_key", full)
        assert await keyring.caller(secret)
    clock.seconds += REMEMBERED_SECONDS
    assert await keyring.caller(secret)
    [kept] = await catalog.keys()
    assert kept.id == key.id
    assert kept.last_used_at is not None
