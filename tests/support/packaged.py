"""A film packaged as the service does it, without a service: probed, indexed, planned, and every segment put together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.scanning import scan
from media_service.matroska.tracks import MatroskaTrack
from media_service.mp4.view import MovieView, movie_view
from media_service.timeline.facts import Facts
from media_service.timeline.index_codec import encode
from media_service.timeline.index_tables import index_movie, pair_tracks
from media_service.timeline.matroska_packaging import packagable_matroska
from media_service.timeline.matroska_places import place
from media_service.timeline.outline import OutlineRendition, Packaged
from media_service.timeline.packaging import PackagedSegment, PackagedTrack, cut, packagable, segment
from media_service.timeline.plan import Plan, audio_boundaries, plan
from media_service.timeline.stored_index import StoredIndex, StoredTrack

UI = Path(__file__).resolve().parents[2] / "media_service" / "ui"


@dataclass(frozen=True)
class Looked:
    """What the service knows of a film."""

    data: bytes
    facts: Facts
    view: MovieView
    index: StoredIndex

    def packagable(self) -> dict[int, PackagedTrack]:
        return packagable(self.facts, self.view.movie, self.index, self.view.box)


@dataclass(frozen=True)
class LookedMatroska:
    """The same of a Matroska film: `tracks` are those whose packets' places are exact."""

    data: bytes
    facts: Facts
    tracks: Mapping[int, MatroskaTrack]
    index: StoredIndex

    def packagable(self) -> dict[int, PackagedTrack]:
        return packagable_matroska(self.facts, self.tracks, self.index)


@dataclass(frozen=True)
class PackagedRendition:
    """One track of it, cut into segments."""

    data: bytes
    made: PackagedTrack
    track: StoredTrack
    rendition: OutlineRendition
    segments: list[PackagedSegment]

    @property
    def scale(self) -> int:
        """Ticks of the segments in one of the source's."""
        return self.made.timescale // self.track.timescale

    def bytes_of(self, number: int) -> bytes:
        one = self.segments[number]
        return one.head + b"".join(self.data[start:stop] for start, stop in one.spans)

    def file(self) -> bytes:
        """Init segment and all segments."""
        return self.made.init + b"".join(map(self.bytes_of, range(len(self.segments))))


async def look(path: Path) -> Looked:
    fd = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        facts = await probe(fd, PROBE_LIMITS)
        view = movie_view(partial(_read, fd), len(data))
        pairs = pair_tracks(view.movie, facts)
        index = None if pairs is None else index_movie(view.movie, pairs, origin=facts.origin)
        if index is None:
            index = await scan(fd, facts, PROBE_LIMITS)
        return Looked(data, facts, view, StoredIndex(encode(index)))
    finally:
        os.close(fd)


async def look_matroska(path: Path) -> LookedMatroska:
    fd = os.open(path, os.O_RDONLY)
    try:
        data = os.pread(fd, os.fstat(fd).st_size, 0)
        facts = await probe(fd, PROBE_LIMITS)
        index = await scan(fd, facts, PROBE_LIMITS)
        index, tracks = place(partial(_read, fd), len(data), facts, index)
        return LookedMatroska(data, facts, tracks, StoredIndex(encode(index)))
    finally:
        os.close(fd)


async def package(path: Path) -> dict[int, PackagedRendition]:
    """What can be packaged of a film, by stream; of a picture only where its keyframes come often enough."""
    looked = await (look_matroska if path.suffix in {".mkv", ".webm"} else look)(path)
    assert looked.index.main is not None
    cuts = plan(looked.index.main)
    found = {}
    for stream, made in looked.packagable().items():
        track = looked.index.track(stream)
        own = cuts if track is looked.index.main else audio_boundaries(cuts, track)
        if own.on_keyframes:
            found[stream] = packaged_rendition(looked.data, made, track, own)
    return found


def packaged_rendition(data: bytes, made: PackagedTrack, track: StoredTrack, cuts: Plan) -> PackagedRendition:
    rendition = OutlineRendition(
        name="source" if made.kind == "video" else "audio",
        kind=made.kind,
        stream=made.stream,
        timescale=made.timescale,
        boundaries=made.boundaries(cuts),
        codecs=made.codecs,
        bandwidth=1_000_000,
        average_bandwidth=1_000_000,
        packaged=Packaged(init=made.init, packets=cut(track, cuts)),
        width=made.width,
        height=made.height,
    )
    segments = [segment(track, rendition, number) for number in range(rendition.count)]
    return PackagedRendition(data, made, track, rendition, segments)


def write_site(root: Path, renditions: dict[int, PackagedRendition]) -> None:
    """HLS of a film for `players.playing`: hls/master.m3u8, and hls/{rendition}/ with the playlist and the segments."""
    (root / "livez").write_text("ok")
    (root / "ui").symlink_to(UI)
    video = next(one for one in renditions.values() if one.made.kind == "video")
    sound = next((one for one in renditions.values() if one.made.kind == "audio"), None)
    codecs = ",".join(one.made.codecs for one in (video, sound) if one is not None)
    size = f"{video.made.width}x{video.made.height}"
    stream = f'#EXT-X-STREAM-INF:BANDWIDTH=1000000,RESOLUTION={size},CODECS="{codecs}"'
    lines = ["#EXTM3U", "#EXT-X-VERSION:7"]
    if sound is not None:
        lines.append(
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",DEFAULT=YES,AUTOSELECT=YES,URI="audio/index.m3u8"'
        )
        stream += ',AUDIO="a"'
    (root / "hls").mkdir()
    (root / "hls" / "master.m3u8").write_text("\n".join((*lines, stream, "source/index.m3u8", "")))
    for one in (video, sound):
        if one is not None:
            _write_rendition(root / "hls" / one.rendition.name, one)


def _write_rendition(directory: Path, one: PackagedRendition) -> None:
    directory.mkdir()
    (directory / "init.mp4").write_bytes(one.made.init)
    seconds = [ticks / one.rendition.timescale for ticks in one.rendition.durations]
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXT-X-TARGETDURATION:{round(max(seconds))}",
    ]
    lines.append('#EXT-X-MAP:URI="init.mp4"')
    for number, lasts in enumerate(seconds):
        (directory / f"{number}.m4s").write_bytes(one.bytes_of(number))
        lines += (f"#EXTINF:{lasts:.9f},", f"{number}.m4s")
    (directory / "index.m3u8").write_text("\n".join((*lines, "#EXT-X-ENDLIST", "")))


def _read(fd: int, start: int, stop: int) -> bytes:
    return os.pread(fd, stop - start, start)
