"""The eye on hls.js and Shaka sees what there is to see: tried on playlists by ffmpeg, from a plain file server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.browser import browser, chromium_path
from tests.support.clock_film import FPS, make_clock_film
from tests.support.file_server import serving
from tests.support.media import ffmpeg
from tests.support.players import Kind, playing

__all__ = ["browser", "chromium_path"]

UI = Path(__file__).resolve().parents[2] / "media_service" / "ui"
SECONDS = 40


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A film as HLS and DASH, in one rendition called `source`."""
    root = tmp_path_factory.mktemp("site")
    film = make_clock_film(root / "clock.mp4", SECONDS)
    (root / "livez").write_text("ok")
    (root / "ui").symlink_to(UI)
    hls, dash = root / "hls" / "source", root / "dash"
    hls.mkdir(parents=True)
    dash.mkdir()
    # Without B-frames: ffmpeg's HLS shows those a little late.
    copied: list[str | Path] = [
        "-i",
        film,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-bf",
        "0",
        "-g",
        "100",
        "-c:a",
        "copy",
    ]
    fragments: list[str | Path] = ["-hls_segment_type", "fmp4", "-hls_segment_filename", hls / "%d.m4s"]
    ffmpeg(
        *copied, "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", *fragments, hls / "index.m3u8"
    )
    stream = '#EXT-X-STREAM-INF:BANDWIDTH=400000,RESOLUTION=640x360,CODECS="avc1.42c01e,mp4a.40.2"'
    (hls.parent / "master.m3u8").write_text(f"#EXTM3U\n{stream}\nsource/index.m3u8\n")
    ffmpeg(*copied, "-f", "dash", "-seg_duration", "4", dash / "manifest.mpd")
    with serving(root) as url:
        yield url


@pytest.mark.parametrize(
    ("kind", "path"),
    [("hls.js", "hls/master.m3u8"), ("shaka", "hls/master.m3u8"), ("shaka", "dash/manifest.mpd")],
)
async def test_it_tells_the_frame_and_what_was_fetched_for_it(
    browser: Browser, site: str, kind: Kind, path: str
) -> None:
    async with playing(browser, kind, f"{site}/{path}") as player:
        assert player.opened.duration == pytest.approx(SECONDS, abs=0.2)
        assert player.opened.width == 640
        for number in (700, 30, 950):
            seek = await player.seek((number + 0.5) / FPS)
            assert seek.frame is not None
            assert abs(seek.frame - number) <= 1
            assert seek.shown_ms is not None
            assert seek.shown_ms >= seek.seeked_ms > 0
        again = await player.seek((951 + 0.5) / FPS)
        assert again.segment is None
        report = await player.report()
    assert [each for each in report.errors if each.fatal] == []
    # Shaka empties its buffer when it jumps; hls.js keeps what it has.
    assert report.reloaded == {} or kind == "shaka"
    assert sum(each.segment for each in report.requests) >= 3


async def test_it_plays_to_the_end(browser: Browser, site: str) -> None:
    async with playing(
        browser, "hls.js", f"{site}/hls/master.m3u8", rendition="source", at=SECONDS - 3
    ) as player:
        assert await player.play(10) == pytest.approx(SECONDS, abs=0.2)
        report = await player.report()
    assert report.rendition == "source"
    assert report.frames > FPS
