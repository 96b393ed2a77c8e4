"""The story of uploads that every catalog must tell, over two servers that share it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from media_service.errors import NotFound, UploadQuota
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import Upload, UploadConcat, UploadState
from media_service.store.uploads import HoldLost
from tests.contracts.test_catalog import asset

GIB = 1 << 30
WEEK = 7 * 86_400_000
NOW = 1_700_000_000_000
LEASE = 4_000


@pytest.fixture(params=["sqlite"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Catalog, Catalog]]:
    """Two servers' catalogs on one database."""
    assert request.param == "sqlite"
    url = sqlite_url(tmp_path / "catalog.sqlite3")
    async with open_catalog(url) as one, open_catalog(url) as other:
        yield one, other


@pytest.fixture
def catalog(both: tuple[Catalog, Catalog]) -> Catalog:
    return both[0]


@pytest.fixture
def other(both: tuple[Catalog, Catalog]) -> Catalog:
    return both[1]


def upload(
    name: str = "one",
    *,
    owner: str = "admin",
    length: int | None = GIB,
    offset: int = 0,
    state: UploadState = "open",
    complete: bool = False,
    concat: UploadConcat = "",
    key: str | None = None,
    expires_at: int = NOW + WEEK,
    created_at: int = NOW,
) -> Upload:
    return Upload(
        id=name,
        owner=owner,
        dialect="tus",
        state=state,
        filename="a film.mp4",
        length=length,
        offset=offset,
        complete=complete,
        concat=concat,
        idempotency_key=key,
        created_at=created_at,
        updated_at=created_at,
        expires_at=expires_at,
    )


async def add(
    catalog: Catalog, new: Upload, *, max_open: int = 100, max_reserved_bytes: int = 100 * GIB, now: int = NOW
) -> Upload:
    return await catalog.add_upload(new, max_open=max_open, max_reserved_bytes=max_reserved_bytes, now=now)


async def hold(catalog: Catalog, holder: str, *, name: str = "one", now: int = NOW) -> Upload | None:
    return await catalog.hold_upload(name, "admin", holder, now=now, until=now + LEASE)


async def renew(catalog: Catalog, holder: str, offset: int, *, now: int = NOW) -> bool:
    return await catalog.renew_hold("one", holder, until=now + LEASE, offset=offset, expires_at=now + WEEK)


# --- rows -----------------------------------------------------------------------------------------------------


async def test_an_upload_comes_back_as_it_was_added(catalog: Catalog, other: Catalog) -> None:
    full = Upload(
        id="full",
        owner="somebody",
        dialect="ietf",
        state="rejected",
        filename="ü.mov",
        title="A title",
        metadata="filename w7wubW92",
        concat="final",
        concat_header="final;/api/v1/uploads/a /api/v1/uploads/b",
        length=1 << 62,
        offset=(1 << 63) - 1,
        complete=True,
        repr_digests=bytes(range(256)),
        idempotency_key="a-key",
        asset_id="another",
        sha256="ab" * 32,
        error_code="not_media",
        error_detail="No video.",
        created_at=NOW,
        updated_at=NOW + 1,
        expires_at=NOW + 2,
        holder="token",
        held_until=NOW + 3,
        wanted=True,
    )
    assert await add(catalog, full, max_reserved_bytes=1 << 62) == full
    assert await add(catalog, upload(length=None)) == upload(length=None)
    assert await other.upload("full", "somebody") == full
    assert await other.upload("one", "admin") == upload(length=None)


@pytest.mark.parametrize("upload_id", ["absent", "", "x" * 100_000, "'; DROP TABLE uploads; --"])
async def test_an_unknown_upload_is_not_found(catalog: Catalog, upload_id: str) -> None:
    await add(catalog, upload())
    with pytest.raises(NotFound):
        await catalog.upload(upload_id, "admin")
    with pytest.raises(NotFound):
        await hold(catalog, "a", name=upload_id)
    with pytest.raises(HoldLost):
        await catalog.release_upload(upload_id, "a")


