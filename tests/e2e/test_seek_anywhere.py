"""Seek anywhere at once: players jump about in films of which nothing is encoded, and each shows the right frame.

The figures are reported (-rP shows them, a JUnit file keeps them) and never judged: they belong to the machine.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from playwright.async_api import Browser

from tests.e2e.conftest import Library, Site
from tests.support.api import put_in
from tests.support.assets import await_extras, await_state
from tests.support.clock_film import FPS, SECONDS, make_clock_film
from tests.support.nginx import running_nginx
from tests.support.players import Kind, Player, Report, Seek, playing
from tests.support.processes import ffmpegs, wait_until
from tests.support.server import Server, running_server
from tests.support.shared import shared_file

SEEKS = 10
PLAYABLE_SECONDS = 30.0
QUIET_SECONDS = 30.0
LOOK_SECONDS = 0.02


class Way(NamedTuple):
    """A player, and what it plays."""

    kind: Kind
    path: str


WAYS = [Way("hls.js", "hls"), SHAKA_HLS := Way("shaka", "hls"), Way("shaka", "dash")]
# Of the long film another player is left to `make torture`: it plays shorter ones below.
SOME_WAYS = [pytest.param(way, marks=[pytest.mark.torture] if way.kind == "shaka" else []) for way in WAYS]
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def clock_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour that every player decodes."""
    return make_clock_film(tmp_path_factory.mktemp("clock") / "clock.mp4")


@pytest.fixture(scope="module")
def foreign_clock_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour that no browser decodes."""
    return make_clock_film(tmp_path_factory.mktemp("clock") / "clock.mkv")


@contextmanager
def service(directory: Path, **settings: object) -> Iterator[tuple[Server, str]]:
    """A service of its own, and its address as the world has it: through nginx."""
    with (
        running_server(directory, **settings) as server,
        running_nginx(directory / "nginx", server.port) as proxy,
    ):
        yield server, proxy.url


def upload(server: Server, url: str, film: Path) -> tuple[dict[str, Any], float]:
    """The asset right when it can be played, and how many seconds that is after it was acknowledged."""
    with server.client(url=url, timeout=120) as client:
        asset = put_in(client, film)
        acknowledged = time.monotonic()
        wait_until(
            lambda: client.get(f"/watch/{asset['id']}/asset.json").json()["playback"]["hls"] is not None,
            PLAYABLE_SECONDS,
            "the film is playable",
        )
        waited = time.monotonic() - acknowledged
        return client.get(f"/api/v1/assets/{asset['id']}").json(), waited


def made(server: Server, asset_id: str) -> dict[str, int]:
    """How many segments of each encoded rendition are stored."""
    with server.client() as client:
        asset = client.get(f"/api/v1/assets/{asset_id}").raise_for_status().json()
    return {one["name"]: one["made_segments"] for one in asset["renditions"] if not one["packaged"]}


async def ten_seeks(player: Player, seed: int, count: int = SEEKS) -> list[Seek]:
    """Seeks to the middles of ten (or `count`) random frames; each must be on the screen then, or a neighbour."""
    chance = random.Random(seed)
    seeks = []
    for number in chance.sample(range(SECONDS * FPS), count):
        seek = await player.seek((number + 0.5) / FPS)
        assert seek.frame is not None, f"no frame of the film is shown at {seek.aim} s"
        assert abs(seek.frame - number) <= 1, f"at {seek.aim} s frame {seek.frame} is shown, not {number}"
        seeks.append(seek)
    return seeks


def tell(note: Note, what: str, seeks: list[Seek]) -> None:
    """Report the times of the segments that the seeks had to fetch: the median and the worst."""
    segments = [seek.segment for seek in seeks if seek.segment]
    times = {
        "first byte": [each.first_byte_ms for each in segments if each.first_byte_ms is not None],
        "complete segment": [each.complete_ms for each in segments],
        "frame on the screen": [seek.seeked_ms for seek in seeks],
    }
    for name, values in times.items():
        if values:
            note(f"{what}: {name}, ms", f"median {statistics.median(values):.0f}, worst {max(values):.0f}")
    note(f"{what}: segments fetched for {len(seeks)} seeks", len(segments))


def assert_clean(report: Report) -> None:
    """Nothing broke for good, and hls.js fetched nothing twice."""
    assert [each for each in report.errors if each.fatal] == []
    assert report.reloaded == {}


@pytest.fixture
def note(record_property: Note) -> Note:
    """Keeps a figure with the test's result, and prints it."""

    def keep(name: str, value: object) -> None:
        record_property(name, value)
        print(f"{name}: {value}")

    return keep


