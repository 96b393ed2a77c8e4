"""Playlists: every duration exact, every tag where RFC 8216 wants it, for any film; the rules are checked independently."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.timeline.facts import Facts, SubtitleFacts
from media_service.timeline.hls import (
    iframe_playlist,
    master,
    media_playlist,
    subtitle_playlist,
)
from media_service.timeline.hls_text import exact_seconds, quoted
from media_service.timeline.outline import Outline
from media_service.timeline.outlining import outline
from media_service.timeline.packaging import PackagedTrack
from media_service.timeline.stored_index import StoredIndex
from tests.support.addresses import stays_below_the_film
from tests.support.file_server import serving
from tests.support.films import Film, Films
from tests.support.hls_rules import Media, check_master, check_media, check_presentation
from tests.support.media import probe
from tests.support.shared import corpus, shared_file
from tests.timeline.laid_out import lay_out, outlined, payloads
from tests.timeline.outlines import (
    SECOND_SOUND,
    SOUND,
    any_films,
    audio_facts,
    film,
    packaged_picture,
    packaged_sound,
    sound_film,
)


@pytest.mark.parametrize(
    ("ticks", "timescale", "text"),
    [
        (180_000, 90_000, "2.0"),
        (180_180, 90_000, "2.002"),
        (1, 90_000, "0.000011111"),
        (98_304, 48_000, "2.048"),
        (0, 1, "0.0"),
        (10 * 90_000, 90_000, "10.0"),
    ],
)
def test_a_duration_is_written_as_exactly_as_decimals_can(ticks: int, timescale: int, text: str) -> None:
    assert exact_seconds(ticks, timescale) == text


@given(st.integers(0, 10**12), st.sampled_from([1, 1000, 44_100, 48_000, 90_000]))
def test_a_written_duration_is_never_off_by_more_than_half_a_nanosecond(ticks: int, timescale: int) -> None:
    assert abs(Fraction(exact_seconds(ticks, timescale)) - Fraction(ticks, timescale)) <= Fraction(
        1, 2_000_000_000
    )


@pytest.mark.parametrize(
    ("name", "written"),
    [("Deutsch", '"Deutsch"'), ('a "b"\n#EXT-X-ENDLIST', "\"a 'b' #EXT-X-ENDLIST\""), ("\ud800", '" "')],
)
def test_names_of_strangers_stay_inside_their_quotation_marks(name: str, written: str) -> None:
    assert quoted(name) == written


def test_a_media_playlist_has_all_of_the_film() -> None:
    made = film(10)
    assert media_playlist(made, made.main).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f'#EXT-X-MAP:URI="init.mp4?v={made.version}"',
        "#EXTINF:4.0,",
        f"0.m4s?v={made.version}",
        "#EXTINF:4.0,",
        f"1.m4s?v={made.version}",
        "#EXTINF:2.0,",
        f"2.m4s?v={made.version}",
        "#EXT-X-ENDLIST",
    ]


def test_an_iframe_playlist_has_the_first_bytes_of_each_segment() -> None:
    made = film(10)
    text = iframe_playlist(made, made.main, [1000, 2000, 3000])
    media = check_media(text)
    assert media.iframes_only
    assert [one.span for one in media.segments] == [(0, 1000), (0, 2000), (0, 3000)]
    assert [one.seconds for one in media.segments] == [4, 4, 2]
    assert media.segments[2].uri == f"2.m4s?v={made.version}"
    with pytest.raises(ValueError, match="argument"):
        iframe_playlist(made, made.main, [1000])


def test_subtitles_are_one_segment_as_long_as_the_film() -> None:
    made = film(
        10, subtitles=(SubtitleFacts(index=5, codec="dvb_subtitle"), SubtitleFacts(index=6, codec="ass"))
    )
    media = check_media(subtitle_playlist(made, made.subtitles[1]))
    assert [(one.uri, one.seconds) for one in media.segments] == [
        (f"../../subtitles/1.vtt?v={made.version}", Fraction(10))
    ]
    assert media.target == 10
    assert media.map_uri is None
    parsed = check_master(master(made, {}, ()))
    assert [one["URI"] for one in parsed.group("SUBTITLES", "subtitles")] == ["subtitles-1/index.m3u8"]
    assert {one.attributes["SUBTITLES"] for one in parsed.variants} == {"subtitles"}


def test_a_multivariant_playlist_tells_all_of_each_variant() -> None:
    text = master(film(10), {}, ["720p"])
    assert text.splitlines()[:6] == [
        "#EXTM3U",
        "#EXT-X-VERSION:6",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        (
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="stereo",NAME="Sound",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
            'URI="audio/index.m3u8"'
        ),
        (
            '#EXT-X-STREAM-INF:BANDWIDTH=5700416,AVERAGE-BANDWIDTH=1978240,CODECS="avc1.64001f,mp4a.40.2",'
            'RESOLUTION=1280x720,VIDEO-RANGE=SDR,FRAME-RATE=25.000,AUDIO="stereo",CLOSED-CAPTIONS=NONE'
        ),
        "720p/index.m3u8",
    ]
    assert text.splitlines()[-1] == (
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=5533376,CODECS="avc1.64001f",RESOLUTION=1280x720,VIDEO-RANGE=SDR,'
        'URI="720p/iframes.m3u8"'
    )


def variants(made: Outline, **measured: tuple[int, int]) -> list[str]:
    parsed = check_master(master(made, measured, ()))
    return [one.uri.removesuffix("/index.m3u8") for one in parsed.variants]


def test_the_source_is_first_where_everybody_can_play_it_at_once() -> None:
    packaged = (packaged_picture(), packaged_sound())
    assert variants(film(10, packaged=packaged)) == ["source", "1080p", "720p", "480p", "240p"]


def test_else_the_largest_of_two_megabits_is_first() -> None:
    hevc = (packaged_picture(codecs="hvc1.1.6.L93.B0"),)
    assert variants(film(10)) == ["720p", "1080p", "480p", "240p"]
    assert variants(film(10, packaged=hevc)) == ["720p", "source", "1080p", "480p", "240p"]
    assert variants(film(10), **{"720p": (4_000_000, 2_000_001)})[0] == "480p"
    everything = dict.fromkeys(("1080p", "720p", "480p", "240p"), (9_000_000, 3_000_000))
    assert variants(film(10), **everything)[0] == "240p"
    huge = {"source": (10_000_001, 9_000_000)}
    assert variants(film(10, packaged=(packaged_picture(),)), **huge)[0] == "720p"


def test_bandwidths_are_as_measured_with_the_dearest_sound() -> None:
    made = film(10, audio=(audio_facts(SOUND), audio_facts(SECOND_SOUND)))
    measured = {"720p": (3000, 2000), "audio": (200, 100), "audio-2": (300, 90)}
    by_uri = {one.uri: one.attributes for one in check_master(master(made, measured, ())).variants}
    found = by_uri["720p/index.m3u8"]
    assert (found["BANDWIDTH"], found["AVERAGE-BANDWIDTH"]) == ("3300", "2100")


def test_six_channels_are_a_group_beside_stereo_with_the_same_tracks() -> None:
    made = film(
        10, audio=(audio_facts(SOUND, channels=6, language="ger"), audio_facts(SECOND_SOUND, language="eng"))
    )
    parsed = check_master(master(made, {}, ()))
    assert [
        (one["GROUP-ID"], one["NAME"], one["LANGUAGE"], one["DEFAULT"], one["CHANNELS"], one["URI"])
        for one in parsed.media
    ] == [
        ("stereo", "Deutsch", "de", "YES", "2", "audio/index.m3u8"),
        ("stereo", "English", "en", "NO", "2", "audio-2/index.m3u8"),
        ("surround", "Deutsch", "de", "YES", "6", "audio-51/index.m3u8"),
        ("surround", "English", "en", "NO", "2", "audio-2/index.m3u8"),
    ]
    assert [(one.uri, one.attributes["AUDIO"]) for one in parsed.variants][:2] == [
        ("720p/index.m3u8", "stereo"),
        ("720p/index.m3u8", "surround"),
    ]


def test_names_in_a_group_are_told_apart() -> None:
    sounds = (
        audio_facts(SOUND, language="eng", title="A\n"),
        audio_facts(SECOND_SOUND, language="eng", title="A"),
        audio_facts(3, language="eng", title="A 2"),
    )
    members = check_master(master(film(10, audio=sounds), {}, ())).group("AUDIO", "stereo")
    assert [one["NAME"] for one in members] == ["English (A)", "English (A) 2", "English (A 2)"]
    assert [one["AUTOSELECT"] for one in members] == ["YES", "NO", "NO"]


def test_sound_alone_is_a_variant_of_its_own() -> None:
    parsed = check_master(master(sound_film(10), {}, ()))
    assert not parsed.media
    assert [one.uri for one in parsed.variants] == ["audio/index.m3u8"]
    assert "RESOLUTION" not in parsed.variants[0].attributes
    several = sound_film(10, audio_facts(SOUND, channels=6), audio_facts(SECOND_SOUND))
    parsed = check_master(master(several, {}, ()))
    assert [(one.uri, one.attributes["AUDIO"]) for one in parsed.variants] == [
        ("audio/index.m3u8", "stereo"),
        ("audio-51/index.m3u8", "surround"),
    ]


def test_segments_that_need_the_one_before_are_not_called_independent() -> None:
    made = film(10, packaged=(packaged_picture(), packaged_sound()))
    dependent = Outline(
        recipes=1, seconds=made.seconds, independent=False, renditions=made.renditions, subtitles=()
    )
    assert not check_master(master(dependent, {}, ())).independent
    found = {one.name: check_media(media_playlist(dependent, one)).independent for one in made.renditions}
    assert found == {name: name != "source" for name in found}


def test_high_dynamic_range_is_said() -> None:
    made = film(10, packaged=(packaged_picture(codecs="hvc1.2.4.L120.B0", video_range="PQ"),))
    ranges = {
        one.uri.partition("/")[0]: one.attributes["VIDEO-RANGE"]
        for one in check_master(master(made, {}, ())).variants
    }
    assert ranges == {"source": "PQ", "1080p": "SDR", "720p": "SDR", "480p": "SDR", "240p": "SDR"}


@given(any_films())
def test_any_film_has_playlists_that_keep_all_rules(
    source: tuple[Facts, StoredIndex, dict[int, PackagedTrack]],
) -> None:
    check(outline(*source))


@pytest.mark.parametrize("entry", corpus("ok"), ids=lambda entry: entry["file"])
async def test_every_film_of_the_corpus_has_playlists_that_keep_all_rules(entry: dict[str, object]) -> None:
    check(await outlined(shared_file(f"corpus/{entry['file']}")))


def check(made: Outline) -> None:
    """All playlists of a film, by themselves and together."""
    parsed = check_master(master(made, {}, [one.name for one in made.videos]))
    playlists: dict[str, Media] = {}
    for one in made.renditions:
        media = playlists[f"{one.name}/index.m3u8"] = check_media(media_playlist(made, one))
        assert len(media.segments) == one.count
        # Each EXTINF is off by half a nanosecond at most; those of all pictures are the same, on whatever clock they run.
        clock = made.videos[0] if one.kind == "video" else one
        assert abs(media.seconds - clock.seconds(clock.count)) <= Fraction(one.count, 2 * 10**9)
        assert abs(clock.seconds(clock.count) - one.seconds(one.count)) <= Fraction(1, one.timescale)
        if one.kind == "video":
            sizes = range(100, 100 + one.count)
            playlists[f"{one.name}/iframes.m3u8"] = check_media(iframe_playlist(made, one, sizes))
    for track in made.subtitles:
        if track.convertible:
            playlists[f"subtitles-{track.number}/index.m3u8"] = check_media(subtitle_playlist(made, track))
    check_presentation(parsed, playlists)
    assert all(stays_below_the_film("hls/master.m3u8", uri) for uri in parsed.uris)
    for path, media in playlists.items():
        uris = {media.map_uri or "init.mp4", *(segment.uri for segment in media.segments)}
        assert all(stays_below_the_film(f"hls/{path}", uri) for uri in uris)


async def test_ffmpeg_reads_all_of_a_film_through_its_playlists(films: Films, tmp_path: Path) -> None:
    source = films.film(Film(seconds=13, keyframe_seconds=2))
    await lay_out(source, tmp_path)
    with serving(tmp_path) as address:
        assert payloads(f"{address}/hls/master.m3u8") == payloads(source)


async def test_the_first_bytes_of_a_segment_show_its_first_frame(films: Films, tmp_path: Path) -> None:
    made = await lay_out(films.film(Film(seconds=13, keyframe_seconds=2)), tmp_path)
    directory = tmp_path / "hls" / "source"
    media = check_media((directory / "iframes.m3u8").read_text())
    init = (directory / "init.mp4").read_bytes()
    for number, one in enumerate(media.segments):
        assert one.span is not None
        beginning = tmp_path / f"{number}.mp4"
        beginning.write_bytes(init + (directory / f"{number}.m4s").read_bytes()[slice(*one.span)])
        (frame,) = probe(
            beginning, "-read_intervals", "%+#1", "-show_entries", "frame=key_frame,pkt_pts_time,pts_time"
        )["frames"]
        assert frame["key_frame"] == 1
        assert Fraction(frame["pts_time"]) == made.main.seconds(number)
