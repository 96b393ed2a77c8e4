"""Previews in HLS: a segment for each tile, with its frame's true time, by all rules."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given

from media_service.timeline.hls import master
from media_service.timeline.hls_images import iframe_playlist, tile_playlist, variants
from media_service.timeline.previews import Pack, shown
from tests.support.addresses import stays_below_the_film
from tests.support.hls_rules import check_master, check_media
from tests.timeline.outlines import film
from tests.timeline.packs import TILE_BYTES, any_packs, pack_of

PACK = pack_of([0, 1_001_000, 2_002_000], film_us=4_000_000)


def test_the_jpeg_track_is_a_playlist_of_i_frames() -> None:
    assert iframe_playlist(PACK) == (
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-I-FRAMES-ONLY\n"
        '#EXT-X-MAP:URI="init.mp4?v=abc123"\n'
        "#EXTINF:1.001,\n0.m4s?v=abc123\n#EXTINF:1.001,\n1.m4s?v=abc123\n#EXTINF:1.998,\n2.m4s?v=abc123\n"
        "#EXT-X-ENDLIST\n"
    )


def test_the_jpeg_files_are_a_playlist_of_images() -> None:
    text = tile_playlist(PACK)
    assert "#EXT-X-IMAGES-ONLY\n" in text
    assert (
        "#EXTINF:1.998,\n#EXT-X-TILES:RESOLUTION=256x144,LAYOUT=1x1,DURATION=1.998\n../../storyboard/tiles/2.jpg?v=abc123\n"
    ) in text


def test_the_multivariant_playlist_offers_both() -> None:
    made = film(4)
    parsed = check_master(master(made, {}, (), images=variants(PACK)))
    (frames,), (files,) = parsed.iframes, parsed.images
    average, peak = int(frames["AVERAGE-BANDWIDTH"]), int(frames["BANDWIDTH"])
    assert (
        3 * 8 * TILE_BYTES / 4 < average <= peak < 1.1 * 8 * TILE_BYTES
    )  # three tiles in four seconds, and a little more
    assert frames == {**files, "CODECS": "mjpg", "URI": "images/index.m3u8"}
    assert (files["CODECS"], files["RESOLUTION"], files["URI"]) == ("jpeg", "256x144", "images/tiles.m3u8")
    assert (
        master(made, {}, ()) == "\n".join(master(made, {}, (), images=variants(PACK)).split("\n")[:-3]) + "\n"
    )


@given(any_packs())
def test_any_pack_has_playlists_of_all_its_tiles(pack: Pack) -> None:
    variants(pack)
    for text in (iframe_playlist(pack), tile_playlist(pack)):
        media = check_media(text)
        assert [segment.seconds * 1_000_000 for segment in media.segments] == [
            stop - begin for begin, stop in shown(pack)
        ]
        assert media.seconds >= Fraction(pack.tiles[-1].time_us, 1_000_000)
        for uri in (*(segment.uri for segment in media.segments), media.map_uri or "init.mp4"):
            assert stays_below_the_film("hls/images/index.m3u8", uri)
            assert uri.endswith("?v=abc123") or uri == "init.mp4"