@pytest.mark.parametrize(
    "ahead",
    [False, pytest.param(True, marks=pytest.mark.torture)],
    ids=["nothing made ahead", "while the film is made from its start"],
)
async def test_ten_seeks_into_a_film_of_which_nothing_is_encoded(
    tmp_path: Path, browser: Browser, foreign_clock_film: Path, note: Note, ahead: bool
) -> None:
    with service(tmp_path, transcode_ahead=ahead) as (server, url):
        asset, waited = upload(server, url, foreign_clock_film)
        note("playable after it was acknowledged, s", round(waited, 2))
        rendition = next(one for one in asset["renditions"] if one["kind"] == "video")
        assert not rendition["packaged"]
        if not ahead:
            assert set(made(server, asset["id"]).values()) == {0}
        master = f"{url}{asset['playback']['hls']}"
        for what, count in (("not made yet", SEEKS), ("already made", 3)):
            # A context of its own: nothing is in the browser's cache.
            async with playing(browser, "hls.js", master, rendition=rendition["name"]) as player:
                assert player.opened.duration == pytest.approx(SECONDS, abs=0.2)
                tell(note, what, await ten_seeks(player, seed=3, count=count))
                assert_clean(await player.report())
        if not ahead:
            assert 0 < made(server, asset["id"])[rendition["name"]] < rendition["segments"]


@asynccontextmanager
async def watched_for_encoders(server: Server, asset_id: str) -> AsyncIterator[list[str]]:
    """The command lines of all ffmpegs that the service runs meanwhile; it is waited for what an upload itself starts."""
    seen: dict[tuple[int, int], str] = {}

    def running() -> list[tuple[int, int, str]]:
        return [(each.pid, each.started, each.name) for each in ffmpegs(server.pid)]

    async def look() -> None:
        while True:
            seen.update({(pid, started): name for pid, started, name in running()})
            await asyncio.sleep(LOOK_SECONDS)

    with server.client() as client:
        await_extras(client, asset_id)
    wait_until(lambda: not running(), QUIET_SECONDS, "the upload's own ffmpegs end")
    watching = asyncio.create_task(look())
    found: list[str] = []
    try:
        yield found
    finally:
        watching.cancel()
        found += seen.values()


@pytest.mark.parametrize("way", SOME_WAYS, ids=lambda way: f"{way.path} by {way.kind}")
async def test_what_the_browser_decodes_is_played_without_an_encoder(
    tmp_path: Path, browser: Browser, clock_film: Path, note: Note, way: Way
) -> None:
    with service(tmp_path, transcode_ahead=False) as (server, url):
        asset, waited = upload(server, url, clock_film)
        note("playable after it was acknowledged, s", round(waited, 2))
        address = f"{url}{asset['playback'][way.path]}"
        # hls.js has to begin with what costs nothing by itself, and to stay there. Shaka goes by the bit rate alone, and
        # the bound of this simple film's 240p is above what its original has.
        rendition = "source" if way.kind == "shaka" else None
        async with watched_for_encoders(server, asset["id"]) as encoders:
            async with playing(browser, way.kind, address, rendition=rendition) as player:
                seeks = await ten_seeks(player, seed=5)
                await player.play(10)
                report = await player.report()
            async with playing(browser, way.kind, address, rendition=rendition) as player:
                tell(note, "packaged, asked for again", await ten_seeks(player, seed=5, count=3))
        tell(note, "packaged", seeks)
        assert encoders == []
        assert set(made(server, asset["id"]).values()) <= {0}
        assert {seek.rendition for seek in seeks} == {"source"}
        assert [each for each in report.errors if each.fatal] == []
        assert report.reloaded == {} or way.kind == "shaka"  # it empties its buffer when it jumps


