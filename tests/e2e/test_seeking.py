"""What a seek costs: Chromium jumps about in films through nginx, and the service sends what that needs, nothing more."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Library, Site
from tests.support.media import ffmpeg
from tests.support.nginx import Nginx
from tests.support.processes import wait_until
from tests.support.shared import shared_file

SEEKS = 10

# Seeks, waits until the frame of that time is on the screen, and gives the time that the frame itself carries.
SHOW = """async (seconds) => {
  const video = document.querySelector("video");
  const shown = new Promise((done) => {
    const look = (_, frame) => (
      Math.abs(frame.mediaTime - seconds) < 0.2 ? done(frame.mediaTime) : video.requestVideoFrameCallback(look)
    );
    video.requestVideoFrameCallback(look);
  });
  video.currentTime = seconds;
  return await shown;
}"""


class Traffic:
    """What nginx sent for films from now on, until the page that fetched them is closed."""

    def __init__(self, nginx: Nginx) -> None:
        self._nginx = nginx
        self._connections = connections(nginx.port)
        self._before = len(nginx.access_log())

    def sent(self) -> list[int]:
        """Bytes of each response. nginx logs a response when it ends, and the last ones end with their connections."""
        wait_until(
            lambda: connections(self._nginx.port) <= self._connections, 20, "the page's connections end"
        )
        log = self._nginx.access_log()[self._before :]
        return [line["sent"] for line in log if line["path"].endswith((".m4s", "/init.mp4", "/original.mp4"))]


def connections(port: int) -> int:
    """How many TCP connections to the local `port` are established (/proc/net/tcp: local address, state 01)."""
    rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(int(row[1].rpartition(":")[2], 16) == port and row[3] == "01" for row in rows)


async def seek_about(page: Page, site: Site, asset: str, seconds: float, frame_seconds: float) -> None:
    """Ten random seeks; each must show the frame of its time."""
    await page.goto(f"{site.url}/watch/{asset}")
    await expect(page.get_by_role("button", name="Copy link at this time")).to_be_visible()
    chance = random.Random(362)
    for _ in range(SEEKS):
        aim = round(chance.uniform(0, seconds - 0.1), 3)
        shown = await page.evaluate(SHOW, aim)
        # The frame on the screen began at or before the aim, and no more than one frame before.
        assert aim - frame_seconds - 0.001 <= shown <= aim + 0.001


async def test_ten_seeks_in_a_long_film_send_no_byte_twice(
    page: Page, site: Site, nginx: Nginx, library: Library
) -> None:
    film = shared_file("corpus/long_362s_1080p_moovend.mp4").read_bytes()
    asset = await library.put(film, "long.mp4")
    traffic = Traffic(nginx)
    await seek_about(page, site, asset["id"], 362.7, 1 / 30)
    await page.context.close()
    sent = traffic.sent()
    print(f"\n{SEEKS} seeks: {len(sent)} responses, {sum(sent)} bytes of a film of {len(film)}")
    assert sum(sent) <= 1.1 * len(film), sent


@pytest.fixture(scope="session")
def heavy_film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two minutes at about 8 Mbit/s, a keyframe every second."""
    directory = tmp_path_factory.mktemp("heavy")
    piece, film = directory / "piece.mp4", directory / "heavy.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=6,noise=alls=20:allf=t"]
    ffmpeg(
        *picture,
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-b:v",
        "8M",
        "-g",
        "25",
        "-pix_fmt",
        "yuv420p",
        piece,
    )
    ffmpeg("-stream_loop", "19", "-i", piece, "-c", "copy", film)
    return film.read_bytes()


async def test_seeks_in_a_heavy_film_leave_most_of_it_unsent(
    page: Page, site: Site, nginx: Nginx, library: Library, heavy_film: bytes
) -> None:
    asset = await library.put(heavy_film, "heavy.mp4")
    traffic = Traffic(nginx)
    await seek_about(page, site, asset["id"], 119, 1 / 25)
    await page.context.close()
    sent = traffic.sent()
    print(f"\n{SEEKS} seeks: {len(sent)} responses, {sum(sent)} bytes of a film of {len(heavy_film)}: {sent}")
    assert sum(sent) < len(heavy_film), sent
