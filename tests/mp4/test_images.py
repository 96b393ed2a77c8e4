"""A track of JPEGs: read back by our own reader and by ffmpeg."""

from __future__ import annotations

from pathlib import Path

from media_service.mp4.fragments import Sample, read_fragment
from media_service.mp4.images import image_head, images_init
from media_service.mp4.init_segment import read_init
from tests.jpeg.pictures import ffmpeg_tiles, pixels
from tests.support.media import ffmpeg, probe

TIMES = [0, 1_001_000, 2_002_000, 4_000_000]  # and the end


def test_an_init_segment_says_what_the_pictures_are() -> None:
    track = read_init(images_init(256, 144))
    assert (track.handler, track.codec, track.timescale) == ("vide", "mjpg", 1_000_000)
    assert (track.width, track.height) == (256, 144)
    assert images_init(256, 144) == images_init(256, 144)


def test_a_segment_has_one_picture_and_its_time() -> None:
    fragment = read_fragment(image_head(7, 1_001_000, 2_002_000, 5000))
    assert (fragment.sequence, fragment.track_id, fragment.base_time) == (8, 1, 1_001_000)
    assert fragment.samples == (Sample(1_001_000, 5000, sync=True),)
    assert fragment.data_offset == len(image_head(7, 1_001_000, 2_002_000, 5000))


def test_a_picture_of_hours_has_a_duration_all_the_same() -> None:
    fragment = read_fragment(image_head(0, 0, 36_000_000_000, 5000))
    assert fragment.samples[0].duration == 2**32 - 1


def test_ffmpeg_finds_the_pictures_and_their_times(tmp_path: Path) -> None:
    (tmp_path / "tiles").mkdir()
    tiles = ffmpeg_tiles(tmp_path / "tiles", (256, 144), count=3)
    parts = [images_init(256, 144)]
    for number, tile in enumerate(tiles):
        parts += [image_head(number, TIMES[number], TIMES[number + 1], len(tile)), tile]
    film = tmp_path / "images.mp4"
    film.write_bytes(b"".join(parts))
    found = probe(film, "-show_packets", "-show_streams")
    assert [round(float(packet["pts_time"]) * 1_000_000) for packet in found["packets"]] == TIMES[:3]
    assert [int(packet["size"]) for packet in found["packets"]] == [len(tile) for tile in tiles]
    assert found["streams"][0]["codec_name"] == "mjpeg"
    ffmpeg(
        "-i", film, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuvj420p", tmp_path / "all.yuv"
    )
    assert (tmp_path / "all.yuv").read_bytes() == b"".join(pixels(tmp_path, tile) for tile in tiles)
