"""How long a seek takes in Chromium, until `seeked` and until the frame is on the screen: ours, and plain nginx with the same film."""

from __future__ import annotations

import asyncio
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from bench import films, peers
from bench.figures import Sample, ms, table
from bench.service import await_state, upload
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.nginx import running_nginx
from tests.support.players import Kind, playing
from tests.support.processes import ffmpegs, wait_until
from tests.support.server import CHECKOUT, Server, running_server

ROUNDS = 4
PLACES = 5  # in each round, others each time
APART_SECONDS = 36  # between two places: what is encoded for the one does not reach the next
RUNG = "720p"
MADE_SECONDS = 600.0
CALM_SECONDS = 120.0
PEER_RULES = """
    location = /favicon.ico { return 204; }
    types { text/html html; text/javascript js mjs; video/mp4 mp4; video/mp2t ts; application/vnd.apple.mpegurl m3u8; }
"""
HEADER = ("", "seeked: median", "p95", "on the screen: median", "p95", "x peer", "the very frame")


@dataclass
class _Way:
    """One way to play the film, and what was measured. `rendition`: the one that a player of ours sticks to."""

    name: str
    kind: Kind
    url: str
    rendition: str | None = None
    on_demand: bool = False
    seeked: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    frames_off: list[int | None] = field(default_factory=list)

    def row(self, peer: _Way | None) -> tuple[str, ...]:
        seeked, shown = Sample(self.name, self.seeked), Sample(self.name, self.shown)
        right = sum(off == 0 for off in self.frames_off)
        times = (ms(seeked.median), ms(seeked.p95), ms(shown.median), ms(shown.p95))
        ratio = "" if peer is None else f"{shown.median / Sample(peer.name, peer.shown).median:.2f}"
        return (self.name, *times, ratio, f"{right} of {len(self.frames_off)}")


def measure(work: Path) -> list[str]:
    """One table."""
    seconds = (ROUNDS * PLACES + 1) * APART_SECONDS // films.PIECE_SECONDS * films.PIECE_SECONDS
    film = films.clock_film(work, seconds)
    with (
        tempfile.TemporaryDirectory(dir=work) as directory,
        running_server(Path(directory), transcode_ahead=False) as server,
        running_nginx(Path(directory) / "proxy", server.port) as proxy,
        _peer(Path(directory) / "peer", film, seconds) as peer,
    ):
        ours = f"{proxy.url.rstrip('/')}/media/{_made(server, film)}"
        ways = _ways(ours, peer)
        asyncio.run(_rounds([way for way, _ in ways], server))
    title = f"A seek in Chromium to somewhere else in {seconds // 60} minutes of 1080p30"
    return [table(title, HEADER, [way.row(peer) for way, peer in ways])]


def _ways(ours: str, nginx: str) -> list[tuple[_Way, _Way | None]]:
    """Each with the one of the peer's that it is to be compared with, in the order of the turns."""
    master = f"{ours}/hls/master.m3u8"
    file = _Way("nginx: MP4, index first", "file", f"{nginx}/film.mp4")
    copied = _Way("nginx: HLS by ffmpeg -c copy", "hls.js", f"{nginx}/hls/copied/index.m3u8")
    encoded = _Way(f"nginx: HLS by ffmpeg, {RUNG}", "hls.js", f"{nginx}/hls/encoded/index.m3u8")
    return [
        (_Way("original MP4", "file", f"{ours}/original.mp4"), file),
        (file, None),
        (_Way("HLS, source", "hls.js", master, "source"), copied),
        (copied, None),
        (_Way(f"HLS, {RUNG} on demand", "hls.js", master, RUNG, on_demand=True), encoded),
        # What was made on demand is stored now.
        (_Way(f"HLS, {RUNG} stored", "hls.js", master, RUNG), encoded),
        (encoded, None),
    ]


def _made(server: Server, film: Path) -> str:
    """Upload; the asset's id once nothing is made of it any more that nobody asked for."""
    asset_id, _ = upload(server, film)
    await_state(server, asset_id, "playable", "ready")

    def all_extras() -> bool:
        with server.client() as client:
            asset = client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json()
        return bool(asset["playback"]["preview"] and asset["playback"]["waveform"])

    wait_until(all_extras, MADE_SECONDS, "previews, clip and waveform are made")
    return asset_id


@contextmanager
def _peer(directory: Path, film: Path, seconds: int) -> Iterator[str]:
    """nginx with the film as a file and as HLS, in which each picture is where it is in the film; gives its address."""
    with peers.static_nginx(directory, PEER_RULES) as nginx:
        (nginx.files / "film.mp4").hardlink_to(film)
        (nginx.files / "livez").write_text("ok")
        (nginx.files / "ui").symlink_to(CHECKOUT / "media_service" / "ui")
        piece = directory / "encoded-piece.mp4"
        subprocess.run(peers.encoded(films.clock_piece(film.parent), piece, 720), check=True)
        for name, picture, times in (("copied", film, 1), ("encoded", piece, seconds // films.PIECE_SECONDS)):
            files = nginx.files / "hls" / name
            files.mkdir(parents=True)
            subprocess.run(peers.hls_copy(picture, times, film, files), check=True)
        yield nginx.url


async def _rounds(ways: Sequence[_Way], server: Server) -> None:
    """Each way in turn, each in a browser context of its own, to the same places; from the film's end to its start."""
    chance = random.Random(7)  # noqa: S311 - the same places in each run of the bench, nothing secret
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for number in reversed(range(ROUNDS)):
            first = 1 + number * PLACES
            places = [(first + place) * APART_SECONDS + chance.uniform(0, 4) for place in range(PLACES)]
            for way in ways:
                await _visit(browser, way, places[::-1], server)
        await browser.close()


async def _visit(browser: Browser, way: _Way, places: Sequence[float], server: Server) -> None:
    async with playing(browser, way.kind, way.url, rendition=way.rendition) as player:
        for place in places:
            frame = int(place * films.FPS)
            if way.on_demand:
                # What is made ahead for the viewer must not slow the next jump down, nor the other ways.
                await asyncio.to_thread(_calm, server)
            seek = await player.seek((frame + 0.5) / films.FPS)
            if seek.shown_ms is None:
                raise RuntimeError(f"{way.name}: no frame of {place:.1f} s came, but of {seek.media_time}")
            way.seeked.append(seek.seeked_ms / 1000)
            way.shown.append(seek.shown_ms / 1000)
            in_piece = frame % (films.PIECE_SECONDS * films.FPS)
            way.frames_off.append(None if seek.frame is None else seek.frame - in_piece)
        if way.on_demand:
            await asyncio.to_thread(_calm, server)


def _calm(server: Server) -> None:
    wait_until(lambda: not ffmpegs(server.pid), CALM_SECONDS, "the run that was begun ends")