async def test_an_upload_of_another_owner_is_not_found_and_not_disturbed(catalog: Catalog) -> None:
    await add(catalog, upload())
    with pytest.raises(NotFound):
        await catalog.upload("one", "somebody")
    await hold(catalog, "held")
    with pytest.raises(NotFound):
        await catalog.hold_upload("one", "somebody", "theirs", now=NOW, until=NOW + LEASE)
    with pytest.raises(NotFound):
        await catalog.hold_upload("one", "somebody", "theirs", now=NOW + LEASE, until=NOW + 2 * LEASE)
    assert not await renew(catalog, "held", 0)
    assert (await catalog.upload("one", None)).owner == "admin"
    assert await catalog.hold_upload("one", None, "sweeper", now=NOW + WEEK, until=NOW + WEEK) is not None


# --- who writes -----------------------------------------------------------------------------------------------


async def test_the_holder_is_alone_until_it_lets_go(catalog: Catalog, other: Catalog) -> None:
    await add(catalog, upload())
    held = await hold(catalog, "first")
    assert held == msgspec.structs.replace(upload(), holder="first", held_until=NOW + LEASE)
    assert await hold(other, "second") is None
    released = await catalog.release_upload("one", "first", offset=100)
    assert (released.offset, released.holder, released.held_until, released.wanted) == (100, None, 0, False)
    assert released.updated_at > NOW
    taken = await hold(other, "second")
    assert taken is not None
    assert (taken.offset, taken.holder, taken.wanted) == (100, "second", False)


async def test_who_does_not_ask_disturbs_no_holder(catalog: Catalog, other: Catalog) -> None:
    await add(catalog, upload())
    await hold(catalog, "first")
    until = NOW + LEASE
    for ask, expected in ((False, False), (True, True), (False, True)):
        assert await other.hold_upload("one", "admin", "next", now=NOW, until=until, ask=ask) is None
        assert (await catalog.upload("one", "admin")).wanted is expected
    with pytest.raises(NotFound):
        await other.hold_upload("unknown", "admin", "next", now=NOW, until=until, ask=False)


async def test_the_holder_hears_that_it_is_wanted_until_it_lets_go(catalog: Catalog, other: Catalog) -> None:
    await add(catalog, upload())
    await hold(catalog, "first")
    assert not await renew(catalog, "first", 10)
    assert await hold(other, "second") is None
    assert await renew(catalog, "first", 20, now=NOW + 1_000)
    assert await renew(catalog, "first", 30, now=NOW + 2_000)
    await catalog.release_upload("one", "first", offset=40)
    await hold(other, "second")
    assert not await renew(other, "second", 40)


async def test_a_renewed_hold_says_how_far_the_upload_is_and_keeps_it_from_expiring(
    catalog: Catalog, other: Catalog
) -> None:
    await add(catalog, upload(expires_at=NOW + 1))
    await hold(catalog, "first")
    await renew(catalog, "first", 5 * GIB, now=NOW + 3_000)
    seen = await other.upload("one", "admin")
    assert (seen.offset, seen.expires_at) == (5 * GIB, NOW + 3_000 + WEEK)
    assert await hold(other, "second", now=NOW + LEASE + 1) is None  # what the first lease would have allowed
    assert seen.held_until == NOW + 3_000 + LEASE


async def test_a_holder_that_crashed_is_forgotten_when_its_lease_ends(
    catalog: Catalog, other: Catalog
) -> None:
    await add(catalog, upload())
    await hold(catalog, "crashed")
    await renew(catalog, "crashed", 100)
    assert await hold(other, "next", now=NOW + LEASE - 1) is None
    held = await hold(other, "next", now=NOW + LEASE)
    assert held is not None
    assert (held.offset, held.holder, held.wanted) == (100, "next", False)


async def test_what_a_holder_says_after_it_lost_the_hold_has_no_effect(
    catalog: Catalog, other: Catalog
) -> None:
    await add(catalog, upload())
    await hold(catalog, "slow")
    await hold(other, "quick", now=NOW + LEASE)
    await renew(other, "quick", 100)
    before = await other.upload("one", "admin")
    for late in (
        renew(catalog, "slow", 50),
        catalog.release_upload("one", "slow", offset=50),
        catalog.set_upload("one", "slow", state="finished"),
        catalog.delete_upload("one", "slow"),
    ):
        with pytest.raises(HoldLost):
            await late
    assert await other.upload("one", "admin") == before


async def test_a_lease_that_is_over_and_that_nobody_took_may_be_renewed(catalog: Catalog) -> None:
    await add(catalog, upload())
    await hold(catalog, "slow")
    assert not await renew(catalog, "slow", 50, now=NOW + 10 * LEASE)


