"""What looking at a stored original finds, for films that ffmpeg made and for broken ones."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from media_service.errors import StorageFull
from media_service.store.keys import index_key, original_header_key, original_key, outline_key
from media_service.store.records import Asset
from media_service.timeline.outline import encode
from media_service.wire import layout
from media_service.wire.representation import BlobExtent
from media_service.work.keeping import keep
from media_service.work.outlines import Outlines
from media_service.work.rows import facts_of
from tests.support.films import Film, Films
from tests.support.media import ffmpeg, framemd5
from tests.support.workshop import Workshop


def extents(asset: Asset) -> list[BlobExtent]:
    assert asset.original_layout is not None
    return list(layout.unpack(asset.original_layout).spans())


async def test_a_moov_at_the_end_is_served_first(workshop: Workshop, films: Films) -> None:
    film = films.film(Film())
    asset = await workshop.indexed(film)
    assert asset.state == "playable"
    assert [one.blob for one in extents(asset)][:2] == [original_header_key(asset.id), original_key(asset.id)]
    served = await workshop.written(tuple(extents(asset)), workshop.root / "served.mp4")
    assert served.read_bytes().index(b"moov") < served.read_bytes().index(b"mdat")
    assert framemd5(served) == framemd5(film)


async def test_a_moov_in_front_is_served_as_it_came(workshop: Workshop, films: Films) -> None:
    asset = await workshop.indexed(films.film(Film(moov_at_end=False)))
    assert extents(asset) == [BlobExtent(original_key(asset.id), 0, asset.size)]


@pytest.mark.parametrize(
    "film",
    [
        Film(seconds=3),
        Film(seconds=3, moov_at_end=False),
        Film(seconds=3, container="mkv"),
        Film(seconds=3, codec="libvpx", container="webm"),
        Film(seconds=3, codec="mpeg2video", container="ts"),
        Film(seconds=3, audio=False),
    ],
    ids=lambda film: f"{film.container}-{film.codec}",
)
async def test_length_frames_and_size_are_found(workshop: Workshop, films: Films, film: Film) -> None:
    asset = await workshop.indexed(films.film(film))
    assert asset.state == "playable"
    assert asset.duration_seconds == pytest.approx(3.0, abs=0.1)
    assert (asset.width, asset.height) == (320, 180)
    facts = facts_of(asset)
    assert facts.video is not None
    assert facts.packets.stream(facts.video.index).count == 75


async def test_all_that_viewers_can_ask_for_follows_from_what_is_there_when_a_film_is_playable(
    workshop: Workshop, films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = await workshop.admitted(films.film(Film()))

    async def crash(*_: object, **__: object) -> Asset:
        raise StorageFull

    with monkeypatch.context() as patch:
        patch.setattr(workshop.catalog, "update_asset", crash)
        with pytest.raises(StorageFull):
            await workshop.indexer().index(asset)
    assert (await workshop.catalog.asset(asset.id)).state == "probing"
    assert {"index", "outline", "original-header"} <= workshop.files(asset)
    outline = await workshop.outlines.of(asset.id)
    rows = await workshop.catalog.renditions(asset.id)
    assert [row.name for row in rows] == [one.name for one in outline.renditions]
    assert (await workshop.indexer().index(asset)).state == "playable"
    assert await workshop.catalog.renditions(asset.id) == rows


async def test_an_outline_is_made_once(workshop: Workshop, films: Films) -> None:
    asset = await workshop.admitted(films.film(Film(seconds=9)))
    await workshop.indexer().index(asset)
    outline = await workshop.outlines.of(asset.id)
    other = msgspec.structs.replace(outline, recipes=999)
    await keep(workshop.blobs, outline_key(asset.id), encode(other))
    await workshop.indexer().index(asset)
    assert await Outlines(workshop.blobs).of(asset.id) == other


async def test_what_an_earlier_look_left_is_no_obstacle(workshop: Workshop, films: Films) -> None:
    asset = await workshop.admitted(films.film(Film()))
    for key in (original_header_key(asset.id), index_key(asset.id)):
        await keep(workshop.blobs, key, b"half")
    assert (await workshop.indexer().index(asset)).state == "playable"
    assert (await workshop.indexes.of(asset.id)).tracks


async def test_a_film_cut_short_is_refused_in_words(workshop: Workshop, films: Films, tmp_path: Path) -> None:
    asset = await workshop.admitted(films.film(Film(moov_at_end=False)))
    os.truncate(workshop.file(asset), asset.size - 1000)
    asset = await workshop.indexer().index(asset)
    assert (asset.state, asset.error_code) == ("failed", "truncated_media")
    assert asset.original_layout is None


async def test_a_matroska_film_much_shorter_than_it_says_is_cut(workshop: Workshop, films: Films) -> None:
    asset = await workshop.admitted(films.film(Film(seconds=20, container="mkv", size=(64, 36))))
    os.truncate(workshop.file(asset), asset.size // 3)
    asset = await workshop.indexer().index(asset)
    assert (asset.state, asset.error_code) == ("failed", "truncated_media")


async def test_a_film_longer_than_allowed_is_refused(workshop: Workshop, films: Films) -> None:
    asset = await workshop.admitted(films.film(Film(seconds=3)))
    asset = await workshop.indexer(max_duration_seconds=2.5).index(asset)
    assert (asset.state, asset.error_code) == ("failed", "absurd_media")


async def test_a_second_sound_longer_than_allowed_is_left_out(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    long, short = films.film(Film(seconds=20, size=None)), films.film(Film(seconds=3))
    maps = ("-map", "0", "-map", "1:a", "-c", "copy")
    ffmpeg("-i", short, "-i", long, *maps, tmp_path / "film.mp4")
    asset = await workshop.indexer(max_duration_seconds=10).index(
        await workshop.admitted(tmp_path / "film.mp4")
    )
    assert (asset.state, asset.error_code) == ("playable", None)
    outline = await workshop.outlines.of(asset.id)
    assert [one.name for one in outline.sounds] == ["audio"]
    assert outline.seconds < 4


async def test_fragments_are_counted_one_by_one(workshop: Workshop, films: Films, tmp_path: Path) -> None:
    fragmented = tmp_path / "fragmented.mp4"
    ffmpeg(
        "-i", films.film(Film(seconds=3)), "-c", "copy", "-movflags", "+frag_keyframe+empty_moov", fragmented
    )
    asset = await workshop.indexed(fragmented)
    assert asset.duration_seconds == pytest.approx(3.0, abs=0.1)
    assert asset.codecs is None  # browsers find no index in it to seek by
    assert facts_of(asset).packets.streams[0].count == 75


async def test_a_matroska_film_that_players_decode_is_served_without_an_encoder(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    ffmpeg("-i", films.film(Film(seconds=5, size=(256, 144))), "-c", "copy", tmp_path / "film.mkv")
    asset = await workshop.indexed(tmp_path / "film.mkv")
    outline = await workshop.outlines.of(asset.id)
    assert [(one.name, one.packaged is not None) for one in outline.renditions] == [
        ("source", True),
        ("audio", True),
    ]
    assert (await workshop.transcode(asset)).state == "ready"


async def test_of_a_damaged_matroska_film_all_is_encoded(
    workshop: Workshop, films: Films, tmp_path: Path
) -> None:
    """Its demuxer finds its way again behind the damage; its packets are no longer surely the file's frames."""
    ffmpeg(
        "-i", films.film(Film(seconds=5)), "-c", "copy", "-cluster_time_limit", "500", tmp_path / "film.mkv"
    )
    data = bytearray((tmp_path / "film.mkv").read_bytes())
    middle = data.index(b"\x1f\x43\xb6\x75", len(data) // 2)
    data[middle : middle + 40] = bytes(40)
    (tmp_path / "damaged.mkv").write_bytes(data)
    asset = await workshop.indexed(tmp_path / "damaged.mkv")
    assert asset.state == "playable"
    outline = await workshop.outlines.of(asset.id)
    assert outline.encoded == outline.renditions
