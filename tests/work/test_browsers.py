"""Which originals are offered to browsers, and under which names."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from media_service.timeline.facts import AudioFacts, Facts, VideoFacts
from media_service.work.browsers import browser_codecs
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.shared import shared_file
from tests.support.workshop import Workshop

PICTURE = VideoFacts(index=0, codec="vp9", width=640, height=360, pixel_format="yuv420p")
SOUND = AudioFacts(index=1, codec="opus", channels=2, sample_rate=48000)
WEBM = Facts(container="matroska,webm", video=PICTURE, audio=(SOUND,))


@pytest.mark.parametrize(
    ("facts", "codecs"),
    [
        (WEBM, "vp9, opus"),
        (msgspec.structs.replace(WEBM, audio=()), "vp9"),
        (msgspec.structs.replace(WEBM, video=None), "opus"),
        (msgspec.structs.replace(WEBM, video=msgspec.structs.replace(PICTURE, codec="h264")), None),
        (msgspec.structs.replace(WEBM, audio=(msgspec.structs.replace(SOUND, codec="ac3"),)), None),
        (msgspec.structs.replace(WEBM, video=msgspec.structs.replace(PICTURE, pixel_format="yuv444p")), None),
        (msgspec.structs.replace(WEBM, container="avi"), None),
        (Facts(container="matroska,webm"), None),
    ],
)
def test_a_webm_is_named_by_its_tracks(facts: Facts, codecs: str | None) -> None:
    assert browser_codecs(facts, None) == codecs


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("bbb_480p_30s_51_moovend.mp4", "avc1.64001e, mp4a.40.2"),
        ("camera_noaudio_40s.mp4", "avc1."),
        ("audio_only_15s.mp4", "mp4a.40.2"),
        ("av1_aac.mp4", "av01."),
        ("hevc_1080p_10s.mp4", "hvc1.|hev1."),
        ("fmp4_bogus_duration.mp4", None),
        ("h264_ac3_srt.mkv", None),
        ("ts_huge_pts_59857.ts", None),
    ],
)
async def test_films_of_the_corpus(workshop: Workshop, name: str, codecs: str | None) -> None:
    asset = await workshop.indexed(shared_file(f"corpus/{name}"))
    if codecs is None:
        assert asset.codecs is None
    else:
        assert asset.codecs is not None
        assert asset.codecs.startswith(tuple(codecs.split("|")))


@pytest.mark.parametrize("options", [["-pix_fmt", "yuv444p"], ["-pix_fmt", "yuv422p"], ["-c:v", "mpeg4"]])
async def test_what_browsers_show_green_or_not_at_all_is_not_offered(
    workshop: Workshop, films: Films, tmp_path: Path, options: list[str]
) -> None:
    odd = tmp_path / "odd.mp4"
    ffmpeg("-i", films.film(Film()), *options, odd)
    assert (await workshop.indexed(odd)).codecs is None
