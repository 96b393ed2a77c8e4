"""How large a transform's result is; upright, in true colours, as blurred as it says, with what shines through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.errors import InvalidRequest
from media_service.ffmpeg.transform_filters import size_of
from media_service.timeline.facts import VideoFacts
from media_service.wire.transforms import MAX_SIDE, RESULTS, Operations
from tests.ffmpeg.transforming import made, pixel, plain, shown
from tests.support.films import Film, Films
from tests.support.media import ffmpeg

MOST = 8192 * 4320
BLUE = (0x20, 0x80, 0xC0)
NEAR = 4  # of 255: what JPEG and 4:2:0 round away


def video(width: int, height: int, **more: object) -> VideoFacts:
    return VideoFacts(index=0, codec="h264", width=width, height=height, **more)  # type: ignore[arg-type] # a subset


@pytest.mark.parametrize(
    ("own", "wanted", "size"),
    [
        (video(640, 360), Operations(), (640, 360)),
        (video(640, 360), Operations(width=320), (320, 180)),
        (video(640, 360), Operations(height=90), (160, 90)),
        (video(640, 360), Operations(width=100, height=100), (100, 56)),
        (video(640, 360), Operations(width=2000, height=100), (178, 100)),
        (video(640, 360), Operations(width=1280), (1280, 720)),
        (video(640, 360, rotation=90), Operations(), (360, 640)),
        (video(640, 360, rotation=90), Operations(rotate=90), (640, 360)),
        (video(640, 360), Operations(rotate=270, width=180), (180, 320)),
        (video(640, 360), Operations(rotate=180), (640, 360)),
        (video(720, 576, sample_aspect=(16, 11)), Operations(), (1047, 576)),
        (video(1000, 3), Operations(width=10), (10, 1)),
    ],
)
def test_a_picture_keeps_its_shape(own: VideoFacts, wanted: Operations, size: tuple[int, int]) -> None:
    assert size_of(own, wanted, RESULTS["png"], MOST) == size


def test_films_have_even_sides() -> None:
    for name in ("mp4", "webm"):
        assert size_of(video(161, 121), Operations(), RESULTS[name], MOST) == (160, 120)
        assert size_of(video(1000, 3), Operations(width=11), RESULTS[name], MOST) == (12, 2)
    assert size_of(video(161, 121), Operations(), RESULTS["gif"], MOST) == (161, 121)


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        (video(640, 360), Operations(width=8193)),
        (video(2, 4000), Operations(width=16)),
        (video(20_000, 10), Operations()),
    ],
)
def test_what_would_be_too_large_is_refused(own: VideoFacts, wanted: Operations) -> None:
    with pytest.raises(InvalidRequest, match=r"^width, height: "):
        size_of(own, wanted, RESULTS["webp"], MOST)


sides = st.integers(1, MAX_SIDE)


@given(sides, sides, st.none() | sides, st.none() | sides, st.sampled_from([None, 90, 180, 270]))
def test_no_side_is_longer_than_wanted_and_none_vanishes(
    across: int, down: int, width: int | None, height: int | None, turned: int | None
) -> None:
    wanted = Operations(width=width, height=height, rotate=turned)
    try:
        found = size_of(video(across, down), wanted, RESULTS["jpeg"], MOST)
    except InvalidRequest:
        return
    assert min(found) >= 1
    assert found[0] <= (width or MAX_SIDE)
    assert found[1] <= (height or MAX_SIDE)


# --- what is seen ------------------------------------------------------------------------------------------------------


@pytest.fixture
def circle(tmp_path: Path) -> Path:
    """A red disc with nothing around it; what cannot be seen there is black."""
    path = tmp_path / "circle.png"
    shape = "255*lt(hypot(X-100,Y-100),60)".replace(",", "\\,")
    picture = f"color=c=black:s=200x200,format=rgba,geq=r='{shape}':g=0:b=0:a='{shape}'"
    ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", "1", path)
    return path


def held(path: Path, orientation: int) -> Path:
    """A photo of 160 x 120 whose quarters are red, green (above), blue, white (below), as its Exif says they are to be turned."""
    quarters = ";".join(f"color=c={name}:s=80x60[{name}]" for name in ("red", "lime", "blue", "white"))
    picture = f"{quarters};[red][lime]hstack[above];[blue][white]hstack[below];[above][below]vstack"
    ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", "1", "-q:v", "2", path)
    # TIFF 6.0 s2: one directory with one entry, tag 0x0112, one short.
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0]) + bytes(4)
    segment = b"\xff\xe1" + (len(tiff) + 8).to_bytes(2) + b"Exif\0\0" + tiff
    content = path.read_bytes()
    path.write_bytes(content[:2] + segment + content[2:])
    return path


def corners(path: Path) -> str:
    """What is where, from the top left to the bottom right: r, g, b, w."""
    found = (pixel(path, x, y)[:3] for y in (0.25, 0.75) for x in (0.25, 0.75))
    names = {
        (True, False, False): "r",
        (False, True, False): "g",
        (False, False, True): "b",
        (True, True, True): "w",
    }
    return "".join(names[red > 128, green > 128, blue > 128] for red, green, blue in found)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif"])
@pytest.mark.parametrize("source", ["png", "jpg", "webp"])
async def test_colours_stay_what_they_are(source: str, name: str, tmp_path: Path) -> None:
    path = plain(
        tmp_path / f"plain.{source}", "0x2080C0", "320x180", *(["-q:v", "2"] if source == "jpg" else [])
    )
    assert pixel(await made(path, tmp_path, format=name), 0.5, 0.5)[:3] == pytest.approx(BLUE, abs=NEAR)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", "mp4", "webm"])
@pytest.mark.parametrize(("size", "matrix"), [("1280x720", "bt709"), ("320x180", "smpte170m")])
async def test_colours_of_films_stay_what_they_are(name: str, size: str, matrix: str, tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    picture = f"color=c=0x2080C0:s={size}:d=0.2,format=gbrp,scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p"
    ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "libx264", "-crf", "8", "-colorspace", matrix, path)
    assert pixel(await made(path, tmp_path, format=name, width="160"), 0.5, 0.5)[:3] == pytest.approx(
        BLUE, abs=NEAR + 2
    )


@pytest.mark.parametrize(
    ("orientation", "expected"),
    # Exif 2.32 s4.6.4, Orientation: where the rows and columns of what is stored are shown.
    [(1, "rgbw"), (2, "grwb"), (3, "wbgr"), (4, "bwrg"), (5, "rbgw"), (6, "brwg"), (7, "wgbr"), (8, "gwrb")],
)
async def test_a_photo_comes_out_upright_however_the_camera_was_held(
    orientation: int, expected: str, tmp_path: Path
) -> None:
    path = await made(held(tmp_path / "held.jpg", orientation), tmp_path, width="60")
    found = shown(path)["video"]
    assert (found["width"], found["height"]) == ((60, 45) if orientation < 5 else (60, 80))
    assert corners(path) == expected


async def test_a_photo_says_nothing_of_its_camera_any_more(tmp_path: Path) -> None:
    content = (await made(held(tmp_path / "held.jpg", 6), tmp_path)).read_bytes()
    assert b"Exif" not in content
    assert b"Lavc" not in content


async def test_a_film_comes_out_upright(films: Films, tmp_path: Path) -> None:
    path = films.film(Film(rotation=90))
    for name in ("mp4", "jpeg"):
        found = shown(await made(path, tmp_path, format=name, height="160"))["video"]
        assert (found["width"], found["height"]) == (90, 160)


@pytest.mark.parametrize(("degrees", "red"), [("90", (0.5, 0.2)), ("180", (0.8, 0.5)), ("270", (0.5, 0.8))])
async def test_rotate_turns_clockwise(degrees: str, red: tuple[float, float], tmp_path: Path) -> None:
    path = tmp_path / "left.png"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "color=c=red:s=80x40[a];color=c=blue:s=80x40[b];[a][b]hstack",
        "-frames:v",
        "1",
        path,
    )
    for name in ("png", "jpeg"):
        assert pixel(await made(path, tmp_path, format=name, rotate=degrees), *red)[0] > 200


async def test_what_shines_through_stays_so_or_becomes_white(circle: Path, tmp_path: Path) -> None:
    for name in ("png", "webp", "gif"):
        path = await made(circle, tmp_path, format=name)
        assert pixel(path, 0.5, 0.5) == pytest.approx((255, 0, 0, 255), abs=NEAR)
        assert pixel(path, 0.02, 0.02)[3] == 0
    path = await made(circle, tmp_path, format="jpeg")
    assert pixel(path, 0.5, 0.5)[:3] == pytest.approx((255, 0, 0), abs=NEAR)
    assert pixel(path, 0.02, 0.02)[:3] == pytest.approx((255, 255, 255), abs=NEAR)


async def test_no_colour_of_what_cannot_be_seen_runs_into_a_blurred_edge(
    circle: Path, tmp_path: Path
) -> None:
    path = await made(circle, tmp_path, blur="6")
    red, green, blue, opacity = pixel(path, 0.5, 0.2)  # the disc's edge
    assert 60 < opacity < 200
    assert (red, green, blue) == pytest.approx((255, 0, 0), abs=NEAR)


async def test_a_blur_smooths_edges_as_widely_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "edge.png"
    picture = "color=c=black:s=200x100[a];color=c=white:s=200x100[b];[a][b]hstack"
    ffmpeg("-f", "lavfi", "-i", picture, "-frames:v", "1", path)
    for name in ("png", "jpeg"):
        blurred = await made(path, tmp_path, format=name, blur="20")
        # A Gaussian's cumulative distribution: 16 % at one standard deviation before the edge, 84 % behind it.
        assert pixel(blurred, 0.5 - 20 / 400, 0.5)[0] == pytest.approx(0.16 * 255, abs=10)
        assert pixel(blurred, 0.5 + 20 / 400, 0.5)[0] == pytest.approx(0.84 * 255, abs=10)


async def test_grayscale_has_no_colour(tmp_path: Path) -> None:
    path = plain(tmp_path / "plain.png")
    for name in ("png", "jpeg", "webp", "gif"):
        red, green, blue, _ = pixel(await made(path, tmp_path, format=name, grayscale="true"), 0.5, 0.5)
        assert max(red, green, blue) - min(red, green, blue) <= 2
        assert 100 < red < 130
