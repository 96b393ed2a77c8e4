"""HLS playlists as text (RFC 8216 and its successor, draft-pantos-hls-rfc8216bis).

Durations are exact: a rounded EXTINF adds up over a film, and then every seek lands beside its aim. Times are integers
in a timescale until the very last step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

MEDIA_TYPE = "application/vnd.apple.mpegurl"
# EXT-X-MAP in a playlist that is not only I-frames needs 6 (RFC 8216 s7).
VERSION = 6


@dataclass(frozen=True, slots=True)
class PlaylistSegment:
    """One media segment: where it is and how long it is, in ticks of the playlist's timescale."""

    uri: str
    duration_ticks: int


@dataclass(frozen=True, slots=True)
class Stream:
    """One line of a master playlist's choice. `bandwidth` and `average_bandwidth` in bits/s, sound included."""

    uri: str
    bandwidth: int
    average_bandwidth: int
    codecs: str
    width: int | None = None
    height: int | None = None
    audio_group: str | None = None


@dataclass(frozen=True, slots=True)
class AudioMedia:
    """An audio rendition that streams refer to by its group."""

    uri: str
    group: str
    name: str
    channels: int


def exact_seconds(ticks: int, timescale: int) -> str:
    """`ticks / timescale` as a decimal-floating-point (RFC 8216 s4.2): exact, or to the nanosecond where 1/3 recurs."""
    nanoseconds = round(Fraction(ticks * 1_000_000_000, timescale))
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") if rest else f"{whole}.0"


def target_duration(segments: Sequence[PlaylistSegment], timescale: int) -> int:
    """The longest EXTINF rounded to the nearest integer (RFC 8216 s4.3.3.1), at least 1."""
    longest = max((segment.duration_ticks for segment in segments), default=0)
    return max(1, (2 * longest + timescale) // (2 * timescale))


def media_playlist(
    segments: Sequence[PlaylistSegment],
    *,
    timescale: int,
    init_uri: str,
    complete: bool,
    least_target: int = 1,
) -> str:
    """A media playlist of type EVENT: it only ever gains lines (RFC 8216 s6.2.1), the last of them when it is `complete`.

    `least_target` (s) keeps EXT-X-TARGETDURATION from changing while the playlist grows, which RFC 8216 s6.2.1 forbids.
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f"#EXT-X-TARGETDURATION:{max(least_target, target_duration(segments, timescale))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        # A player takes a growing playlist for a live one and starts at its end; this film starts at its start.
        "#EXT-X-START:TIME-OFFSET=0,PRECISE=YES",
        f'#EXT-X-MAP:URI="{init_uri}"',
    ]
    for segment in segments:
        lines += [f"#EXTINF:{exact_seconds(segment.duration_ticks, timescale)},", segment.uri]
    if complete:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def master_playlist(streams: Sequence[Stream], audio: Sequence[AudioMedia] = ()) -> str:
    """A multivariant playlist (RFC 8216 s4.3.4)."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines += [
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{media.group}",NAME="{media.name}",DEFAULT=YES,AUTOSELECT=YES,'
        f'CHANNELS="{media.channels}",URI="{media.uri}"'
        for media in audio
    ]
    for stream in streams:
        attributes = [f"BANDWIDTH={stream.bandwidth}", f"AVERAGE-BANDWIDTH={stream.average_bandwidth}"]
        attributes.append(f'CODECS="{stream.codecs}"')
        if stream.width and stream.height:
            attributes.append(f"RESOLUTION={stream.width}x{stream.height}")
        if stream.audio_group:
            attributes.append(f'AUDIO="{stream.audio_group}"')
        lines += ["#EXT-X-STREAM-INF:" + ",".join(attributes), stream.uri]
    return "\n".join(lines) + "\n"