# Whatever plays them, the service encodes 1080p meanwhile.
LONG = {"long_362s_1080p_moovend.mp4", "hevc_1080p_10s.mp4"}
# What is odd about each is said in the corpus' own index.
CORPUS = [
    "bbb_480p_30s_51_moovend.mp4",
    "long_362s_1080p_moovend.mp4",
    "cursed_vfr_3026x1386.mp4",
    "editlist_positive_shift.mp4",
    "hevc_1080p_10s.mp4",
    "vp9_960x540_60fps_51vorbis.webm",
    "h264_ac3_srt.mkv",
    "ts_huge_pts_59857.ts",
    "phone_rot90.mp4",
    "audio_only_15s.mp4",
]
# Another player, and DASH, which names the same segments: these differ in how they begin, what they are made of, and what
# they lack.
BY_SHAKA = {
    "bbb_480p_30s_51_moovend.mp4",
    "editlist_positive_shift.mp4",
    "h264_ac3_srt.mkv",
    "audio_only_15s.mp4",
}
LONGEST_PLAYED = 6.0  # seconds of the film


@pytest.mark.parametrize(
    ("name", "way"),
    [
        pytest.param(name, way, marks=[pytest.mark.torture] if name in LONG or way == SHAKA_HLS else [])
        for name in CORPUS
        for way in WAYS
        if way.kind == "hls.js" or name in BY_SHAKA
    ],
    ids=lambda value: f"{value.path} by {value.kind}" if isinstance(value, Way) else value,
)
async def test_films_as_they_come_play_and_seek(
    browser: Browser, site: Site, library: Library, name: str, way: Way
) -> None:
    asset = await library.put(shared_file(f"corpus/{name}").read_bytes(), name)
    with httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {site.token}"}) as client:
        asset = await_state(client, asset["id"], "playable", "ready")
    # Where sound and picture do not end together, players take the end of one of them for the film's.
    tracks = asset["facts"]["packets"]["streams"]
    ends = [track["stop_seconds"] for track in tracks]
    # Before the later of their beginnings there is a hole, which Shaka may jump.
    begins = max(0.0, *(track["start_seconds"] for track in tracks))
    # One picture throughout: what is loaded twice is then not for another quality.
    rendition = asset["renditions"][0]["name"] if way.kind == "hls.js" and asset["width"] else None
    async with playing(
        browser, way.kind, f"{site.url}{asset['playback'][way.path]}", rendition=rendition
    ) as player:
        seconds = player.opened.duration
        assert min(ends) - 0.1 <= seconds <= asset["duration"] + 0.1
        assert bool(player.opened.width) == bool(asset["width"])
        stopped = await player.play(min(LONGEST_PLAYED, seconds))
        assert stopped >= min(LONGEST_PLAYED, seconds) - 0.3
        for part in (0.8, 0.1, 0.55):
            seek = await player.seek(aim := begins + (seconds - begins) * part)
            assert seek.landed == pytest.approx(aim, abs=0.001)
        report = await player.report()
    assert [each for each in report.errors if each.fatal] == []
    assert report.reloaded == {} or way.kind == "shaka"  # it empties its buffer when it jumps
    holes = [(end, start) for (_, end), (start, _) in zip(report.buffered, report.buffered[1:], strict=False)]
    assert all(start - end > 0.5 for end, start in holes), f"holes where segments meet: {holes}"
