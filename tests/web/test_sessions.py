"""Who is signed in to the panel, and for how long."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.errors import Forbidden, TooManyAttempts, Unauthorized
from media_service.store.api_keys import digest_of, new_key
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.web.attempts import PER_CLIENT
from media_service.web.keyring import ADMIN, Keyring
from media_service.web.sessions import Sessions

TOKEN = "the-admin-token"
HERE = "192.0.2.1"


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


def opened(catalog: Catalog, token: str = TOKEN) -> Sessions:
    return Sessions(catalog, Keyring(catalog, token), token)


@pytest.fixture
def sessions(catalog: Catalog) -> Sessions:
    return opened(catalog)


async def test_the_admin_token_signs_in(sessions: Sessions) -> None:
    secret, session = await sessions.sign_in(TOKEN, HERE, instead_of=None)
    assert session.caller == ADMIN
    assert await sessions.session(secret) == session
    assert session.csrf_token not in secret


async def test_each_sign_in_has_secrets_of_its_own_and_ends_the_session_before(sessions: Sessions) -> None:
    first, one = await sessions.sign_in(TOKEN, HERE, instead_of="something a client made up")
    second, other = await sessions.sign_in(TOKEN, HERE, instead_of=first)
    assert len({first, second, one.csrf_token, other.csrf_token}) == 4
    assert await sessions.session(first) is None
    assert await sessions.session(second) == other
    await sessions.sign_out(second)
    assert await sessions.session(second) is None


@pytest.mark.parametrize("secret", ["", "admin", "' OR 1=1 --", "x" * 10_000])
async def test_what_is_no_secret_of_a_session_is_nobodys(sessions: Sessions, secret: str) -> None:
    await sessions.sign_in(TOKEN, HERE, instead_of=None)
    assert await sessions.session(secret) is None


async def test_the_catalog_holds_nothing_that_opens(sessions: Sessions, tmp_path: Path) -> None:
    secret, session = await sessions.sign_in(TOKEN, HERE, instead_of=None)
    with sqlite3.connect(tmp_path / "catalog.sqlite3") as connection:
        kept = "".join(str(row) for row in connection.execute("SELECT * FROM panel_sessions"))
    connection.close()
    assert kept
    for opens in (secret, session.csrf_token, digest_of(secret), TOKEN):
        assert opens not in kept


async def test_a_key_that_may_manage_signs_in_until_it_is_revoked(
    sessions: Sessions, catalog: Catalog
) -> None:
    key, text = new_key("assistant", ["manage"], now=1)
    await catalog.add_key(key, digest_of(text))
    secret, session = await sessions.sign_in(text, HERE, instead_of=None)
    assert (session.caller.name, session.caller.key_id) == ("assistant", key.id)
    assert await sessions.session(secret) == session
    await catalog.revoke_key(key.id, now=2)
    assert await sessions.session(secret) is None


async def test_a_key_that_may_not_manage_does_not_sign_in(sessions: Sessions, catalog: Catalog) -> None:
    key, text = new_key("reader", ["read", "upload"], now=1)
    await catalog.add_key(key, digest_of(text))
    for _ in range(2 * PER_CLIENT):  # and guesses nothing by it
        with pytest.raises(Forbidden):
            await sessions.sign_in(text, HERE, instead_of=None)


async def test_another_admin_token_signs_everybody_out(sessions: Sessions, catalog: Catalog) -> None:
    secret, _ = await sessions.sign_in(TOKEN, HERE, instead_of=None)
    assert await opened(catalog).session(secret) is not None
    assert await opened(catalog, "another-token").session(secret) is None


async def test_who_guesses_is_stopped_also_when_the_guess_is_right(sessions: Sessions) -> None:
    for number in range(PER_CLIENT):
        with pytest.raises(Unauthorized):
            await sessions.sign_in(f"guess {number}", HERE, instead_of=None)
    with pytest.raises(TooManyAttempts):
        await sessions.sign_in(TOKEN, HERE, instead_of=None)
    await sessions.sign_in(TOKEN, "192.0.2.2", instead_of=None)
