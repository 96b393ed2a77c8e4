"""AVIF out of what ffmpeg encodes; that it is shown is for Chromium to say (tests/e2e/test_stills.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_service.errors import BrokenMedia
from media_service.mp4.avif import avif
from media_service.mp4.boxes import children, require
from tests.support.media import ffmpeg, probe

MOVFLAGS = "+frag_keyframe+delay_moov+default_base_moof+skip_trailer"


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """One frame of AV1 in MP4."""
    path = tmp_path_factory.mktemp("av1") / "frame.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=64x36:d=1", "-frames:v", "1", "-pix_fmt", "yuv420p"]
    ffmpeg(
        *picture,
        "-c:v",
        "libaom-av1",
        "-cpu-used",
        "8",
        "-crf",
        "30",
        "-b:v",
        "0",
        "-movflags",
        MOVFLAGS,
        path,
    )
    return path.read_bytes()


def test_the_frame_lies_where_the_picture_says(encoded: bytes, tmp_path: Path) -> None:
    data = avif(encoded, 64, 36)
    assert data[4:12] == b"ftypavif"
    mdat = require(data, "mdat")
    assert mdat.stop == len(data)
    frame = data[mdat.payload_start : mdat.stop]
    assert frame in encoded
    place = require(data, "meta")
    iloc = next(box for box in children(data, place, 4) if box.type == "iloc")
    assert data[iloc.stop - 8 : iloc.stop] == mdat.payload_start.to_bytes(4, "big") + len(frame).to_bytes(
        4, "big"
    )
    (tmp_path / "frame.avif").write_bytes(data)
    (found,) = probe(tmp_path / "frame.avif", "-show_streams")["streams"]
    assert (found["codec_name"], found["width"], found["height"]) == ("av1", 64, 36)


def test_what_is_no_frame_of_av1_is_none(encoded: bytes, tmp_path: Path) -> None:
    with pytest.raises(BrokenMedia):
        avif(b"", 64, 36)
    with pytest.raises(BrokenMedia):
        avif(encoded[: require(encoded, "moof").start], 64, 36)
    with pytest.raises(BrokenMedia, match="cut off"):
        avif(encoded[:-10], 64, 36)
    other = tmp_path / "other.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x36:d=0.1", "-c:v", "libx264", "-movflags", MOVFLAGS, other)
    with pytest.raises(BrokenMedia, match="not AV1"):
        avif(other.read_bytes(), 64, 36)
