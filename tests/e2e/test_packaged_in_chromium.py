"""Packaged films in Chromium with hls.js: every seek shows the right frame, and nothing is fetched twice."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.browser import browser, chromium_path
from tests.support.clock_film import FPS, make_clock_film
from tests.support.file_server import serving
from tests.support.films import Film, Films
from tests.support.media import ffmpeg
from tests.support.packaged import package, write_site
from tests.support.players import playing

__all__ = ["browser", "chromium_path"]

SECONDS = 60
SEEKS = 10
B_FRAMES = [
    "-c:v",
    "libx264",
    "-preset",
    "fast",
    "-bf",
    "3",
    "-g",
    "50",
    "-sc_threshold",
    "0",
    "-c:a",
    "copy",
]


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clock_film(tmp_path_factory.mktemp("clock") / "clock.mp4", SECONDS)


# Begun in the middle, hls.js takes the first fragment's decode time for its place in the playlist.
@pytest.mark.parametrize("begun", [0.0, 33.0])
@pytest.mark.parametrize(
    "film",
    [
        pytest.param(("mp4", [], ["-c", "copy"], 0), id="B frames"),
        pytest.param(
            ("mp4", [], [*B_FRAMES, "-video_track_timescale", "25"], 0), id="pyramids of them, a tick each"
        ),
        pytest.param(("mp4", ["-itsoffset", "1"], B_FRAMES, FPS), id="a picture that begins a second later"),
        pytest.param(("mkv", [], ["-c", "copy"], 0), id="Matroska"),
    ],
)
async def test_ten_seeks_show_the_right_frame_and_nothing_is_fetched_twice(
    browser: Browser, clock: Path, tmp_path: Path, film: tuple[str, list[str], list[str], int], begun: float
) -> None:
    container, before, coding, late = film
    tracks = ["-map", "0:v", "-map", "1:a"]
    ffmpeg(*before, "-i", clock, "-i", clock, *tracks, *coding, tmp_path / f"film.{container}")
    packaged = await package(tmp_path / f"film.{container}")
    write_site(tmp_path, packaged)
    picture = packaged[0].track
    start = picture.packet(0).time / picture.timescale  # in Matroska the priming of AAC comes before it
    places = random.Random(SECONDS)
    with serving(tmp_path) as url:
        async with playing(browser, "hls.js", f"{url}/hls/master.m3u8", at=begun) as player:
            for _ in range(SEEKS):
                number = places.randrange(late, SECONDS * FPS)
                seek = await player.seek(start + (number + 0.5) / FPS)
                assert seek.frame == number - late
                assert seek.media_time == pytest.approx(start + number / FPS, abs=0.001)
            await player.play(2)
            report = await player.report()
    assert report.reloaded == {}
    assert [error for error in report.errors if error.fatal] == []


async def test_a_turned_picture_is_upright(browser: Browser, films: Films, tmp_path: Path) -> None:
    write_site(tmp_path, await package(films.film(Film(rotation=90))))
    with serving(tmp_path) as url:
        async with playing(browser, "hls.js", f"{url}/hls/master.m3u8") as player:
            assert player.opened.width == 180
