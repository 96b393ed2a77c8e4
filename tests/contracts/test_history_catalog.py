"""What every catalog tells of an asset's history, and how it lets go of what went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from media_service import errors
from media_service.store import changing, history
from media_service.store.catalog import Catalog, open_catalog
from media_service.store.engine import sqlite_url
from media_service.store.records import HistoryEntry
from media_service.timeline.previews import Pack, Tile
from tests.contracts.test_catalog import asset, rendition, segment

BROKEN = errors.BrokenMedia("The tables contradict each other.")
PACK = Pack(
    version="ab12",
    width=256,
    height=144,
    header_size=607,
    complete=False,
    film_us=5_000_000,
    tiles=(Tile(40_000, 5_000, 4_999),),
)


@pytest.fixture(params=["sqlite"])
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    assert request.param == "sqlite"
    async with open_catalog(sqlite_url(tmp_path / "catalog.sqlite3")) as opened:
        yield opened


async def told(catalog: Catalog, asset_id: str = "one") -> list[str]:
    """What happened, without when."""
    entries = await catalog.history(asset_id)
    assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
    return [" ".join(filter(None, (entry.event, entry.code, entry.detail))) for entry in entries]


async def test_all_that_happens_to_a_film_is_told_in_its_order(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.add_asset(asset("two"))
    assert await catalog.history("one") == [HistoryEntry(at=1_000, event="uploaded", detail="one.mp4")]
    await catalog.put_renditions("one", [rendition(), rendition("audio", position=1)])
    await catalog.update_asset("one", state="playable", width=640)
    await catalog.update_asset("one", has_poster=True, poster_version="first")
    await catalog.keep_pack("one", PACK)
    await catalog.add_segments([segment(number) for number in range(11)])
    await catalog.keep_pack("one", replace(PACK, complete=True))
    await catalog.add_segments([segment(10), segment(11)])
    await catalog.add_segments([segment(11)])  # a twin: nothing new
    await catalog.update_asset("one", clip="a1", animation="", waveform="")
    await catalog.update_rendition("one", "audio", state="failed")
    await catalog.update_rendition("one", "audio", state="failed", bandwidth=3)
    await catalog.update_asset("one", error_code="segment_failed", error_detail="At 3.0 s.")
    await catalog.update_asset("one", title="Another", visibility="signed")
    await catalog.update_asset("one", poster_time=2.5, poster_version="second")
    await catalog.update_asset("one", poster_time=None, visibility=None, title="Another")
    await catalog.finish("one", {"720p": b"", "audio": b""})
    assert await told(catalog) == [
        "uploaded one.mp4",
        "playable",
        "poster",
        "previews 1 picture",
        "rendition 720p",
        "clip",
        "rendition_failed audio",
        "incomplete segment_failed At 3.0 s.",
        "changed Title: Another",
        "changed Visibility: signed",
        "changed Poster: 2.500 s",
        "changed Visibility: as the settings say",
        "changed Poster: chosen by the service",
        "ready",
    ]
    assert await told(catalog, "two") == ["uploaded two.mp4"]
    await catalog.delete_asset("one")
    with pytest.raises(errors.NotFound):
        await catalog.history("one")
    await catalog.add_asset(asset())
    assert await told(catalog) == ["uploaded one.mp4"]


async def test_only_the_newest_are_kept_and_no_novels(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT_ENTRIES", 3)
    for name in ("one", "two"):
        await catalog.add_asset(asset(name))
    for number in range(5):
        await catalog.update_asset("one", title=f"{number}", visibility="public" if number % 2 else "signed")
    assert await told(catalog) == [
        "changed Visibility: public",
        "changed Title: 4",
        "changed Visibility: signed",
    ]
    assert await told(catalog, "two") == ["uploaded two.mp4"]
    await catalog.fail_asset("two", errors.BrokenMedia("x" * 10_000))
    assert len((await catalog.history("two"))[-1].detail or "") == history.MAX_DETAIL_CHARACTERS


async def test_what_does_not_happen_is_not_told(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    await catalog.add_asset(asset())

    async def broken(*_: object) -> None:
        raise RuntimeError("the power went")

    monkeypatch.setattr(changing, "announce_state", broken)
    with pytest.raises(RuntimeError):
        await catalog.fail_asset("one", BROKEN)
    assert await told(catalog) == ["uploaded one.mp4"]


# --- trying again ---------------------------------------------------------------------------------------------


async def test_a_failed_film_begins_anew_once(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    await catalog.put_renditions("one", [rendition()])
    await catalog.count_failure("one", ["720p"], 0, BROKEN)
    await catalog.begin_attempt("one")
    before = await catalog.fail_asset("one", BROKEN)
    await catalog.update_rendition("one", "720p", state="failed")  # it was not cleared away yet
    for name in ("1080p", "720p"):
        with pytest.raises(errors.NotFound):
            await catalog.retry("one", name)
    found, let_go = await catalog.retry("one")
    assert let_go
    assert (found.state, found.error_code, found.error_detail, found.attempts) == ("probing", None, None, 0)
    assert found.version == before.version + 1
    assert await catalog.renditions("one") == []
    assert await catalog.failures("one") == {}
    assert await catalog.retry("one") == (found, False)
    assert await told(catalog) == [
        "uploaded one.mp4",
        "failed broken_media The tables contradict each other.",
        "rendition_failed 720p",
        "retried",
    ]


async def test_a_film_that_lacks_something_goes_on_with_what_failed(catalog: Catalog) -> None:
    await catalog.add_asset(asset())
    names = ("source", "1080p", "720p", "audio")
    await catalog.put_renditions("one", [rendition(name, packaged=name == "source") for name in names])
    await catalog.add_segments([segment(0)])
    for name in ("720p", "audio"):
        await catalog.count_failure("one", [name], 1, BROKEN)
        await catalog.update_rendition("one", name, state="failed")
    await catalog.update_rendition("one", "1080p", state="ready")
    lost = "720p and audio"
    await catalog.update_asset("one", state="playable", error_code="segment_failed", error_detail=lost)

    async def states() -> dict[str, str]:
        return {one.name: one.state for one in await catalog.renditions("one")}

    # One of two: what is said of the other is still true.
    found, let_go = await catalog.retry("one", "720p")
    assert let_go
    assert (found.state, found.error_code, found.error_detail) == ("playable", "segment_failed", lost)
    assert await states() == {"source": "ready", "1080p": "ready", "720p": "encoding", "audio": "failed"}
    assert set(await catalog.failures("one")) == {("audio", 1)}
    assert await catalog.retry("one", "720p") == (found, False)
    for name in ("source", "1080p"):
        with pytest.raises(errors.NothingToRetry):
            await catalog.retry("one", name)
    with pytest.raises(errors.NotFound):
        await catalog.retry("one", "480p")

    found, _ = await catalog.retry("one", "audio")
    assert (found.state, found.error_code) == ("playable", None)
    assert (await states())["audio"] == "queued"

    # And all that failed at once.
    await catalog.update_rendition("one", "audio", state="failed")
    await catalog.count_failure("one", ["audio"], 1, BROKEN)
    await catalog.update_asset("one", error_code="segment_failed", error_detail="audio")
    found, let_go = await catalog.retry("one")
    assert (found.state, found.error_code, let_go) == ("playable", None, True)
    assert (await states())["audio"] == "queued"
    assert await catalog.failures("one") == {}
    assert len(await catalog.segments("one", "720p")) == 1
    assert await catalog.retry("one") == (found, False)
    assert (await told(catalog))[-5:] == [
        "retried 720p",
        "retried audio",
        "rendition_failed audio",
        "incomplete segment_failed audio",
        "retried",
    ]


async def test_what_is_made_is_not_tried_again(catalog: Catalog) -> None:
    with pytest.raises(errors.NotFound):
        await catalog.retry("absent")
    await catalog.add_asset(asset(state="ready"))
    with pytest.raises(errors.NothingToRetry):
        await catalog.retry("one")