async def test_of_many_that_want_the_hold_exactly_one_gets_it(catalog: Catalog, other: Catalog) -> None:
    await add(catalog, upload())
    for turn in range(5):
        now = NOW + turn * LEASE
        held = await asyncio.gather(
            *(hold((catalog, other)[n % 2], f"{turn}-{n}", now=now) for n in range(20))
        )
        assert len([one for one in held if one is not None]) == 1
        assert (await catalog.upload("one", "admin")).wanted


async def test_the_holder_changes_what_it_found_out(catalog: Catalog, other: Catalog) -> None:
    await add(catalog, upload(length=None))
    await hold(catalog, "a")
    changed = await catalog.set_upload(
        "one", "a", length=100, offset=100, complete=True, repr_digests=b"[]", expires_at=NOW + 5
    )
    assert (changed.length, changed.offset, changed.complete, changed.holder) == (100, 100, True, "a")
    assert (changed.repr_digests, changed.expires_at, changed.held_until) == (b"[]", NOW + 5, NOW + LEASE)
    assert await other.upload("one", "admin") == changed
    done = await catalog.release_upload("one", "a", state="finished", asset_id="one", sha256="cd" * 32)
    assert (done.state, done.asset_id, done.sha256, done.holder) == ("finished", "one", "cd" * 32, None)
    assert await other.upload("one", "admin") == done


async def test_a_deleted_upload_is_gone_for_all(catalog: Catalog, other: Catalog) -> None:
    await add(catalog, upload())
    await hold(catalog, "a")
    await catalog.delete_upload("one", "a")
    with pytest.raises(NotFound):
        await other.upload("one", "admin")
    with pytest.raises(HoldLost):
        await renew(catalog, "a", 1)
    with pytest.raises(HoldLost):
        await catalog.delete_upload("one", "a")


# --- quotas ---------------------------------------------------------------------------------------------------


async def test_a_key_has_only_so_many_open_uploads(catalog: Catalog, other: Catalog) -> None:
    await add(catalog, upload("done", state="finished"))
    await add(catalog, upload("refused", state="rejected"))
    for name in ("a", "b"):
        await add(other, upload(name), max_open=2)
    with pytest.raises(UploadQuota, match="2 unfinished uploads"):
        await add(catalog, upload("c"), max_open=2)
    await add(catalog, upload("c", owner="somebody"), max_open=2)
    await hold(catalog, "x", name="a")
    await catalog.delete_upload("a", "x")
    await add(catalog, upload("d"), max_open=2)


async def test_a_key_has_only_so_many_bytes_in_open_uploads(catalog: Catalog) -> None:
    await add(catalog, upload("whole", length=3 * GIB))
    await add(catalog, upload("unknown", length=None, offset=2 * GIB))
    await add(catalog, upload("done", length=50 * GIB, state="finished"))
    with pytest.raises(UploadQuota, match=str(5 * GIB)):
        await add(catalog, upload("more", length=GIB + 1), max_reserved_bytes=6 * GIB)
    with pytest.raises(UploadQuota):
        await add(catalog, upload("more", length=None, offset=GIB + 1), max_reserved_bytes=6 * GIB)
    await add(catalog, upload("more", length=GIB), max_reserved_bytes=6 * GIB)
    await add(catalog, upload("nothing", length=None), max_reserved_bytes=6 * GIB)


async def test_uploads_that_begin_at_once_do_not_pass_the_quota_together(
    catalog: Catalog, other: Catalog
) -> None:
    attempts = (add((catalog, other)[n % 2], upload(f"u{n}"), max_open=7) for n in range(20))
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert len([one for one in outcomes if isinstance(one, Upload)]) == 7
    assert len([one for one in outcomes if isinstance(one, UploadQuota)]) == 13


# --- keys -----------------------------------------------------------------------------------------------------


async def test_a_key_that_is_used_again_gives_the_same_upload_also_beyond_the_quota(
    catalog: Catalog, other: Catalog
) -> None:
    first = await add(catalog, upload("one", key="k"))
    assert await add(other, upload("two", key="k"), max_open=1, max_reserved_bytes=0) == first
    assert (await add(other, upload("three", key="k", owner="somebody"))).id == "three"
    assert (await add(other, upload("four", key="other"))).id == "four"
    assert (await add(other, upload("five"))).id == "five"
    assert (await add(other, upload("six"))).id == "six"
    with pytest.raises(NotFound):
        await catalog.upload("two", None)


