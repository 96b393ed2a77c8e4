"""A film as files where its playlists say: what the service answers, without a service. Only what is packaged is there."""

from __future__ import annotations

from pathlib import Path

import msgspec

from media_service.ffmpeg.fence import PROBE_LIMITS
from media_service.ffmpeg.probe import probe
from media_service.ffmpeg.scanning import scan
from media_service.mp4.fragments import Sample
from media_service.timeline import dash, hls
from media_service.timeline.facts import Facts
from media_service.timeline.index_codec import encode
from media_service.timeline.outline import Outline, OutlineRendition
from media_service.timeline.outlining import outline
from media_service.timeline.packaging import PackagedSegment, segment
from media_service.timeline.packets import packets_of
from media_service.timeline.stored_index import StoredIndex
from tests.support.media import framemd5
from tests.support.packaged import Looked, look
from tests.timeline.tracks import whole_index


async def outlined(film: Path) -> Outline:
    """The outline of any film."""
    if film.suffix in {".mp4", ".mov"}:
        looked = await look(film)
        return outline(_counted(looked.facts, looked.index), looked.index, looked.packagable())
    with film.open("rb") as file:
        facts = await probe(file.fileno(), PROBE_LIMITS)
        index = StoredIndex(encode(await scan(file.fileno(), facts, PROBE_LIMITS)))
    return outline(_counted(facts, index), index, {})


async def lay_out(film: Path, root: Path) -> Outline:
    """Write hls/ and dash/ of a film below `root`; gives its outline without what would have to be encoded."""
    looked = await look(film)
    whole = outline(_counted(looked.facts, looked.index), looked.index, looked.packagable())
    made = msgspec.structs.replace(
        whole, renditions=tuple(one for one in whole.renditions if one.packaged is not None)
    )
    (root / "hls").mkdir()
    (root / "dash").mkdir()
    for one in made.renditions:
        _write_rendition(root / "hls" / one.name, looked, made, one)
    (root / "hls" / "master.m3u8").write_text(hls.master(made, {}, [one.name for one in made.videos]))
    (root / "dash" / "manifest.mpd").write_text(dash.manifest(made, {}))
    return made


def _counted(facts: Facts, index: StoredIndex) -> Facts:
    return msgspec.structs.replace(facts, packets=packets_of(whole_index(index)))


def _write_rendition(directory: Path, looked: Looked, made: Outline, one: OutlineRendition) -> None:
    directory.mkdir()
    assert one.packaged is not None
    (directory / "init.mp4").write_bytes(one.packaged.init)
    (directory / "index.m3u8").write_text(hls.media_playlist(made, one))
    segments = [segment(looked.index.track(one.stream), one, number) for number in range(one.count)]
    for number, each in enumerate(segments):
        samples = b"".join(looked.data[start:stop] for start, stop in each.spans)
        (directory / f"{number}.m4s").write_bytes(each.head + samples)
    sizes = [_first_frame_bytes(each, each.samples[0]) for each in segments]
    (directory / "iframes.m3u8").write_text(hls.iframe_playlist(made, one, sizes))


def _first_frame_bytes(each: PackagedSegment, first: Sample) -> int:
    return len(each.head) + first.size


def payloads(source: Path | str) -> dict[str, list[str]]:
    """The MD5 of the bytes of each packet that lies in the film, in order, by stream."""
    found: dict[str, list[str]] = {}
    for line in framemd5(source):
        stream, _, time, *_, digest = (part.strip() for part in line.split(","))
        if int(time) >= 0:  # the encoder's priming lies before, and is cut away by the edit list
            found.setdefault(stream, []).append(digest)
    return found
