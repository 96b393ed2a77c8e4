"""The story of API keys and of the panel's sessions that every catalog must tell."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_service.errors import InvalidRequest, NameTaken, NotFound
from media_service.store.api_keys import USED_STEP_MS, digest_of, new_key
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import ApiKey, PanelSession, Scope

NOW = 1_700_000_000_000


@pytest.fixture(params=["sqlite"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


def key(name: str = "camera", *scopes: Scope, created_at: int = NOW) -> ApiKey:
    return ApiKey(id=f"id-of-{name}", name=name, scopes=scopes or ("upload",), created_at=created_at)


def session(key_id: str = "admin", *, created_at: int = NOW, seconds: int = 60) -> PanelSession:
    return PanelSession(key_id=key_id, created_at=created_at, expires_at=created_at + seconds * 1000)


# --- keys -----------------------------------------------------------------------------------------------------


async def test_a_key_is_found_by_its_digest_and_by_its_id(catalog: Catalog) -> None:
    await catalog.add_key(key("camera", "read", "upload"), "d1")
    await catalog.add_key(key("other", created_at=NOW + 1), "d2")
    assert await catalog.key_of_digest("d1") == key("camera", "read", "upload")
    assert await catalog.key("id-of-other") == key("other", created_at=NOW + 1)
    assert await catalog.keys() == [key("camera", "read", "upload"), key("other", created_at=NOW + 1)]


@pytest.mark.parametrize("digest", ["", "d2", "D1", "d1 ", "d1' OR '1'='1", "%", "d1\x00", "\ud800"])
async def test_no_other_digest_finds_it(catalog: Catalog, digest: str) -> None:
    await catalog.add_key(key(), "d1")
    assert await catalog.key_of_digest(digest) is None


async def test_a_revoked_key_is_nowhere_found_and_its_name_is_free_again(catalog: Catalog) -> None:
    await catalog.add_key(key(), "d1")
    await catalog.revoke_key("id-of-camera", now=NOW)
    assert await catalog.key_of_digest("d1") is None
    assert await catalog.key("id-of-camera") is None
    assert await catalog.keys() == []
    with pytest.raises(NotFound):
        await catalog.revoke_key("id-of-camera", now=NOW)
    again = ApiKey(id="another", name="camera", scopes=("read",), created_at=NOW)
    await catalog.add_key(again, "d2")
    await catalog.revoke_key("another", now=NOW)
    await catalog.add_key(ApiKey(id="third", name="camera", scopes=("read",), created_at=NOW), "d3")


async def test_of_two_keys_of_one_name_made_at_once_one_is_there(catalog: Catalog) -> None:
    made = [ApiKey(id=f"id{n}", name="camera", scopes=("read",), created_at=NOW) for n in range(4)]
    outcomes = await asyncio.gather(
        *(catalog.add_key(one, f"d{one.id}") for one in made), return_exceptions=True
    )
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, NameTaken) for outcome in outcomes) == 3
    assert [one.name for one in await catalog.keys()] == ["camera"]


async def test_use_is_kept_to_the_hour(catalog: Catalog) -> None:
    await catalog.add_key(key(), "d1")
    for now, kept in [
        (NOW, NOW),
        (NOW + USED_STEP_MS - 1, NOW),
        (NOW + USED_STEP_MS, NOW + USED_STEP_MS),
    ]:
        await catalog.use_key("id-of-camera", now=now)
        found = await catalog.key("id-of-camera")
        assert found is not None
        assert found.last_used_at == kept


async def test_names_may_look_like_sql(catalog: Catalog) -> None:
    name = "'); DROP TABLE api_keys; --"
    await catalog.add_key(key(name), "d1")
    assert [one.name for one in await catalog.keys()] == [name]


# --- new ones -------------------------------------------------------------------------------------------------


def test_a_new_key_has_256_random_bits_and_tells_only_its_id() -> None:
    made = [new_key("camera", ["upload", "read"], now=NOW) for _ in range(50)]
    assert len({secret for _, secret in made}) == len({one.id for one, _ in made}) == 50
    for one, secret in made:
        assert one.scopes == ("read", "upload")
        assert re.fullmatch(rf"msk_{one.id}_[A-Za-z0-9_-]{{43}}", secret)
        assert re.fullmatch("[0-9a-f]{64}", digest_of(secret))


@pytest.mark.parametrize("name", ["", "  ", "a" * 65, "line\nend", "\u202ereversed", "nul\x00", "\ud800"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        new_key(name, ["read"], now=NOW)


@pytest.mark.parametrize("scopes", [[], [""], ["admin"], ["read", "write"], ["READ"], ["read,manage"]])
def test_scopes_that_are_none_are_refused(scopes: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        new_key("camera", scopes, now=NOW)


# --- sessions -------------------------------------------------------------------------------------------------


async def test_a_session_lasts_until_it_expires_or_is_deleted(catalog: Catalog) -> None:
    await catalog.add_session(session(), "d1")
    await catalog.add_session(session(), "d2")
    assert await catalog.session("d1", now=NOW + 59_999) == session()
    assert await catalog.session("d1", now=NOW + 60_000) is None
    assert await catalog.session("d3", now=NOW) is None
    await catalog.delete_session("d1")
    await catalog.delete_session("d1")
    assert await catalog.session("d1", now=NOW) is None
    assert await catalog.session("d2", now=NOW) == session()


async def test_sessions_that_are_over_are_forgotten_with_the_next_sign_in(catalog: Catalog) -> None:
    await catalog.add_session(session(), "d1")
    await catalog.add_session(session(created_at=NOW + 60_000), "d2")
    assert await catalog.session("d1", now=NOW) is None


async def test_who_is_signed_in_with_a_key_is_signed_out_when_it_is_revoked(catalog: Catalog) -> None:
    await catalog.add_key(key(), "d")
    await catalog.add_session(session("id-of-camera"), "d1")
    await catalog.add_session(session(), "d2")
    await catalog.revoke_key("id-of-camera", now=NOW)
    assert await catalog.session("d1", now=NOW) is None
    assert await catalog.session("d2", now=NOW) is not None
