"""What originals are served as: decided by what is in them."""

from __future__ import annotations

import pytest

from media_service.ingest.media_types import media_type
from media_service.timeline.facts import AudioFacts, Facts, VideoFacts


def facts(container: str, video: str | None = "h264", audio: str | None = "aac") -> Facts:
    return Facts(
        container=container,
        video=None if video is None else VideoFacts(index=0, codec=video, width=640, height=360),
        audio=() if audio is None else (AudioFacts(index=1, codec=audio, channels=2, sample_rate=48000),),
    )


@pytest.mark.parametrize(
    ("found", "extension", "name"),
    [
        (facts("mov,mp4,m4a,3gp,3g2,mj2"), "mp4", "video/mp4"),
        (facts("mov,mp4,m4a,3gp,3g2,mj2", video=None), "m4a", "audio/mp4"),
        (facts("matroska,webm"), "mkv", "video/matroska"),
        (facts("matroska,webm", "vp9", "opus"), "webm", "video/webm"),
        (facts("matroska,webm", "av1", None), "webm", "video/webm"),
        (facts("matroska,webm", "vp9", "aac"), "mkv", "video/matroska"),
        (facts("matroska,webm", None, "vorbis"), "weba", "audio/webm"),
        (facts("matroska,webm", None, "flac"), "mka", "audio/matroska"),
        (facts("ogg", "theora", "vorbis"), "ogv", "video/ogg"),
        (facts("ogg", None, "vorbis"), "oga", "audio/ogg"),
        (facts("mpegts"), "ts", "video/mp2t"),
        (facts("avi"), "avi", "video/x-msvideo"),
        (facts("flv"), "flv", "video/x-flv"),
        (facts("mpeg", "mpeg2video", "mp2"), "mpg", "video/mpeg"),
        (facts("asf", "wmv3", "wmav2"), "wmv", "video/x-ms-asf"),
        (facts("something new"), "bin", "application/octet-stream"),
    ],
)
def test_a_container_has_its_extension_and_type(found: Facts, extension: str, name: str) -> None:
    assert media_type(found) == (extension, name)