async def test_an_upload_whose_asset_is_there_already_needs_no_quota(catalog: Catalog) -> None:
    there = upload("one", state="finished", complete=True, key="k")
    assert await add(catalog, there, max_open=0, max_reserved_bytes=0) == there


async def test_of_many_uploads_with_one_key_one_is_made(catalog: Catalog, other: Catalog) -> None:
    attempts = (add((catalog, other)[n % 2], upload(f"u{n}", key="k")) for n in range(20))
    assert len({made.id for made in await asyncio.gather(*attempts)}) == 1
    assert len(await catalog.upload_ids()) == 1


async def test_a_finished_upload_keeps_its_key_as_long_as_its_asset_is_there(catalog: Catalog) -> None:
    await catalog.add_asset(asset("one"))
    await add(catalog, upload("one", key="k"))
    await hold(catalog, "a")
    await catalog.release_upload("one", "a", state="finished", asset_id="one")
    assert (await add(catalog, upload("two", key="k"))).id == "one"
    await catalog.delete_asset("one")
    assert (await add(catalog, upload("three", key="k"))).id == "three"
    assert (await catalog.upload("one", None)).idempotency_key is None


@pytest.mark.parametrize("end", ["rejected", "deleted", "expired"])
async def test_an_upload_that_came_to_nothing_frees_its_key(catalog: Catalog, end: str) -> None:
    await add(catalog, upload("one", key="k", expires_at=NOW + 1))
    await hold(catalog, "a")
    if end == "rejected":
        await catalog.release_upload("one", "a", state="rejected", error_code="not_media")
    elif end == "deleted":
        await catalog.delete_upload("one", "a")
    now = NOW + 1 if end == "expired" else NOW
    assert (await add(catalog, upload("two", key="k"), now=now)).id == "two"
    assert (await add(catalog, upload("three", key="k"), now=now)).id == "two"


# --- what is left to do ---------------------------------------------------------------------------------------


async def test_expired_uploads_are_named_unless_somebody_holds_them(catalog: Catalog) -> None:
    await add(catalog, upload("late", expires_at=NOW + 20))
    await add(catalog, upload("early", expires_at=NOW + 10, state="finished"))
    await add(catalog, upload("held", expires_at=NOW + 10))
    await hold(catalog, "a", name="held")
    assert await catalog.expired_uploads(NOW + 9) == []
    assert await catalog.expired_uploads(NOW + 19) == ["early"]
    assert await catalog.expired_uploads(NOW + 20) == ["early", "late"]
    assert set(await catalog.expired_uploads(NOW + LEASE)) == {"early", "held", "late"}


async def test_uploads_that_are_all_there_are_to_be_finished_but_for_parts(catalog: Catalog) -> None:
    await add(catalog, upload("second", complete=True, created_at=NOW + 2))
    await add(catalog, upload("first", complete=True, created_at=NOW + 1, concat="final"))
    await add(catalog, upload("held", complete=True, created_at=NOW + 3))
    await add(catalog, upload("part", complete=True, concat="partial"))
    await add(catalog, upload("going"))
    await add(catalog, upload("done", complete=True, state="finished"))
    await add(catalog, upload("refused", complete=True, state="rejected"))
    await hold(catalog, "a", name="held")
    assert await catalog.complete_uploads(NOW) == ["first", "second"]
    assert await catalog.complete_uploads(NOW + LEASE) == ["first", "second", "held"]


async def test_the_bytes_of_open_uploads_are_to_be_kept(catalog: Catalog) -> None:
    assert await catalog.upload_ids() == set()
    await add(catalog, upload("open"))
    await add(catalog, upload("part", complete=True, concat="partial"))
    await add(catalog, upload("done", state="finished"))
    await add(catalog, upload("refused", state="rejected"))
    assert await catalog.upload_ids() == {"open", "part"}


