"""Single frames of films that ffmpeg made: the very one that was meant, upright, of the right size and colours."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from media_service.errors import TranscodeFailed
from media_service.ffmpeg.fence import Limits
from media_service.ffmpeg.pipes import Pipe
from media_service.ffmpeg.process import start
from media_service.ffmpeg.still_recipes import Drawing, Format, still
from media_service.mp4.avif import avif
from media_service.timeline.facts import Facts
from media_service.timeline.index import Packet
from media_service.timeline.stills import StillCut, drawn_size, frame_for, still_cut
from tests.ffmpeg.numbered import FILMS, FPS, HEIGHT, SECONDS, WIDTH, NumberedFilms, number_of_picture
from tests.ffmpeg.running import LIMITS, Source, opened, source_of
from tests.support.media import ffmpeg, probe
from tests.support.profiles import with_profile
from tests.support.shared import each_film, shared_file

DEMUXERS: dict[Format, tuple[str, ...]] = {
    "jpeg": ("-f", "jpeg_pipe"),
    "webp": ("-f", "webp_pipe"),
    "avif": (),
}


def numbered_frame(source: Source, number: int) -> Packet:
    track = source.index.main
    assert track is not None
    return frame_for(track, Fraction(number, FPS) + Fraction(1, 100), "exact")


async def draw(source: Source, cut: StillCut, drawing: Drawing) -> bytes:
    argv = still(source.facts, source_fd=source.fd, cut=cut, drawing=drawing, limits=LIMITS)
    with Pipe() as out:
        async with start(argv, limits=LIMITS, pass_fds=(source.fd,), stdout=out):
            data = await out.read_all()
    return avif(data, drawing.width, drawing.height) if drawing.format == "avif" else data


def pixels(path: Path, layout: str, *options: str | Path, scale: str = "iw:ih") -> bytes:
    """What a picture file shows, as raw pixels of that layout. `options` stand before the input."""
    argv = ["ffmpeg", "-v", "error", *map(str, options), "-i", str(path), "-vf", f"scale={scale}"]
    return subprocess.check_output([*argv, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", layout, "-"])


def cut_of(source: Source, frame: Packet, attempt: int = 0) -> StillCut:
    track = source.index.main
    assert track is not None
    return still_cut(source.facts, track, frame, attempt=attempt)


@pytest.mark.parametrize("name", FILMS)
async def test_the_frame_is_the_one_that_was_meant(name: str, film: NumberedFilms, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    with opened(film(name)) as fd:
        source = await source_of(fd)
        for number in (0, 1, 99, 100, 101, 163, SECONDS * FPS - 1):
            for attempt in (0, 1):
                cut = cut_of(source, numbered_frame(source, number), attempt)
                path.write_bytes(await draw(source, cut, Drawing(WIDTH, HEIGHT)))
                assert number_of_picture(path) == number, f"attempt {attempt}"


@pytest.mark.parametrize("kind", DEMUXERS)
async def test_each_kind_of_picture_is_of_its_size_and_shows_the_frame(
    kind: Format, film: NumberedFilms, tmp_path: Path
) -> None:
    path = tmp_path / f"still.{kind}"
    with opened(film("mp4")) as fd:
        source = await source_of(fd)
        cut = cut_of(source, numbered_frame(source, 163))
        path.write_bytes(await draw(source, cut, Drawing(WIDTH // 2, HEIGHT // 2, kind)))
    (found,) = probe(path, *DEMUXERS[kind], "-show_streams")["streams"]
    assert (found["width"], found["height"]) == (WIDTH // 2, HEIGHT // 2)
    assert number_of_picture(path, *DEMUXERS[kind]) == 163


@pytest.mark.parametrize("kind", DEMUXERS)
async def test_colours_are_those_of_the_film(kind: Format, tmp_path: Path) -> None:
    red = tmp_path / "red.mp4"
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    turned = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    ffmpeg("-f", "lavfi", "-i", "color=0xc02040:s=320x180:d=1", "-vf", turned, "-c:v", "libx264", *tags, red)
    path = tmp_path / f"still.{kind}"
    with opened(red) as fd:
        source = await source_of(fd)
        path.write_bytes(await draw(source, cut_of(source, numbered_frame(source, 5)), Drawing(64, 36, kind)))
    seen = pixels(path, "rgb24", *DEMUXERS[kind], scale="1:1")
    assert all(abs(one - wanted) <= 8 for one, wanted in zip(seen, (0xC0, 0x20, 0x40), strict=True)), list(
        seen
    )


async def test_blur_takes_what_is_small_away_whatever_the_width(film: NumberedFilms, tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    contrasts = {}
    with opened(film("mp4")) as fd:
        source = await source_of(fd)
        cut = cut_of(source, numbered_frame(source, 0b0101010101))
        for width in (WIDTH, WIDTH // 2):
            for blur in (0, 30, 100):
                drawing = Drawing(width, HEIGHT * width // WIDTH, "jpeg", blur)
                path.write_bytes(await draw(source, cut, drawing))
                row = pixels(path, "gray", scale="16:1:flags=area")
                contrasts[width, blur] = max(row) - min(row)
    assert contrasts[WIDTH, 0] > 100
    assert contrasts[WIDTH, 0] > contrasts[WIDTH, 30] > contrasts[WIDTH, 100]
    for blur in (30, 100):
        assert abs(contrasts[WIDTH, blur] - contrasts[WIDTH // 2, blur]) < 12


async def test_nothing_of_the_films_tags_is_in_the_picture(film: NumberedFilms, tmp_path: Path) -> None:
    tagged = tmp_path / "tagged.mp4"
    tags = ["-metadata", "title=Secret", "-metadata", "location=+47.0+011.0/", "-metadata", "comment=Secret"]
    ffmpeg("-i", film("mp4"), "-c", "copy", *tags, tagged)
    with opened(tagged) as fd:
        source = await source_of(fd)
        for kind in DEMUXERS:
            data = await draw(source, cut_of(source, numbered_frame(source, 3)), Drawing(WIDTH, HEIGHT, kind))
            for word in (b"Secret", b"+47", b"Lavc", b"Exif"):
                assert word not in data


@pytest.mark.parametrize("kind", DEMUXERS)
async def test_a_films_colour_profile_is_not_in_the_picture(kind: Format, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x36:r=25,format=rgb24", "-frames:v", "1", tmp_path / "one.png")
    path = tmp_path / "profiled.mov"
    ffmpeg("-loop", "1", "-t", "1", "-i", with_profile(tmp_path / "one.png"), "-c", "copy", path)
    with opened(path) as fd:
        source = await source_of(fd)
        data = await draw(source, cut_of(source, numbered_frame(source, 5)), Drawing(64, 36, kind))
    for word in (b"ICC_PROFILE", b"ICCP"):
        assert word not in data


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("phone_rot90.mp4", (288, 352)),
        ("cursed_vfr_3026x1386.mp4", (1280, 586)),
        ("hevc_hlg10_1080p.mp4", (1280, 720)),
        ("vp9_odd_161x121.webm", (160, 120)),
    ],
)
async def test_pictures_are_upright(name: str, size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "still.jpg"
    with opened(shared_file(f"corpus/{name}")) as fd:
        source = await source_of(fd)
        assert source.facts.video is not None
        drawing = Drawing(*drawn_size(*source.facts.video.display_size, 1280))
        path.write_bytes(await draw(source, cut_of(source, numbered_frame(source, 0)), drawing))
    (found,) = probe(path, "-show_streams")["streams"]
    assert (found["codec_name"], found["width"], found["height"]) == ("mjpeg", *size)
    assert found.get("sample_aspect_ratio", "1:1") == "1:1"


@pytest.mark.parametrize(
    "name",
    each_film(with_picture=True),
)
async def test_a_seek_shows_what_decoding_from_the_start_does(name: str, tmp_path: Path) -> None:
    if name.startswith("long"):
        pytest.skip("decoding all of it takes a minute")
    path = tmp_path / "still.jpg"
    with opened(shared_file(f"corpus/{name}")) as fd:
        source = await source_of(fd)
        track = source.index.main
        assert track is not None
        for share in (Fraction(0), Fraction(2, 5), Fraction(9, 10), Fraction(1)):
            frame = frame_for(
                track, (track.start + share * (track.stop - track.start)) / track.timescale, "exact"
            )
            cut = cut_of(source, frame)
            seen = []
            for each in (cut, replace(cut, seek=None)):
                path.write_bytes(await draw(source, each, Drawing(160, 90)))
                seen.append(pixels(path, "gray"))
            # The encoder of JPEG may choose another quality for the same picture.
            assert max(abs(one - other) for one, other in zip(*seen, strict=True)) < 40, float(share)


async def test_a_frame_that_is_not_there_is_a_failure(film: NumberedFilms) -> None:
    with opened(film("mp4")) as fd:
        source = await source_of(fd)
        cut = replace(cut_of(source, numbered_frame(source, 100)), start=Fraction(100), stop=Fraction(101))
        with pytest.raises(TranscodeFailed):
            await draw(source, cut, Drawing(WIDTH, HEIGHT))


def test_a_film_without_a_picture_has_no_stills() -> None:
    cut = StillCut(seek=None, delay=Fraction(0), start=Fraction(0), stop=Fraction(1), frames=1)
    with pytest.raises(ValueError, match="no picture"):
        still(Facts(container="mov"), source_fd=9, cut=cut, drawing=Drawing(16, 16), limits=Limits())
