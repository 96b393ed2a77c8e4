"""What viewers get of a rendition, fetched as players fetch it, and when its frames are shown: measured by ffprobe."""

from __future__ import annotations

import math
import subprocess
from array import array
from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate
from operator import mul
from pathlib import Path

import httpx

from tests.support.hls_rules import Media, check_media
from tests.support.media import probe

RATE = 4000  # Hz: enough to hear when something is heard
WINDOW = RATE // 2
NEAR = RATE // 20  # how far apart two sounds may be and still be found, in samples
ALIKE = 0.97  # of the best likeness: a tone is alike at each of its waves
FAINT = 30  # of 32768, on average: nothing that could be recognised
BUSY_SECONDS = 60.0  # for one segment, however often the service says that it takes longer


def playlist_of(client: httpx.Client, asset_id: str, name: str) -> Media:
    """The media playlist of a rendition, checked by the rules of HLS."""
    return check_media(client.get(f"/media/{asset_id}/hls/{name}/index.m3u8").raise_for_status().text)


def fetch(client: httpx.Client, address: str) -> bytes:
    """A segment; asked for again as long as the answer is 503 with Retry-After, as players do."""
    for _ in range(10):
        answer = client.get(address, timeout=BUSY_SECONDS)
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            break
    assert answer.status_code == 200, f"{address}: {answer.text}"
    assert len(answer.content) == int(answer.headers["content-length"])
    return answer.content


def joined(client: httpx.Client, asset_id: str, name: str, path: Path) -> Path:
    """The whole rendition as one file: its init segment and all its segments, as its playlist names them."""
    base = f"/media/{asset_id}/hls/{name}"
    playlist = playlist_of(client, asset_id, name)
    with path.open("wb") as file:
        for uri in (playlist.map_uri, *(segment.uri for segment in playlist.segments)):
            file.write(fetch(client, f"{base}/{uri}"))
    return path


def boundaries(playlist: Media) -> list[Fraction]:
    """Where its segments begin, in seconds, and where the last one ends."""
    return list(accumulate((segment.seconds for segment in playlist.segments), initial=Fraction(0)))


def frame_times(path: Path, stream: str = "v:0") -> list[Fraction]:
    """When each frame is shown, in seconds and in that order; what an edit list cuts away is not shown."""
    found = probe(path, "-select_streams", stream, "-show_entries", "stream=time_base:packet=pts,flags")
    base = Fraction(found["streams"][0]["time_base"])
    return sorted(packet["pts"] * base for packet in found["packets"] if "D" not in packet["flags"])


def kept(times: Iterable[Fraction], edges: list[Fraction], step: int) -> list[Fraction]:
    """Of the times those that are left where one frame of `step` is kept, counted afresh from each of the `edges`."""
    segments: dict[int, list[Fraction]] = {}
    for time in times:
        number = sum(time >= edge for edge in edges[1:-1])
        segments.setdefault(number, []).append(time)
    return [time for number in sorted(segments) for time in segments[number][::step]]


def heard(path: Path, stream: str = "a:0") -> array[int]:
    """The sound of the film from its start on: one channel, RATE samples a second; silence where there is none."""
    argv = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-copyts",
        "-start_at_zero",
        "-i",
        str(path),
        "-map",
        f"0:{stream}",
    ]
    argv += ["-af", f"aresample={RATE}:async=1:first_pts=0", "-ac", "1", "-t", "60", "-f", "s16le", "-"]
    done = subprocess.run(argv, check=True, capture_output=True, timeout=120)
    return array("h", done.stdout[: len(done.stdout) // 2 * 2])


def later_seconds(sound: array[int], than: array[int]) -> float | None:
    """How much later a sound is heard in `sound` than in `than`; None where nothing can be recognised."""
    places = range(NEAR, min(len(than), len(sound)) - WINDOW - NEAR, WINDOW // 2)
    start = max(places, key=lambda at: sum(map(abs, than[at : at + WINDOW])), default=None)
    if start is None or sum(map(abs, than[start : start + WINDOW])) < FAINT * WINDOW:
        return None
    model = than[start : start + WINDOW]

    def likeness(lag: int) -> float:
        other = sound[start + lag : start + lag + WINDOW]
        return float(sum(map(mul, model, other)) / math.sqrt(sum(map(mul, other, other)) or 1))

    found = {lag: likeness(lag) for lag in range(-NEAR, NEAR + 1)}
    best = max(found.values())
    return min((lag for lag, like in found.items() if like >= ALIKE * best), key=abs) / RATE