async def test_an_upload_is_finished_in_the_moment_in_which_its_asset_is_there(
    catalog: Catalog, other: Catalog
) -> None:
    for name in ("one", "two"):
        await add(catalog, upload(name, complete=True))
    await hold(catalog, "finisher")
    await catalog.add_asset(asset("one"))
    seen = await other.upload("one", "admin")
    assert (seen.state, seen.asset_id, seen.sha256) == ("finished", "one", asset("one").sha256)
    assert (seen.holder, seen.held_until) == ("finisher", NOW + LEASE)
    assert await catalog.upload_ids() == {"two"}
    assert await catalog.complete_uploads(NOW + LEASE) == ["two"]
    await catalog.release_upload("one", "finisher", state="finished", asset_id="one")


async def test_an_upload_stays_open_when_its_key_gives_another_asset(catalog: Catalog) -> None:
    await catalog.add_asset(asset("there"), owner="admin", idempotency_key="k")
    await add(catalog, upload("one", key="k"))
    assert (await catalog.add_asset(asset("one"), owner="admin", idempotency_key="k")).id == "there"
    assert (await catalog.upload("one", "admin")).state == "open"  # whoever holds it says the rest


# --- assets that are there already ----------------------------------------------------------------------------


async def test_an_asset_made_with_a_key_is_made_once(catalog: Catalog, other: Catalog) -> None:
    first = asset("one")
    assert await catalog.add_asset(first, owner="admin", idempotency_key="k") == first
    assert await other.add_asset(asset("two"), owner="admin", idempotency_key="k") == first
    assert (await other.add_asset(asset("three"), owner="somebody", idempotency_key="k")).id == "three"
    assert (await other.add_asset(asset("four"), owner="admin", idempotency_key="l")).id == "four"
    for name in ("five", "six"):
        assert (await other.add_asset(asset(name), owner="admin")).id == name
    assert await catalog.asset_ids() == {"one", "three", "four", "five", "six"}
    assert await catalog.asset_of_key("admin", "k") == first
    assert await catalog.asset_of_key("admin", "absent") is None
    assert await catalog.asset_of_key("admin", None) is None
    await catalog.delete_asset("one")
    assert await catalog.asset_of_key("admin", "k") is None
    assert (await other.add_asset(asset("seven"), owner="admin", idempotency_key="k")).id == "seven"


async def test_of_many_assets_with_one_key_one_is_made(catalog: Catalog, other: Catalog) -> None:
    made = await asyncio.gather(
        *(
            (catalog, other)[n % 2].add_asset(asset(f"a{n}"), owner="admin", idempotency_key="k")
            for n in range(20)
        )
    )
    assert len({one.id for one in made}) == 1
    assert await catalog.asset_ids() == {made[0].id}


async def test_the_oldest_asset_of_the_same_bytes_is_found_unless_it_failed(catalog: Catalog) -> None:
    twin = asset("new", created_at=3)
    await catalog.add_asset(asset("failed", created_at=1, state="failed"))
    await catalog.add_asset(twin)
    await catalog.add_asset(asset("old", created_at=2, state="ready"))
    await catalog.add_asset(msgspec.structs.replace(asset("longer", created_at=0), size=twin.size + 1))
    await catalog.add_asset(msgspec.structs.replace(asset("else", created_at=0), sha256="cd" * 32))
    found = await catalog.asset_of_digest(twin.sha256, twin.size)
    assert found is not None
    assert found.id == "old"
    assert await catalog.asset_of_digest(twin.sha256, 1) is None


async def test_of_many_assets_of_the_same_bytes_one_is_made_if_twins_are_not_wanted(
    catalog: Catalog, other: Catalog
) -> None:
    made = await asyncio.gather(
        *((catalog, other)[n % 2].add_asset(asset(f"a{n}"), deduplicate=True) for n in range(20))
    )
    assert len({one.id for one in made}) == 1
    assert await catalog.asset_ids() == {made[0].id}
    assert (await other.add_asset(asset("twin"))).id == "twin"


async def test_a_failed_asset_is_no_twin_and_a_key_goes_before_bytes(catalog: Catalog) -> None:
    await catalog.add_asset(asset("failed", created_at=1, state="failed"))
    again = await catalog.add_asset(asset("again", created_at=2), deduplicate=True)
    assert again.id == "again"
    keyed = msgspec.structs.replace(asset("keyed"), sha256="cd" * 32)
    await catalog.add_asset(keyed, owner="admin", idempotency_key="k")
    same = await catalog.add_asset(asset("new"), owner="admin", idempotency_key="k", deduplicate=True)
    assert same.id == "keyed"
