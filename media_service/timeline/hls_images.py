"""Previews in HLS, twice: as I-frames that are JPEGs, which hls.js and Shaka read, and as a list of JPEG files.

The first is RFC 8216 s4.3.3.6 with the codec `mjpg`; the second is the image media playlist of the proposal that Roku and
Shaka follow, whose tags are none of the RFC's: others ignore them. Both have a segment for each tile, so that each has
its frame's true time: of several tiles in one picture a player takes the times as evenly spread.

URIs are relative to /media/{id}/hls/images/: index.m3u8 with init.mp4 and {n}.m4s, tiles.m3u8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from media_service.mp4.images import CODEC
from media_service.timeline.bandwidth import average, peak, segment_bits, target_duration
from media_service.timeline.hls_text import attributes, exact_seconds, quoted
from media_service.timeline.previews import Pack, shown

FOLDER = "images"
TILES = "../../storyboard/tiles"  # where each tile is a file of its own: {n}.jpg

_CLOCK = 1_000_000  # a pack's times are in microseconds
_VERSION = 6  # EXT-X-MAP (RFC 8216 s7)


def variants(pack: Pack) -> tuple[str, ...]:
    """The lines of the multivariant playlist that offer them."""
    highest, usual = bandwidths(pack)
    values = [
        ("BANDWIDTH", str(highest)),
        ("AVERAGE-BANDWIDTH", str(usual)),
        ("RESOLUTION", f"{pack.width}x{pack.height}"),
    ]
    frames = [*values, ("CODECS", quoted(CODEC)), ("URI", quoted(f"{FOLDER}/index.m3u8"))]
    files = [*values, ("CODECS", quoted("jpeg")), ("URI", quoted(f"{FOLDER}/tiles.m3u8"))]
    return f"#EXT-X-I-FRAME-STREAM-INF:{attributes(frames)}", f"#EXT-X-IMAGE-STREAM-INF:{attributes(files)}"


@lru_cache(maxsize=8)
def bandwidths(pack: Pack) -> tuple[int, int]:
    """Peak and average, in bits/s of the film. Master playlist and manifest ask for them, again and again while a film is made."""
    bits = [segment_bits(tile.size, samples=1) for tile in pack.tiles]
    durations = [stop - begin for begin, stop in shown(pack)]
    return peak(bits, durations, _CLOCK), average(bits, durations, _CLOCK)


def iframe_playlist(pack: Pack) -> str:
    """The playlist of the JPEG track."""
    own = (
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-I-FRAMES-ONLY",
        f'#EXT-X-MAP:URI="init.mp4?v={pack.version}"',
    )
    return _playlist(pack, own, "", "{number}.m4s")


def tile_playlist(pack: Pack) -> str:
    """The playlist of the JPEG files."""
    return _playlist(
        pack,
        ("#EXT-X-IMAGES-ONLY",),
        f"#EXT-X-TILES:RESOLUTION={pack.width}x{pack.height},LAYOUT=1x1,DURATION=",
        f"{TILES}/{{number}}.jpg",
    )


def _playlist(pack: Pack, own: Iterable[str], tiles: str, name: str) -> str:
    durations = [stop - begin for begin, stop in shown(pack)]
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{target_duration(durations, _CLOCK)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        *own,
        *_segments(durations, tiles, f"{name}?v={pack.version}"),
        "#EXT-X-ENDLIST",
    ]
    return "\n".join(lines) + "\n"


def _segments(durations: Iterable[int], tiles: str, name: str) -> Iterator[str]:
    for number, ticks in enumerate(durations):
        seconds = exact_seconds(ticks, _CLOCK)
        yield f"#EXTINF:{seconds},"
        if tiles:
            yield tiles + seconds
        yield name.format(number=number)
