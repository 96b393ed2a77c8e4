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
from media_service.store.listing import Selection
from media_service.store.records import (
    Asset,
    AssetState,
    Failure,
    InitPlace,
    Rendition,
    Segment,
    SegmentPlace,
)


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


def rendition(
    name: str = "720p", *, asset_id: str = "one", position: int = 0, packaged: bool = False
) -> Rendition:
    return Rendition(
        asset_id=asset_id,
        name=name,
        position=position,
        kind="audio" if name.startswith("audio") else "video",
        state="ready" if packaged else "queued",
        packaged=packaged,
        codecs="avc1.64001f",
        bandwidth=3_000_000_000,
        average_bandwidth=2_000_000,
        segments=12,
    )


def segment(number: int, *, asset_id: str = "one", rendition: str = "720p", digest: str = "d0") -> Segment:
    return Segment(
        asset_id=asset_id,
        rendition=rendition,
        number=number,
        blob=f"{asset_id}/segments/{rendition}/{number}-{digest}",
        digest=digest,
        size=1 << 33,
        payload_start=200,
        iframe_size=60_000,
        begin_ticks=number * 180_000 << 20,
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
    await catalog.put_renditions("one", [rendition()])
    await catalog.delete_asset("one")
    with pytest.raises(errors.NotFound):
        await catalog.update_asset("one", state="ready")
    with pytest.raises(errors.NotFound):
        await catalog.delete_asset("one")
    with pytest.raises(errors.NotFound):
        await catalog.put_renditions("one", [rendition()])
    with pytest.raises(errors.NotFound):
        await catalog.update_rendition("one", "720p", state="ready")
    with pytest.raises(errors.NotFound):
        await catalog.add_segments([segment(0)])
    with pytest.raises(errors.NotFound):
        await catalog.set_init("one", "720p", b"init", "avc1")
    with pytest.raises(errors.NotFound):
        await catalog.init_of("one", "720p")
    with pytest.raises(errors.NotFound):
        await catalog.count_failure("one", ["720p"], 0, errors.TranscodeFailed())


async def test_deleting_an_asset_takes_all_that_is_its_own(catalog: Catalog) -> None:
    for name in ("one", "two"):
        await catalog.add_asset(asset(name))
        await catalog.put_renditions(name, [rendition(asset_id=name)])
        await catalog.add_segments([segment(0, asset_id=name)])
        await catalog.count_failure(name, ["720p"], 1, errors.TranscodeFailed())
    await catalog.delete_asset("one")
    assert await catalog.renditions("one") == []
    assert await catalog.segments("one", "720p") == []
    assert await catalog.failures("one") == {}
    assert len(await catalog.renditions("two")) == 1
    assert len(await catalog.segments("two", "720p")) == 1
    assert len(await catalog.failures("two")) == 1


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
        selection = Selection(state=state, search=search)
        found = (await catalog.page(10, None, selection))[0]
        assert await catalog.count(selection) == len(found)
        return "".join(asset.id for asset in found)

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
    assert await catalog.count(Selection(search="before")) == 0
    assert await catalog.count(Selection(search="after")) == 1
    assert await catalog.count(Selection(search="one.mp4")) == 1


async def test_the_unfinished_come_oldest_first(catalog: Catalog) -> None:
    states: list[AssetState] = ["ready", "playable", "failed", "probing", "playable"]
    for number, state in enumerate(states):
        await catalog.add_asset(asset(f"a{number}", created_at=100 - number, state=state))
    assert [found.id for found in await catalog.unfinished()] == ["a4", "a3", "a1"]


async def test_a_rendition_comes_back_changes_and_is_replaced(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    full = msgspec.structs.replace(
        rendition(),
        width=1280,
        height=720,
        frame_rate=30_000 / 1001,
        channels=6,
        language="de",
        label="Deutsch (5.1)",
        init=b"\0ftyp",
    )
    await catalog.put_renditions("one", [full])
    assert await catalog.renditions("one") == [full]
    await catalog.add_segments([segment(0)])
    changed = await catalog.update_rendition("one", "720p", state="failed", bandwidth=7)
    assert changed == msgspec.structs.replace(full, state="failed", bandwidth=7, made_segments=1)
    await catalog.put_renditions("one", [full])
    assert await catalog.renditions("one") == [full]
    assert await catalog.segments("one", "720p") == []


async def test_renditions_come_in_the_order_of_the_outline_and_of_many_assets_at_once(
    catalog: Catalog,
) -> None:
    for name in ("one", "two", "three"):
        await catalog.add_asset(asset(name))
    outlined = [rendition(name, position=at) for at, name in enumerate(("source", "1080p", "480p", "audio"))]
    await catalog.put_renditions("one", outlined[::-1])
    await catalog.put_renditions("two", [rendition("audio", asset_id="two")])
    await catalog.put_renditions("three", [])
    found = await catalog.renditions_of(["one", "two", "three"])
    assert {key: [each.name for each in value] for key, value in found.items()} == {
        "one": ["source", "1080p", "480p", "audio"],
        "two": ["audio"],
        "three": [],
    }
    assert await catalog.renditions_of([]) == {}


async def test_the_first_init_segment_stays(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_renditions("one", [rendition()])
    assert await catalog.init_of("one", "720p") is None
    assert await catalog.set_init("one", "720p", b"first", "avc1.640020") == b"first"
    assert await catalog.set_init("one", "720p", b"second", "avc1.640028") == b"first"
    assert await catalog.init_of("one", "720p") == b"first"
    [found] = await catalog.renditions("one")
    assert (found.init, found.codecs) == (b"first", "avc1.640020")


async def test_segments_come_by_number_and_one_by_one(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_renditions("one", [rendition(), rendition("audio", position=1)])
    assert await catalog.add_segments([]) == set()
    assert await catalog.add_segments([segment(2), segment(10), segment(0)]) == {0, 2, 10}
    assert await catalog.add_segments([segment(1)]) == {1}
    assert await catalog.add_segments([segment(7, rendition="audio")]) == {7}
    assert await catalog.segments("one", "720p") == [segment(number) for number in (0, 1, 2, 10)]
    assert await catalog.sizes("one", "720p") == [(number, 1 << 33, 60_000) for number in (0, 1, 2, 10)]
    assert await catalog.made("one") == {"720p": {0, 1, 2, 10}, "audio": {7}}
    assert await catalog.made("absent") == {}
    assert await catalog.segment_of("one", "720p", 10) == SegmentPlace(
        blob="one/segments/720p/10-d0", digest="d0", size=1 << 33, visibility=None
    )
    await catalog.update_asset("one", visibility="signed")
    assert (await catalog.segment_of("one", "720p", 10)).visibility == "signed"
    assert await catalog.init_place("one", "720p") == InitPlace(init=None, visibility="signed")
    with pytest.raises(errors.NotFound):
        await catalog.init_place("one", "1080p")
    counted = [(one.state, one.made_segments) for one in await catalog.renditions("one")]
    assert counted == [("encoding", 4), ("encoding", 1)]
    for asset_id, name, number in (("two", "720p", 0), ("one", "audio", 0), ("one", "720p", 3)):
        with pytest.raises(errors.NotFound):
            await catalog.segment_of(asset_id, name, number)
    for number in (-1, 2**31, 2**64, 10**400):
        with pytest.raises(errors.NotFound):
            await catalog.segment_of("one", "720p", number)


async def test_made_segments_are_told_as_ranges_of_all_renditions_in_the_order_of_the_outline(
    catalog: Catalog,
) -> None:
    assert await catalog.made_ranges("absent") == {}
    await catalog.add_asset(asset())
    await catalog.add_asset(asset("two"))
    outlined = [rendition("source", packaged=True), rendition(position=1), rendition("audio", position=2)]
    await catalog.put_renditions("one", outlined[::-1])
    await catalog.put_renditions("two", [rendition(asset_id="two")])
    await catalog.add_segments([segment(4, asset_id="two")])
    assert await catalog.made_ranges("one") == {"source": [(0, 12)], "720p": [], "audio": []}
    await catalog.add_segments([segment(number) for number in (11, 3, 0, 1, 2, 9)])
    await catalog.add_segments([segment(9, rendition="audio")])
    made = await catalog.made_ranges("one")
    assert made == {"source": [(0, 12)], "720p": [(0, 4), (9, 10), (11, 12)], "audio": [(9, 10)]}
    assert list(made) == ["source", "720p", "audio"]
    assert await catalog.made_ranges("two") == {"720p": [(4, 5)]}


async def test_the_blobs_of_all_segments_are_known(catalog: Catalog) -> None:
    assert await catalog.segment_blobs("absent") == set()
    await catalog.add_asset(asset())
    await catalog.put_renditions("one", [rendition(), rendition("audio", position=1)])
    added = [segment(0), segment(7), segment(3, rendition="audio")]
    await catalog.add_segments(added[:2])
    await catalog.add_segments(added[2:])
    assert await catalog.segment_blobs("one") == {one.blob for one in added}


async def test_of_twins_the_first_stays(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_renditions("one", [rendition()])
    await catalog.add_segments([segment(1)])
    assert await catalog.add_segments([segment(0, digest="d1"), segment(1, digest="d1")]) == {0}
    assert await catalog.segments("one", "720p") == [segment(0, digest="d1"), segment(1)]
    assert (await catalog.renditions("one"))[0].made_segments == 2


async def test_of_many_that_make_a_segment_at_once_exactly_one_is_kept(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_renditions("one", [rendition()])
    makers = [[segment(number, digest=f"d{maker}") for number in range(4)] for maker in range(8)]
    kept = await asyncio.gather(*(catalog.add_segments(made) for made in makers))
    assert sorted(number for numbers in kept for number in numbers) == [0, 1, 2, 3]
    assert (await catalog.renditions("one"))[0].made_segments == 4


async def test_failures_are_counted_by_segment_and_forgotten_on_request(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_renditions("one", [rendition(), rendition("480p", position=1)])
    first, second = errors.TranscodeFailed("It broke."), errors.TranscodeStalled("It stood still.")
    assert await catalog.count_failure("one", ["720p"], 3, first) == 1
    assert await catalog.count_failure("one", ["720p", "480p"], 3, second) == 2
    assert await catalog.count_failure("one", ["720p"], 4, first) == 1
    assert await catalog.failures("one") == {
        ("720p", 3): Failure(attempts=2, code=second.code, detail="It stood still."),
        ("480p", 3): Failure(attempts=1, code=second.code, detail="It stood still."),
        ("720p", 4): Failure(attempts=1, code=first.code, detail="It broke."),
    }
    await catalog.forget_failures("one")
    assert await catalog.failures("one") == {}


async def test_finishing_makes_the_renditions_and_the_asset_ready_at_once(catalog: Catalog) -> None:
    await catalog.add_asset(asset(state="playable"))
    outlined = [rendition("source", packaged=True), rendition(position=1), rendition("audio", position=2)]
    await catalog.put_renditions("one", outlined)
    with pytest.raises(errors.NotFound):
        await catalog.rendition_layout("one", "720p")
    finished = await catalog.finish("one", {"720p": b"\x01", "audio": b"\x02"})
    assert (finished.state, finished.version) == ("ready", 2)
    assert await catalog.asset("one") == finished
    assert [one.state for one in await catalog.renditions("one")] == ["ready", "ready", "ready"]
    assert await catalog.rendition_layout("one", "720p") == b"\x01"
    assert await catalog.rendition_layout("one", "audio") == b"\x02"
    with pytest.raises(errors.NotFound):
        await catalog.rendition_layout("one", "source")


async def test_finishing_what_lacks_a_rendition_changes_nothing(catalog: Catalog) -> None:
    await catalog.add_asset(asset(state="playable"))
    await catalog.put_renditions("one", [rendition()])
    for asset_id, layouts in (("one", {"720p": b"\x01", "audio": b"\x02"}), ("absent", {})):
        with pytest.raises(errors.NotFound):
            await catalog.finish(asset_id, layouts)
    assert await catalog.asset("one") == asset(state="playable")
    assert [one.state for one in await catalog.renditions("one")] == ["queued"]


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
