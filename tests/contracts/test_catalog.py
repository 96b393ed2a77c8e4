"""The story every catalog must tell. PostgreSQL joins by one more parameter of `catalog`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from media_service import errors
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import Asset, AssetState, Rendition, Segment, SegmentPlace


@pytest.fixture(params=["sqlite"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


def asset(
    name: str = "one", *, created_at: int = 1_000, state: AssetState = "probing", title: str = "A film"
) -> Asset:
    return Asset(
        id=name,
        title=title,
        filename=f"{name}.mp4",
        extension="mp4",
        media_type="video/mp4",
        size=5 << 32,
        sha256="ab" * 32,
        state=state,
        created_at=created_at,
        updated_at=created_at,
    )


def segment(number: int, *, asset_id: str = "one", rendition: str = "720p") -> Segment:
    return Segment(
        asset_id=asset_id,
        rendition=rendition,
        number=number,
        blob=f"{asset_id}/{rendition}.m4s",
        start=number * (1 << 33),
        stop=(number + 1) * (1 << 33),
        payload_start=number * (1 << 33) + 200,
        begin_ticks=number * 180_000,
        duration_ticks=180_000,
        samples=bytes([number % 256]) * 3,
    )


async def test_an_asset_comes_back_as_it_was_added(catalog: Catalog) -> None:
    full = msgspec.structs.replace(
        asset(),
        error_code="broken_media",
        error_detail="The file is damaged.",
        version=7,
        facts=b'{"container":"mov"}',
        duration_seconds=361.9640001,
        width=1920,
        height=1080,
        codecs="avc1.640028, mp4a.40.2",
        original_layout=bytes(range(256)),
        has_poster=True,
        attempts=2,
    )
    await catalog.add_asset(full)
    await catalog.add_asset(asset("two"))
    assert await catalog.asset("one") == full
    assert await catalog.asset("two") == asset("two")
    assert await catalog.asset_ids() == {"one", "two"}


@pytest.mark.parametrize("asset_id", ["absent", "", "\ud800", "x" * 100_000, "'; DROP TABLE assets; --"])
async def test_an_unknown_asset_is_not_found(catalog: Catalog, asset_id: str) -> None:
    with pytest.raises(errors.NotFound):
        await catalog.asset(asset_id)


async def test_a_change_is_returned_counted_and_dated(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    changed = await catalog.update_asset("one", state="playable", duration_seconds=2.5, has_poster=True)
    assert (changed.state, changed.duration_seconds, changed.has_poster) == ("playable", 2.5, True)
    assert (changed.version, changed.created_at) == (2, 1_000)
    assert changed.updated_at > 1_000
    again = await catalog.update_asset("one", duration_seconds=None)
    assert (again.version, again.duration_seconds, again.state) == (3, None, "playable")
    assert await catalog.asset("one") == again


async def test_changes_at_once_are_all_counted(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await asyncio.gather(*(catalog.update_asset("one", width=number) for number in range(50)))
    assert (await catalog.asset("one")).version == 51


async def test_what_is_gone_cannot_be_changed(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_rendition(Rendition(asset_id="one", name="720p", kind="video"))
    await catalog.delete_asset("one")
    with pytest.raises(errors.NotFound):
        await catalog.update_asset("one", state="ready")
    with pytest.raises(errors.NotFound):
        await catalog.delete_asset("one")
    with pytest.raises(errors.NotFound):
        await catalog.put_rendition(Rendition(asset_id="one", name="audio", kind="audio"))
    with pytest.raises(errors.NotFound):
        await catalog.update_rendition("one", "720p", state="ready")
    with pytest.raises(errors.NotFound):
        await catalog.add_segments([segment(0)])


async def test_deleting_an_asset_takes_all_that_is_its_own(catalog: Catalog) -> None:
    for name in ("one", "two"):
        await catalog.add_asset(asset(name))
        await catalog.put_rendition(Rendition(asset_id=name, name="720p", kind="video"))
        await catalog.add_segments([segment(0, asset_id=name)])
    await catalog.delete_asset("one")
    assert await catalog.renditions("one") == []
    assert await catalog.segments("one", "720p") == []
    assert len(await catalog.renditions("two")) == 1
    assert len(await catalog.segments("two", "720p")) == 1


async def test_pages_are_newest_first_and_complete(catalog: Catalog) -> None:
    for number in range(10):  # three share each millisecond
        await catalog.add_asset(asset(f"a{number}", created_at=1_000 + number // 3))
    seen: list[str] = []
    cursor: str | None = None
    sizes = []
    while True:
        page, cursor = await catalog.page(4, cursor)
        sizes.append(len(page))
        seen += [found.id for found in page]
        if cursor is None:
            break
    assert seen == [f"a{number}" for number in range(9, -1, -1)]
    assert sizes == [4, 4, 2]


async def test_a_full_last_page_has_no_cursor(catalog: Catalog) -> None:
    assert await catalog.page(2) == ([], None)
    for number in range(2):
        await catalog.add_asset(asset(f"a{number}", created_at=number))
    page, cursor = await catalog.page(2)
    assert (len(page), cursor) == (2, None)


async def test_pages_hold_still_while_assets_come_and_go(catalog: Catalog) -> None:
    for number in range(6):
        await catalog.add_asset(asset(f"a{number}", created_at=number))
    first, cursor = await catalog.page(3)
    await catalog.add_asset(asset("new", created_at=100))
    await catalog.delete_asset("a3")  # the last of the first page, where the cursor points
    second, end = await catalog.page(3, cursor)
    assert [found.id for found in first + second] == ["a5", "a4", "a3", "a2", "a1", "a0"]
    assert end is None


async def test_a_page_of_one_state_or_of_a_search(catalog: Catalog) -> None:
    await catalog.add_asset(asset("a", created_at=1, title="ÜBUNG 50%"))
    await catalog.add_asset(asset("b", created_at=2, title="Straße", state="ready"))
    await catalog.add_asset(asset("c", created_at=3, title="under_score", state="ready"))

    async def ids(*, state: AssetState | None = None, search: str | None = None) -> str:
        return "".join(found.id for found in (await catalog.page(10, state=state, search=search))[0])

    assert await ids() == "cba"
    assert await ids(state="ready") == "cb"
    assert await ids(state="failed") == ""
    assert await ids(search="übung") == "a"
    assert await ids(search="STRASSE") == "b"
    assert await ids(search="B.MP4") == "b"
    assert await ids(search="0%") == "a"
    assert await ids(search="%") == "a"
    assert await ids(search="r_s") == "c"
    assert await ids(search="r.s") == ""
    assert await ids(search="'") == ""
    assert await ids(search="") == "cba"
    assert await ids(search="x" * 100_000) == ""
    assert await ids(state="ready", search="straße") == "b"


async def test_a_renamed_asset_is_found_by_its_new_title_only(catalog: Catalog) -> None:
    await catalog.add_asset(asset(title="Before"))
    await catalog.update_asset("one", title="After")
    await catalog.update_asset("one", width=1)
    assert (await catalog.page(1, search="before"))[0] == []
    assert len((await catalog.page(1, search="after"))[0]) == 1
    assert len((await catalog.page(1, search="one.mp4"))[0]) == 1


async def test_the_unfinished_come_oldest_first(catalog: Catalog) -> None:
    states: list[AssetState] = ["ready", "playable", "failed", "probing", "playable"]
    for number, state in enumerate(states):
        await catalog.add_asset(asset(f"a{number}", created_at=100 - number, state=state))
    assert [found.id for found in await catalog.unfinished()] == ["a4", "a3", "a1"]


async def test_a_rendition_comes_back_changes_and_is_replaced(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    full = Rendition(
        asset_id="one",
        name="720p",
        kind="video",
        state="encoding",
        width=1280,
        height=720,
        codecs="avc1.64001f",
        init=b"\0ftyp",
        timescale=90_000,
        blob="one/720p.m4s",
        bandwidth=3_000_000_000,
        average_bandwidth=2_000_000,
        encoded_seconds=12.25,
    )
    await catalog.put_rendition(full)
    assert await catalog.renditions("one") == [full]
    await catalog.add_segments([segment(0)])
    changed = await catalog.update_rendition("one", "720p", state="ready", bandwidth=None)
    assert changed == msgspec.structs.replace(full, state="ready", bandwidth=None)
    await catalog.put_rendition(full)
    assert await catalog.renditions("one") == [full]
    assert len(await catalog.segments("one", "720p")) == 1


async def test_renditions_come_pictures_first_and_of_many_assets_at_once(catalog: Catalog) -> None:
    for name in ("one", "two", "three"):
        await catalog.add_asset(asset(name))
    for rendition, height in (("audio", None), ("480p", 480), ("1080p", 1080)):
        await catalog.put_rendition(
            Rendition(
                asset_id="one",
                name=rendition,
                kind="audio" if height is None else "video",
                height=height,
            )
        )
    await catalog.put_rendition(Rendition(asset_id="two", name="audio", kind="audio"))
    found = await catalog.renditions_of(["one", "two", "three"])
    assert {key: [each.name for each in value] for key, value in found.items()} == {
        "one": ["1080p", "480p", "audio"],
        "two": ["audio"],
        "three": [],
    }
    assert await catalog.renditions_of([]) == {}


async def test_clearing_renditions_takes_their_segments(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_rendition(Rendition(asset_id="one", name="720p", kind="video"))
    await catalog.add_segments([segment(number) for number in range(3)])
    await catalog.clear_renditions("one")
    assert await catalog.renditions("one") == []
    assert await catalog.segments("one", "720p") == []
    await catalog.clear_renditions("one")
    await catalog.clear_renditions("absent")


async def test_segments_come_by_number_and_one_by_one(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_rendition(Rendition(asset_id="one", name="720p", kind="video"))
    await catalog.add_segments([])
    await catalog.add_segments([segment(2), segment(10), segment(0)], encoded_seconds=6.0)
    await catalog.add_segments([segment(1)], encoded_seconds=8.0, bandwidth=900)
    assert await catalog.segments("one", "720p") == [segment(number) for number in (0, 1, 2, 10)]
    assert await catalog.durations("one", "720p") == [(number, 180_000) for number in (0, 1, 2, 10)]
    assert await catalog.segment_of("one", "720p", 10) == SegmentPlace(
        kind="video", blob="one/720p.m4s", start=10 << 33, stop=11 << 33
    )
    assert await catalog.segments("one", "audio") == []
    assert await catalog.durations("one", "audio") == []
    [rendition] = await catalog.renditions("one")
    assert (rendition.encoded_seconds, rendition.bandwidth) == (8.0, 900)
    for asset_id, name, number in (("two", "720p", 0), ("one", "audio", 0), ("one", "720p", 3)):
        with pytest.raises(errors.NotFound):
            await catalog.segment_of(asset_id, name, number)
    for number in (-1, 2**31, 2**64, 10**400):
        with pytest.raises(errors.NotFound):
            await catalog.segment_of("one", "720p", number)


async def test_segments_are_added_all_or_none(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_rendition(Rendition(asset_id="one", name="720p", kind="video"))
    await catalog.add_segments([segment(1)], encoded_seconds=2.0)
    with pytest.raises(Exception, match="UNIQUE"):
        await catalog.add_segments([segment(0), segment(1)], encoded_seconds=4.0)
    assert await catalog.segments("one", "720p") == [segment(1)]
    assert (await catalog.renditions("one"))[0].encoded_seconds == 2.0


async def test_finishing_makes_the_renditions_and_the_asset_ready_at_once(catalog: Catalog) -> None:
    await catalog.add_asset(asset(state="playable"))
    for name in ("720p", "audio"):
        await catalog.put_rendition(
            Rendition(asset_id="one", name=name, kind="audio" if name == "audio" else "video")
        )
    with pytest.raises(errors.NotFound):
        await catalog.rendition_layout("one", "720p")
    finished = await catalog.finish("one", {"720p": b"\x01", "audio": b"\x02"})
    assert (finished.state, finished.version) == ("ready", 2)
    assert await catalog.asset("one") == finished
    assert [one.state for one in await catalog.renditions("one")] == ["ready", "ready"]
    assert await catalog.rendition_layout("one", "720p") == b"\x01"
    assert await catalog.rendition_layout("one", "audio") == b"\x02"
    # Made again, it is without its file until it is finished again.
    await catalog.put_rendition(Rendition(asset_id="one", name="720p", kind="video"))
    with pytest.raises(errors.NotFound):
        await catalog.rendition_layout("one", "720p")


async def test_finishing_what_lacks_a_rendition_changes_nothing(catalog: Catalog) -> None:
    await catalog.add_asset(asset(state="playable"))
    await catalog.put_rendition(Rendition(asset_id="one", name="720p", kind="video", state="encoding"))
    for asset_id, layouts in (("one", {"720p": b"\x01", "audio": b"\x02"}), ("absent", {})):
        with pytest.raises(errors.NotFound):
            await catalog.finish(asset_id, layouts)
    assert await catalog.asset("one") == asset(state="playable")
    assert [one.state for one in await catalog.renditions("one")] == ["encoding"]


async def test_attempts_are_counted_before_they_begin_and_no_client_sees_it(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    assert [await catalog.begin_attempt("one") for _ in range(3)] == [0, 1, 2]
    assert await catalog.asset("one") == msgspec.structs.replace(asset(), attempts=3)
    await catalog.end_attempt("one", 2)
    assert (await catalog.asset("one")).attempts == 2
    await catalog.end_attempt("one")
    assert await catalog.asset("one") == asset()
    with pytest.raises(errors.NotFound):
        await catalog.begin_attempt("absent")
    await catalog.end_attempt("absent")


async def test_a_catalog_answers_while_it_is_open(tmp_path: Path) -> None:
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as catalog:
        await catalog.check()
    with pytest.raises(RuntimeError, match="closed"):
        await catalog.check()
    with pytest.raises(RuntimeError, match="closed"):
        await catalog.add_asset(asset())
