"""The DASH manifest: the same segments as HLS has, exactly timed, for any film; ffmpeg's own reader is the judge."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from media_service.timeline.dash import manifest
from media_service.timeline.facts import Facts, SubtitleFacts
from media_service.timeline.outline import Outline
from media_service.timeline.outlining import outline
from media_service.timeline.packaging import PackagedTrack
from media_service.timeline.stored_index import StoredIndex
from tests.support.addresses import stays_below_the_film
from tests.support.file_server import serving
from tests.support.films import Film, Films
from tests.timeline.laid_out import lay_out, payloads
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
from tests.timeline.packs import pack_of

NAMES = {"": "urn:mpeg:dash:schema:mpd:2011"}


def period(made: Outline, **measured: tuple[int, int]) -> ET.Element:
    """The only period of the manifest."""
    mpd = ET.fromstring(manifest(made, measured))
    periods = mpd.findall("Period", NAMES)
    assert (mpd.tag, len(periods)) == ("{urn:mpeg:dash:schema:mpd:2011}MPD", 1)
    assert mpd.attrib["type"] == "static"
    return periods[0]


def sets(made: Outline) -> list[list[str]]:
    """The names of the representations, set by set."""
    return [
        [one.attrib["id"] for one in found.findall("Representation", NAMES)]
        for found in period(made).findall("AdaptationSet", NAMES)
    ]


def uris(found: ET.Element) -> list[str]:
    """All that name something to fetch (ISO/IEC 23009-1 s5.6, s5.3.9.4)."""
    templates = list(found.iter(f"{{{NAMES['']}}}SegmentTemplate"))
    bases = [base.text or "" for base in found.iter(f"{{{NAMES['']}}}BaseURL")]
    return [*bases, *(one.attrib[name] for one in templates for name in ("initialization", "media"))]


def boundaries(representation: ET.Element) -> tuple[int, ...]:
    """What a SegmentTimeline says, run by run (ISO/IEC 23009-1 s5.3.9.6)."""
    times: list[int] = []
    for run in representation.findall("SegmentTemplate/SegmentTimeline/S", NAMES):
        if "t" in run.attrib:
            times.append(int(run.attrib["t"]))
        for _ in range(int(run.attrib.get("r", 0)) + 1):
            times.append(times[-1] + int(run.attrib["d"]))
    return tuple(times)


def test_a_manifest_has_each_segment_where_hls_has_it() -> None:
    made = film(10)
    assert manifest(made, {}).startswith('<?xml version="1.0" encoding="UTF-8"?>\n<MPD ')
    found = period(made)
    assert found.attrib == {"id": "0", "start": "PT0S", "duration": "PT10.0S"}
    first = found.find("AdaptationSet/Representation", NAMES)
    assert first is not None
    assert first.attrib == {
        "id": "1080p",
        "codecs": "avc1.640028",
        "bandwidth": str(made.main.bandwidth),
        "width": "1920",
        "height": "1080",
        "sar": "1:1",
        "frameRate": "25",
    }
    template = first.find("SegmentTemplate", NAMES)
    assert template is not None
    assert template.attrib == {
        "timescale": "90000",
        "startNumber": "0",
        "initialization": f"../hls/1080p/init.mp4?v={made.version}",
        "media": f"../hls/1080p/$Number$.m4s?v={made.version}",
    }
    runs = [run.attrib for run in template.iter("{urn:mpeg:dash:schema:mpd:2011}S")]
    assert runs == [{"t": "0", "d": "360000", "r": "1"}, {"d": "180000"}]


def test_bandwidths_are_as_measured() -> None:
    first = period(film(10), **{"1080p": (123, 100)}).find("AdaptationSet/Representation", NAMES)
    assert first is not None
    assert first.attrib["bandwidth"] == "123"


@pytest.mark.parametrize(("rate", "written"), [((30000, 1001), "30000/1001"), ((24000, 1001), "24000/1001")])
def test_broken_frame_rates_are_fractions(rate: tuple[int, int], written: str) -> None:
    first = period(film(10, video={"frame_rate": rate})).find("AdaptationSet/Representation", NAMES)
    assert first is not None
    assert first.attrib["frameRate"] == written


def test_pictures_of_one_kind_can_be_switched_between() -> None:
    assert sets(film(10)) == [["1080p", "720p", "480p", "240p"], ["audio"]]
    plain = (packaged_picture(), packaged_sound())
    assert sets(film(10, packaged=plain)) == [["source", "1080p", "720p", "480p", "240p"], ["audio"]]
    hevc = (packaged_picture(codecs="hvc1.1.6.L93.B0"),)
    assert sets(film(10, packaged=hevc)) == [["source"], ["1080p", "720p", "480p", "240p"], ["audio"]]


def test_a_source_whose_segments_need_each_other_is_not_switched_to() -> None:
    made = film(10, packaged=(packaged_picture(),), audio=())
    dependent = Outline(recipes=1, seconds=10, independent=False, renditions=made.renditions)
    assert sets(dependent)[0] == ["source"]
    kinds = [found.attrib["startWithSAP"] for found in period(dependent).findall("AdaptationSet", NAMES)]
    assert kinds == ["3", "1"]


@pytest.mark.parametrize(("video_range", "transfer"), [("PQ", "16"), ("HLG", "18")])
def test_high_dynamic_range_is_for_those_who_know_it(video_range: str, transfer: str) -> None:
    hdr = packaged_picture(codecs="hvc1.2.4.L120.B0", video_range=video_range)
    first, second, *_ = period(film(10, packaged=(hdr,))).findall("AdaptationSet", NAMES)
    found = {
        one.attrib["schemeIdUri"].rpartition(":")[2]: one.attrib["value"]
        for one in first.findall("EssentialProperty", NAMES)
    }
    assert found == {"ColourPrimaries": "9", "TransferCharacteristics": transfer, "MatrixCoefficients": "9"}
    assert second.find("EssentialProperty", NAMES) is None


def test_sounds_have_language_label_role_and_layout() -> None:
    sounds = (
        audio_facts(SOUND, channels=6, language="ger"),
        audio_facts(SECOND_SOUND, language="eng", title='<"&>\x00'),
    )
    found = period(film(10, audio=sounds)).findall("AdaptationSet[@contentType='audio']", NAMES)
    assert [
        (
            one.attrib["lang"],
            one.findtext("Label", None, NAMES),
            [role.attrib["value"] for role in one.findall("Role", NAMES)],
            [
                layout.attrib["value"]
                for layout in one.findall("Representation/AudioChannelConfiguration", NAMES)
            ],
        )
        for one in found
    ] == [
        ("de", "Deutsch", ["main"], ["2"]),
        ("de", "Deutsch (5.1)", ["main"], ["6"]),
        ("en", 'English (<"&>)', ["alternate"], ["2"]),
    ]


def test_subtitles_are_one_file_each() -> None:
    made = film(
        10,
        subtitles=(
            SubtitleFacts(index=3, codec="dvd_subtitle"),
            SubtitleFacts(index=4, codec="subrip", language="ger", forced=True),
        ),
    )
    (found,) = period(made).findall("AdaptationSet[@contentType='text']", NAMES)
    assert (found.attrib["mimeType"], found.attrib["lang"]) == ("text/vtt", "de")
    roles = [role.attrib["value"] for role in found.findall("Role", NAMES)]
    assert roles == ["forced-subtitle"]
    assert found.findtext("Representation/BaseURL", None, NAMES) == f"../subtitles/1.vtt?v={made.version}"


def test_previews_are_thumbnails_with_the_times_of_their_frames() -> None:
    pack = pack_of([0, 1_001_000, 2_002_000, 4_000_000], film_us=10_000_000)
    mpd = ET.fromstring(manifest(film(10), {}, pack))
    assert mpd.attrib["maxSegmentDuration"] == "PT6.0S"
    (found,) = mpd.findall("Period/AdaptationSet[@contentType='image']", NAMES)
    assert (found.attrib["id"], found.attrib["mimeType"]) == ("2", "image/jpeg")
    (one,) = found.findall("Representation", NAMES)
    assert (one.attrib["width"], one.attrib["height"]) == ("256", "144")
    tiling = one.find("EssentialProperty", NAMES)
    assert tiling is not None
    assert tiling.attrib == {"schemeIdUri": "http://dashif.org/guidelines/thumbnail_tile", "value": "1x1"}
    assert boundaries(one) == (0, 1_001_000, 2_002_000, 4_000_000, 10_000_000)
    template = one.find("SegmentTemplate", NAMES)
    assert template is not None
    assert template.attrib == {
        "timescale": "1000000",
        "startNumber": "0",
        "media": "../storyboard/tiles/$Number$.jpg?v=abc123",
    }
    assert stays_below_the_film("dash/manifest.mpd", template.attrib["media"])


def test_sound_alone_has_a_manifest() -> None:
    assert sets(sound_film(10)) == [["audio"]]


@given(any_films())
def test_any_film_has_a_manifest_of_all_its_segments(
    source: tuple[Facts, StoredIndex, dict[int, PackagedTrack]],
) -> None:
    made = outline(*source)
    found = {one.attrib["id"]: one for one in period(made).findall("AdaptationSet/Representation", NAMES)}
    for one in made.renditions:
        assert boundaries(found[one.name]) == one.boundaries
    texts = {f"subtitles-{track.number}" for track in made.subtitles if track.convertible}
    assert set(found) == {*(one.name for one in made.renditions), *texts}
    numbers = [one.attrib["id"] for one in period(made).findall("AdaptationSet", NAMES)]
    assert all(int(there) == int(here) + 1 for here, there in pairwise(numbers))
    assert all(stays_below_the_film("dash/manifest.mpd", uri) for uri in uris(period(made)))


async def test_ffmpeg_reads_all_of_a_film_through_its_manifest(films: Films, tmp_path: Path) -> None:
    source = films.film(Film(seconds=13, keyframe_seconds=2))
    await lay_out(source, tmp_path)
    with serving(tmp_path) as address:
        read, expected = payloads(f"{address}/dash/manifest.mpd"), payloads(source)
    for stream, digests in expected.items():
        # It ends with the first track that ends, and may owe the last packet of the other.
        assert read[stream] == digests[: len(read[stream])]
        assert len(digests) - len(read[stream]) <= 1
