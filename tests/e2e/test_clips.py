"""Clips and waveforms over HTTP, and in those that they are made for: `<video>`, `<img>` and waveform-data.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Page

from tests.e2e.conftest import Site
from tests.support.assets import upload
from tests.support.media import ffmpeg
from tests.support.processes import wait_until
from tests.support.server import CHECKOUT, Server, running_server

MADE_SECONDS = 60.0
SECONDS = 20
# Red at first and blue from the middle on; loud in between.
PICTURE = f"color=red:s=640x360:r=25:d={SECONDS / 2},format=yuv420p[a];color=blue:s=640x360:r=25:d={SECONDS / 2},format=yuv420p[b];[a][b]concat"
SOUND = f"aevalsrc='0.5*sin(2*PI*440*t)*between(t,8,12)':s=48000:d={SECONDS}"

# Plays a clip to its end; gives its length, what it showed first and last, and what an image shows at first.
SHOWN = """async ([clip, picture]) => {
  const video = Object.assign(document.createElement("video"), { muted: true, crossOrigin: "anonymous", src: clip });
  const image = Object.assign(new Image(), { crossOrigin: "anonymous", src: picture });
  const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 9 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const colour = (source) => {
    context.drawImage(source, 0, 0, 16, 9);
    return [...context.getImageData(8, 4, 1, 1).data].slice(0, 3);
  };
  document.body.append(video, image);
  await Promise.all([image.decode(), new Promise((done, failed) => {
    video.requestVideoFrameCallback(done);
    video.addEventListener("error", () => failed(new Error(video.error.message)));
  })]);
  const first = colour(video);
  const ended = new Promise((done) => video.addEventListener("ended", done));
  await video.play();
  await ended;
  return {
    seconds: video.duration, first, last: colour(video), image: colour(image),
    size: [video.videoWidth, video.videoHeight], imageSize: [image.naturalWidth, image.naturalHeight],
  };
}"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "film.mp4"
    graph = PICTURE.replace("concat", "concat,scale=out_color_matrix=bt709[v]")
    sources = ("-f", "lavfi", "-i", SOUND, "-filter_complex", graph, "-map", "[v]", "-map", "0:a")
    colours = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    ffmpeg(*sources, "-c:v", "libx264", "-g", "25", *colours, "-c:a", "aac", path)
    return path


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def playback(client: httpx.Client, film: Path) -> dict[str, Any]:
    return shown(client, upload(client, film)["id"])


def shown(client: httpx.Client, asset_id: str) -> dict[str, Any]:
    """`playback` of the asset, once its clip and waveform are there."""
    found: dict[str, Any] = {}

    def made() -> bool:
        found.update(client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json()["playback"])
        return bool(found["preview"] and found["waveform"])

    wait_until(made, MADE_SECONDS, f"the clip and the waveform of {asset_id}")
    return found


def test_each_has_its_type_and_is_kept_by_caches(client: httpx.Client, playback: dict[str, Any]) -> None:
    for address, media_type in (
        (playback["preview"]["mp4"], "video/mp4"),
        (playback["preview"]["webp"], "image/webp"),
        (playback["waveform"], "application/json"),
    ):
        answer = client.get(address, headers={"Origin": "https://player.example"}).raise_for_status()
        assert answer.headers["content-type"] == media_type
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert client.head(address).headers["content-length"] == str(len(answer.content))
        part = client.get(address, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, answer.content[10:20])
        plain = client.get(address.partition("?")[0])
        assert (plain.headers["cache-control"], plain.content) == ("no-cache", answer.content)


def test_an_unknown_film_has_none(client: httpx.Client) -> None:
    for name in ("preview.mp4", "preview.webp", "waveform.json"):
        assert client.get(f"/media/absent/{name}").status_code == 404


def test_waveform_data_js_reads_the_waveform(client: httpx.Client, playback: dict[str, Any]) -> None:
    if shutil.which("node") is None or not (CHECKOUT / "node_modules" / "waveform-data").exists():
        pytest.skip("node or waveform-data.js is absent (scripts/frontend.sh test)")
    argv = ["node", str(CHECKOUT / "tests" / "support" / "waveform.mjs")]
    said = subprocess.run(
        argv, input=client.get(playback["waveform"]).content, capture_output=True, check=True
    )
    found = json.loads(said.stdout)
    assert (found["channels"], found["bits"]) == (1, 8)
    assert found["duration"] == pytest.approx(SECONDS, abs=0.1)
    loud = [number * found["second"] for number, level in enumerate(found["greatest"]) if level > 30]
    assert (min(loud), max(loud)) == pytest.approx((8, 12), abs=0.1)
    assert min(found["least"]) < -30
    assert found["half"] == len(found["least"]) // 2


async def test_chromium_plays_the_clip_and_shows_the_same_as_an_image(
    page_alone: Page, site: Site, playback: dict[str, Any]
) -> None:
    addresses = [site.url + playback["preview"][kind] for kind in ("mp4", "webp")]
    found = await page_alone.evaluate(SHOWN, addresses)
    assert found["seconds"] == pytest.approx(5, abs=0.05)
    assert found["size"] == found["imageSize"] == [320, 180]
    for place, colour in (("first", [255, 0, 0]), ("last", [0, 0, 255]), ("image", [255, 0, 0])):
        assert found[place] == pytest.approx(colour, abs=20), place


@pytest.mark.torture
def test_they_are_made_in_spite_of_kills(film: Path, tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.client() as client:
        asset_id = upload(client, film)["id"]
        tree = server.data_dir / "blobs" / asset_id
        wait_until((tree / "clip").exists, MADE_SECONDS, "the clip")
        server.kill()
    with running_server(tmp_path) as server, server.client() as client:
        wait_until((tree / "animation").exists, MADE_SECONDS, "the animation")
        server.kill()
    with running_server(tmp_path) as server, server.client() as client:
        playback = shown(client, asset_id)
        assert client.get(playback["preview"]["mp4"]).raise_for_status().content[4:8] == b"ftyp"
        assert client.get(playback["preview"]["webp"]).raise_for_status().content[8:12] == b"WEBP"
        assert client.get(playback["waveform"]).raise_for_status().json()["length"] > 0
        client.delete(f"/api/v1/assets/{asset_id}").raise_for_status()
        assert client.get(playback["preview"]["mp4"]).status_code == 404
        wait_until(lambda: not tree.exists(), MADE_SECONDS, "it is gone")
